"""The page of the live document says what is in one, and its examples work."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evapd.acquire.herald import brief
from evapd.config.live import Live
from evapd.live.history import History
from evapd.live.service import KEYS, LiveService
from evapd.stream.jsontext import to_json
from support.live_bench import LiveBench, hit_block
from support.rig_files import CONFIG

PAGE = (Path(__file__).parents[2] / "docs" / "protocols" / "live.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def document() -> dict[str, Any]:
    bench, made = LiveBench(), []
    bench.read(3000.0, 600.0)
    bench.offer(hit_block(np.full(50, 700_000)))
    LiveService(
        present=lambda: brief(dict.fromkeys(_STATUS)), histories_of=lambda _: {}, publish=made.append, analysis=bench.analysis,
        tap=bench.tap, tell=lambda *_, **__: None, clock=lambda: bench.now_s,
    ).tick()  # fmt: skip
    return made[0]


_STATUS = (
    "guard", "instance", "run_state", "run", "finalising", "hits", "pulses", "words", "rate_per_pulse", "losses", "time_sums",
    "alarms",
)  # fmt: skip


@pytest.mark.parametrize("key", sorted({*KEYS, *document()}))
def test_every_key_of_a_document_is_described(key: str) -> None:
    assert f"`{key}`" in PAGE


@pytest.mark.parametrize("part", ["spectrum", "map", "points", "analysis", "ions"])
def test_every_key_of_a_part_is_described(part: str) -> None:
    for key in document()[part]:
        assert f"`{key}`" in PAGE or f"`{part}.{key}`" in PAGE, key


@pytest.mark.parametrize("key", History().document())
def test_every_key_of_a_history_is_described(key: str) -> None:
    assert f"`{key}`" in PAGE


def test_the_python_example_reads_a_document() -> None:
    (code,) = blocks("python")
    message = b"live." + to_json(document())
    code = re.sub(
        r"socket = .*?live = json.loads\(.*?\)\n", "live = json.loads(message[5:])\n", code, flags=re.DOTALL
    )
    found: dict[str, Any] = {"message": message}
    exec(code.replace("base64, json, zmq", "base64, json"), found)
    assert found["counts"].sum() == 50
    assert found["edges_da"][-1] == 200.0


def test_the_json_example_is_json_and_its_array_has_its_shape() -> None:
    (text,) = blocks("json")
    points = json.loads(text)["points"]
    values = np.frombuffer(base64.b64decode(points["xyz_nm"]["data"]), "<f4")
    assert values.reshape(points["xyz_nm"]["shape"]).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert list(base64.b64decode(points["ion"]["data"])) == [1, 2]


def test_every_setting_is_described_with_its_default() -> None:
    (text,) = blocks("yaml")
    for key in (*Live.model_fields, *Live().projection.model_dump()):
        assert f"  {key}:" in text
    assert "live:" not in (CONFIG / "sim.yaml").read_text()  # an untouched rig works
