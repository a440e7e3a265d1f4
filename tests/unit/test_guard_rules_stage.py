"""A stage that moves under voltage is found, by two readings, and in every state that carries voltage but aligning."""

from dataclasses import replace

import pytest

from evapd.device.readings import AxisReading, StageReading
from evapd.guard.energy import ENERGISED, EnergyState
from evapd.guard.rules.stage import StageMoves
from evapd.guard.types import DeviceView
from support.rule_scene import Scene


def view(scene, t_s, **moving):
    """What the rule is shown, with a stage whose axes move or not."""
    axes = {
        name: AxisReading(position_mm=0.0, referenced=True, moving=one, in_position=not one)
        for name, one in moving.items()
    }
    seen = scene.view()
    stage = DeviceView(name="stage", role="stage", known=True, reading=StageReading(t_mono_s=t_s, axes=axes))
    return replace(seen, inputs=replace(seen.inputs, devices={**seen.inputs.devices, "stage": stage}))


@pytest.fixture
def scene():
    return Scene()


def test_two_readings_that_say_so_are_a_complaint_that_names_the_axis(scene):
    rule = StageMoves()
    assert rule.check(view(scene, 1.0, x=False, z=True)) is None
    assert "z of the stage moves" in rule.check(view(scene, 1.5, x=False, z=True)).what


def test_the_same_reading_seen_twice_is_one_reading(scene):
    rule = StageMoves()
    for _ in range(5):
        assert rule.check(view(scene, 1.0, x=True)) is None


def test_one_that_has_come_to_rest_is_none(scene):
    rule = StageMoves()
    rule.check(view(scene, 1.0, x=True))
    assert rule.check(view(scene, 1.5, x=False)) is None
    assert rule.check(view(scene, 2.0, x=True)) is None


def test_the_margin_falls_with_each_reading(scene):
    rule = StageMoves()
    assert rule.margin(view(scene, 1.0, x=False)) == 1.0
    assert rule.margin(view(scene, 1.5, x=True)) == 0.5
    assert rule.margin(view(scene, 2.0, x=True)) == 0.0


def test_without_a_stage_there_is_no_margin(scene):
    assert StageMoves().margin(scene.view()) is None
    assert StageMoves().check(scene.view()) is None


def test_it_watches_every_state_that_carries_voltage_but_aligning():
    assert StageMoves.watches == ENERGISED - {EnergyState.ALIGNING}


def test_an_axis_at_rest_of_another_stage_with_the_same_name_hides_nothing(scene):
    rule = StageMoves()
    for t_s in (1.0, 1.5):
        seen = view(scene, t_s, x=True)
        still = replace(view(scene, t_s + 0.1, x=False).inputs.devices["stage"], name="coarse")
        devices = {**seen.inputs.devices, "coarse": still}
        found = rule.check(replace(seen, inputs=replace(seen.inputs, devices=devices)))
    assert found is not None


def test_what_was_seen_before_an_alignment_does_not_count_after_it(scene):
    rule = StageMoves()
    rule.check(view(scene, 1.0, x=True))
    rule.forget()
    assert rule.check(view(scene, 9.0, x=True)) is None
