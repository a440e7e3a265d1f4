"""Where a stage may be sent: limits, keep-out boxes, the specimen's energy, and what is not known."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evapd.config.stage import KeepOut, StageSection
from evapd.device.readings import AxisReading
from evapd.guard.energy import EnergyState
from evapd.guard.stage_moves import refusal_of_move, refusal_of_reference

ELECTRODE = KeepOut(name="electrode", axes={"x": (-1.0, 1.0), "y": (-1.0, 1.0), "z": (9.0, 20.0)})
SECTION = StageSection(limits={"z": (0.0, 12.0)}, keep_out=(ELECTRODE,), margin_mm=0.1, align_step_mm=0.1)
AT_REST = EnergyState.STANDBY


def axis(mm, *, referenced=True, moving=False):
    return AxisReading(position_mm=mm, referenced=referenced, moving=moving, in_position=not moving)


def axes(x=0.0, y=0.0, z=0.0, **more):
    return {"x": axis(x), "y": axis(y), "z": axis(z)} | more


def test_a_clear_way_is_free():
    assert refusal_of_move(axes(), "z", 8.0, AT_REST, SECTION) == ""


@pytest.mark.parametrize(
    "state", [one for one in EnergyState if one not in {AT_REST, EnergyState.SAFE, EnergyState.ALIGNING}]
)
def test_nothing_moves_while_the_specimen_may_carry_voltage(state):
    assert "specimen is" in refusal_of_move(axes(), "z", 1.0, state, SECTION)
    assert "specimen is" in refusal_of_reference(axes(), "z", state, SECTION, seen=True)


def test_while_aligning_only_small_steps_are_free():
    assert refusal_of_move(axes(z=5.0), "z", 5.09, EnergyState.ALIGNING, SECTION) == ""
    assert "at most 0.1 mm" in refusal_of_move(axes(z=5.0), "z", 5.2, EnergyState.ALIGNING, SECTION)


def test_while_aligning_no_axis_searches_its_mark():
    assert refusal_of_reference(axes(), "z", EnergyState.ALIGNING, SECTION, seen=True)


@pytest.mark.parametrize("target_mm", [-0.1, 12.1, math.nan, math.inf])
def test_limits_hold_and_what_is_no_number_is_outside_them(target_mm):
    assert "outside its limits" in refusal_of_move(axes(x=5.0), "z", target_mm, AT_REST, SECTION)


def test_without_limits_a_number_is_wanted_all_the_same():
    assert refusal_of_move(axes(), "x", math.nan, AT_REST, StageSection())
    assert refusal_of_move(axes(), "x", math.inf, AT_REST, StageSection())


def test_the_way_into_a_box_is_closed_beside_it_is_free():
    assert "electrode" in refusal_of_move(axes(), "z", 10.0, AT_REST, SECTION)
    assert refusal_of_move(axes(x=1.2), "z", 10.0, AT_REST, SECTION) == ""


def test_the_margin_belongs_to_the_box():
    assert "electrode" in refusal_of_move(axes(), "z", 8.95, AT_REST, SECTION)
    assert "electrode" in refusal_of_move(axes(x=1.05), "z", 10.0, AT_REST, SECTION)


def test_a_way_right_through_is_closed_though_both_ends_are_free():
    assert "electrode" in refusal_of_move(axes(x=-3.0, z=10.0), "x", 3.0, AT_REST, SECTION)


def test_what_stands_in_a_box_may_leave_by_the_nearer_face_only():
    inside = axes(x=0.5, z=10.0)
    assert refusal_of_move(inside, "x", 2.0, AT_REST, SECTION) == ""
    assert "electrode" in refusal_of_move(inside, "x", -2.0, AT_REST, SECTION)
    assert "electrode" in refusal_of_move(inside, "x", 0.4, AT_REST, SECTION)


def test_an_axis_that_is_not_referenced_stands_nowhere_and_moves_nowhere():
    lost = axes(y=0.0) | {"y": axis(0.0, referenced=False)}
    assert "y stands is not known" in refusal_of_move(lost, "z", 1.0, AT_REST, SECTION)


def test_while_one_axis_moves_no_other_may_begin():
    assert "x moves" in refusal_of_move(axes() | {"x": axis(0.0, moving=True)}, "z", 1.0, AT_REST, SECTION)


def test_a_box_with_an_axis_that_is_not_told_closes_everything():
    section = StageSection(keep_out=(KeepOut(axes={"tilt": (0.0, 1.0)}),))
    assert "'tilt'" in refusal_of_move(axes(), "z", 1.0, AT_REST, section)


def test_a_limit_for_an_axis_that_is_not_there_closes_everything():
    section = StageSection(limits={"Z": (0.0, 12.0)})
    assert "limits Z" in refusal_of_move(axes(), "z", 1.0, AT_REST, section)


def test_a_reference_search_past_a_box_wants_somebody_who_has_looked():
    assert "--clear" in refusal_of_reference(axes(), "z", AT_REST, SECTION, seen=False)
    assert refusal_of_reference(axes(), "z", AT_REST, SECTION, seen=True) == ""
    assert refusal_of_reference(axes(), "z", AT_REST, StageSection(), seen=False) == ""


def test_an_unknown_axis_is_told_with_those_there_are():
    assert "x, y, z" in refusal_of_move(axes(), "w", 1.0, AT_REST, SECTION)


PLACE = st.floats(-15.0, 15.0)


@given(x=PLACE, y=PLACE, z=PLACE, target=PLACE, which=st.sampled_from("xyz"), part=st.floats(0.0, 1.0))
def test_no_point_of_a_free_way_from_outside_lies_in_a_box(x, y, z, target, which, part):
    def inside(point):
        return all(low < point[name] < high for name, (low, high) in ELECTRODE.axes.items())

    here = {"x": x, "y": y, "z": z}
    assume(not inside(here))
    section = StageSection(keep_out=(ELECTRODE,), margin_mm=0.1)
    if refusal_of_move(axes(**here), which, target, AT_REST, section) == "":
        on_the_way = here | {which: here[which] + part * (target - here[which])}
        assert not inside(on_the_way)
