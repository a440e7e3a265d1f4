"""What happens when a process dies: the voltage goes down, nothing written is lost, nothing rises again by itself."""

import signal
import time

from evapd.record.journal import JournalReport, read_journal
from evapd.record.run import RunStore
from support.daemon import Daemon, daemon
from support.patience import allowed_s
from support.wait import wait_for


def seconds_until_descent(rig: Daemon, since_s: float) -> float:
    """Time from `since_s` until the twin's pulses have stopped and its supply's demand has begun to fall."""
    plant = rig.twin.plant
    highest_v = plant.specimen.demand_v
    wait_for(
        lambda: not plant.trigger.running and plant.specimen.demand_v < highest_v - 1.0,
        f"descent\n{rig.logs()}",
        30.0,
    )
    return time.monotonic() - since_s


def test_acquire_killed_the_guard_inhibits_and_ramps_down() -> None:
    with daemon() as rig:
        rig.start_run()
        reaction_s = seconds_until_descent(rig, rig.kill("acquire"))
        print(f"acquire killed: pulses off and voltage falling after {1e3 * reaction_s:.0f} ms (goal 250)")
        assert reaction_s < allowed_s(0.25)
        rig.await_energy("safe", "standby", "off")
        wait_for(lambda: rig.twin.plant.specimen.v_v < 50.0, "discharge of the twin's specimen")


def test_acquire_killed_every_written_frame_is_readable_and_the_next_start_marks_the_run_recovered() -> None:
    with daemon() as rig:
        run = rig.start_run()
        wait_for(lambda: (rig.status() or {"hits": 0})["hits"] > 0, "hits")
        journal = rig.ask("status")["journal"]
        rig.kill("acquire")
        rig.reap("acquire")
        rig.spawn("acquire")
        rig.await_answer()
        store = RunStore(rig.loaded.layout.runs / run["id"])
        assert {"RECOVERED", "INTERRUPTED"} <= set(store.load().conditions)
        report = JournalReport()
        frames = sum(1 for _ in read_journal(store.journal, "acquire", report))
        assert frames >= journal["frames"]
        assert not report.crc_errors


def test_guard_killed_the_run_is_aborted_and_its_successor_inhibits_reads_and_ramps_down() -> None:
    with daemon() as rig:
        run = rig.start_run()
        rig.kill("guard")
        rig.reap("guard")
        rig.spawn("guard")
        seconds_until_descent(rig, time.monotonic())
        rig.await_run("idle", 90.0)
        assert "ABORTED" in RunStore(rig.loaded.layout.runs / run["id"]).load().conditions
        rig.await_energy("safe", "standby", "off")
        assert rig.twin.plant.specimen.demand_v == 0.0


def test_sigterm_to_both_goes_to_safe_closes_the_run_and_exits_0() -> None:
    with daemon() as rig:
        run = rig.start_run()
        rig.kill("acquire", signal.SIGTERM)
        assert rig.reap("acquire", 90.0) == 0
        rig.kill("guard", signal.SIGTERM)
        assert rig.reap("guard", 60.0) == 0
        assert RunStore(rig.loaded.layout.runs / run["id"]).load().state == "finished"
        assert rig.twin.plant.specimen.demand_v == 0.0
        assert not rig.twin.plant.trigger.running
