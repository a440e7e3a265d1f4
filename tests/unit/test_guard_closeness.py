"""How close every rule is, told without a break: in the loop's rows, in the status, as a number for transitions."""

import math
import time

import pytest

from evapd.guard.energy import EnergyState as S
from evapd.guard.explosive import CHI_GOOD, explosiveness, total_latency_s
from evapd.guard.rules.base import Effect
from evapd.guard.rules.page import default_of, rows
from evapd.guard.rules.table import RULES
from evapd.guard.types import LOOP_COLUMNS
from support.guard_bench import Bench, make_rig

NAMES = [rule.name for rule in RULES]


def test_every_tick_tells_the_smallest_margin_and_whose_it_is():
    bench = Bench().evaporating()
    sample = bench.decision.sample
    margins = bench.core.lookout.margins()
    assert list(margins) == NAMES
    assert sample.margin == margins[NAMES[sample.margin_rule]]
    acting = [margins[rule.name] for rule in RULES if rule.effect > Effect.NOTE]
    assert sample.margin == min(one for one in acting if one is not None)
    assert {"margin", "margin_rule"} <= {column.name for column in LOOP_COLUMNS}


def test_the_margin_falls_to_nothing_on_the_way_to_a_trip():
    bench = Bench().evaporating()
    bench.run_s(20.0)
    seen = []
    for burst in (1.0, 3.0, 6.0):
        bench.burst = burst
        bench.run_s(0.05)
        seen.append(bench.core.lookout.margins()["rate-ceiling"])
    assert seen == sorted(seen, reverse=True)
    bench.burst = 40.0
    bench.run_s(0.1)
    assert bench.state is S.INHIBITED


def test_before_anything_is_read_no_margin_is_known():
    bench = Bench()
    bench.unknown = {"hv", "trigger", "amplitude", "gauge", "cryo"}
    bench.tick()
    assert math.isnan(bench.decision.sample.margin)
    assert bench.decision.sample.margin_rule == -1


def test_a_note_neither_freezes_nor_stops_anything():
    bench = Bench(rig=make_rig(guard={"pressure_warn_pa": 1e-9})).evaporating()
    v_v = bench.v_set_v
    assert any(text.startswith("vacuum-warning") for text in bench.core.alarms.texts())
    bench.run_s(3.0)
    assert bench.state is S.EVAPORATING
    assert bench.v_set_v > v_v


def test_nobody_attends_a_run_that_nobody_ever_attended():
    bench = Bench(rig=make_rig(guard={"attended": True})).evaporating()
    bench.run_s(70.0)
    assert bench.state is S.EVAPORATING
    assert not any("operator" in text for text in bench.core.alarms.texts())


def test_in_attended_mode_silence_stops_the_rise_then_holds():
    bench = Bench(rig=make_rig(guard={"attended": True})).evaporating()
    bench.core.lookout.attend(bench.now_s)
    bench.run_s(61.0)
    assert any(text.startswith("operator-away") for text in bench.core.alarms.texts())
    v_v = bench.v_set_v
    bench.run_s(5.0)
    assert bench.v_set_v <= v_v
    bench.core.lookout.attend(bench.now_s)
    bench.run_s(2.2)
    assert not any(text.startswith("operator-away") for text in bench.core.alarms.texts())
    bench.core.lookout.attend(bench.now_s - 601.0)
    bench.tick()
    assert bench.state is S.HOLDING


def test_a_fracture_ramps_down_and_says_at_which_pulse():
    bench = Bench(dark_hz=20.0).evaporating()
    bench.run_s(20.0)
    bench.burst = 1e-4
    bench.until(S.RAMPING_DOWN, 2.0)
    event = next(one for one in bench.events if one.kind == "fracture")
    assert event.severity == "alarm"
    assert event.details["effect"] == "ramp_down"
    assert event.details["pulse"] > 0


def test_where_somebody_creeps_on_a_fracture_holds():
    bench = Bench(dark_hz=20.0, rig=make_rig(guard={"after_fracture": "hold"})).evaporating()
    bench.run_s(20.0)
    bench.burst = 1e-4
    bench.until(S.HOLDING, 2.0)


def test_a_guard_that_stood_still_does_not_rise_on_what_it_knew():
    bench = Bench().evaporating()
    v_v = bench.v_set_v
    bench.advance(0.5)
    bench.carry_out(bench.core.tick(bench.inputs([bench.record()]), bench.now_s))
    assert bench.v_set_v <= v_v
    assert any(text.startswith("missed-ticks") for text in bench.core.alarms.texts())


def test_chi_is_the_growth_within_the_latency():
    rig = make_rig(control={"delay_s": 0.1, "tick_s": 0.05}, guard={"hv_tau_down_s": 0.05})
    assert total_latency_s(rig, 0.05) == pytest.approx(0.225)
    found = explosiveness(rig, 60.0, 0.01, 200e3)
    assert found.chi == pytest.approx(60 * 0.2 * 2000 * 0.225 / 20_000)
    assert found.smallest_transition_ions == pytest.approx(60 * 0.2 * 2000 * 0.225 / CHI_GOOD)
    assert found.word == "risky"
    assert explosiveness(rig, 60.0, 0.001, 200e3).word == "survivable"
    assert explosiveness(rig, 250.0, 0.02, 200e3).word == "explosive"


@pytest.mark.parametrize("s", [None, 0.0, -3.0, math.nan])
def test_without_a_sensitivity_chi_is_not_known(s):
    assert explosiveness(make_rig(), s, 0.01, 200e3) is None


def test_the_table_tells_everything_of_every_rule():
    for row in rows():
        assert all(row[key] for key in ("name", "trigger", "action", "release", "meaning", "advice")), row
        assert all(isinstance(key, str) and (default_of(key), True)[1] for key in row["thresholds"])
    assert len({row["name"] for row in rows()}) == len(RULES)


def test_all_rules_together_cost_a_small_part_of_a_tick():
    bench = Bench().evaporating()
    bench.run_s(3.0)
    lookout = bench.core.lookout
    costs = []
    for _ in range(60):
        bench.tick()
        lookout.take(bench.inputs(), bench.now_s)
        begin_ns = time.thread_time_ns()
        lookout.look()
        lookout.margins()
        costs.append((time.thread_time_ns() - begin_ns) * 1e-6)
    assert sorted(costs)[30] < 2.0  # ms; 0.3 to 0.5 measured
