"""A law that fails is replaced and the voltage stays; a shadow law is recorded and changes nothing."""

import math
from dataclasses import replace

import pytest

from evapd.control import create
from evapd.control.types import Setpoint
from evapd.guard.core import GuardCore
from evapd.guard.energy import EnergyState as S
from evapd.guard.shadow import Shadow
from support.guard_bench import Bench, make_rig

CONTROL = {"v_start_v": 1900, "law": "hold"}


class Failing:
    """Law `hold` that fails after a while, in one of its methods."""

    def __init__(self, settings, steps=40, method="step", nan=False):
        self._law, self._left, self._method, self._nan = create("hold", settings), steps, method, nan

    def __getattr__(self, name):
        if name == self._method:
            self._left -= 1
            if self._left < 0 and self._nan:
                return lambda *_: Setpoint(v_dc_v=math.nan)
            if self._left < 0:
                raise ZeroDivisionError("a fault in the law")
        return getattr(self._law, name)


def bench_with(failing, **control):
    """A bench whose laws of the names in `failing` are made by these."""

    def make(name, settings):
        return failing[name](settings) if name in failing else create(name, settings)

    bench = Bench(rig=make_rig(control=CONTROL | control), threshold_v=2000.0)
    bench.core = GuardCore(bench.core.settings, make)
    return bench


def alarms(bench):
    return [event.what for event in bench.events if event.kind == "law"]


@pytest.mark.parametrize("nan", [False, True])
def test_a_law_that_fails_is_replaced_by_pi_log_from_the_voltage_that_stands(nan):
    bench = bench_with({"hold": lambda settings: Failing(settings, nan=nan)}).evaporating()
    v_v = bench.v_set_v
    while not alarms(bench):
        bench.tick()
    bench.run_s(0.1)
    assert bench.v_set_v == pytest.approx(v_v)
    assert bench.core.run.law == "pi-log"
    bench.run_s(15.0)
    assert bench.v_v == pytest.approx(2000, rel=0.01)


def test_the_law_that_failed_and_its_successor_stand_in_events_and_segments():
    bench = bench_with({"hold": Failing}).evaporating()
    bench.run_s(5.0)
    [alarm] = alarms(bench)
    assert "'hold' failed: ZeroDivisionError" in alarm
    [segment] = [event for event in bench.events if event.kind == "segment" and "failed" in event.what]
    assert segment.details["settings"]["law"] == "pi-log"


@pytest.mark.parametrize("method", ["reset", "resumed", "inhibited", "retarget"])
def test_a_law_that_fails_when_it_is_told_something_is_replaced_too(method):
    bench = bench_with({"hold": lambda settings: Failing(settings, 0, method)}).evaporating()
    bench.burst = 5000.0
    bench.run_s(0.3)
    bench.burst = 1.0
    bench.core.set({"target_rate": 0.005}, bench.now_s)
    bench.run_s(10.0)
    assert bench.core.run.law == "pi-log"
    assert bench.state is S.EVAPORATING


def test_without_any_law_that_works_the_run_is_held_for_a_person():
    broken = {name: lambda settings: Failing(settings, 20) for name in ("hold", "pi-log")}
    bench = bench_with(broken).evaporating()
    v_v = bench.v_set_v
    bench.until(S.HOLDING, 5.0)
    bench.run_s(1.0)
    assert bench.v_set_v <= 0.9 * v_v * 1.01
    bench.core.resume(bench.now_s)
    bench.run_s(1.0)
    assert bench.state is S.HOLDING


def test_another_law_set_by_a_person_ends_the_hold_of_a_run_without_a_law():
    broken = {name: lambda settings: Failing(settings, 20) for name in ("hold", "pi-log")}
    bench = bench_with(broken).evaporating()
    bench.until(S.HOLDING, 5.0)
    bench.core.set({"law": "ramp"}, bench.now_s)
    bench.core.resume(bench.now_s)
    bench.until(S.EVAPORATING, 3.0)
    bench.run_s(2.0)
    assert bench.state is S.EVAPORATING


def test_a_shadow_law_is_recorded_and_changes_nothing():
    plain, shadowed = bench_with({}), bench_with({}, shadow="pi-log")
    for bench in (plain, shadowed):
        bench.evaporating().run_s(5.0)
    assert [one.v_dc_v for one in plain.decisions] == [one.v_dc_v for one in shadowed.decisions]
    seen, nothing = shadowed.decision.sample, plain.decision.sample
    assert seen.shadow_v_dc_v > seen.v_dc_set_v
    assert math.isfinite(seen.shadow_log_rate)
    assert math.isfinite(seen.shadow_sensitivity)
    assert math.isnan(nothing.shadow_v_dc_v)


def test_a_shadow_that_fails_is_switched_off_with_one_event_and_changes_nothing():
    broken = {"pi-log": lambda settings: Failing(settings, 20)}
    plain, shadowed = bench_with({}), bench_with(broken, shadow="pi-log")
    for bench in (plain, shadowed):
        bench.evaporating().run_s(5.0)
    assert [one.v_dc_v for one in plain.decisions] == [one.v_dc_v for one in shadowed.decisions]
    assert math.isnan(shadowed.decision.sample.shadow_v_dc_v)
    assert ["shadow" in what for what in alarms(shadowed)] == [True]


def test_a_shadow_that_is_slow_again_and_again_is_switched_off():
    times = iter(0.01 * one for one in range(100))
    shadow = Shadow(create, "hold", make_rig_settings(), timer=lambda: next(times))
    for _ in range(3):
        assert not shadow.off
        shadow.step(None, 0.0)
    assert "5 ms" in shadow.off
    assert shadow.proposal is None


def make_rig_settings():
    core = bench_with({}).core
    return core.run.control(core.settings.rig)


class Misled:
    """Law `imm` that reports, and would steer by, a sensitivity that no specimen has."""

    def __init__(self, settings):
        self._law = create("imm", settings)
        self.wrong = 900.0

    def __getattr__(self, name):
        return getattr(self._law, name)

    def step(self, observation, now_s):
        return replace(self._law.step(observation, now_s), sensitivity=self.wrong)


def test_a_sensitivity_that_no_specimen_has_lets_nothing_rise_and_the_second_time_pi_log_takes_over():
    bench = bench_with({"imm": Misled}, law="imm").evaporating()
    began_s, stood_v = bench.now_s, None
    while bench.core.run.law == "imm":
        bench.tick()
        assert bench.now_s - began_s < 10.0
        if any("S = 900" in what for what in bench.said("rule")):
            stood_v = bench.v_set_v if stood_v is None else stood_v
            assert bench.v_set_v <= stood_v + 1e-6
    assert stood_v is not None
    assert "pi-log takes over" in alarms(bench)[0]
    bench.run_s(20.0)
    assert bench.core.run.law == "pi-log"
    assert bench.v_v == pytest.approx(2000, rel=0.01)
    assert not any("sensitivity" in text for text in bench.core.alarms.texts())


def test_one_lapse_of_the_sensitivity_leaves_the_law():
    bench = bench_with({"imm": Misled}, law="imm").evaporating()
    bench.run_s(2.0)
    bench.core.steering.law.wrong = 60.0
    bench.run_s(20.0)
    assert bench.core.run.law == "imm"
    assert alarms(bench) == []
