"""The guard process: one loop on absolute deadlines, and every way out of it leads down."""

import faulthandler
import logging
import os
import select
import signal
import socket
import time
import uuid
from pathlib import Path
from types import FrameType
from typing import Self

from evapd.config import LoadedRig
from evapd.device.portlock import PortLock
from evapd.guard import last_good
from evapd.guard.energy import DOWNWARD, EnergyState
from evapd.guard.lastresort import LastResort
from evapd.guard.realtime import (
    LOOP_PRIORITY,
    WORKER_PRIORITY,
    ask_for_realtime,
    collect,
    lift_threads,
    quiet_collector,
)
from evapd.guard.service import GuardService
from evapd.notify import Notifier
from evapd.process import run_process
from evapd.security.descriptors import raise_descriptor_limit
from evapd.stream.frame import Framer
from evapd.units import NS_PER_S

_log = logging.getLogger(__name__)
READY_S = 5.0  # ready is said by then, also with a device that does not answer
UNSEEN_S = 3.0  # how long a stop waits for a supply that was never there
_COLLECT_S = 1.0
_SELECT_SIZE = 1024  # select() knows no descriptor beyond
_RESORT_S = 0.05
_IDLE = frozenset({EnergyState.OFF, EnergyState.STANDBY, EnergyState.SAFE})


def main(config: Path, folder: Path | None) -> int:
    """Run the guard process; gives its exit code: 0 done, 1 failed, 78 no valid configuration, not even an earlier one."""
    faulthandler.enable()  # a watchdog's SIGABRT then shows where the loop hung
    return run_process("guard", lambda: _run(config, folder))


def _run(config: Path, folder: Path | None) -> int:
    loaded, problem = last_good.load_or_last_good(config, folder)
    loaded.layout.make()
    raise_descriptor_limit()  # libzmq ends the process when none is left for a connection
    lock = PortLock(f"{loaded.layout.folder}/guard")  # before a socket or an instrument is touched
    try:
        return _serve(loaded, problem)
    finally:
        lock.release()


def _serve(loaded: LoadedRig, problem: str) -> int:
    framer = Framer(
        instance=str(uuid.uuid4()),
        t_mono_us=lambda: time.monotonic_ns() // 1000,
        t_utc_us=lambda: time.time_ns() // 1000,
    )
    # Inherited by the threads that start now; the loop reports a refusal.
    if loaded.rig.guard.realtime and not ask_for_realtime(WORKER_PRIORITY):
        lift_threads(WORKER_PRIORITY)
    with Loop(loaded, GuardService(loaded, framer, config_problem=problem), Notifier()) as loop:
        if not problem:
            _keep(loaded)
        return loop.run()


def _keep(loaded: LoadedRig) -> None:
    try:
        last_good.write(loaded)
    except OSError as error:
        _log.error(
            "%s cannot be written: %s; a restart beside an invalid file would fail",
            loaded.layout.last_good,
            error,
        )


