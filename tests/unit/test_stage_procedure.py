"""Out and back with a stage in virtual time: what is measured, and the ways in which it goes wrong."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from evapd.cli_stage import app
from evapd.errors import StateError
from evapd.stage.procedure import Plan, Procedure
from evapd.stage.readfile import read_series
from evapd.stage.table import document, text


class VirtualStage:
    """Axes that go 10 mm/s, drift, and come back not quite; readings are 0.3 s old."""

    def __init__(self, *, scatter_nm=100.0, drift_nm_per_h=0.0, stuck=False, seed=3):
        self.now_s, self.rng = 100.0, np.random.default_rng(seed)
        self.scatter_nm, self.drift_nm_per_h, self.stuck = scatter_nm, drift_nm_per_h, stuck
        self.at_mm = {"x": 1.0, "y": 2.0}
        self.error_nm = dict.fromkeys(self.at_mm, 0.0)
        self.busy_until_s, self.moves = 0.0, []

    def clock(self):
        return self.now_s

    def sleep(self, s):
        self.now_s += s

    def move(self, axis, mm):
        self.moves.append((axis, mm))
        self.busy_until_s = self.now_s + (1e9 if self.stuck else 0.4 + abs(mm - self.at_mm[axis]) / 10.0)
        self.at_mm[axis], self.error_nm[axis] = mm, self.rng.normal(0.0, self.scatter_nm)

    def axes(self):
        moving = self.now_s < self.busy_until_s
        drift_nm = self.drift_nm_per_h * (self.now_s - 100.0) / 3600.0
        return {
            axis: {
                "position_mm": mm + 1e-6 * (self.error_nm[axis] + drift_nm), "referenced": True, "moving": moving,
                "in_position": not moving and bool(self.moves), "age_s": 0.3,
            }
            for axis, mm in self.at_mm.items()
        }  # fmt: skip


def run(stage, **plan):
    plan = Plan(**{"away_mm": {"x": 40.0}, "settle_s": 0.5} | plan)
    return Procedure(stage, plan, clock=stage.clock, sleep=stage.sleep).run(lambda _: None)


def test_it_goes_out_and_comes_back_between_readings_and_is_left_where_it_began():
    stage = VirtualStage()
    series = run(stage, returns=8)
    assert series.position_nm.shape == (8, 2)
    assert stage.moves == [("x", 41.0), ("x", 1.0)] * 7
    assert stage.at_mm == {"x": 1.0, "y": 2.0}


def test_with_two_ways_the_axes_go_one_after_the_other_and_back_in_reverse():
    stage = VirtualStage()
    run(stage, returns=3, away_mm={"x": 40.0, "y": -5.0})
    assert stage.moves[:4] == [("x", 41.0), ("y", -3.0), ("y", 2.0), ("x", 1.0)]


def test_scatter_and_drift_are_found():
    series = run(VirtualStage(scatter_nm=50.0, drift_nm_per_h=40_000.0), returns=200)
    figures = document(series)["figures"]["x"]
    assert figures["drift_nm_per_h"] == pytest.approx(40_000.0, rel=0.1)
    assert figures["sd_without_drift_nm"] == pytest.approx(50.0, rel=0.2)
    assert figures["sd_nm"] > 500.0
    assert "BEYOND" in text(series)


def test_a_stage_that_does_not_arrive_is_told_and_not_waited_for_for_ever():
    with pytest.raises(StateError, match="has not come to rest"):
        run(VirtualStage(stuck=True), patience_s=30.0)


def test_an_axis_that_has_not_begun_to_move_is_not_taken_for_one_that_has_arrived():
    stage = VirtualStage()
    stage.move = lambda *_: None  # accepted, and nothing happens
    with pytest.raises(StateError, match="x to 41 mm"):
        run(stage, patience_s=30.0)


@pytest.mark.parametrize(
    "plan", [{"returns": 2}, {"away_mm": {}}, {"away_mm": {"x": 0.0}}, {"away_mm": {"w": 1.0}}]
)
def test_a_plan_that_is_none_is_refused_before_anything_moves(plan):
    stage = VirtualStage()
    with pytest.raises(StateError):
        run(stage, **plan)
    assert stage.moves == []


def test_an_unreferenced_axis_is_refused_with_what_to_do():
    stage = VirtualStage()
    told = stage.axes()
    stage.axes = lambda: {name: one | {"referenced": False} for name, one in told.items()}
    with pytest.raises(StateError, match="evapd stage reference x"):
        run(stage)


PUBLISHED = "vertical_nm,horizontal_nm\n" + "\n".join(
    f"{v},{h}"
    for v, h in zip((0, 0, 235, 282, 235, 141, 424, 612), (0, -94, 47, 71, 212, 118, -94, -118), strict=True)
)


def test_the_command_evaluates_a_series_measured_on_images(tmp_path):
    (tmp_path / "shifts.csv").write_text(PUBLISHED, encoding="utf-8")
    picture = tmp_path / "series.png"
    told = CliRunner().invoke(
        app, ["test", "--series", str(tmp_path / "shifts.csv"), "--json", "--picture", str(picture)]
    )
    assert told.exit_code == 0, told.output
    figures = json.loads(told.stdout)["figures"]
    assert round(figures["vertical"]["sd_nm"]) == 207
    assert round(figures["horizontal"]["sd_nm"]) == 117
    assert figures["vertical"]["drift_nm_per_h"] is None
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "t_s\n1\n2\n3",
        "x_nm\n1\n2",
        "x_nm\n1\nred\n3\n4",
        "x_nm,y_nm\n1,2\n3\n4,5\n6,7",
        "x_nm\n1\nnan\n3",
    ],
)
def test_a_file_that_is_no_series_is_refused_with_its_name(content, tmp_path):
    path = tmp_path / "series.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(StateError, match=r"series\.csv"):
        read_series(path)


def test_the_command_says_which_file_is_missing(tmp_path):
    told = CliRunner().invoke(app, ["test", "--series", str(tmp_path / "none.csv")])
    assert told.exit_code == 1
    assert "none.csv" in told.output


def test_without_a_guard_the_command_says_so(tmp_path):
    told = CliRunner().invoke(app, ["status", "--folder", str(tmp_path)])
    assert told.exit_code == 1
    assert "no guard answers" in told.output
