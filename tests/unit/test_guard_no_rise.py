"""No rise: a rule with good counts lets the law lower the voltage and not raise it, and its alarm outlasts a value at its threshold."""

import math

import numpy as np
import pytest

from evapd.control import create
from evapd.guard.core import GuardCore
from evapd.guard.energy import EnergyState as S
from support.guard_bench import Bench, make_rig

TARGET_HZ = 2000.0


class Warming(Bench):
    """Temperature of the specimen and what it does: ln(rate) = -(Q(F) / kT), so at constant F it grows with the temperature.

    Between 50 K and 65 K at S = 60 the rate grows by S (1 - 50 / 65) / 2 in its logarithm: Q / kT is S / 2 at the threshold (linear barrier).
    """

    warms_from_s: float = math.inf
    warms_to_s: float = math.inf
    by_k: float = 15.0
    seed: int = 3

    def advance(self, dt_s: float) -> None:
        part = min(max((self.now_s - self.warms_from_s) / (self.warms_to_s - self.warms_from_s), 0.0), 1.0)
        part = 0.0 if math.isnan(part) else part
        self.temperature_k = 50.0 + self.by_k * part
        self.burst = math.exp(0.5 * self.sensitivity * (1.0 - 50.0 / self.temperature_k))
        before = self.hits
        super().advance(dt_s)
        if not hasattr(self, "_rng"):
            self._rng = np.random.default_rng(self.seed)
            self.seen = []
        if self.hits > before:
            self.seen.append((self.now_s, (self.hits - before) / dt_s, self.v_v))
            self.hits = before + self._rng.poisson(self.hits - before)

    def warm(self, over_s: float) -> "Warming":
        self.warms_from_s, self.warms_to_s = self.now_s, self.now_s + over_s
        return self

    def highest_since(self, since_s: float) -> float:
        """Highest expected rate over the target."""
        return max(rate_hz for t_s, rate_hz, _ in self.seen if t_s > since_s) / TARGET_HZ


def tracking(law: str, **control) -> Warming:
    rig = make_rig(control={"law": law, "v_start_v": 1900} | control, pulse={"rate_hz": 200e3})
    bench = Warming(rig=rig, threshold_v=2000.0).evaporating()
    bench.run_s(25.0)
    assert bench.v_v == pytest.approx(2000.0, rel=0.02)
    return bench


@pytest.mark.parametrize("law", ["imm", "pi-log"])
def test_a_specimen_that_warms_by_15_k_stays_below_twice_the_target(law):
    bench = tracking(law)
    began_s, v_v = bench.now_s, bench.v_v
    bench.warm(30.0).run_s(40.0)
    assert any(what.startswith("temperature sensor") for what in bench.said("rule"))
    assert bench.highest_since(began_s) < 2.0
    assert bench.v_v < 0.95 * v_v
    assert not any(event.details.get("effect") == "cut" for event in bench.events)


@pytest.mark.parametrize("law", ["imm", "pi-log", "ramp"])
def test_under_no_rise_neither_a_fall_of_the_rate_nor_the_law_raises_the_voltage(law):
    bench = tracking("imm")
    bench.core.set({"law": law}, bench.now_s)
    bench.run_s(1.0)
    bench.temperature_k = 57.0
    bench.warms_from_s, bench.warms_to_s, bench.by_k = bench.now_s, bench.now_s + 1e-3, 7.0
    bench.run_s(4.0)
    stood_v = bench.core.steering.v_set_v
    bench.threshold_v *= 1.1
    for _ in range(200):
        bench.tick()
        assert bench.core.steering.v_set_v <= stood_v + 1e-6
        stood_v = bench.core.steering.v_set_v


@pytest.mark.parametrize("law", ["imm", "pi-log"])
def test_a_law_goes_on_from_the_voltage_that_stands_and_not_from_what_it_wished(law):
    bench = tracking(law)
    bench.warms_from_s, bench.warms_to_s, bench.by_k = bench.now_s, bench.now_s + 1e-3, 7.0
    bench.run_s(10.0)
    bench.threshold_v *= 1.05  # it would rise by now, for half a minute
    bench.run_s(30.0)
    stood_v, over_s = bench.core.steering.v_set_v, bench.now_s
    bench.warms_from_s = bench.warms_to_s = math.inf
    bench.run_s(2.5)
    bench.tick()
    proposed_v = bench.core.steering.proposal.v_dc_v
    assert proposed_v <= stood_v * 1.02
    bench.run_s(20.0)
    assert bench.highest_since(over_s + 3.0) < 1.6


def at_the_threshold(bench: Bench, seconds: float) -> list:
    """The temperature is just in and just out of its limit, tick by tick."""
    count = len(bench.events)
    for number in range(round(seconds / 0.05)):
        bench.temperature_k = 55.001 if number % 4 < 2 else 54.999
        bench.tick()
    return [event for event in bench.events[count:] if event.details.get("rule") == "temperature"]


def test_a_value_that_sits_at_its_threshold_is_one_alarm_that_ends_two_seconds_after_it():
    bench = Bench(threshold_v=1600.0).evaporating()
    (began,) = at_the_threshold(bench, 10.0)
    assert began.what.startswith("temperature sensor")
    count, over_s = len(bench.events), bench.now_s
    bench.temperature_k = 50.0
    while not any("over: temperature sensor" in event.what for event in bench.events[count:]):
        bench.tick()
        assert bench.now_s - over_s < 3.0
    assert bench.now_s - over_s == pytest.approx(2.0, abs=0.2)


def test_while_the_alarm_lasts_nothing_rises_and_then_it_does():
    bench = Bench(rig=make_rig(control={"law": "imm"}), threshold_v=1600.0)
    bench.core = GuardCore(bench.core.settings, create)
    bench.evaporating()
    bench.run_s(5.0)
    bench.temperature_k, bench.threshold_v = 60.0, 1615.0
    bench.run_s(1.0)
    stood_v, bench.temperature_k = bench.core.steering.v_set_v, 50.0
    bench.run_s(1.8)
    assert bench.core.steering.v_set_v <= stood_v
    bench.run_s(3.0)
    assert bench.core.steering.v_set_v > stood_v


def test_an_alarm_that_acts_is_neither_delayed_nor_longer_than_its_cause():
    bench = Bench(threshold_v=1600.0).evaporating()
    bench.silent_tdc = True
    bench.until(S.INHIBITED, 0.4)
    bench.silent_tdc = False
    began_s = bench.now_s
    bench.until(S.EVAPORATING, 3.0)
    assert bench.now_s - began_s < 1.0
