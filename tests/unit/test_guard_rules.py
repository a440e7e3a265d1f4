import pytest

from evapd.guard.energy import EnergyState as S
from evapd.guard.rules.table import RULES
from evapd.link import LinkFlag
from support.guard_bench import Bench, make_rig


def highest_since(bench, count):
    return max(d.v_dc_v for d in bench.decisions[count:] if d.v_dc_v is not None)


def test_acquire_s_death_inhibits_and_begins_the_descent_at_the_next_reaction():
    bench = Bench().evaporating()
    bench.lose_acquire()
    decision = bench.core.react(bench.inputs(), bench.now_s)
    assert decision.pulser_enable is False
    assert bench.state is S.RAMPING_DOWN
    bench.carry_out(decision)
    bench.until(S.SAFE, 10.0)


def test_another_acquire_in_its_place_does_not_undo_the_death():
    bench = Bench().evaporating()
    bench.disconnects += 1
    bench.tick()
    assert bench.state is S.RAMPING_DOWN


def test_stale_counts_freeze_the_voltage():
    bench = Bench().evaporating()
    bench.stalled = True
    bench.run_s(0.2)
    count, v_v = len(bench.decisions), bench.v_set_v
    bench.run_s(3.0)
    assert highest_since(bench, count) <= v_v


def test_a_silent_tdc_inhibits_at_once_freezes_and_goes_on_when_it_is_back():
    bench = Bench().evaporating()
    bench.silent_tdc = True
    bench.run_s(0.25)
    assert bench.state is S.INHIBITED
    assert not bench.enabled
    v_v = bench.v_set_v
    bench.run_s(2.0)
    assert bench.v_set_v == v_v
    bench.silent_tdc = False
    bench.until(S.EVAPORATING, 1.0)
    assert bench.enabled


def test_a_tdc_that_stays_silent_is_ramped_down_after_five_seconds():
    bench = Bench().evaporating()
    bench.silent_tdc = True
    took_s = bench.until(S.RAMPING_DOWN, 8.0)
    assert took_s == pytest.approx(5.0, abs=0.2)


def test_the_rate_ceiling_stops_pulses_within_three_records_and_draws_down_by_a_quarter():
    bench = Bench().evaporating()
    bench.run_s(30.0)
    v_v, start_s = bench.v_set_v, bench.now_s
    bench.burst = 15.0
    while bench.enabled:
        bench.advance(0.01)
        bench.carry_out(bench.core.react(bench.inputs([bench.record()]), bench.now_s))
        assert bench.now_s - start_s < 0.1
    assert bench.now_s - start_s <= 0.031
    assert bench.core.steering.v_set_v == pytest.approx(0.75 * v_v)
    bench.burst = 1.0
    bench.until(S.EVAPORATING, 1.0)


def test_three_trips_in_ten_seconds_hold_for_the_operator():
    bench = Bench(sensitivity=1.0).evaporating()
    bench.burst = 100.0
    bench.until(S.HOLDING, 10.0)
    bench.burst = 1.0
    bench.run_s(5.0)
    assert bench.state is S.HOLDING
    assert any("3 rate trips" in text for text in bench.core.alarms.texts())


def test_few_counts_never_trip_the_ceiling():
    bench = Bench(rig=make_rig(control={"target_rate": 0.001}, pulse={"rate_hz": 2000})).evaporating()
    for _ in range(100):
        bench.hits += 1  # 20 a second, ten times the target: too few to be sure of it
        bench.tick()
    assert not any("times the target" in what for what in bench.said("rule"))


def test_saturated_counts_are_high_and_never_low():
    bench = Bench().evaporating()
    bench.flags |= LinkFlag.SATURATED
    bench.tick()
    assert bench.state is S.INHIBITED
    assert not bench.enabled


@pytest.mark.parametrize("name", ["hv", "trigger", "amplitude", "gauge", "cryo"])
def test_an_unknown_required_device_makes_everything_safe(name):
    bench = Bench().evaporating()
    bench.unknown.add(name)
    bench.tick()
    assert bench.state is S.FAULT_LATCHED
    assert {"trigger", "hv", "amplitude"} <= set(bench.made_safe)
    assert "UNKNOWN" in bench.core.alarms.texts()[0]


