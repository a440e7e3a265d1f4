"""The mechanics of a stage: moves take time, end stops, backlash, drift, and a zero that is lost with the power."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd_sim.settings import StageTwin
from evapd_sim.stage import Stage, StageAxis
from evapd_sim.stage_made import make_stage


def test_a_move_takes_its_way_divided_by_the_speed():
    axis = StageAxis(velocity_mm_per_s=2.0)
    axis.move(3.0)
    axis.advance(1.0)
    assert axis.moving
    assert axis.encoder_mm == pytest.approx(2.0 - 2.0 * axis.lag_s)
    axis.advance(0.6)
    assert (axis.moving, axis.encoder_mm) == (False, pytest.approx(3.0))


@given(st.lists(st.floats(1e-6, 0.5), min_size=1, max_size=30), st.floats(-20, 20))
def test_steps_of_time_do_not_change_where_it_ends(steps_s, goal_mm):
    whole, parts = StageAxis(), StageAxis()
    for axis in (whole, parts):
        axis.move(goal_mm)
    whole.advance(sum(steps_s))
    for dt_s in steps_s:
        parts.advance(dt_s)
    assert parts.encoder_mm == pytest.approx(whole.encoder_mm, abs=1e-9)


def test_an_end_stop_ends_the_move():
    axis = StageAxis(high_mm=1.0)
    axis.move(5.0)
    axis.advance(10.0)
    assert (axis.moving, axis.at_stop, axis.encoder_mm) == (False, 1, pytest.approx(1.0))


def test_a_halt_leaves_it_where_it_is():
    axis = StageAxis(velocity_mm_per_s=2.0)
    axis.move(3.0)
    axis.advance(1.0)
    axis.halt()
    axis.advance(1.0)
    assert axis.encoder_mm == pytest.approx(2.0, abs=0.01)


def test_the_zero_is_lost_with_the_power_and_found_at_the_mark():
    axis = StageAxis(drive_mm=4.0, profile_mm=4.0)
    axis.lose_power()
    assert (axis.encoder_mm, axis.referenced) == (0.0, False)
    axis.seek()
    axis.advance(10.0)
    assert (axis.referenced, axis.encoder_mm) == (True, pytest.approx(0.0))
    axis.move(4.0)
    axis.advance(10.0)
    assert axis.drive_mm == pytest.approx(4.0)


def test_a_search_that_is_halted_finds_nothing():
    axis = StageAxis(drive_mm=4.0, profile_mm=4.0, referenced=True)
    axis.seek()
    axis.advance(0.1)
    axis.halt()
    axis.advance(10.0)
    assert not axis.referenced


def test_backlash_is_seen_by_the_specimen_and_not_by_the_encoder():
    axis = StageAxis(backlash_mm=0.01)
    places_mm = []
    for over_mm in (-1.0, 3.0):
        axis.move(over_mm)
        axis.advance(10.0)
        axis.move(1.0)
        axis.advance(10.0)
        assert axis.encoder_mm == pytest.approx(1.0)
        places_mm.append(axis.carriage_mm)
    assert places_mm[1] - places_mm[0] == pytest.approx(0.01)


def test_drift_is_seen_by_the_specimen_and_not_by_the_encoder():
    axis = StageAxis(drift_mm_per_h=2e-3)
    axis.advance(1800.0)
    assert (axis.encoder_mm, axis.carriage_mm) == (0.0, pytest.approx(1e-3))


def test_a_jammed_drive_never_arrives_and_its_following_error_grows():
    axis = StageAxis(velocity_mm_per_s=2.0, stuck=True)
    axis.move(1.0)
    axis.advance(5.0)
    assert (axis.moving, axis.following_mm) == (True, pytest.approx(1.0))


def test_time_is_told_by_whoever_looks_and_never_twice():
    stage = Stage()
    stage.advance_to(100.0)
    stage.axes[1].move(10.0)
    for now_s in (101.0, 101.0, 100.5):
        stage.advance_to(now_s)
    assert stage.moving
    assert stage.axes[1].encoder_mm == pytest.approx(5.0, abs=0.01)
    stage.halt()
    assert not stage.moving


def test_a_twins_stage_comes_to_rest_with_its_scatter_and_the_same_for_the_same_seed():
    def rests(seed):
        stage = make_stage(StageTwin(scatter_mm=50e-6, drift_mm_per_h=0.0), seed)
        axis, found = stage.axes[0], []
        for number in range(200):
            axis.move(float(number % 2))
            for _ in range(100):
                axis.advance(0.01)
            found.append(axis.encoder_mm - number % 2)
        return np.array(found)

    assert rests(1).std() == pytest.approx(50e-6, rel=0.2)
    assert (rests(1) == rests(1)).all()
    assert (rests(1) != rests(2)).any()
