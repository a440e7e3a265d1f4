"""What happens to a specimen, told from what happens to pulses, detector and voltage."""

import pytest

from evapd.guard.energy import EnergyState
from evapd.guard.rules.arc import Arc
from evapd.guard.rules.base import Effect
from evapd.guard.rules.specimen import AfterTrip, Flash, Fracture, MicroFracture
from evapd.link import LinkFlag
from support.rule_scene import Scene


def steady(*rules, seconds=5.0, **settings):
    scene = Scene(**settings)
    assert not scene.run_s(seconds, *rules)
    return scene


def vanish(scene):
    scene.hits_hz, scene.trigger_hz = 0.0, 5.0


def test_a_burst_that_is_over_at_once_is_a_flash_with_its_pulse():
    rule = Flash()
    scene = steady(rule)
    found = scene.burst(900, rule) + scene.run_s(0.5, rule)
    assert len(found) == 1
    assert found[0].details["hits"] >= 900
    assert found[0].details["pulse"] > 0
    assert found[0].effect is None
    assert rule.effect is Effect.NOTE


def test_a_flash_in_one_place_is_called_localised_where_the_map_shows_it():
    rule = Flash()
    scene = steady(rule)
    scene.hot_hits = 700
    assert (scene.burst(900, rule) + scene.run_s(0.5, rule))[0].details["localised"] is True
    spread = steady(rule := Flash())
    assert (spread.burst(900, rule) + spread.run_s(0.5, rule))[0].details["localised"] is False


def test_a_rate_that_stays_high_is_no_flash():
    rule = Flash()
    scene = steady(rule)
    scene.hits_hz = 12_000
    assert not scene.run_s(3.0, rule)


def test_a_small_burst_is_no_flash():
    rule = Flash()
    scene = steady(rule)
    assert not (scene.burst(100, rule) + scene.run_s(0.5, rule))


@pytest.mark.parametrize(("policy", "effect"), [("note", Effect.NOTE), ("hold", Effect.HOLD)])
def test_the_fourth_flash_in_a_minute_asks_for_a_lower_target_and_holds_where_configured(policy, effect):
    rule = Flash()
    scene = Scene().set_guard(after_flashes=policy)
    scene.run_s(5.0, rule)
    found = []
    for _ in range(4):
        found += scene.burst(900, rule) + scene.run_s(5.0, rule)
    assert [one.effect for one in found] == [None, None, None, effect]
    assert "lower the target" in found[-1].what


def test_a_rate_that_is_gone_at_the_same_voltage_is_a_fracture_within_half_a_second():
    rule = Fracture()
    scene = steady(rule)
    vanish(scene)
    found = scene.run_s(0.5, rule)
    assert found
    assert found[0].effect is Effect.RAMP_DOWN
    assert found[0].details["pulse"] > 0


def test_after_a_fracture_an_attended_rig_holds_instead():
    rule = Fracture()
    scene = Scene().set_guard(after_fracture="hold")
    scene.run_s(5.0, rule)
    vanish(scene)
    assert scene.run_s(0.5, rule)[0].effect is Effect.HOLD


def test_a_burst_before_the_silence_neither_hides_nor_makes_a_fracture():
    rule = Fracture()
    scene = steady(rule, hits_hz=100, background_hz=0.0)
    assert not scene.burst(1500, rule)
    assert not scene.run_s(10.0, rule)
    scene.burst(1500, rule)
    vanish(scene)
    assert scene.run_s(2.0, rule)


def test_at_twenty_hits_a_second_a_fracture_needs_more_time():
    rule = Fracture()
    scene = steady(rule, seconds=12.0, hits_hz=20, background_hz=0.0)
    vanish(scene)
    assert not scene.run_s(1.0, rule)
    assert scene.run_s(3.0, rule)


@pytest.mark.parametrize(
    "why",
    [
        {"v_v": 4850.0},  # the voltage fell with it
        {"enabled": False},  # the pulser stopped
        {"enabled": None},
        {"pulser_hz": 150e3},
        {"v_p_v": 500.0},  # the amplitude fell
        {"pulses_hz": 0.0},  # no triggers
        {"dark_hz": 0.0, "background_hz": 0.0},  # the detector is dead: not even dark counts
        {"heartbeat_age_s": 0.5},  # the TDC is silent
        {"flags": LinkFlag.ARMED | LinkFlag.LOSS},  # words were lost
        {"records": False},  # acquire is silent
        {"unknown": {"hv"}},
        {"unknown": {"trigger"}},
        {"unknown": {"amplitude"}},
        {"stuck": {"trigger"}},  # the pulser was not read since
    ],
)
def test_a_silence_that_has_another_cause_is_no_fracture(why):
    rule = Fracture()
    scene = steady(rule, dark_hz=50.0)
    vanish(scene)
    for name, value in why.items():
        setattr(scene, name, value)
    assert not scene.run_s(4.0, rule)


