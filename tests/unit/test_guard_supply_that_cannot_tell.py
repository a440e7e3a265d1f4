"""A supply that tells neither output, remote control nor trip, and acknowledges nothing: what counts is the voltage that is measured."""

from dataclasses import replace

import pytest

from evapd.errors import StateError
from evapd.guard.core import GuardCore
from evapd.guard.detector_state import DetectorState as D
from evapd.guard.energy import EnergyState as S
from evapd.guard.lastresort import LastResort
from support.guard_bench import DIGEST, Bench, make_rig
from support.wire_bench import WireBench
from support.wired_bench import WiredBench

UNTOLD = {"output_on": None, "tripped": None, "interlock_open": None, "remote": None, "inhibited": None}


def untold(view):
    return replace(view, reading=replace(view.reading, **UNTOLD))


class WithoutStandby:
    """At a start such a supply is told off, so that a run begins from SAFE."""

    def begin(self):
        self.until(S.SAFE, 3.0)
        self.core.run_begin("run-1", DIGEST, self.now_s)
        return self


class HeinzingerBench(WithoutStandby, WireBench):
    """The real driver at its wire."""


class Silent(WithoutStandby, Bench):
    """Commands are carried out `late` whole ticks after they were given, and nothing is told of them."""

    late = 0

    def devices(self):
        views = super().devices()
        return views | {"hv": untold(views["hv"])}

    def carry_out(self, decision):
        self.waiting = [*getattr(self, "waiting", []), decision]
        if len(self.waiting) > 6 * self.late:  # a tick and five reactions to records
            super().carry_out(self.waiting.pop(0))


def down_at_last(bench):
    bench.until(S.SAFE, 20.0)
    bench.run_s(0.5)
    return not bench.output_on and bench.v_set_v == 0.0 and bench.v_v < 50.0


def test_a_run_switches_the_output_on_before_it_rises():
    bench = Silent().evaporating()
    told = [one.output for one in bench.decisions]
    rising = [one.v_dc_v for one in bench.decisions[: told.index(True)]]
    assert not any(rising)
    assert bench.output_on


@pytest.mark.parametrize("late", [0, 1])
def test_pulses_wait_until_the_output_must_be_on(late):
    bench = Silent().begin()
    bench.late = late
    while not bench.core.movement.pulsing_since_s:
        bench.tick()
    assert bench.output_on


@pytest.mark.parametrize("end", ["run_end", "abort", "ramp_down"])
@pytest.mark.parametrize("begun_s", [0.1, 0.5, 8.0])
def test_whatever_ends_a_run_the_output_is_told_off_before_it_counts_as_down(end, begun_s):
    bench = Silent()
    bench.begin()
    bench.run_s(begun_s)
    getattr(bench.core, end)("done", bench.now_s)
    assert down_at_last(bench)


def test_a_voltage_that_does_not_come_is_a_fault():
    bench = Silent(follows=False)
    bench.begin()
    bench.until(S.FAULT_LATCHED, 10.0)
    assert any("reads 0 V where" in what for what in bench.said())


def test_an_output_that_trips_in_a_run_is_seen_by_its_voltage_and_latches():
    bench = Silent().evaporating()
    bench.output_on, bench.obeys = False, False
    bench.until(S.FAULT_LATCHED, 3.0)


def test_a_fault_is_down_only_by_readings_of_after_it_was_made_safe():
    bench = Silent().evaporating()
    bench.obeys = False
    bench.core.movement.fault(bench.inputs(), bench.now_s, "a test")
    bench.run_s(3.0)
    with pytest.raises(StateError, match="hv"):
        bench.core.acknowledge(bench.now_s)
    bench.obeys = True
    bench.run_s(5.0)
    bench.core.acknowledge(bench.now_s)
    assert bench.made_safe.count("hv") >= 2
    assert not bench.output_on


def restarted(attended=False, **found):
    return Silent(rig=make_rig(guard={"attended": attended}), output_on=True, **found)


@pytest.mark.parametrize("v_v", [0.0, 30.0, 3000.0])
def test_at_a_restart_it_is_switched_off_whatever_voltage_is_found(v_v):
    assert down_at_last(restarted(v_v=v_v, v_set_v=v_v))


def test_a_standing_voltage_is_held_where_people_attend():
    bench = restarted(attended=True, v_v=3000.0, v_set_v=3000.0)
    bench.run_s(5.0)
    assert bench.state is S.HOLDING
    assert bench.v_v == pytest.approx(2700.0, rel=0.01)


def test_a_guard_that_dies_in_a_run_leaves_a_successor_that_brings_it_down():
    bench = Silent().evaporating()
    bench.core = GuardCore(bench.core.settings)
    assert down_at_last(bench)


def test_voltage_in_standby_that_nobody_asked_for_is_brought_down():
    bench = Silent()
    bench.until(S.SAFE, 3.0)
    bench.output_on, bench.v_set_v = True, 500.0
    bench.until(S.RAMPING_DOWN, 3.0)
    assert down_at_last(bench)


class Instruments:
    """Takes `make_safe`, and reads as the bench does."""

    def __init__(self, bench):
        self.bench, self.told = bench, 0

    def make_safe(self):
        self.told += 1
        self.bench.output_on = self.bench.enabled = self.bench.v_p_on = False
        self.bench.v_p_v = 0.0

    def views(self):
        return self.bench.devices()


def test_the_last_resort_ends_when_it_reads_low_after_it_was_told_and_not_before():
    bench = Silent(output_on=True, v_set_v=30.0, v_v=30.0)
    instruments = Instruments(bench)
    last = LastResort(bench.core.settings, instruments, lambda: bench.now_s)
    while not last.step():
        bench.advance(0.05)
    assert instruments.told >= 1
    assert bench.now_s < 102.0


def test_detector_supplies_are_told_off_before_they_count_as_off():
    class Untold(WiredBench):
        def devices(self):
            views = super().devices()
            return views | {name: untold(views[name]) for name in ("mcp", "signal", "reference")}

    bench = Untold()
    bench.until_detector(D.OFF, 5.0)
    bench.core.detector_on(bench.now_s)
    bench.until_detector(D.ON)
    bench.core.detector_off("done", bench.now_s)
    bench.until_detector(D.OFF)
    assert not any(one.on or one.v_set_v for one in bench.wired.supplies.values())


def test_the_real_driver_of_a_heinzinger_goes_through_a_whole_run():
    settings = {"v_max_v": 8e3, "i_max_a": 1e-3}
    bench = HeinzingerBench("heinzinger-pnc", settings, {}, threshold_v=1640.0)
    bench.evaporating()
    bench.run_s(1.0)
    bench.core.run_end("done", bench.now_s)
    bench.until(S.SAFE, 20.0)
    assert bench.plant.specimen.demand_v == 0.0
    assert b"OUTP OFF\n" in bench.heard
