"""The picture: always made, never silent about what it lacks, labels that do not cover each other."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from evapd.errors import RecordError, StateError
from evapd.record.nxs import open_run
from evapd.record.run import Condition
from evapd.report.digest import gather
from evapd.report.panel_spectrum import spread
from evapd.report.plot import plot_run, report_figure
from evapd.report.summary import summary_of
from support.finished_runs import finished_run, hit_block
from support.recorded_runs import INSTRUMENT, blocks

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds with an inhibited and a lost stretch."""
    made = [
        replace(block, inhibited_pulses=block.pulses) if 60 <= number < 70 else block
        for number, block in enumerate(blocks(10.0))
        if not 100 <= number < 105
    ]
    return finished_run(tmp_path_factory.mktemp("runs"), made, seconds=10.0)


def figure_of(run_folder: Path) -> Figure:
    with open_run(run_folder) as run:
        digest = gather(run)
        return report_figure(run, digest, summary_of(run, digest))


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


def test_the_picture_lies_beside_the_run_and_has_its_size(usual: Path) -> None:
    path = plot_run(usual)

    assert path == usual / f"{usual.name}.png"
    head = path.read_bytes()[:24]
    assert head.startswith(PNG)
    assert (int.from_bytes(head[16:20]), int.from_bytes(head[20:24])) == (1600, 1200)


def test_the_picture_goes_where_it_is_asked_for(usual: Path, tmp_path: Path) -> None:
    assert plot_run(usual / f"{usual.name}.nxs", tmp_path / "x.png") == tmp_path / "x.png"
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_a_place_that_cannot_be_written_is_told(usual: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="name another place"):
        plot_run(usual, tmp_path / "no" / "x.png")


def test_peaks_segments_and_stretches_without_live_pulses_are_marked(usual: Path) -> None:
    words = texts(figure_of(usual))

    for wanted in (
        "26.99  R",
        "27Al+ / 54Fe2+",
        "pulses inhibited",
        "pulses lost",
        "target",
        "stop",
        usual.name,
    ):
        assert wanted in words


def test_no_label_of_a_peak_covers_another(usual: Path) -> None:
    figure = figure_of(usual)
    figure.canvas.draw()

    boxes = [text.get_window_extent() for text in figure.axes[0].texts]

    assert len(boxes) >= 4
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.y1 <= figure.axes[0].get_window_extent().y1 + 1 for box in boxes)


@pytest.mark.parametrize(
    ("made", "about", "wanted"),
    [
        ([], {}, ["this run has no hits", "no live pulses", "0 in 0 live pulses"]),
        ([hit_block(number) for number in range(30)], {}, ["this run has no hits", "no hits"]),
        ([hit_block(0), hit_block(1, [5])], {}, ["1 in 20,000 live pulses", "no peaks found"]),
        ([hit_block(0, [1, 2])], {"guard": False}, ["no voltage was read in this run", "Time of flight"]),
        ([hit_block(0, [1, 2], tof_ps=9_000_000)], {"guard": False}, ["no hit has a time of flight in the range"]),
        (
            [hit_block(0, [1, 2])],
            {"configuration": {"instrument": INSTRUMENT | {"flight_path_kind": "reflectron"}}},
            ["no straight flight path"],
        ),
        ([hit_block(0, [1, 2], x_um=7000)], {"anode": {}}, ["Detector map"]),
        ([hit_block(0, [1] * 9)], {}, ["8+"]),
        ([hit_block(0, [1], quality=77)], {}, ["77 unknown code"]),
        ([], {"conditions": (Condition.ABORTED,), "end_reason": "x" * 500}, ["ABORTED", "…"]),
    ],
    ids=["no-block", "no-hit", "one-hit", "no-voltage", "late", "reflectron", "no-anode", "many", "quality", "abort"],
)  # fmt: skip
def test_a_run_that_lacks_something_still_gives_a_picture_that_says_so(
    tmp_path: Path, made, about, wanted
) -> None:
    run = finished_run(tmp_path, made, **about)

    assert plot_run(run).read_bytes().startswith(PNG)
    words = texts(figure_of(run))
    assert [text for text in wanted if text not in words] == []


def test_without_matplotlib_the_message_names_the_extra(usual: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(StateError, match=r"evapd\[plots\]"):
        figure_of(usual)


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0.001, 0.05))
def test_labels_are_moved_apart_in_their_order_and_stay_inside(places: list[float], gap: float) -> None:
    wanted = np.sort(np.array(places))
    gap = min(gap, 1 / max(1, len(places)))

    found = spread(wanted, gap)

    assert np.all(np.diff(found) >= gap - 1e-9)
    assert np.all((found >= -1e-9) & (found <= 1 + 1e-9))


def test_labels_with_room_stay_over_their_peaks() -> None:
    np.testing.assert_allclose(spread(np.array([0.2, 0.5, 0.8]), 0.02), [0.2, 0.5, 0.8])