def test_a_small_fall_of_the_voltage_hides_no_fracture():
    rule = Fracture()
    scene = steady(rule)
    vanish(scene)
    scene.v_v = 4980.0
    assert scene.run_s(0.5, rule)


def test_a_fall_of_the_rate_that_the_voltage_explains_is_no_fracture():
    rule = Fracture()
    scene = steady(rule)
    scene.v_v, scene.hits_hz = 4950.0, 2000.0 * 0.99**90
    assert not scene.run_s(4.0, rule)
    assert rule.margin(scene.view()) > 0.5


def test_pulses_that_do_not_arrive_are_no_fracture_when_the_leak_still_comes():
    rule = Fracture()
    scene = steady(rule, background_hz=400.0)
    scene.hits_hz = 400.0
    assert not scene.run_s(4.0, rule)


def test_a_rate_that_falls_by_half_is_no_fracture_but_costs_margin():
    rule = Fracture()
    scene = steady(rule)
    before = rule.margin(scene.view())
    scene.hits_hz = 900
    assert not scene.run_s(0.5, rule)
    assert rule.margin(scene.view()) < before


def fall_and_return(rule, v_v):
    scene = steady(rule)
    scene.hits_hz = 200
    found = scene.run_s(0.6, rule)
    scene.v_v = scene.v_set_v = v_v
    return found + scene.run_s(0.5, rule) + (setattr(scene, "hits_hz", 1900) or scene.run_s(3.0, rule))


@pytest.mark.parametrize("v_v", [5200.0, 4800.0])
def test_a_rate_that_is_back_at_another_voltage_is_a_micro_fracture_and_opens_a_segment(v_v):
    found = fall_and_return(MicroFracture(), v_v)
    assert len(found) == 1
    assert found[0].mark
    assert found[0].details["v_before_v"] == 5000.0


def test_a_rate_that_is_back_where_it_was_is_no_micro_fracture():
    assert not fall_and_return(MicroFracture(), 5050.0)


@pytest.mark.parametrize(("v_v", "changed"), [(4500.0, True), (4900.0, False), (5500.0, True)])
def test_after_a_trip_another_voltage_means_another_specimen(v_v, changed):
    rule = AfterTrip()
    scene = steady(rule)
    scene.looks["trips_s"] = (scene.now_s,)
    scene.state = EnergyState.INHIBITED
    scene.run_s(0.5, rule)
    scene.state, scene.v_v, scene.pulsing_since_s = EnergyState.EVAPORATING, v_v, scene.now_s
    scene.rates.rebase()
    found = scene.run_s(3.0, rule)
    assert bool(found) is changed
    assert all(one.mark for one in found)


def arc_scene(rule):
    scene = Scene()
    assert not scene.run_s(1.0, rule)
    return scene


def spark_current(scene):
    scene.i_a = 40e-6


def spark_pressure(scene):
    scene.pressure_pa = 5e-8


def spark_early(scene):
    scene.early_hz = 5000.0


def spark_raw(scene):
    scene.trigger_hz = 150e3


SIGNS = [spark_current, spark_pressure, spark_early]


@pytest.mark.parametrize("sign", [*SIGNS, spark_raw])
def test_one_sign_alone_is_no_arc_but_halves_the_margin(sign):
    rule = Arc()
    scene = arc_scene(rule)
    sign(scene)
    assert not scene.run_s(0.3, rule)
    assert rule.margin(scene.view()) == 0.5


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2)])
def test_two_signs_within_half_a_second_are_an_arc(first, second):
    rule = Arc()
    scene = arc_scene(rule)
    SIGNS[first](scene)
    scene.run_s(0.2, rule)
    SIGNS[second](scene)
    found = scene.run_s(0.1, rule)
    assert found
    assert len(found[0].details["signs"]) == 2
    assert rule.margin(scene.view()) == 0.0


def test_two_signs_far_apart_are_no_arc():
    rule = Arc()
    scene = arc_scene(rule)
    spark_current(scene)
    scene.run_s(1.0, rule)
    spark_pressure(scene)
    assert not scene.run_s(1.0, rule)


def test_a_trip_of_the_supply_with_a_current_spike_is_an_arc():
    rule = Arc()
    scene = arc_scene(rule)
    spark_current(scene)
    scene.state_flags = {"tripped": True}
    assert scene.run_s(0.1, rule)
