"""`evapd-sim words` and `evapd-sim score`: files out, figures back, bad input named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from evapd_sim.cli import app

CONFIG = Path(__file__).parents[2] / "config"
HEX = CONFIG / "anode-hex80.yaml"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def made(folder: Path, *options: object, anode: Path = HEX) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns of a words file and of its truth file."""
    paths = folder / "words.npz", folder / "truth.npz"
    result = call("words", anode, "-o", paths[0], "--truth", paths[1], "--pulses", 20_000, *options)
    assert result.exit_code == 0, result.output
    return dict(np.load(paths[0])), dict(np.load(paths[1]))


def write_hits(path: Path, truth: dict[str, Any], **changes: Any) -> Path:
    """A perfect hits file."""
    columns = {
        "pulse": (truth["pulse"] - 5).astype("<u4"),
        "tof_ps": np.rint(truth["tof_ps"]).astype("<i4"),
        "x_um": np.rint(1000 * truth["x_mm"]).astype("<i4"),
        "y_um": np.rint(1000 * truth["y_mm"]).astype("<i4"),
        "quality": np.zeros(len(truth["pulse"]), "u1"),
        "multiplicity": np.ones(len(truth["pulse"]), "u1"),
        "first_pulse": np.uint64(5),
    }
    np.savez(path, **(columns | changes))
    return path


def test_a_words_file_has_its_six_arrays_and_nothing_of_the_truth(tmp_path: Path) -> None:
    words, _ = made(tmp_path)
    assert set(words) == {"pulse", "channel", "time", "bin_ps", "first_pulse", "last_pulse"}
    assert [words[name].dtype.str for name in ("pulse", "channel", "time")] == ["<u8", "|u1", "<i4"]
    assert (words["bin_ps"].tolist(), int(words["first_pulse"]), int(words["last_pulse"])) == (
        [625, 48],  # 5000 / 384
        0,
        19_999,
    )
    key = words["pulse"].astype(np.int64) << 32 | words["time"]
    assert (np.diff(key) >= 0).all()
    assert np.unique(words["channel"]).tolist() == list(range(7))


def test_the_truth_counts_the_signals_that_are_in_the_words(tmp_path: Path) -> None:
    words, truth = made(tmp_path, "--noise-hz", 0)
    assert np.unpackbits(truth["alive"]).sum() == len(words["pulse"])
    assert (np.diff(truth["pulse"].astype(np.int64)) >= 0).all()
    assert np.hypot(truth["x_mm"], truth["y_mm"]).max() <= 40


def test_options_reach_the_stream(tmp_path: Path) -> None:
    quiet = ("--noise-hz", 0, "--dark-hz", 0, "--missing", 0, "--multi", 0, "--detection", 1)
    words, truth = made(tmp_path, *quiet, "--reflections", 1, "--disc-mm", 10, "--seed", 4)
    assert len(truth["pulse"]) == 20_000
    assert len(words["pulse"]) == 14 * 20_000
    assert np.hypot(truth["x_mm"], truth["y_mm"]).max() <= 10
    walking, _ = made(tmp_path, *quiet, "--set", "walk_shape=wave", "--set", "walk_ps=0.9 ns", "--seed", 4)
    assert len(walking["pulse"]) == 7 * 20_000


def test_a_perfect_matching_scores_perfectly(tmp_path: Path) -> None:
    _, truth = made(tmp_path)
    hits = write_hits(tmp_path / "hits.npz", truth)
    result = call("score", hits, tmp_path / "truth.npz", "--json")
    told = json.loads(result.output)
    assert (result.exit_code, told["efficiency"], told["ghosts"]) == (0, 1.0, 0.0)
    assert told["by_multiplicity"]["1"]["efficiency"] == 1.0


def test_tolerances_can_be_chosen(tmp_path: Path) -> None:
    _, truth = made(tmp_path)
    hits = write_hits(tmp_path / "hits.npz", truth, tof_ps=np.rint(truth["tof_ps"]).astype("<i4") + 600)
    strict = call("score", hits, tmp_path / "truth.npz", "--tof-ps", 500)
    assert strict.exit_code == 0
    assert "found         0.00 %" in strict.output
    assert "ghosts      100.00 %" in strict.output


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--set", "gap_loss=0.5"], "set gap_mm"),
        (["--set", "wlak_ps=5"], "is no effect, allowed are walk_ps"),
        (["--set", "walk_shape=[1"], "walk_shape"),
        (["--bin-ps", "13ps"], "'13ps' is no number"),
        (["--bin-ps", "1/0"], "'1/0' is no number"),
        (["--bin-ps", "-3"], "allowed is more than 0"),
        (["--walk-ps", "nan"], "walk_ps"),
    ],
)
def test_words_of_bad_settings_are_refused(options: list[str], named: str, tmp_path: Path) -> None:
    result = call("words", HEX, "-o", tmp_path / "words.npz", *options)
    assert result.exit_code == 2
    assert named in result.output
    assert not (tmp_path / "words.npz").exists()


def test_an_anode_file_that_is_none_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "anode.yaml"
    bad.write_text("kind: hex\nradius_mm: 40\nlayers: {u: {time_sum_ps: 1, mm_per_ns: 1}}\n")
    result = call("words", bad, "-o", tmp_path / "words.npz")
    assert result.exit_code == 2
    assert "exactly u, v, w" in result.output


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = call("words", HEX, "-o", tmp_path / "none" / "words.npz", "--pulses", 100)
    assert result.exit_code == 1
    assert str(tmp_path / "none" / "words.npz") in result.output


def damaged(path: Path, name: str) -> Path:
    """A hits file with one thing wrong."""
    truth = {"pulse": np.arange(9) + 5, **{key: np.zeros(9) for key in ("tof_ps", "x_mm", "y_mm")}}
    if name == "garbage":
        path.write_bytes(b"\x00\xff" * 500)
    elif name == "cut off":
        path.write_bytes(write_hits(path, truth).read_bytes()[:700])
    elif name == "an array":
        with path.open("wb") as file:
            np.save(file, np.arange(5))
    elif name == "pickled":
        write_hits(path, truth, x_um=np.array([{"a": 1}] * 9, dtype=object))
    elif name == "uneven":
        write_hits(path, truth, x_um=np.zeros(8, "i4"))
    elif name == "text":
        write_hits(path, truth, x_um=np.array(["1"] * 9))
    elif name == "words":
        call("words", HEX, "-o", path, "--pulses", 100)
    return path


@pytest.mark.parametrize(
    "name", ["garbage", "cut off", "an array", "pickled", "uneven", "text", "words", "absent"]
)
def test_a_file_that_is_no_hits_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    made(tmp_path)
    hits = damaged(tmp_path / "hits.npz", name)
    result = call("score", hits, tmp_path / "truth.npz")
    assert result.exit_code == 1
    assert result.output.startswith(f"evapd-sim: {hits}")
