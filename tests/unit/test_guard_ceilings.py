"""Ceilings of a run: lowered at any time and at the normal slew, raised within the rig file, and only a permission."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.control import create
from evapd.control.types import ControlSettings
from evapd.errors import LimitError, StateError
from evapd.guard.ceilings import VoltageCeiling
from evapd.guard.energy import EnergyState as S
from evapd.guard.pulse_energy import PulseEnergy
from evapd.rpc.arguments import SetArgs, only_lowers
from evapd.rpc.parameters import parameters
from support.guard_bench import DIGEST, TICK_S, Bench, make_rig

V_MAX_V = 7000.0
SLEW = 0.30  # control.max_slew_down


def running(threshold_v=2000.0, **control):
    bench = Bench(rig=make_rig(control={"v_start_v": 1900} | control), threshold_v=threshold_v)
    bench.evaporating().run_s(3.0)
    return bench


def lowered(bench, v_v):
    bench.core.set({"v_ceiling_v": v_v}, bench.now_s)
    return bench


def test_a_run_begins_with_the_ceiling_of_the_rig_file():
    told = running().core.telling.settings()
    assert (told["v_ceiling_v"], told["energy_ceiling_pj"]) == (V_MAX_V, None)


def test_a_ceiling_below_the_voltage_lowers_it_at_the_slew_of_a_law_and_the_pulses_go_on():
    bench = lowered(running(), 1500.0)
    before_v = bench.decision.v_dc_v
    while bench.decision.v_dc_v > 1500.0:
        bench.tick()
        assert before_v * (1 - 1.01 * SLEW * TICK_S) <= bench.decision.v_dc_v < before_v
        assert bench.state is S.EVAPORATING
        before_v = bench.decision.v_dc_v
    bench.run_s(3.0)
    assert max(one.v_dc_v for one in bench.decisions[-50:]) == pytest.approx(1500.0)


def test_nothing_rises_above_the_ceiling_whatever_the_law_wishes():
    bench = lowered(running(threshold_v=3000.0), 2100.0)
    bench.run_s(8.0)
    assert max(one.v_dc_v or 0.0 for one in bench.decisions) <= 2100.0 + 1e-9
    assert bench.decision.v_dc_v == pytest.approx(2100.0, rel=1e-3)


def test_the_law_knows_of_it_and_its_limits_take_nothing_from_its_proposals():
    bench = lowered(running(threshold_v=3000.0), 2100.0)
    bench.run_s(8.0)
    assert bench.core.steering.proposal.v_dc_v <= 2100.0 + 1e-6
    assert not [event for event in bench.events if event.kind == "clamp"]


def test_a_raised_ceiling_only_permits_and_the_law_goes_on_from_where_it_stands():
    bench = lowered(running(threshold_v=3000.0), 2100.0)
    bench.run_s(8.0)
    law, before_v = bench.core.steering.law, bench.decision.v_dc_v
    lowered(bench, V_MAX_V).tick()
    assert bench.core.steering.law is law
    assert before_v <= bench.decision.v_dc_v <= 1.004 * before_v
    bench.run_s(8.0)
    assert bench.decision.v_dc_v > 2300.0


def test_no_ceiling_is_raised_beyond_the_rig_file():
    bench = running()
    before = bench.core.run
    with pytest.raises(LimitError, match="7000 V; nothing was changed"):
        lowered(bench, V_MAX_V + 1.0)
    assert bench.core.run == before


@pytest.mark.parametrize("order", ["hold", "pause", "inhibit"])
def test_a_voltage_that_stands_still_comes_down_too_and_a_raise_leaves_it_there(order):
    bench = running()
    getattr(bench.core, order)(*([] if order == "pause" else [True]), bench.now_s)
    bench.run_s(5.0)
    lowered(bench, 1200.0).run_s(5.0)
    assert bench.decision.v_dc_v == 1200.0
    lowered(bench, V_MAX_V).run_s(5.0)
    assert bench.decision.v_dc_v == 1200.0


def test_a_resume_goes_no_higher_than_the_ceiling():
    bench = running(threshold_v=3000.0)
    bench.core.pause(bench.now_s)
    lowered(bench, 1500.0).run_s(8.0)
    bench.core.resume(bench.now_s)
    bench.run_s(8.0)
    assert bench.state is S.EVAPORATING
    assert bench.decision.v_dc_v <= 1500.0


def test_a_start_ramp_ends_at_a_ceiling_that_is_lowered_meanwhile():
    bench = Bench()
    bench.until(S.STANDBY, 2.0)
    bench.core.run_begin("run-1", DIGEST, bench.now_s)
    bench.until(S.RAMPING, 5.0)
    bench.run_s(1.5)
    lowered(bench, 700.0)
    bench.until(S.EVAPORATING, 10.0)
    bench.run_s(5.0)
    assert bench.decision.v_dc_v <= 700.0


def test_a_lower_ceiling_does_not_slow_a_descent():
    down_v = []
    for ceiling_v in (V_MAX_V, 100.0):
        bench = running()
        bench.core.run_end("test", bench.now_s)
        lowered(bench, ceiling_v).run_s(1.0)
        down_v.append(bench.decision.v_dc_v)
    assert down_v[1] <= down_v[0] + 1e-9


def test_each_change_is_a_segment_that_names_the_ceiling():
    bench = lowered(running(), 1900.0)
    bench.tick()
    told = [event for event in bench.events if event.kind == "segment"][-1].document()
    assert "v_ceiling_v 1900" in told["what"]
    assert told["settings"]["v_ceiling_v"] == 1900.0


def test_a_law_that_takes_over_below_the_ceiling_keeps_to_it():
    bench = lowered(running(threshold_v=3000.0), 2100.0)
    bench.run_s(10.0)
    bench.core.set({"law": "imm"}, bench.now_s)
    bench.run_s(8.0)
    assert bench.decision.v_dc_v <= 2100.0 + 1e-9


def test_what_was_to_be_lower_and_is_not_is_refused():
    bench = lowered(running(), 1900.0)
    with pytest.raises(LimitError, match="nothing was changed"):
        bench.core.check({"v_ceiling_v": 1950.0}, lower=True)
    with pytest.raises(LimitError, match="nothing was changed"):
        bench.core.check({"law": "hold"}, lower=True)
    assert bench.core.check({"v_ceiling_v": 1800.0, "target_rate": 0.001}, lower=True).v_ceiling_v == 1800.0


@pytest.mark.parametrize(
    ("args", "passes"),
    [({"hold": True}, True), ({"v_ceiling_v": 1e3, "lower": True}, True), ({"energy_ceiling_pj": 1.0, "lower": True}, True),
     ({"v_ceiling_v": 1e3}, False), ({"lower": True}, False), ({"target_rate": 0.001, "lower": True}, False),
     ({"v_ceiling_v": 1e3, "lower": True, "hold": False}, False), ({"hold": True, "v_ceiling_v": 1e3}, False)],
)  # fmt: skip
def test_only_a_hold_or_a_lower_ceiling_passes_while_another_one_commands(args, passes):
    assert only_lowers(SetArgs(**args).model_dump()) is passes


def test_a_ceiling_of_energy_is_of_a_laser_and_within_its_clamps():
    with pytest.raises(StateError, match="voltage"):
        running().core.set({"energy_ceiling_pj": 5.0}, 1.0)
    pulse = {"mode": "laser", "energy_pj": 10.0, "energy_min_pj": 2.0, "energy_max_pj": 50.0}
    core = Bench(rig=make_rig(pulse=pulse)).core
    for wrong in (1.0, 51.0):
        with pytest.raises(LimitError, match="2 to 50 pJ"):
            core.set({"energy_ceiling_pj": wrong}, 1.0)
    core.set({"energy_ceiling_pj": 8.0}, 1.0)
    with pytest.raises(LimitError, match="energy_ceiling_pj, 8 pJ"):
        core.set({"energy_pj": 9.0}, 1.0)


def test_an_energy_is_down_at_once_and_up_slowly():
    rig = make_rig(pulse={"mode": "laser", "fraction": 0.0, "energy_pj": 10.0, "energy_max_pj": 50.0})
    energy = PulseEnergy(type("Settings", (), {"rig": rig})(), 10.0, 50.0)
    energy.cap(5.0)
    assert energy.set_pj == 5.0
    energy.follow(20.0, 1.0)
    assert energy.set_pj == 5.0
    energy.cap(50.0)
    energy.follow(20.0, 1.0)
    assert energy.set_pj == pytest.approx(5.0 * 1.012)


@pytest.mark.parametrize("actuator", ["energy", "both"])
def test_a_law_of_the_energy_keeps_to_both_ceilings(actuator):
    control = ControlSettings(
        target_rate=0.01, pulse_rate_hz=200e3, v_min_v=500.0, v_max_v=7000.0, tick_s=TICK_S, delay_s=0.05,
        actuator=actuator, energy_pj=10.0, energy_min_pj=1.0, energy_max_pj=50.0,
    )  # fmt: skip
    law = create("imm", control)
    law.reset(3000.0, 0.0)
    law.set_ceilings(2500.0, 8.0)
    for k in range(200):
        proposal = law.step(None, k * TICK_S)
        assert proposal.v_dc_v <= 2500.0 + 1e-6
    assert proposal.pulse_energy_pj <= 8.0 + 1e-6


STEPS = st.tuples(st.floats(0.0, V_MAX_V), st.floats(0.0, V_MAX_V), st.integers(0, 20))


@settings(max_examples=50)
@given(st.lists(STEPS, max_size=8))
def test_it_never_stands_above_what_was_asked_for_and_the_voltage_and_falls_no_faster_than_its_slew(steps):
    ceiling, now_s = VoltageCeiling(make_rig(), V_MAX_V), 0.0
    for asked_v, voltage_v, ticks in steps:
        set_v = min(voltage_v, ceiling.stands_v)
        ceiling.ask(asked_v, set_v)
        for _ in range(ticks):
            assert ceiling.stands_v <= max(asked_v, set_v)
            now_s += TICK_S
            ceiling.sink(set_v, now_s)
            assert ceiling.stands_v >= max(asked_v, set_v * (1 - 3.01 * SLEW * TICK_S)) - 1e-9
            set_v = min(set_v, ceiling.stands_v)


def test_a_description_gives_the_limits_of_the_rig():
    listed = {one["name"]: one for one in parameters(make_rig(), {"settings": {"v_ceiling_v": 6e3}}, None)}
    assert (listed["v_ceiling_v"]["value"], listed["v_ceiling_v"]["max"]) == (6e3, V_MAX_V)
    assert "energy_ceiling_pj" not in listed
