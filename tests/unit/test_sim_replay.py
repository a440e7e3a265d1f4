import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evapd.errors import ConfigError
from evapd_sim.anode import AnodeFile
from evapd_sim.plant import Plant
from evapd_sim.raw import RAW_HIT, RawHits, read_raw, write_raw
from evapd_sim.raw_made import make_raw
from evapd_sim.replay import Replay, find_source
from evapd_sim.settings import ReplayTwin
from evapd_sim.step import StepResult

ANODE = AnodeFile.model_validate(
    {
        "kind": "quad",
        "radius_mm": 105,
        "layers": {
            "x": {"time_sum_ps": 270_000, "mm_per_ns": 0.8},
            "y": {"time_sum_ps": 272_000, "mm_per_ns": 0.8},
        },
    }
)
BIN_PS = 5000 / 384


class Bench:
    """A replay with a TDC that can be armed and a knob that notes what it was turned to."""

    def __init__(self, hits: RawHits, **settings: Any) -> None:
        self.armed = True
        self.knob: list[tuple[int, float]] = []
        twin = ReplayTwin.model_validate({"data": "x.raw", "lead_s": 0.5, **settings})
        self.replay = Replay(hits, twin, ANODE, Plant(), armed=lambda: self.armed, front_panel=self._turn)

    def _turn(self, v_v: float) -> None:
        self.knob.append((self.replay.position, v_v))

    def play(self, seconds: float, dt_s: float = 0.004) -> list[StepResult]:
        return [self.replay.step(dt_s) for _ in range(round(seconds / dt_s))]


@pytest.fixture(scope="module")
def hits() -> RawHits:
    return make_raw(3000, seed=1)


def test_a_generated_file_has_the_layout_and_the_steps_of_a_recorded_one(tmp_path: Path) -> None:
    path = tmp_path / "made.raw"
    write_raw(path, make_raw(20_000, seed=2))
    made = read_raw(path)
    assert path.stat().st_size == 20_000 * 32
    steps = np.diff(made["u_base_v"])
    assert (steps > 0).sum() == 80
    assert steps[steps > 0] == pytest.approx(np.full(80, 2.0), abs=0.01)
    assert np.hypot(made["x_mm"], made["y_mm"]).max() <= 72.0


def test_the_same_seed_generates_the_same_file() -> None:
    assert make_raw(2000, 3).tobytes() == make_raw(2000, 3).tobytes() != make_raw(2000, 4).tobytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are not a whole number"),
        (b"x" * 33, "33 bytes are not a whole number"),
        (b"\xff" * 64, "u_base_v is nan"),
    ],
)
def test_a_file_of_another_layout_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.raw"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_raw(path)


def test_hits_out_of_order_are_refused(tmp_path: Path, hits: RawHits) -> None:
    write_raw(tmp_path / "bad.raw", hits[::-1])
    with pytest.raises(ConfigError, match="falls"):
        read_raw(tmp_path / "bad.raw")


def test_an_absent_file_is_generated_once_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAPD_DATA", str(tmp_path / "nowhere"))
    settings = ReplayTwin(data="absent.raw", generated_hits=1000)
    source = find_source(settings, tmp_path / "twin")
    note = json.loads((tmp_path / "twin" / "replay-source.json").read_text())
    assert source.generated
    assert note == {"path": str(source.path), "generated": True, "hits": 1000}
    assert read_raw(Path(note["path"])).tobytes() == source.hits.tobytes()


def test_a_file_below_evapd_data_is_played_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hits: RawHits
) -> None:
    write_raw(tmp_path / "real.raw", hits)
    monkeypatch.setenv("EVAPD_DATA", str(tmp_path))
    source = find_source(ReplayTwin(data="real.raw"), tmp_path / "twin")
    assert not source.generated
    assert source.hits.tobytes() == hits.tobytes()


def test_nothing_is_played_before_the_tdc_is_armed(hits: RawHits) -> None:
    bench = Bench(hits)
    bench.armed = False
    results = bench.play(2.0)
    assert sum(result.pulses + len(result.times) for result in results) == 0
    assert bench.knob == []


def test_every_hit_comes_as_five_words_that_tell_its_time_and_place_within_a_bin(hits: RawHits) -> None:
    bench = Bench(hits)
    results = bench.play(bench.replay.duration_s + 0.1)
    first = np.cumsum([0] + [r.pulses for r in results])
    pulse = np.concatenate([r.pulse_offsets + f for r, f in zip(results, first, strict=False)])
    channel = np.concatenate([r.channels for r in results])
    time = np.concatenate([r.times for r in results]) * BIN_PS
    assert np.bincount(channel).tolist() == [len(hits)] * 5
    recorded = hits["pulse"].astype(int) - int(hits["pulse"][0])
    alone = np.flatnonzero(np.bincount(recorded) == 1)
    of = {c: time[channel == c][np.isin(pulse[channel == c], alone)] for c in range(5)}
    chosen = hits[np.isin(recorded, alone)]
    assert of[0] == pytest.approx(chosen["tof_ns"] * 1000.0, abs=BIN_PS)
    assert 0.8 * (of[1] - of[2]) / 2000 == pytest.approx(chosen["x_mm"], abs=0.8 * BIN_PS / 2000 * 1.01)
    assert 0.8 * (of[3] - of[4]) / 2000 == pytest.approx(chosen["y_mm"], abs=0.8 * BIN_PS / 2000 * 1.01)


def test_pulses_are_delivered_whole_and_in_their_number(hits: RawHits) -> None:
    bench = Bench(hits)
    results = bench.play(bench.replay.duration_s + 0.1)
    assert sum(r.pulses for r in results) == len(np.unique(hits["pulse"]))
    assert sum(r.truth.hits for r in results) == len(hits)
    assert [r.exhausted for r in results[-3:]] == [True] * 3
    assert not results[0].exhausted


def test_the_knob_is_turned_to_each_recorded_voltage_before_its_first_hit(hits: RawHits) -> None:
    bench = Bench(hits)
    bench.play(bench.replay.duration_s + 0.1)
    voltages = [v for _, v in bench.knob]
    assert voltages == pytest.approx(sorted(set(hits["u_base_v"].tolist())))
    for position, v in bench.knob:
        assert hits["u_base_v"][min(position, len(hits) - 1)] <= v + 1e-3


def test_speed_shortens_the_recording(hits: RawHits) -> None:
    slow, fast = Bench(hits, speed=1.0).replay, Bench(hits, speed=10.0).replay
    assert fast.duration_s - 0.5 == pytest.approx((slow.duration_s - 0.5) / 10)


def test_arming_again_plays_from_the_beginning(hits: RawHits) -> None:
    bench = Bench(hits)
    first = sum(r.pulses for r in bench.play(1.0))
    bench.armed = False
    bench.play(0.1)
    bench.armed = True
    assert sum(r.pulses for r in bench.play(1.0)) == first > 0


def test_the_file_layout_is_32_bytes_per_hit() -> None:
    assert RAW_HIT.itemsize == 32


@pytest.mark.parametrize(("reflections", "words"), [(0.0, 5.0), (0.5, 7.5)])
def test_words_of_a_replay_name_their_recorded_hit_also_when_they_are_made_imperfect(
    hits: RawHits, reflections: float, words: float
) -> None:
    bench = Bench(hits, signals={"walk_ps": 5000, "reflections": reflections})
    results = bench.play(bench.replay.duration_s + 0.1)
    owners = np.concatenate([result.owners for result in results])
    assert np.bincount(owners[owners >= 0]).tolist() == [5] * len(hits)
    assert len(owners) / len(hits) == pytest.approx(words, rel=0.02)
