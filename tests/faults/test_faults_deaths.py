"""Processes that are killed, stopped or asked to end in a run at its target, and what their successors find."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from evapd.errors import RequestError
from evapd.record.journal import JournalReport, read_journal
from support.faults_measure import Fault
from support.faults_rig import FaultRig
from support.kernels import NUMBA_CACHE
from support.wait import wait_for

KILLS = int(os.environ.get("EVAPD_KILLS", "6"))
DOWN_S = 0.25
NO_RISE_V = 5.0


def reaped(rig: FaultRig, name: str) -> int:
    """Wait for a process that is about to end; gives its exit code."""
    return rig.daemon.reap(name, 60.0)


def alarms(rig: FaultRig) -> list[str]:
    """What an operator reads."""
    return [str(alarm) for alarm in (rig.daemon.status() or {"alarms": []})["alarms"]]


def resume(fault: Fault, name: str) -> None:
    """Let a stopped process go on."""
    os.kill(fault.rig.daemon.processes[name].pid, signal.SIGCONT)


def test_sigterm_to_both(rig: FaultRig) -> None:
    with rig.fault("16", "SIGTERM in a run", "`kill -TERM` to acquire, then to the guard",
                   "pulses off and V falls < 1 s, run closed, both exit 0") as fault:  # fmt: skip
        fault.kill("acquire", signal.SIGTERM)
        fault.inhibited_within(1.0)
        fault.descends_within(1.0)
        assert reaped(rig, "acquire") == 0
        rig.daemon.kill("guard", signal.SIGTERM)
        assert reaped(rig, "guard") == 0
        told = fault.accounted()
        assert told.info.state == "finished"
        fault.nothing_lost(told, tail_s=0.2)
        fault.rises_at_most(NO_RISE_V)


def test_acquire_killed_at_its_target(rig: FaultRig) -> None:
    with rig.fault("17", "acquire killed", "`kill -KILL`, then a successor",
                   "pulses off and V falls < 250 ms, every written frame readable, RECOVERED INTERRUPTED, nothing comes back") as fault:  # fmt: skip
        journal = (rig.daemon.status() or {})["journal"]
        instance = (rig.daemon.status() or {})["instance"]
        fault.kill("acquire")
        fault.inhibited_within(DOWN_S)
        fault.descends_within(DOWN_S)
        reaped(rig, "acquire")
        rig.daemon.spawn("acquire")
        rig.daemon.await_answer()
        told = fault.accounted("RECOVERED", "INTERRUPTED")
        assert told.frames >= journal["frames"]
        assert (rig.daemon.status() or {})["instance"] != instance
        fault.nothing_lost(told, tail_s=0.5)
        fault.stays_down()
        fault.rises_at_most(NO_RISE_V)


@pytest.mark.timeout(120 + 30 * KILLS)
def test_acquire_killed_again_and_again(rig: FaultRig) -> None:
    chance = random.Random(4)
    with rig.fault("17", f"acquire killed {KILLS} times at random moments", "`kill -KILL` 0 to 1.5 s after the run began",
                   "each time V falls < 250 ms, every written frame readable, RECOVERED") as fault:  # fmt: skip
        slowest_s = 0.0
        for _ in range(KILLS):
            rig.finish_run("the next kill is due")
            rig.await_ready()
            rig.daemon.ask("start")
            run_id = str(rig.await_run("running")["run"]["id"])
            wait_for(lambda: rig.twin.plant.specimen.v_v > 200.0, "voltage", 20.0)
            begun = Fault(rig, fault.row)
            begun.waits(chance.uniform(0.0, 1.5))
            frames = ((rig.daemon.status() or {})["journal"] or {"frames": 0})["frames"]
            begun.kill("acquire")
            begun.inhibited_within(DOWN_S)
            begun.descends_within(DOWN_S)
            slowest_s = max(slowest_s, begun.descent_s)
            reaped(rig, "acquire")
            rig.daemon.spawn("acquire")
            rig.daemon.await_answer()
            report = JournalReport()
            assert sum(1 for _ in read_journal(rig.store(run_id).journal, "acquire", report)) >= frames
            assert not report.crc_errors
            assert "RECOVERED" in rig.store(run_id).load().conditions
        fault.row.reaction = f"slowest {1e3 * slowest_s:.0f} ms"
        fault.row.condition, fault.row.lost = "INTERRUPTED RECOVERED", "0"
        fault.now(lambda: None)


def test_acquire_stopped_for_a_moment(rig: FaultRig) -> None:
    with rig.fault("18", "acquire stopped for 244 ms", "`kill -STOP`, `-CONT`",
                   "< 5 V rise, goes on by itself, nothing lost") as fault:  # fmt: skip
        fault.kill("acquire", signal.SIGSTOP)
        fault.waits(0.244)
        resume(fault, "acquire")
        fault.goes_on(1.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        rig.await_energy("evaporating", timeout_s=10.0)
        fault.nothing_lost(fault.accounted(), tail_s=0.5)


def test_acquire_stopped_for_long(rig: FaultRig) -> None:
    with rig.fault("18", "acquire stopped for 6 s (hung)", "`kill -STOP`, `-CONT`",
                   "pulses off < 250 ms, < 5 V rise, V falls after 5 s, closed ABORTED when it is back, nothing lost") as fault:  # fmt: skip
        fault.kill("acquire", signal.SIGSTOP)
        fault.inhibited_within(DOWN_S)
        fault.descends_within(5.5)
        fault.waits(6.0)
        resume(fault, "acquire")
        told = fault.closed("ABORTED")
        fault.nothing_lost(told, tail_s=0.5)
        fault.rises_at_most(NO_RISE_V)


def test_guard_killed(rig: FaultRig) -> None:
    with rig.fault("19", "guard killed, successor after 0.5 s", "`kill -KILL`, then the start that `evapd run` or systemd does",
                   "< 5 V rise, the successor reads before it writes, pulses off < 3 s, ABORTED, ends down") as fault:  # fmt: skip
        fault.kill("guard")
        reaped(rig, "guard")
        fault.waits(0.5)
        rig.daemon.spawn("guard")
        fault.inhibited_within(3.0)
        told = fault.closed("ABORTED")
        fault.descends_within(10.0)
        fault.nothing_lost(told, tail_s=0.5)
        fault.stays_down()
        fault.rises_at_most(NO_RISE_V)


def test_guard_killed_and_nobody_takes_its_place(rig: FaultRig) -> None:
    with rig.fault("19b", "guard killed, no successor", "`kill -KILL`",
                   "no rise; closed ABORTED < 10 s, a new run is refused, the alarm says what to do by hand; V stays until hardware acts") as fault:  # fmt: skip
        fault.kill("guard")
        reaped(rig, "guard")
        fault.closed("ABORTED")
        fault.row.reaction = f"run closed {1e3 * (rig.witness.newest.t_s - fault.since_s):.0f} ms"
        rig.daemon.ask("start")
        wait_for(
            lambda: any("the run cannot start: the guard does not answer" in alarm for alarm in alarms(rig)),
            lambda: f"acquire to refuse the run; {alarms(rig)}", 15.0, every_s=0.1,
        )  # fmt: skip
        rig.await_run("idle", 5.0)
        assert any("nobody guards the specimen" in alarm and "by hand" in alarm for alarm in alarms(rig)), (
            alarms(rig)
        )
        fault.rises_at_most(NO_RISE_V)
    rig.daemon.spawn("guard")
    wait_for(lambda: not any("nobody guards" in alarm for alarm in alarms(rig)), "the alarm to end", 20.0)


def test_client_killed(rig: FaultRig) -> None:
    program = (
        "import sys, time\nfrom evapd.client import Client\n"
        f"c = Client({rig.daemon.loaded.rig.sockets.control!r}, {rig.daemon.loaded.rig.sockets.stream!r}, None)\n"
        "c.note('here')\nprint('in', flush=True)\ntime.sleep(60)"
    )
    with rig.fault("L40", "client killed while it commands", "`kill -KILL` of a script with a `Client`",
                   "goes on, < 5 V rise, nothing lost") as fault:  # fmt: skip
        client = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, "NUMBA_CACHE_DIR": str(NUMBA_CACHE)}
        )  # fmt: skip
        with client:
            assert client.stdout is not None
            assert client.stdout.readline() == b"in\n"
            fault.now(client.kill)
        fault.goes_on(2.0)
        fault.nothing_lost(fault.accounted(), tail_s=0.5)
        fault.rises_at_most(NO_RISE_V)


def test_two_ask_at_once(rig: FaultRig) -> None:
    with rig.fault("14", "a second start in a run, one request sent twice, an abort by anyone", "control socket, three clients",
                   "second start refused, the same request id done once, abort always taken, V falls < 250 ms") as fault:  # fmt: skip
        refused = ""
        try:
            rig.daemon.ask("start")
        except RequestError as error:
            refused = str(error)
        assert "stop it first" in refused
        before = len(rig.store().load().notes)
        for _ in range(2):
            rig.daemon.ask_with_id("note", "the-same-id", text="once")
        assert len(rig.store().load().notes) == before + 1
        fault.now(lambda: rig.daemon.ask("abort", reason="anyone may"))
        fault.inhibited_within(DOWN_S)
        fault.descends_within(DOWN_S)
        told = fault.closed("ABORTED")
        fault.nothing_lost(told, tail_s=0.2)
        fault.rises_at_most(NO_RISE_V)


def test_guard_stopped_for_two_seconds(rig: FaultRig) -> None:
    with rig.fault("N30", "guard stopped for 2 s, no relay", "`kill -STOP`, `-CONT`",
                   "< 5 V rise, told when it is back, goes on or ends down, nothing lost") as fault:  # fmt: skip
        fault.kill("guard", signal.SIGSTOP)
        fault.waits(2.0)
        resume(fault, "guard")
        fault.waits(6.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        fault.rate_below(3.0)
        if fault.runs():
            fault.nothing_lost(fault.accounted(), tail_s=0.5)
        else:
            fault.nothing_lost(fault.closed("ABORTED"), tail_s=0.5)
            fault.stays_down()


def test_both_killed_at_once(rig: FaultRig) -> None:
    with rig.fault("N31", "both processes killed at once, both started again after 1 s", "`kill -KILL`, as an oops of the machine does it",
                   "no rise, every written frame readable, RECOVERED INTERRUPTED, pulses off < 4 s, V falls < 10 s by the successor, nothing comes back") as fault:  # fmt: skip
        frames = (rig.daemon.status() or {})["journal"]["frames"]
        fault.kill("guard")
        rig.daemon.kill("acquire")
        reaped(rig, "guard")
        reaped(rig, "acquire")
        fault.waits(1.0)
        rig.daemon.spawn("guard")
        rig.daemon.spawn("acquire")
        fault.inhibited_within(4.0)
        fault.descends_within(10.0)
        rig.daemon.await_answer()
        told = fault.accounted("RECOVERED", "INTERRUPTED")
        assert told.frames >= frames
        fault.stays_down()
        fault.rises_at_most(NO_RISE_V)


def test_client_hammers(rig: FaultRig) -> None:
    with rig.fault("N32", "a client hammers: 400 changes of the target and 400 notes as fast as it can", "control socket",
                   "answers < 500 ms, goes on, rate < 3 x, nothing lost, guard's loop late by < 20 ms") as fault:  # fmt: skip
        fault.now(lambda: None)
        slowest_s = 0.0
        for number in range(400):
            since_s = time.monotonic()
            rig.daemon.ask("set", target_rate=0.01 if number % 2 else 0.0099)
            rig.daemon.ask("note", text=f"number {number}")
            slowest_s = max(slowest_s, time.monotonic() - since_s)
        took_s = time.monotonic() - fault.since_s
        fault.goes_on(took_s + 3.0)
        fault.is_over()
        fault.row.reaction = f"{800 / took_s:.0f} requests/s, slowest {1e3 * slowest_s:.0f} ms"
        fault.rate_below(3.0)
        told = fault.accounted()
        fault.nothing_lost(told, tail_s=0.5)
        late_ms = told.loop["lateness_us"][told.loop["t_mono_us"] > 1e6 * fault.since_s].max() / 1e3
        fault.row.reaction += f", guard's loop late by {late_ms:.1f} ms at most"
        assert slowest_s < 0.5
        assert late_ms < 20.0
        rig.finish_run("the client has hammered")
        fault.closed("GOOD")
