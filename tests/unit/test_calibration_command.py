"""`evapd calibrate`: a run or a words file in, an anode file and a picture out; nothing is overwritten by accident."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from typer.testing import CliRunner

from evapd.calibration import Calibration, calibrate
from evapd.cli import app
from evapd.errors import RecordError, StateError
from evapd.matching import Anode
from evapd.report.calibrated import calibrate_recorded
from evapd.report.calibration_plot import calibration_figure
from evapd.report.calibration_rim import rim_mm
from support.anodes import quad
from support.calibrations import misdescribed, stream, walking
from support.recorded_words import frames_of, record_words, save_words

WHEN = datetime(2026, 11, 21, tzinfo=UTC)
TRUE = walking("quad")
TRUTH = stream(TRUE, 20_000)


@pytest.fixture
def start(tmp_path: Path) -> Path:
    path = tmp_path / "start.yaml"
    path.write_text(json.dumps(misdescribed(TRUE).model_dump(mode="json", exclude_none=True)))
    return path


@pytest.fixture
def words(tmp_path: Path) -> Path:
    return save_words(tmp_path / "words.npz", TRUTH.block)


def evapd(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_words_file_and_a_start_give_anode_table_and_picture(
    tmp_path: Path, words: Path, start: Path
) -> None:
    out, picture = tmp_path / "anode.yaml", tmp_path / "anode.png"
    done = evapd("calibrate", words, "--anode", start, "-o", out, "--picture", picture)
    assert done.exit_code == 0, done.output
    assert Anode.load(out).layers["x"].mm_per_ns == pytest.approx(0.8, rel=0.003)
    assert "x time sum" in done.output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_json_is_for_programs(tmp_path: Path, words: Path, start: Path) -> None:
    done = evapd("calibrate", words, "--anode", start, "-o", tmp_path / "a.yaml", "--json")
    content = json.loads(done.stdout)
    assert content["layers"]["x"]["mm_per_ns"]["start"] == pytest.approx(0.816)
    assert content["fitting_after"] > 0.9


@pytest.mark.parametrize("state", ["running", "finished"])
def test_a_run_brings_its_own_anode_also_while_it_is_under_way(tmp_path: Path, state: str) -> None:
    store, _ = record_words(tmp_path, frames_of(TRUTH.block, 5_000), misdescribed(TRUE), state=state)
    done = evapd("calibrate", store.folder, "-o", tmp_path / "a.yaml")
    assert done.exit_code == 0, done.output
    assert Anode.load(tmp_path / "a.yaml").layers["y"].offset_ps == pytest.approx(0.0, abs=400)


def test_an_anode_file_that_is_there_stays(tmp_path: Path, words: Path, start: Path) -> None:
    out = tmp_path / "anode.yaml"
    out.write_text("mine")
    with pytest.raises(RecordError, match="exists already"):
        calibrate_recorded(words, out, made=WHEN, anode=start)
    assert out.read_text() == "mine"
    calibrate_recorded(words, out, made=WHEN, anode=start, force=True)
    assert Anode.load(out).kind == "quad"


@pytest.mark.parametrize("which", ["start", "words"])
def test_what_is_read_is_never_written(which: str, words: Path, start: Path) -> None:
    target = start if which == "start" else words
    before = target.read_bytes()
    with pytest.raises(RecordError, match="is what is read"):
        calibrate_recorded(words, target, made=WHEN, anode=start, force=True)
    assert target.read_bytes() == before


def test_a_words_file_without_anode_and_radius_says_what_is_needed(tmp_path: Path, words: Path) -> None:
    with pytest.raises(StateError, match="--radius-mm"):
        calibrate_recorded(words, tmp_path / "a.yaml", made=WHEN)
    assert not (tmp_path / "a.yaml").exists()


def test_progress_ends_at_one(tmp_path: Path, words: Path, start: Path) -> None:
    told: list[float] = []
    calibrate_recorded(words, tmp_path / "a.yaml", made=WHEN, anode=start, progress=told.append)
    assert told[-1] == 1.0
    assert told == sorted(told)


def test_a_missing_plotting_library_is_said_before_anything_is_read(
    tmp_path: Path, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evapd.report.calibrated.find_spec", lambda _: None)
    with pytest.raises(StateError, match="extra `plots`"):
        calibrate_recorded(words, tmp_path / "a.yaml", made=WHEN, picture=tmp_path / "a.png")


def test_calibrating_needs_no_compiler() -> None:
    code = (
        "import sys, evapd.report.calibrated; sys.exit('numba' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def figure_texts(calibration: Calibration) -> list[Text]:
    """All texts but the labels of ticks."""
    figure = calibration_figure(calibration, source="runs/x")
    figure.canvas.draw()
    ticks = {
        id(label) for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())
    }
    ticks |= {id(label) for axes in figure.axes for label in axes.get_xticklabels(minor=True)}
    texts = figure.findobj(Text)
    return [
        text for text in texts if id(text) not in ticks and text.get_visible() and text.get_text().strip()
    ]


@pytest.mark.parametrize("kind", ["quad", "hex"])
def test_the_picture_names_every_layer_with_units_and_nothing_leaves_it(kind: str) -> None:
    true = walking(kind)
    calibration = calibrate([stream(true, 20_000).block], misdescribed(true))
    texts = figure_texts(calibration)
    words_shown = "\n".join(text.get_text() for text in texts)
    for name in calibration.anode.layer_names:
        assert f"coordinate along {name} (mm)" in words_shown
        assert f"time sum of {name}, measured - anode file (ns)" in words_shown
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 > -1, text
        assert box.x1 < 1601, text


def test_titles_do_not_cover_each_other() -> None:
    true = walking("hex")
    texts = figure_texts(calibrate([stream(true, 20_000).block], misdescribed(true)))
    boxes = [text.get_window_extent() for text in texts if text.get_fontweight() in {"bold", 700}]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])


def test_without_start_or_rim_the_picture_says_so() -> None:
    blind = calibrate([stream(quad(), 20_000).block], radius_mm=40.0)
    assert any("no start anode" in text.get_text() for text in figure_texts(blind))
    faded = calibrate([stream(quad(), 3_000, disc_mm=10.0).block], quad())
    assert any("note: scale and offsets are the start's" in text.get_text() for text in figure_texts(faded))


def test_the_rim_found_lies_on_the_circle_after_and_beside_it_before() -> None:
    calibration = calibrate([TRUTH.block], misdescribed(TRUE))
    after = np.hypot(*rim_mm(calibration, calibration.anode).T)
    before = np.hypot(*rim_mm(calibration, misdescribed(TRUE)).T)
    assert np.median(np.abs(after - 40.0)) < 0.3
    assert np.max(np.abs(before - 40.0)) > 0.7
