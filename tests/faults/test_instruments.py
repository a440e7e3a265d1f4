"""What happens when an instrument is missing, silent, or answers garbage: one clear message, a safe state, a daemon that answers."""

import time

import pytest

from evapd.record.run import RunStore
from support.daemon import daemon
from support.patience import allowed_s
from support.wait import wait_for


@pytest.mark.parametrize("name", ["specimen-supply", "trigger", "pulse-supply"])
def test_a_device_that_is_missing_at_start_is_named_and_no_run_begins(name: str) -> None:
    with daemon(start=False) as rig:
        rig.twin.start()
        rig.twin.servers[name].unplug()
        rig.loaded.layout.make()
        rig.spawn("guard")
        rig.spawn("acquire")
        rig.await_answer()
        rig.ask("start")
        wait_for(
            lambda: any(name in alarm for alarm in (rig.status() or {}).get("alarms", [])),
            f"an alarm that names {name}",
        )
        rig.await_run("idle")
        assert rig.twin.plant.specimen.demand_v == 0.0
        assert not rig.twin.plant.trigger.running


@pytest.mark.parametrize("fault", ["silent", "garbage"])
def test_a_supply_that_goes_silent_or_mad_in_a_run_makes_safe_and_the_daemon_answers(fault: str) -> None:
    with daemon() as rig:
        run = rig.start_run()
        setattr(rig.twin.servers["specimen-supply"], fault, True)
        wait_for(lambda: not rig.twin.plant.trigger.running, f"pulses to stop\n{rig.logs()}", 30.0)
        assert rig.ask("status")
        setattr(rig.twin.servers["specimen-supply"], fault, False)
        rig.await_run("idle", 90.0)
        wait_for(
            lambda: rig.twin.plant.specimen.demand_v == 0.0,
            f"the supply down once it listens\n{rig.logs()}",
            30.0,
        )
        assert "ABORTED" in RunStore(rig.loaded.layout.runs / run["id"]).load().conditions


def test_a_silent_tdc_inhibits_at_once_and_then_ramps_down() -> None:
    with daemon() as rig:
        rig.start_run()
        since_s = time.monotonic()
        rig.twin.servers["tdc"].silent = True
        wait_for(lambda: not rig.twin.plant.trigger.running, f"pulses to stop\n{rig.logs()}", 30.0)
        reaction_s = time.monotonic() - since_s
        print(f"TDC silent: pulses off after {1e3 * reaction_s:.0f} ms (heartbeat limit 150 ms)")
        assert reaction_s < allowed_s(0.30)
        wait_for(lambda: rig.twin.plant.specimen.demand_v == 0.0, f"the voltage down\n{rig.logs()}", 40.0)
        rig.await_run("idle", 90.0)


def test_an_unplugged_tdc_ends_the_run_and_is_found_again_without_raising_energy() -> None:
    with daemon() as rig:
        run = rig.start_run()
        rig.twin.servers["tdc"].unplug()
        wait_for(lambda: not rig.twin.plant.trigger.running, f"pulses to stop\n{rig.logs()}", 30.0)
        rig.await_run("idle", 90.0)
        rig.twin.servers["tdc"].replug()
        wait_for(
            lambda: rig.ask("status")["devices"]["tdc"]["state"] == "online",
            "the TDC to be found again",
            30.0,
        )
        assert not rig.twin.plant.trigger.running
        assert "tdc" in RunStore(rig.loaded.layout.runs / run["id"]).load().end_reason