@pytest.mark.parametrize(
    "flags", [{"tripped": True}, {"interlock_open": True}, {"inhibited": True}, {"remote": False}]
)
def test_a_complaint_of_the_supply_makes_safe(flags):
    bench = Bench().evaporating()
    bench.state_flags = flags
    bench.tick()
    assert bench.state is S.FAULT_LATCHED


def test_a_voltage_that_falls_away_is_found_after_the_grace():
    bench = Bench().evaporating()
    bench.follows = False
    took_s = bench.until(S.FAULT_LATCHED, 3.0)
    assert took_s < 1.2


def test_a_set_point_raised_at_the_front_panel_is_found():
    bench = Bench().evaporating()
    v_v = bench.v_set_v
    for _ in range(12):
        bench.v_set_v = 1.2 * v_v
        bench.tick()
    assert bench.state is S.FAULT_LATCHED
    assert any("was asked for" in text for text in bench.core.alarms.texts())


def test_voltage_above_the_specimen_s_limit_makes_safe():
    bench = Bench()
    bench.until(S.STANDBY, 1.0)
    bench.v_v, bench.v_set_v, bench.output_on = 8300.0, 8300.0, True
    bench.tick()
    assert bench.state is S.FAULT_LATCHED


def test_a_supply_that_falls_as_modelled_is_no_fault_after_a_cut():
    bench = Bench(tau_down_s=2.0, rig=make_rig(guard={"hv_tau_down_s": 2.0})).evaporating()
    bench.run_s(5.0)
    bench.core.hold(True, bench.now_s)
    bench.run_s(10.0)
    assert bench.state is S.HOLDING


def test_voltage_that_nobody_asked_for_is_ramped_down():
    bench = Bench()
    bench.until(S.STANDBY, 1.0)
    bench.v_v, bench.v_set_v, bench.output_on = 500.0, 500.0, True
    bench.until(S.RAMPING_DOWN, 1.5)
    bench.until(S.SAFE, 5.0)


@pytest.mark.parametrize("pressure_pa", [1e-3, None])
def test_bad_or_unknown_vacuum_makes_safe(pressure_pa):
    bench = Bench().evaporating()
    bench.pressure_pa = pressure_pa
    bench.tick()
    assert bench.state is S.FAULT_LATCHED


def test_vacuum_is_not_looked_at_where_no_limit_is_configured():
    bench = Bench(rig=make_rig(guard={"pressure_max_pa": None})).evaporating()
    bench.pressure_pa = None
    bench.run_s(1.0)
    assert bench.state is S.EVAPORATING


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: setattr(b, "temperature_k", 60.0),
        lambda b: setattr(b, "temperature_k", None),
        lambda b: setattr(b, "v_p_scale", 0.8),
        lambda b: setattr(b, "flags", b.flags | LinkFlag.COUNTER_JUMP),
    ],
)
def test_what_makes_the_rate_meaningless_freezes_the_voltage(spoil):
    bench = Bench().evaporating()
    spoil(bench)
    bench.run_s(0.7)
    count, v_v = len(bench.decisions), bench.v_set_v
    bench.run_s(3.0)
    assert highest_since(bench, count) <= v_v
    assert bench.state is S.EVAPORATING
    assert bench.core.alarms.texts()


def test_a_pulser_that_stops_by_itself_freezes_and_is_named():
    bench = Bench().evaporating()
    bench.rate_hz = 1000.0
    decision = bench.core.tick(bench.inputs([bench.record()]), bench.now_s)
    assert decision.pulser_rate_hz == 200e3
    for _ in range(40):
        bench.enabled = False
        bench.advance(0.05)
        decision = bench.core.tick(bench.inputs([bench.record()]), bench.now_s)
    assert any("pulser is inhibited" in text for text in bench.core.alarms.texts())


def test_every_rule_says_what_it_does_in_words():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(rule.trigger and rule.release and rule.watches and rule.__doc__ for rule in RULES)
