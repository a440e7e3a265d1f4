"""Faults of the machine that runs the daemon: disk, clock, interpreter, service manager."""

import errno
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from support.faults_account import Account
from support.faults_machine import Manager, Plugin, Shim
from support.faults_measure import Fault
from support.faults_rig import FaultRig, fault_rig
from support.wait import wait_for


@pytest.fixture(scope="module")
def shim_rig() -> Iterator[tuple[FaultRig, Shim]]:
    made: list[Shim] = []
    # Segments so small that a new one begins every few seconds.
    with fault_rig({"record": {"segment_mb": 1}}, prepare=lambda daemon: made.append(Shim(daemon))) as rig:
        yield rig, made[0]


@pytest.fixture
def shimmed(shim_rig: tuple[FaultRig, Shim]) -> Iterator[tuple[FaultRig, Shim]]:
    """All is well again for the next one, whatever became of this."""
    yield shim_rig
    shim_rig[1].set()


@pytest.fixture(scope="module")
def plugged() -> Iterator[tuple[FaultRig, Plugin, dict[str, Manager]]]:
    plugins: list[Plugin] = []
    managers: dict[str, Manager] = {}

    def prepare(daemon) -> None:
        plugins.append(Plugin(daemon))
        managers.update({name: Manager(daemon, name) for name in ("guard", "acquire")})

    with ExitStack() as stack:
        rig = stack.enter_context(fault_rig(prepare=prepare))
        for manager in managers.values():
            stack.callback(manager.close)
        yield rig, plugins[0], managers


def late_ms(told: Account, fault: Fault) -> tuple[float, int]:
    """Longest delay of a tick of the guard since the fault, and how many were late by more than 20 ms."""
    late = told.loop["lateness_us"][told.loop["t_mono_us"] > 1e6 * fault.since_s] / 1e3
    fault.row.reaction = (
        f"{fault.row.reaction}; guard's loop late by {np.nanmax(late):.1f} ms at most".removeprefix("-; ")
    )
    return float(np.nanmax(late)), int((late > 20.0).sum())


def test_disk_is_full(shimmed: tuple[FaultRig, Shim]) -> None:
    rig, shim = shimmed
    with rig.fault("8", "disk full", "300 kB of room left in the journal: a short write, then ENOSPC (C library shim)",
                   "run ends by itself < 10 s, INCOMPLETE, every whole frame readable, pulses off and V down") as fault:  # fmt: skip
        fault.now(lambda: shim.set(room_bytes=300_000))
        fault.inhibited_within(10.0)
        fault.descends_within(10.0)
        told = fault.closed("INCOMPLETE")
        assert not told.acquire.crc_errors
        assert not told.gaps
        fault.rises_at_most(20.0)
    shim.set()


def test_disk_is_nearly_full(shimmed: tuple[FaultRig, Shim]) -> None:
    rig, shim = shimmed
    with rig.fault("8", "disk nearly full", "the file system says that 10 MB are free, 20 are to be (C library shim)",
                   "run stops in good order < 10 s, before anything is lost: GOOD") as fault:  # fmt: skip
        fault.now(lambda: shim.set(free_bytes=10_000_000))
        fault.inhibited_within(10.0)
        fault.descends_within(10.0)
        told = fault.closed("GOOD")
        assert "MB free" in told.info.end_reason
        assert told.whole
        fault.rises_at_most(20.0)
    shim.set()


def test_disk_gives_errors(shimmed: tuple[FaultRig, Shim]) -> None:
    rig, shim = shimmed
    with rig.fault("9", "disk gives EIO", "every write of the journal fails (C library shim)",
                   "run ends by itself < 5 s, INCOMPLETE, what was written is readable, V down") as fault:  # fmt: skip
        fault.now(lambda: shim.set(error=errno.EIO))
        fault.inhibited_within(5.0)
        fault.descends_within(5.0)
        told = fault.closed("INCOMPLETE")
        assert not told.acquire.crc_errors
        assert not told.gaps
        fault.rises_at_most(20.0)
    shim.set()


@pytest.mark.parametrize("what", ["sync_error", "dir_error"], ids=["fdatasync", "folder"])
def test_disk_cannot_keep_what_it_took(shimmed: tuple[FaultRig, Shim], what: str) -> None:
    rig, shim = shimmed
    call = {"sync_error": "one fdatasync of the journal", "dir_error": "fsync of a journal's folder"}[what]
    with rig.fault("9", "disk loses what it took", f"{call} gives EIO (C library shim)",
                   "run ends by itself < 5 s, INCOMPLETE, never synced again, V down") as fault:  # fmt: skip
        if what == "dir_error":  # folders are synced when a segment begins
            rig.finish_run("the folder of the next one fails")
            rig.await_ready()
            shim.set(dir_error=errno.EIO)
            before = (rig.daemon.status() or {}).get("last_run")
            rig.daemon.ask("start")
            wait_for(
                lambda: (rig.daemon.status() or {}).get("last_run") != before,
                "the end of the run",
                60.0,
                every_s=0.05,
            )
            rig.await_run("idle", 60.0)
            rig.run_id = fault.run_id = str((rig.daemon.status() or {})["last_run"]["id"])
            fault.now(lambda: None)
        else:
            fault.now(lambda: shim.set(sync_error=errno.EIO))
            fault.inhibited_within(5.0)
            fault.descends_within(5.0)
        told = fault.closed("INCOMPLETE")
        assert not told.acquire.crc_errors
        assert told.info.counters["journal_doubtful"] > 0
        fault.rises_at_most(20.0)
    shim.set()


