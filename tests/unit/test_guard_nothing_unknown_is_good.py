"""What is not known, is no number, or is lost in the middle of a trip never counts as good."""

import math
from dataclasses import replace

import pytest

from evapd.device.readings import GaugeReading, HighVoltageReading, not_finite
from evapd.errors import StateError
from evapd.guard.energy import EnergyState
from evapd.guard.types import DeviceView
from support.guard_bench import Bench, make_rig


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

    second: GaugeReading | None = None

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
