"""What is not known, is no number, or is lost in the middle of a trip never counts as good."""

import math
from dataclasses import replace

import pytest

from evapd.device.readings import GaugeReading, HighVoltageReading, not_finite
from evapd.errors import StateError
from evapd.guard.detector_state import DetectorState
from evapd.guard.energy import EnergyState
from evapd.guard.rules.arc import Arc, SupplyCurrent
from evapd.guard.rules.base import Grace, free, worst
from evapd.guard.rules.plant import AmplitudeMismatch, PulserMismatch, Temperature, Vacuum
from evapd.guard.rules.supply import ReadbackShort, ReadExcess, UnaskedVoltage, VoltageLimit
from evapd.guard.types import DeviceView
from support.detector_rig import DetectorRig, detector_rig
from support.guard_bench import Bench, make_rig
from support.rule_scene import Scene


def running() -> Bench:
    return Bench().evaporating()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_reading_with_a_value_that_is_no_number_is_named(value: float) -> None:
    assert "v_meas_v" in not_finite(
        HighVoltageReading(
            t_mono_s=1.0, v_set_v=None, v_meas_v=value, i_meas_a=None, output_on=None, ramping=None,
            tripped=None, interlock_open=None, inhibited=None, remote=None,
        )
    )  # fmt: skip
    assert "analysis" in not_finite(GaugeReading(t_mono_s=1.0, pressure_pa={"analysis": value}, status={}))


def test_a_descent_cannot_be_abandoned_for_law_monitor() -> None:
    bench = running()
    bench.core.run_end("done", bench.now_s)
    bench.run_s(0.2)
    assert bench.state is EnergyState.RAMPING_DOWN
    with pytest.raises(StateError, match="monitor"):
        bench.core.set({"law": "monitor"}, bench.now_s)


class SecondGauge(Bench):
    """A second device of role vacuum beside the first."""

    def __init__(self, second: GaugeReading | None = None) -> None:
        super().__init__()
        self.second = second

    def devices(self) -> dict:
        views = super().devices()
        reading = self.second and replace(self.second, t_mono_s=self.now_s)
        views["gauge2"] = DeviceView(
            name="gauge2", role="vacuum", required=False, known=reading is not None, reading=reading
        )
        return views


@pytest.mark.parametrize("pressure_pa", [None, 1.0])
def test_a_second_gauge_that_is_unknown_or_high_lets_no_run_begin(pressure_pa: float | None) -> None:
    bench = SecondGauge()
    if pressure_pa is not None:
        bench.second = GaugeReading(t_mono_s=0.0, pressure_pa={"load lock": pressure_pa}, status={})
    with pytest.raises(StateError, match="gauge"):
        bench.begin()


def test_a_voltage_that_is_lost_while_a_trip_draws_it_down_does_not_come_back() -> None:
    bench = Bench(
        rig=make_rig(guard={"hv_tau_down_s": 5.0}), tau_down_s=5.0, threshold_v=1600.0
    ).evaporating()
    bench.burst = 200.0
    bench.until(EnergyState.INHIBITED, 5.0)
    bench.burst = 1.0
    bench.v_v = 0.0  # an arc: the output is gone at once
    bench.run_s(10.0)
    assert bench.state is EnergyState.FAULT_LATCHED
    assert bench.v_v < 50.0


LIMITS = {"current_max_a": 1e-5, "pressure_max_pa": 1e-5, "temperature_deviation_k": 5.0}


@pytest.mark.parametrize(
    ("rule", "field", "state"),
    [
        (VoltageLimit, "v_v", "EVAPORATING"),
        (VoltageLimit, "v_p_v", "EVAPORATING"),
        (ReadExcess, "v_v", "EVAPORATING"),
        (ReadbackShort, "v_v", "EVAPORATING"),
        (UnaskedVoltage, "v_v", "STANDBY"),
        (SupplyCurrent, "i_a", "EVAPORATING"),
        (PulserMismatch, "pulser_hz", "EVAPORATING"),
        (AmplitudeMismatch, "v_p_v", "EVAPORATING"),
        (Vacuum, "pressure_pa", "EVAPORATING"),
        (Temperature, "temperature_k", "EVAPORATING"),
    ],
)
def test_a_rule_that_reads_what_is_no_number_triggers_and_has_no_margin(rule, field, state) -> None:
    scene = Scene(state=EnergyState[state]).set_guard(**LIMITS)
    one = rule()
    scene.run_s(1.0, one)
    setattr(scene, field, math.nan)
    assert scene.run_s(1.0, one)
    assert one.margin(scene.view()) == 0.0