def test_disk_makes_no_new_files(shimmed: tuple[FaultRig, Shim]) -> None:
    rig, shim = shimmed
    with rig.fault("9", "no new segment can be made", "open of a new segment gives EMFILE (C library shim)",
                   "goes on in the present segment, nothing lost") as fault:  # fmt: skip
        fault.now(lambda: shim.set(open_error=errno.EMFILE))
        fault.goes_on(5.0)
        told = fault.accounted()
        fault.nothing_lost(told, tail_s=0.5)
        fault.rises_at_most(20.0)
    shim.set()


def test_the_guards_disk_fails_and_comes_back(shimmed: tuple[FaultRig, Shim]) -> None:
    rig, shim = shimmed
    with rig.fault("9", "the guard's disk gives EIO for 5 s", "every write of the guard's journal fails (C library shim)",
                   "told; the guard goes on, its ticks late by > 20 ms: 0; it writes again < 15 s after the disk does; INCOMPLETE") as fault:  # fmt: skip
        fault.now(lambda: shim.set(error=errno.EIO, whose="guard"))
        fault.goes_on(5.0)
        assert any("journal" in alarm for alarm in (rig.daemon.guard_status() or {})["alarms"])
        shim.set()
        wait_for(
            lambda: not any("journal" in alarm for alarm in (rig.daemon.guard_status() or {})["alarms"]),
            "the guard to write again",
            15.0,
        )
        rig.wait(2.0)
        assert late_ms(fault.accounted(), fault)[1] == 0
        fault.rises_at_most(20.0)
        rig.finish_run("the guard's disk was away")
        fault.closed("INCOMPLETE")


def test_disk_stalls(shimmed: tuple[FaultRig, Shim]) -> None:
    rig, shim = shimmed
    with rig.fault("9", "disk stalls 2 s", "one write of the journal sleeps 2 s (C library shim)",
                   "queue takes it: goes on, nothing lost, guard's ticks late by > 20 ms: 0") as fault:  # fmt: skip
        fault.now(lambda: shim.set(stall_s=2.0))
        fault.goes_on(4.0)
        told = fault.accounted()
        fault.nothing_lost(told, tail_s=0.5)
        assert late_ms(told, fault)[1] == 0
        fault.rises_at_most(20.0)


@pytest.mark.parametrize("step_s", [3600.0, -3600.0], ids=["forwards", "backwards"])
def test_clock_is_set(shimmed: tuple[FaultRig, Shim], step_s: float) -> None:
    rig, shim = shimmed
    with rig.fault("15", f"UTC clock set by {step_s / 3600:+.0f} h", "CLOCK_REALTIME of both processes (C library shim)",
                   "loop, time-outs, order unaffected: goes on, nothing lost; the frames show the step") as fault:  # fmt: skip
        fault.now(lambda: shim.set(clock_s=step_s))
        fault.goes_on(3.0)
        told = fault.accounted()
        fault.nothing_lost(told, tail_s=0.5)
        assert late_ms(told, fault)[1] == 0
        assert not told.rules(fault.since_s)
        fault.rises_at_most(20.0)
        rig.finish_run("the clock was set")
        fault.closed("GOOD")
    shim.set()


@pytest.mark.parametrize("order", ["lock", "garbage"])
def test_interpreter_is_hogged(plugged: tuple[FaultRig, Plugin, dict[str, Manager]], order: str) -> None:
    rig, plugin, _ = plugged
    what = "interpreter's lock held half of the time" if order == "lock" else "storm of garbage collections"
    with rig.fault("24", f"acquire: {what}", "a driver plugin of a laboratory does it for 5 s",
                   "guard's ticks late by > 20 ms: 0; the voltage does not rise on old counts; nothing lost") as fault:  # fmt: skip
        fault.now(lambda: plugin.order("acquire", order))
        fault.waits(5.0)
        plugin.order("acquire", "")
        fault.is_over()
        rig.await_energy("evaporating", timeout_s=20.0)
        told = fault.drained(20.0, tail_s=2.0)
        assert late_ms(told, fault)[1] == 0
        fault.rises_at_most(20.0)


def test_guard_hangs(plugged: tuple[FaultRig, Plugin, dict[str, Manager]]) -> None:
    rig, plugin, managers = plugged
    with rig.fault("20", "guard hangs 4 s", "a driver plugin in the guard holds the interpreter's lock",
                   "no WATCHDOG=1 meanwhile, so that a service manager ends it; < 5 V rise; then pulses off, ABORTED") as fault:  # fmt: skip
        fault.now(lambda: plugin.order("guard", "hang 4"))
        fault.waits(0.5)
        managers["guard"].pings()
        fault.waits(3.5)
        assert managers["guard"].pings() == 0, "the guard was pinged while its loop hung"
        fault.inhibited_within(6.0)
        fault.descends_within(6.0)
        fault.closed("ABORTED")
        fault.rises_at_most(5.0)
        wait_for(lambda: managers["guard"].pings() > 0, "pings after the hang", 5.0)


def test_service_manager_reads_nothing(plugged: tuple[FaultRig, Plugin, dict[str, Manager]]) -> None:
    rig, _, _ = plugged
    with rig.fault("23", "service manager's socket stuck", "NOTIFY_SOCKET that nobody reads",
                   "goes on, guard's ticks late by > 20 ms: 0, nothing lost") as fault:  # fmt: skip
        fault.goes_on(4.0)
        told = fault.accounted()
        fault.nothing_lost(told, tail_s=0.5)
        assert late_ms(told, fault)[1] == 0
        fault.rises_at_most(20.0)