class Loop:
    """Ticks the service on time, reacts between ticks, and ends only when everything is down or time is over."""

    def __init__(self, loaded: LoadedRig, service: GuardService, notifier: Notifier) -> None:
        self._rig = loaded.rig
        self._service = service
        self._notifier = notifier
        self._tick_ns = round(loaded.rig.control.tick_s * NS_PER_S)
        self._signals = 0  # how often the end was asked for
        self._heeded = 0
        self._ready = False
        self._began_s = self._collected_s = time.monotonic()
        self._asked_s = self._end_by_s = float("inf")
        # A signal writes one byte here, so that it also ends a wait.
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._asked_to_end)
        signal.signal(signal.SIGINT, self._asked_to_end)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        self._woken.close()
        self._waker.close()
        self._service.close()
        self._notifier.close()

    def run(self) -> int:
        """Run until the end was asked for and everything is down; gives the exit code."""
        self._ask_for_realtime()
        quiet_collector()
        try:
            return self._ticks()
        except Exception:  # noqa: BLE001 - nothing may end this process while a voltage stands
            # Whatever it was: pulses off and everything down, then end, so that a fresh guard reads and verifies.
            _log.exception("the guard's loop failed; making safe")
            return self._last_resort()

    def _ticks(self) -> int:
        deadline_ns = time.monotonic_ns()
        while True:
            deadline_ns = self._next_deadline(deadline_ns)
            self._wait_until(deadline_ns)
            self._heed_signals()
            self._service.tick((time.monotonic_ns() - deadline_ns) / 1000)
            self._notify()
            code = self._exit_code()
            if code is not None:
                return code

    def _next_deadline(self, deadline_ns: int) -> int:
        deadline_ns += self._tick_ns
        behind_ns = time.monotonic_ns() - deadline_ns
        if behind_ns > self._tick_ns:
            missed = behind_ns // self._tick_ns
            self._service.lateness.skipped += missed
            deadline_ns += missed * self._tick_ns
        return deadline_ns

    def _wait_until(self, deadline_ns: int) -> None:
        while (left_ns := deadline_ns - time.monotonic_ns()) > 0:
            waiting = [self._woken.fileno(), *self._service.filenos()]
            readable = _readable(waiting, left_ns)
            if self._woken.fileno() in readable:
                self._woken.recv(4096)
                self._heed_signals()
            if readable:
                self._service.react()

    def _asked_to_end(self, _signum: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _heed_signals(self) -> None:
        while self._heeded < self._signals:
            self._heeded += 1
            core, now_s = self._service.core, time.monotonic()
            if self._heeded == 1:
                self._asked_s = now_s
                self._notifier.stopping()
                core.shut_down("the guard was asked to end", now_s)
                # The configured slope, and the quickest way after it, each with its time for the bleeder.
                by_s = core.movement.descent.by_s
                down_s = core.wiring.detector.down_takes_s
                self._end_by_s = now_s + 10.0 + 2.0 * max(0.0, by_s - now_s) + down_s
            else:
                core.abort("the guard was asked to end again", now_s)

    def _exit_code(self) -> int | None:
        if not self._heeded:
            return None
        core, now_s = self._service.core, time.monotonic()
        down = core.state in _IDLE or (core.state is EnergyState.FAULT_LATCHED and core.verified)
        watching = core.run.observes and core.state not in DOWNWARD
        if watching or (down and core.wiring.detector.down):
            return 0
        if not self._service.seen_specimen and now_s - self._asked_s > UNSEEN_S:
            _log.warning(
                "the specimen supply never answered: nothing was energised from here, nothing could be verified"
            )
            return 0
        if now_s > self._end_by_s:
            _log.critical("not verified down in time: %s; look at the supply", core.alarms.texts())
            return 1
        return None

    def _last_resort(self) -> int:
        core = self._service.core
        if not core.run.observes:
            resort = LastResort(core.settings, self._service.instruments, time.monotonic)
            while not resort.step():
                self._notifier.watchdog()
                time.sleep(_RESORT_S)
        return 1

    def _notify(self) -> None:
        now_s = time.monotonic()
        self._notifier.watchdog()
        if not self._ready and (self._service.ready or now_s - self._began_s > READY_S):
            self._ready = True
            self._notifier.ready()
        core = self._service.core
        self._notifier.status(f"{core.state.label} {core.run_id}".strip())
        if now_s - self._collected_s >= _COLLECT_S:
            self._collected_s = now_s
            collect(idle=core.state in _IDLE)

    def _ask_for_realtime(self) -> None:
        if not self._rig.guard.realtime:
            return
        refused = ask_for_realtime(LOOP_PRIORITY)
        self._service.realtime = not refused
        if refused:
            self._service.say("realtime", "warning", f"no real-time priority: {refused}")
        else:
            self._service.say("realtime", "info", f"real-time priority granted to process {os.getpid()}")


def _readable(waiting: list[int], left_ns: int) -> list[int]:
    """Wait until a descriptor is readable or time is over; gives those that are."""
    if max(waiting) < _SELECT_SIZE:
        return select.select(waiting, [], [], left_ns / NS_PER_S)[0]
    poller = select.poll()  # knows whole milliseconds only, but any descriptor
    for descriptor in waiting:
        poller.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poller.poll(left_ns // 1_000_000)]