def test_a_load_that_is_no_number_lasts_like_an_infinite_one() -> None:
    grace = Grace()
    grace.load(math.nan, 10.0, 0.5)
    assert grace.load(math.nan, 10.6, 0.5) >= 1.0
    assert free(math.nan) == 0.0
    assert worst(0.1, math.nan, 0.2) == math.inf


class SomeUnread(Bench):
    """A rig with detector supplies after a restart: the plate stands at its voltage, one wire's supply is never read."""

    def __init__(self, **fields) -> None:
        super().__init__(rig=detector_rig(guard={"attended": True}), **fields)
        self.wired = DetectorRig(unknown={"signal"})
        for name, v_v in (("mcp", 2000.0), ("signal", 2300.0), ("reference", 2250.0)):
            supply = self.wired.supplies[name]
            supply.v_v = supply.v_set_v = v_v
            supply.on = True

    def devices(self) -> dict:
        self.wired.now_s, self.wired.pressure_pa = self.now_s, self.pressure_pa
        own = {name: view for name, view in self.wired.devices().items() if name != "gauge"}
        # Optional, so that no rule on required devices speaks first.
        return super().devices() | {name: replace(view, required=False) for name, view in own.items()}

    def carry_out(self, decision) -> None:
        super().carry_out(decision)
        self.wired.carry_out(decision)

    @property
    def detector(self) -> DetectorState:
        return self.core.wiring.detector.state


def test_after_a_start_one_supply_that_stays_unread_beside_one_that_is_up_brings_both_down() -> None:
    bench = SomeUnread()
    bench.run_s(1.5)
    assert bench.detector is DetectorState.UNKNOWN
    bench.run_s(1.5)
    assert bench.detector is DetectorState.FAULT
    assert not any(supply.on for supply in bench.wired.supplies.values())


@pytest.mark.parametrize("what", ["current", "vacuum"])
def test_current_and_vacuum_are_looked_at_while_the_detector_is_unknown(what: str) -> None:
    bench = SomeUnread()
    bench.run_s(0.3)
    if what == "current":
        bench.wired.supplies["mcp"].i_a = 1e-3
    else:
        bench.pressure_pa = 1.0
    bench.run_s(0.3)
    assert bench.detector is DetectorState.FAULT


def test_supplies_that_are_off_and_never_answer_latch_nothing() -> None:
    bench = SomeUnread()
    bench.wired.supplies["mcp"].v_v = bench.wired.supplies["reference"].v_v = 0.0
    bench.run_s(5.0)
    assert bench.state is EnergyState.STANDBY
    assert bench.detector is DetectorState.UNKNOWN


def test_a_gauge_that_still_connects_after_a_start_is_no_reason_to_bring_the_detector_down() -> None:
    bench = SomeUnread()
    bench.wired.unknown = set()
    bench.unknown = {"gauge"}
    bench.run_s(1.0)
    assert bench.detector is DetectorState.ON
    bench.run_s(2.0)
    assert bench.detector is DetectorState.FAULT


def test_every_gauge_may_show_the_pressure_step_of_an_arc() -> None:
    bench = SecondGauge(second=GaugeReading(t_mono_s=0.0, pressure_pa={"load lock": 1e-8}, status={}))
    bench.evaporating()
    rule = Arc()
    bench.tick()
    rule.check(bench.core.lookout.view())
    bench.second = GaugeReading(t_mono_s=0.0, pressure_pa={"load lock": 5e-8}, status={})
    bench.state_flags = {"tripped": True}
    bench.advance(0.05)
    bench.core.lookout.take(bench.inputs(), bench.now_s)
    found = rule.check(bench.core.lookout.view())
    assert found is not None
    assert found.details["signs"] == ["pressure", "trip"]
