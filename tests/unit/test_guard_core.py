import pytest

from evapd.errors import StateError
from evapd.guard.energy import EnergyState as S
from support.guard_bench import DIGEST, Bench, make_rig


def test_at_start_the_pulser_is_inhibited_and_nothing_is_energised():
    bench = Bench(enabled=True)
    first = bench.tick()
    assert first.pulser_enable is False
    assert (first.v_dc_v, first.output, first.v_p_v) == (None, None, None)
    assert bench.until(S.STANDBY, 2.0) < 0.2


def test_a_run_ramps_from_the_measured_voltage_to_the_start_and_hands_over_to_the_law():
    bench = Bench().begin()
    bench.until(S.EVAPORATING, 10.0)
    assert bench.v_set_v == pytest.approx(1600, rel=0.02)
    rises = [b.v_dc_v - a.v_dc_v for a, b in zip(bench.decisions, bench.decisions[1:], strict=False)
             if a.v_dc_v is not None and b.v_dc_v is not None]  # fmt: skip
    assert max(rises) <= 400 * 0.05 + 1e-6


def test_the_pulser_is_enabled_only_after_output_amplitude_rate_and_heartbeat_are_there():
    bench = Bench(silent_tdc=True)
    bench.run_s(0.5)
    bench.begin().run_s(2.0)
    assert bench.state is S.RAMPING
    assert not bench.enabled
    assert bench.v_v < 50
    bench.silent_tdc = False
    bench.run_s(0.3)
    assert bench.enabled


def test_a_run_that_does_not_get_under_way_is_ramped_down_and_says_what_was_missing():
    bench = Bench(silent_tdc=True)
    bench.run_s(0.5)
    bench.begin().until(S.SAFE, 20.0)
    assert any("TDC gives no sign of life" in what for what in bench.said("run"))


def test_the_rate_is_held_at_the_target():
    bench = Bench().evaporating()
    bench.run_s(40.0)
    before = bench.hits, bench.pulses
    bench.run_s(10.0)
    rate = (bench.hits - before[0]) / (bench.pulses - before[1])
    assert rate == pytest.approx(0.01, rel=0.1)
    assert bench.state is S.EVAPORATING
    assert bench.core.alarms.texts() == []


def test_the_start_ramp_ends_early_when_ions_come_before_the_start_voltage():
    bench = Bench(threshold_v=1000.0).evaporating()
    assert bench.v_set_v < 1100


def test_the_end_of_a_run_inhibits_first_ramps_down_switches_off_and_verifies():
    bench = Bench().evaporating()
    bench.core.run_end("enough", bench.now_s)
    assert bench.tick().pulser_enable is False
    assert not bench.enabled
    took_s = bench.until(S.SAFE, 10.0)
    assert bench.v_v < 50
    assert not bench.output_on
    assert not bench.v_p_on
    assert took_s < 4.0
    assert bench.core.run_id == ""


def test_an_abort_uses_the_quickest_way_of_every_instrument_at_once():
    bench = Bench().evaporating()
    bench.core.abort("stop", bench.now_s)
    bench.tick()
    assert set(bench.made_safe) == {"trigger", "hv", "amplitude"}
    assert bench.made_safe[0] == "trigger"
    bench.until(S.SAFE, 10.0)


def test_safe_is_never_claimed_while_the_reading_shows_voltage():
    bench = Bench().evaporating()
    bench.obeys = False
    bench.core.abort("stop", bench.now_s)
    bench.run_s(15.0)
    assert bench.state is S.FAULT_LATCHED
    assert bench.made_safe.count("hv") > 8, "a supply that does not obey is told again once a second"
    assert "not verified down" in bench.core.alarms.texts()[0]
    with pytest.raises(StateError, match="hv"):
        bench.core.acknowledge(bench.now_s)


def test_a_fault_is_left_only_by_an_acknowledgement_after_verification():
    bench = Bench().evaporating()
    bench.state_flags = {"tripped": True}
    bench.tick()
    assert bench.state is S.FAULT_LATCHED
    bench.state_flags = {}
    bench.run_s(5.0)
    assert bench.state is S.FAULT_LATCHED
    with pytest.raises(StateError, match="fault_latched"):
        bench.core.run_begin("run-2", DIGEST, bench.now_s)
    bench.core.acknowledge(bench.now_s)
    assert bench.state is S.STANDBY
    assert bench.core.alarms.texts() == []


def test_a_restart_at_voltage_inhibits_reads_and_ramps_down_without_energising():
    bench = Bench(v_v=3000.0, v_set_v=3000.0, output_on=True, rate_hz=200e3)
    bench.tick()
    assert not bench.enabled
    assert bench.state is S.RAMPING_DOWN
    bench.until(S.SAFE, 10.0)
    assert any("found 3000 V" in what for what in bench.said("energy"))
    assert max(d.v_dc_v for d in bench.decisions if d.v_dc_v is not None) <= 3000


def test_an_attended_restart_holds_lower_as_long_as_a_run_is_recorded():
    bench = Bench(rig=make_rig(guard={"attended": True}), v_v=3000.0, v_set_v=3000.0, output_on=True)
    bench.run_s(10.0)
    assert bench.state is S.HOLDING
    assert bench.v_set_v == pytest.approx(2700, rel=0.01)
    assert not bench.enabled


