"""A supply that is set and read in coarse steps is not taken for one that does not obey, and what exceeds a step is."""

import math
from dataclasses import replace

import pytest

from evapd.guard.energy import EnergyState as S
from evapd.guard.observer import Observer
from evapd.guard.rules.supply import ReadbackShort, ReadExcess
from support.guard_bench import DIGEST, Bench, make_rig
from support.rule_scene import Scene
from support.wire_bench import WireBench

FULL_V = 50e3
STEP_V = FULL_V / 4095


def technix():
    settings = {"rated_v": FULL_V, "rated_a": 0.02, "v_max_v": 8e3, "i_max_a": 0.005}
    wire = {"rated_v": FULL_V, "rated_a": 0.02}
    return WireBench("technix-sr", settings, wire, sleeps=True, threshold_v=1640.0)


def glassman():
    settings = {"rated_v": FULL_V, "rated_a": 0.006, "v_max_v": 8e3, "i_max_a": 0.001}
    return WireBench("glassman", settings, {}, threshold_v=1640.0)


def spellman():
    return WireBench("spellman-xrv", {"v_max_v": 8e3, "i_max_a": 0.001}, {}, threshold_v=1640.0)


def set_points(bench) -> int:
    return sum(data.startswith(b"d1,") for data in bench.heard)


@pytest.mark.parametrize(
    ("make", "step_v"),
    [(technix, STEP_V), (glassman, FULL_V / 1023), (spellman, 1.2 * 160e3 / 4095)],
)
def test_a_whole_run_with_a_real_driver_of_a_coarse_supply_evaporates_and_comes_down(make, step_v):
    bench = make().evaporating()
    assert bench.devices()["hv"].reading.v_step_v == pytest.approx(step_v)
    bench.run_s(12.0)
    assert bench.state is S.EVAPORATING, bench.said()
    assert bench.v_v == pytest.approx(1640.0, rel=0.025)
    bench.core.run_end("done", bench.now_s)
    bench.until(S.SAFE, 20.0)
    assert bench.plant.specimen.demand_v == 0.0


@pytest.mark.parametrize(("read_v", "told_v"), [(5070.0, 5000.0), (4930.0, 5000.0), (4915.0, 4915.0)])
def test_a_law_is_told_a_coarse_reading_only_where_it_says_more_than_the_model(read_v, told_v):
    scene = Scene(v_v=read_v, state_flags={"v_step_v": 40.0})
    scene.model.advance(5000.0, scene.now_s)
    observer = Observer(scene.settings)
    observer.take(scene.view().inputs, scene.model)
    assert observer._readings[-1][1] == pytest.approx(told_v)


def test_a_set_point_that_was_rounded_is_not_sent_again():
    bench = technix().evaporating()
    bench.core.hold(True, bench.now_s)
    bench.run_s(3.0)
    told = set_points(bench)
    bench.run_s(5.0)
    assert bench.state is S.HOLDING
    assert set_points(bench) == told


class Coarse(Bench):
    """A supply that sets and reads in steps of 160 kV / 4095."""

    step_v, tells = 160e3 / 4095, True

    def devices(self):
        views = super().devices()
        one = views["hv"].reading
        seen = {
            "v_meas_v": self.rounded(one.v_meas_v),
            "v_set_v": None if math.isnan(one.v_set_v) else self.rounded(one.v_set_v),
            "v_step_v": self.step_v if self.tells else 0.0,
        }
        return views | {"hv": replace(views["hv"], reading=replace(one, **seen))}

    def rounded(self, v_v):
        return self.step_v * round(v_v / self.step_v)


def switched_on(bench: Coarse, v_set_v: float) -> bool:
    """Begin a run whose set point is no whole number of steps."""
    bench.begin()
    bench.core.steering.v_set_v = v_set_v
    bench.run_s(0.5)
    return bench.output_on


def test_the_output_is_switched_on_at_a_set_point_that_was_rounded():
    assert switched_on(Coarse(), 19.0)


def test_without_a_step_a_set_point_further_off_does_not_switch_on():
    bench = Coarse()
    bench.tells = False
    assert not switched_on(bench, 19.0)


def test_a_set_point_more_than_a_step_off_does_not_switch_on():
    bench = Coarse(obeys=False, v_set_v=60.0)
    bench.begin()
    bench.run_s(2.0)
    assert not any(one.output for one in bench.decisions)


def test_a_set_point_that_is_not_known_does_not_switch_on_and_the_run_says_why():
    bench = Coarse(obeys=False)
    bench.v_set_v = math.nan
    bench.begin()
    bench.run_s(11.0)
    assert not any(one.output for one in bench.decisions)
    assert any("set point is not known" in what for what in bench.said())


@pytest.mark.parametrize(("rule", "sign"), [(ReadExcess, 1.0), (ReadbackShort, -1.0)])
@pytest.mark.parametrize("v_v", [100.0, 600.0, 5000.0])
def test_a_readback_is_allowed_one_step_more_and_nothing_beyond_it(rule, sign, v_v):
    for off_v, triggers in ((24.0 + 0.02 * v_v + 39.0, False), (26.0 + 0.02 * v_v + 40.0, True)):
        scene = Scene(v_set_v=v_v, v_v=v_v + sign * off_v, state_flags={"v_step_v": 39.0})
        assert bool(scene.run_s(1.5, rule())) is triggers


def test_a_coarse_supply_that_is_only_watched_is_read_as_it_reads():
    watched = Bench(
        rig=make_rig(control={"law": "monitor"}),
        state_flags={"v_step_v": 20.0},
        output_on=True,
        v_set_v=3000.0,
    )
    watched.run_s(1.0)
    watched.core.run_begin("run-1", DIGEST, watched.now_s)
    watched.run_s(1.0)
    assert watched.state is S.EVAPORATING
    assert watched.core.observer._readings[-1][1] == pytest.approx(watched.v_v)
