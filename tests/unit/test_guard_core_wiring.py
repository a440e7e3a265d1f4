"""The guard's core with a door, a relay and a detector: contacts stop pulses at once, and the order of the ways down is kept."""

import pytest

from evapd.errors import StateError
from support.detector_rig import detector_rig
from support.guard_bench import DIGEST, TICK_S
from support.wired_bench import D, S, WiredBench


def test_a_run_begins_the_heartbeat_and_the_output_waits_for_its_relay():
    bench = WiredBench().detecting()
    assert not bench.wired.levels["relay"]
    bench.core.run_begin("run-1", DIGEST, bench.now_s)
    while not bench.wired.levels["relay"]:
        bench.tick()
        assert not bench.output_on or bench.wired.levels["relay"]
    bench.until(S.EVAPORATING, 30.0)


def test_a_relay_that_never_picks_up_lets_no_run_begin():
    bench = WiredBench().detecting()
    bench.core.run_begin("run-1", DIGEST, bench.now_s)
    for _ in range(250):
        bench.tick()
        bench.wired.levels["relay"] = False
    assert not bench.output_on
    assert bench.state not in (S.RAMPING, S.EVAPORATING)


@pytest.mark.parametrize("contact", ["door", "valve", "relay"])
def test_an_open_contact_stops_pulses_within_three_ticks_and_latches(contact):
    bench = WiredBench().wired_run()
    if contact == "relay":
        bench.still = 99
        bench.wired.beats_arrive = False
    assert bench.open(contact) <= 3 * TICK_S + 1e-9
    assert bench.state is S.FAULT_LATCHED


def test_a_door_closes_the_crowbar_and_a_person_opens_it_once_everything_is_down():
    bench = WiredBench().wired_run()
    bench.open("door")
    assert bench.wired.levels["crowbar"]
    with pytest.raises(StateError):
        bench.core.acknowledge(bench.now_s)
    bench.wired.levels["door"] = True
    bench.run_s(30.0)
    assert bench.wired.levels["crowbar"]
    bench.core.acknowledge(bench.now_s)
    bench.tick()
    assert not bench.wired.levels["crowbar"]


def test_with_a_door_the_detector_goes_down_after_the_specimen_is_verified():
    bench = WiredBench().wired_run()
    bench.open("door")
    while bench.core.wiring.detector.state is D.ON:
        assert not bench.core.verified or bench.decision.supplies
        bench.tick()
    assert bench.v_v < 50.0
    bench.until_detector(D.OFF)


def test_with_a_valve_the_detector_goes_first():
    bench = WiredBench().wired_run()
    bench.made_safe.clear()
    bench.open("valve")
    assert bench.made_safe.index("mcp") < bench.made_safe.index("hv")
    assert bench.core.wiring.detector.state is D.FAULT


@pytest.mark.parametrize("contact", ["water", "ups"])
def test_water_and_mains_ramp_down_and_no_run_begins_without_them(contact):
    bench = WiredBench().wired_run()
    bench.open(contact)
    assert bench.state is S.RAMPING_DOWN
    bench.until(S.SAFE, 30.0)
    with pytest.raises(StateError, match=f"'{contact}'"):
        bench.core.run_begin("run-2", DIGEST, bench.now_s)


def test_on_battery_the_detector_follows_and_after_mains_is_back_nothing_rises():
    bench = WiredBench().wired_run()
    bench.open("ups")
    bench.until_detector(D.OFF)
    bench.wired.levels["ups"] = True
    bench.run_s(5.0)
    assert bench.state in (S.SAFE, S.STANDBY)
    assert bench.core.wiring.detector.state is D.OFF


@pytest.mark.parametrize(
    ("what", "rule"),
    [
        (lambda bench: setattr(bench.wired.supplies["mcp"], "i_a", 2e-4), "detector-current"),
        (
            lambda bench: setattr(bench.wired.supplies["signal"], "flags", {"tripped": True}),
            "detector-voltage",
        ),
        (lambda bench: setattr(bench, "pressure_pa", None), "detector-vacuum"),
        (lambda bench: setattr(bench, "pressure_pa", 1e-3), "detector-vacuum"),
    ],
    ids=["current", "trip", "no gauge", "pressure"],
)
def test_what_is_wrong_with_the_detector_latches_and_brings_it_down_first(what, rule):
    bench = WiredBench().wired_run()
    assert bench.core.lookout.margins()[rule] > 0.0
    what(bench)
    bench.until(S.FAULT_LATCHED, 3.0)
    assert any(text.startswith(rule) for text in bench.core.alarms.texts())
    assert bench.core.wiring.detector.state is D.FAULT


def test_one_high_current_reading_is_no_arc():
    bench = WiredBench().wired_run()
    bench.wired.supplies["mcp"].i_a = 2e-4
    bench.advance(0.01)
    bench.carry_out(bench.core.react(bench.inputs([bench.record()]), bench.now_s))
    bench.wired.supplies["mcp"].i_a = 1e-6
    bench.run_s(1.0)
    assert bench.state is S.EVAPORATING


def test_hits_without_pulses_bring_the_detector_down():
    bench = WiredBench().detecting()
    bench.dark_hz, bench.enabled = 1000.0, False
    total, record = [0.0], bench.record

    def counting():
        total[0] += 10.0
        made = record()
        return type(made)(
            **{**{name: getattr(made, name) for name in made.__slots__}, "hits_total": int(total[0])}
        )

    bench.record = counting
    bench.until_detector(D.FAULT, 5.0)
    assert any(text.startswith("dark-rate") for text in bench.core.alarms.texts())


def test_turning_the_detector_off_in_a_run_brings_the_specimen_down_first():
    bench = WiredBench().wired_run()
    bench.core.detector_off("test", bench.now_s)
    bench.tick()
    assert bench.state is S.RAMPING_DOWN
    assert bench.core.wiring.detector.state is D.ON
    bench.until_detector(D.OFF)
    assert bench.v_v < 50.0


def test_shutting_down_leaves_nothing_up():
    bench = WiredBench().wired_run()
    bench.core.shut_down("the guard was asked to end", bench.now_s)
    bench.until_detector(D.OFF)
    assert bench.core.wiring.detector.down
    assert bench.core.verified


def test_under_law_monitor_nothing_of_it_is_commanded():
    bench = WiredBench(rig=detector_rig(control={"law": "monitor"}))
    bench.wired.levels["door"] = False
    bench.run_s(5.0)
    assert all(not decision.supplies and decision.heartbeat is None for decision in bench.decisions)
    assert all(decision.crowbar is None for decision in bench.decisions)
    with pytest.raises(StateError, match="monitor"):
        bench.core.detector_on(bench.now_s)