def test_an_attended_restart_ramps_down_when_no_run_wants_the_voltage():
    bench = Bench(rig=make_rig(guard={"attended": True}), v_v=3000.0, v_set_v=3000.0, output_on=True)
    bench.connected = False
    bench.run_s(2.0)
    assert bench.state is S.HOLDING
    bench.until(S.SAFE, 10.0)


def test_a_person_holds_lower_and_resumes_without_a_jump():
    bench = Bench().evaporating()
    bench.run_s(10.0)
    before_v = bench.v_set_v
    bench.core.hold(True, bench.now_s)
    bench.run_s(2.0)
    assert bench.v_set_v == pytest.approx(0.9 * before_v)
    assert not bench.enabled
    bench.core.hold(False, bench.now_s)
    bench.run_s(1.0)
    assert bench.state is S.EVAPORATING
    assert bench.v_set_v < 0.95 * before_v


def test_a_person_s_inhibit_is_not_released_by_any_rule():
    bench = Bench().evaporating()
    bench.core.inhibit(True, bench.now_s)
    bench.run_s(5.0)
    assert bench.state is S.INHIBITED
    bench.core.inhibit(False, bench.now_s)
    bench.run_s(1.0)
    assert bench.enabled


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda b: setattr(b, "connected", False), "acquire is not connected"),
        (lambda b: b.unknown.add("gauge"), "gauge is UNKNOWN"),
        (lambda b: setattr(b, "pressure_pa", 1e-3), "the limit is"),
        (lambda b: setattr(b, "state_flags", {"remote": False}), "local control"),
        (lambda b: setattr(b, "state_flags", {"interlock_open": True}), "interlock"),
    ],
)
def test_a_run_is_refused_with_the_reason(spoil, word):
    bench = Bench()
    bench.until(S.STANDBY, 1.0)
    spoil(bench)
    bench.tick()
    with pytest.raises(StateError, match=word):
        bench.core.run_begin("run-1", DIGEST, bench.now_s)
    assert bench.state is S.STANDBY


def test_a_run_with_another_configuration_is_refused():
    bench = Bench()
    bench.until(S.STANDBY, 1.0)
    with pytest.raises(StateError, match="different configurations"):
        bench.core.run_begin("run-1", "ff" * 16, bench.now_s)


def test_law_monitor_commands_nothing_whatever_happens():
    bench = Bench(rig=make_rig(control={"law": "monitor"}), v_v=3000.0, v_set_v=3000.0, output_on=True)
    bench.tick()
    bench.core.run_begin("run-1", DIGEST, bench.now_s)
    bench.run_s(1.0)
    bench.pressure_pa = 1.0
    bench.run_s(0.5)
    assert bench.state is S.EVAPORATING
    assert any("limit" in text for text in bench.core.alarms.texts())
    bench.core.abort("stop", bench.now_s)
    bench.run_s(1.0)
    bench.lose_acquire()
    bench.core.ramp_down("end", bench.now_s)
    bench.run_s(1.0)
    for decision in bench.decisions:
        commanded = (
            decision.v_dc_v,
            decision.output,
            decision.v_p_v,
            decision.pulser_enable,
            decision.pulser_rate_hz,
        )
        assert commanded == (None,) * 5
        assert decision.make_safe == ()
    assert bench.core.run_id == ""


def test_a_change_of_settings_in_a_run_opens_a_segment_with_its_pulse_number():
    bench = Bench().evaporating()
    bench.core.set({"target_rate": 0.005}, bench.now_s)
    bench.tick()
    segment = [event for event in bench.events if event.kind == "segment"][-1]
    assert segment.details["settings"]["target_rate"] == 0.005
    assert 0 < segment.details["pulse"] <= bench.pulses


def test_a_new_target_is_reached_without_a_surge():
    bench = Bench().evaporating()
    bench.run_s(30.0)
    bench.core.set({"target_rate": 0.005}, bench.now_s)
    highest_v = bench.v_set_v
    bench.run_s(20.0)
    assert max(d.v_dc_v for d in bench.decisions[-2000:]) <= highest_v * 1.003
    before = bench.hits, bench.pulses
    bench.run_s(5.0)
    assert (bench.hits - before[0]) / (bench.pulses - before[1]) == pytest.approx(0.005, rel=0.15)


def test_a_larger_pulse_fraction_never_raises_the_voltage_that_really_stands():
    bench = Bench(tau_down_s=3.0, rig=make_rig(guard={"hv_tau_down_s": 3.0})).evaporating()
    bench.run_s(20.0)
    before_v = bench.v_v + bench.v_p_v
    bench.core.set({"pulse_fraction": 0.3}, bench.now_s)
    for _ in range(20):
        bench.tick()
        assert bench.v_v + bench.v_p_v <= before_v * 1.003


def test_at_the_floor_of_the_amplitude_the_segment_says_so():
    bench = Bench(threshold_v=1500.0, rig=make_rig(control={"v_start_v": 1200})).evaporating()
    bench.run_s(1.0)
    assert bench.v_p_v == pytest.approx(328)
    segment = [event for event in bench.events if event.kind == "segment"][-1]
    assert segment.details["settings"]["clamped"] is True


def test_the_law_cannot_become_monitor_in_a_run():
    bench = Bench().evaporating()
    with pytest.raises(StateError, match="monitor"):
        bench.core.set({"law": "monitor"}, bench.now_s)


def test_a_command_down_at_the_very_start_is_verified_by_readings():
    bench = Bench()
    bench.core.ramp_down("terminated", bench.now_s)
    bench.until(S.SAFE, 2.0)
