"""Restarts and power cuts: whatever comes back in whatever order, nothing energises by itself."""

import pytest

from evapd.errors import StateError
from evapd.guard.core import GuardCore
from evapd.guard.energy import EnergyState as S
from support.guard_bench import Bench, make_rig


def restarted(attended=False, **found):
    rig = make_rig(guard={"attended": attended})
    return Bench(rig=rig, **({"v_v": 3000.0, "v_set_v": 3000.0, "output_on": True, "rate_hz": 200e3} | found))


def test_a_restarted_guard_inhibits_at_its_first_tick_and_ramps_down_what_it_finds():
    bench = restarted()
    bench.tick()
    assert not bench.enabled
    bench.until(S.SAFE, 10.0)
    assert bench.v_v < 50
    assert not bench.output_on


def test_a_guard_that_dies_in_a_run_leaves_a_successor_that_brings_it_down_and_raises_nothing():
    bench = Bench().evaporating()
    bench.run_s(5.0)
    bench.core = GuardCore(bench.core.settings)
    count, v_v = len(bench.decisions), bench.v_set_v
    bench.until(S.SAFE, 10.0)
    assert all(not one.pulser_enable and not one.output for one in bench.decisions[count:])
    assert max(one.v_dc_v or 0.0 for one in bench.decisions[count:]) <= v_v


def test_while_people_attend_a_found_voltage_is_held_lower_and_only_a_new_run_leads_up_again():
    bench = restarted(attended=True)
    bench.run_s(5.0)
    assert bench.state is S.HOLDING
    for command in (bench.core.resume, bench.core.pause, bench.core.align):
        with pytest.raises(StateError, match="found at a restart"):
            command(bench.now_s)
    bench.core.inhibit(False, bench.now_s)
    bench.run_s(5.0)
    assert bench.v_set_v == pytest.approx(2700.0, rel=0.01)
    assert not bench.enabled


def test_a_found_voltage_with_an_unknown_supply_is_neither_called_off_nor_safe():
    bench = restarted(unknown={"hv"})
    bench.run_s(10.0)
    assert bench.state is S.OFF
    assert not bench.enabled
    bench.unknown.clear()
    bench.until(S.SAFE, 10.0)


def test_after_a_power_cut_everything_is_read_and_stays_down():
    bench = Bench(enabled=False)
    bench.run_s(30.0)
    assert bench.state is S.STANDBY
    assert all(one.v_dc_v is None and one.output is None for one in bench.decisions)


def test_a_pulser_that_comes_back_firing_is_inhibited_and_nothing_follows():
    bench = Bench(enabled=True)
    bench.run_s(5.0)
    assert not bench.enabled
    assert bench.state is S.STANDBY


def test_a_supply_that_lost_its_power_in_a_run_latches_and_its_return_changes_nothing():
    bench = Bench().evaporating()
    bench.run_s(3.0)
    bench.v_set_v, bench.output_on, bench.obeys = 0.0, False, False
    bench.until(S.FAULT_LATCHED, 3.0)
    bench.obeys = True
    bench.run_s(20.0)
    assert bench.state is S.FAULT_LATCHED
    assert bench.v_v < 1.0
    assert not bench.enabled


def test_acquire_that_comes_back_does_not_bring_a_run_back():
    bench = Bench().evaporating()
    bench.lose_acquire()
    bench.run_s(1.0)
    bench.connected = True
    bench.run_s(20.0)
    assert bench.state is S.SAFE
    assert bench.v_v < 50
