"""Conducts runs: arms consumers before the source, watches, stops in order, and always closes what it opened."""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from evapd.acquire.active_run import ActiveRun
from evapd.acquire.backlog import Backlog
from evapd.acquire.bus import Bus
from evapd.acquire.counts import Counter
from evapd.acquire.finaliser import Finaliser
from evapd.acquire.guard_view import GuardView
from evapd.acquire.overview import alarms, counted, devices, losses
from evapd.acquire.readiness import check_ready
from evapd.acquire.readout import Readout
from evapd.acquire.state import RunEvent, RunMachine, RunState
from evapd.config import LoadedRig
from evapd.errors import EvapdError, StateError
from evapd.live.tap import HitTap
from evapd.rpc.lease import Lease

_log = logging.getLogger(__name__)
_ATTEND_S = 5.0
GUARD_GONE_S = 1.0
UNSEEN_S = 2.0  # a guard that died right after it had taken a run: its successor has never heard of it
DOWN = ("off", "standby", "safe", "ramping_down", "fault_latched")
STANDING = ("ramping", "holding", "paused", "aligning", "inhibited")


class Conductor:
    """Owns the state of the run. `tick()` is called by the main loop; requests come from the control socket's thread."""

    def __init__(
        self, loaded: LoadedRig, readout: Readout, counter: Counter, bus: Bus, guard: GuardView
    ) -> None:
        self.machine = RunMachine(self._changed)
        self.run: ActiveRun | None = None
        self.last_run: dict[str, Any] | None = None
        self.finaliser: Finaliser | None = None
        self.backlog = Backlog(loaded.layout.runs, bus.event, loaded.rig.record)
        self.end_reason = ""  # set by the signal handler, without a lock: the process is to end
        # Called while a step waits, for the service manager's watchdog.
        self.alive: Callable[[], None] = lambda: None
        self.tap: HitTap | None = None  # of live analysis
        self.lease = Lease()
        self._loaded, self._readout, self._counter, self._bus, self._guard = (
            loaded,
            readout,
            counter,
            bus,
            guard,
        )
        self._lock = threading.Lock()
        self._attended_s = -math.inf  # when the guard last heard that somebody is there
        self._start_wanted: tuple[str, str, float] | None = None  # name, notes, when it was asked for
        self._asked_s = 0.0  # when the present run was asked for
        self._stop_wanted: tuple[str, str] | None = None  # reason, condition flag or ""
        self._guard_gone_s: float | None = None
        self._begun_s = 0.0  # when the guard took the run
        self._guard_lost = 0  # frames that the guard's disk had not taken when the run began
        self._energy_asked = False  # the guard may have begun to raise the voltage
        self._steps: dict[RunState, Callable[[], None]] = {
            RunState.IDLE: self._idle,
            RunState.ARMING: self._arm,
            RunState.RUNNING: self._watch,
            RunState.STOPPING: self._close,
            RunState.FINALISING: self._finalise,
        }

    # Requests, from other threads.

    def request_start(self, name: str | None, notes: str) -> dict[str, Any]:
        """Take note that a run is to begin; refuses when one is under way."""
        with self._lock:
            if self.machine.state is not RunState.IDLE or self._start_wanted is not None:
                state = "about to start one" if self._start_wanted else str(self.machine.state)
                raise StateError(f"a run cannot start while the daemon is {state}; stop it first")
            self._start_wanted = (name or self._loaded.rig.specimen.name, notes, time.monotonic())
            self._stop_wanted = None
        return {"accepted": True}

    def request_stop(self, reason: str, flag: str = "") -> dict[str, Any]:
        """Take note that the run is to end; always accepted, the first reason is kept."""
        with self._lock:
            self._start_wanted = None
            if self._stop_wanted is None:
                self._stop_wanted = (reason, flag)
        return {"accepted": True, "run_state": str(self.machine.state)}

    def abort(self, reason: str) -> dict[str, Any]:
        """Let the guard make safe now; then close the run as aborted."""
        try:
            result = self._guard.ask("abort", reason=reason)
        finally:
            self.request_stop(reason, "ABORTED")
        return {"accepted": True, "guard": result}

    def forward_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Give new settings to the guard, which opens a segment and says so."""
        return self._guard.ask("set", **settings)

    def forward(self, command: str, **args: Any) -> dict[str, Any]:
        """Give a command to the guard, which decides whether it fits."""
        return self._guard.ask(command, **args)

    def attend(self) -> dict[str, Any]:
        """Tell the guard that somebody is there, at most every five seconds."""
        now_s = time.monotonic()
        if now_s - self._attended_s < _ATTEND_S:
            return {"accepted": True, "changed": False}
        told = self._guard.ask("attend")
        self._attended_s = now_s
        return {"accepted": True, "changed": bool(told.get("changed"))}

    def note(self, text: str) -> dict[str, Any]:
        """Write a note into the run's events."""
        self._bus.event("note", "info", text, pulse=self._counter.now.pulses)
        if self.run is not None:
            self.run.note(text, self._counter.now.pulses)
        return {"accepted": True}

    def on_segment(self, change: dict[str, Any]) -> None:
        """Open a segment, as the guard reported."""
        run = self.run
        if run is None or not run.opened:
            return
        pulse = int(change.get("pulse", -1))
        try:
            self._bus.framer.segment = run.open_segment(
                settings=dict(change.get("settings", {})),
                reason=str(change.get("what", "")),
                first_pulse=pulse if pulse >= 0 else self._counter.now.pulses,
            )
        except (EvapdError, OSError) as error:
            self._bus.event("record", "alarm", f"a segment could not be recorded: {error}")
            self.request_stop(f"recording failed: {error}", "INCOMPLETE")

    @property
    def opening(self) -> bool:
        """Whether a run was asked for whose record is not open yet."""
        arming = self.machine.state is RunState.ARMING
        return self._start_wanted is not None or (arming and not self._bus.recording)

    # Steps, on the main thread.

    def tick(self) -> None:
        """Do what the present state asks for."""
        if self.end_reason:
            self.request_stop(self.end_reason)
        self._steps[self.machine.state]()

    def _changed(self, before: RunState, event: RunEvent, after: RunState) -> None:
        run = self.run.id if self.run else ""
        self._bus.event("run", "info", f"{before} -> {after} ({event})", run=run, run_state=str(after))

    def _idle(self) -> None:
        with self._lock:
            wanted = self._start_wanted
            if wanted is None:
                self._stop_wanted = None
        if wanted is None:
            self.backlog.tick()
            return
        self.backlog.pause()
        self._bus.forget_alarms()
        self._energy_asked = False
        name, notes, asked_s = wanted
        run = ActiveRun(
            self._loaded, self._bus, self._readout, self._counter, name=name, notes=notes, tap=self.tap
        )
        # The wish stands until the state has moved: between the two, another start would find an idle daemon.
        with self._lock:
            if self._start_wanted is not wanted:
                return  # a stop came, nothing was opened
            self.run, self._asked_s = run, asked_s
            self.machine.move(RunEvent.START)
            self._start_wanted = None

    def _arm(self) -> None:
        run = self._present_run()
        try:
            check_ready(
                self._guard, self._readout, self._loaded.digest, stopped=self._stop_asked, alive=self.alive
            )
            if not self._stop_asked():
                run.open(guard_identities=self._identities())
                run.arm()
            if self._stop_asked():  # before anything is energised
                self.machine.move(RunEvent.STOP)
                return
            self._energy_asked = True
            record = {"run_id": run.id, "folder": str(run.folder), "digest": self._loaded.digest}
            self._guard.ask("run_begin", **record, asked_s=self._asked_s)
        except (EvapdError, OSError) as error:
            self._bus.event("run", "alarm", f"the run cannot start: {error}")
            self.request_stop(f"the run could not start: {error}", "ABORTED")
            self.machine.move(RunEvent.FAILED)
            return
        self._guard_gone_s = None
        self._begun_s = time.monotonic()
        self._guard_lost = int((self._guard.status or {}).get("journal_lost", 0))
        self.machine.move(RunEvent.ARMED)

    def _stop_asked(self) -> bool:
        return bool(self.end_reason) or self._stop_wanted is not None

    def _watch(self) -> None:
        run = self._present_run()
        failure = run.failure() or self._guard_failure(run)
        if failure:
            self._bus.event("run", "alarm", failure)
            self.request_stop(failure, "ABORTED")
            self.machine.move(RunEvent.FAILED)
            return
        run.watch_time_sums()
        counts = self._counter.now
        reason = run.ends.reason(
            elapsed_s=run.elapsed_s(),
            hits_window=counts.hits_window,
            v_dc_v=self._guard.v_dc_v(),
            exhausted=self._readout.exhausted,
            standing=self._guard.energy_state in STANDING,
        )
        if reason is None and run.low_space():
            reason = f"less than {self._loaded.rig.record.reserve_mb:g} MB free for recording"
        if reason:
            self.request_stop(reason)
        if self._stop_wanted is not None:
            self.machine.move(RunEvent.STOP)

    def _guard_failure(self, run: ActiveRun) -> str | None:
        status = self._guard.status
        if status is None:
            self._guard_gone_s = self._guard_gone_s or time.monotonic()
            gone_s = time.monotonic() - self._guard_gone_s
            return "the guard is gone" if gone_s > GUARD_GONE_S else None
        self._guard_gone_s = None
        if status.get("run_id") == run.id:
            run.guard_seen = True
            if status["energy_state"] in DOWN:
                return f"the guard went to {status['energy_state']}: {_newest_alarm(status)}"
        elif run.guard_seen or time.monotonic() - self._begun_s > UNSEEN_S:
            return (
                f"the guard no longer knows this run and is {status['energy_state']}: {_newest_alarm(status)}"
            )
        return None

    def _close(self) -> None:
        run = self._present_run()
        reason, flag = self._stop_wanted or (self.end_reason or "stopped", "")
        if self._energy_asked:
            self._end_energy(reason)
        run.disarm(self.alive)
        if self._energy_asked:
            self._await_guard(run)
        self.alive()
        closed = self._complete_record(run, reason, flag)
        self.machine.move(RunEvent.CLOSED)
        if closed and run.opened and self._loaded.rig.record.finalise:
            self.finaliser = self._start_finaliser(run)

    def _guard_lost_frames(self) -> bool:
        """Whether frames of the guard did not get to its disk since the run began; a new guard counts from 0."""
        lost = int((self._guard.status or {}).get("journal_lost", 0))
        return self._energy_asked and lost > min(self._guard_lost, lost)

    def _complete_record(self, run: ActiveRun, reason: str, flag: str) -> bool:
        """Close the record; False when the disk did not take its last words, which recovery then makes good."""
        try:
            self.last_run = run.close(reason, flag, "INCOMPLETE" if self._guard_lost_frames() else "")
        except (EvapdError, OSError) as error:
            self.last_run = {
                "id": run.id,
                "folder": str(run.folder),
                "end_reason": reason,
                "conditions": ["INCOMPLETE"],
            }
            self._bus.event(
                "record",
                "alarm",
                f"the record of {run.id} could not be completed: {error}; the journal is kept: make room, then run "
                f"`evapd recover {run.folder}`",
            )
            return False
        self._bus.event("run", "info", f"closed: {reason}", run=run.id)
        return True

    def _start_finaliser(self, run: ActiveRun) -> Finaliser | None:
        try:
            return Finaliser(run.folder)
        except OSError as error:
            self._bus.event(
                "finalise", "alarm", f"finalising cannot start: {error}; run `evapd export {run.folder}`"
            )
            return None

    def _end_energy(self, reason: str) -> None:
        try:
            self._guard.ask("run_end", reason=reason)
        except EvapdError as error:
            # A guard that does not answer has seen the silence, or is dead and its successor ramps down.
            self._bus.event("run end", "alarm", f"the guard did not confirm the end of the run: {error}")

    def _await_guard(self, run: ActiveRun) -> None:
        """Wait until the voltage is down and the guard's journal has left the run folder, as long as the guard answers."""
        rig = self._loaded.rig
        deadline_s = (
            time.monotonic()
            + rig.specimen.v_dc_max_v / rig.guard.ramp_down_v_per_s
            + 30 * rig.guard.hv_tau_down_s
            + 10.0
        )
        silent_until_s = time.monotonic() + 2 * GUARD_GONE_S
        while time.monotonic() < deadline_s:
            status = self._guard.status
            if status is not None and status.get("run_id") != run.id:
                return
            if status is None and time.monotonic() > silent_until_s:
                return
            self.alive()
            time.sleep(0.05)
        self._bus.event("run end", "alarm", "the guard did not reach safe in time; look at the supply")

    def _finalise(self) -> None:
        if self.finaliser is None:
            self.run = None
            self.machine.move(RunEvent.FINALISED)
            return
        done = self.finaliser.poll()
        if done is None:
            return
        finaliser, self.finaliser = self.finaliser, None
        self.run = None
        if done:
            self._bus.event("run", "info", f"finalised in {finaliser.run_folder}")
            self.machine.move(RunEvent.FINALISED)
        else:
            self._bus.event("finalise", "alarm", finaliser.failure)
            self.backlog.failed(finaliser)
            self.machine.move(RunEvent.FAILED)

    def _identities(self) -> dict[str, Any]:
        devices = (self._guard.status or {}).get("devices", {})
        return {name: device.get("identity") for name, device in devices.items()} | {
            self._readout.name: str(self._readout.identity)
        }

    def _present_run(self) -> ActiveRun:
        if self.run is None:
            raise StateError(f"no run object in state {self.machine.state}")
        return self.run

    def status(self) -> dict[str, Any]:
        """Everything a client may want to know at one glance."""
        run, guard = self.run, self._guard.status
        # The backlog rests while a run is under way.
        chore = self.finaliser or (self.backlog if self.machine.state is RunState.IDLE else None)
        return {
            "instance": self._bus.framer.instance,
            "run_state": str(self.machine.state),
            "run": run.as_dict() if run else None,
            "last_run": self.last_run,
            "finalising": chore.progress if chore else None,
            "finalising_pace": chore.pace if chore else None,
            "journal": run.journal_status() if run else None,
            "time_sums": run.time_sums() if run else None,
            "guard": guard,
            "guard_address": self._loaded.layout.guard_ipc,
            "lease": self.lease.document(time.monotonic()),
            **counted(self._counter.now, self._guard.loop),
            "losses": losses(self._counter.now, self._readout, run),
            "devices": devices(guard, self._readout),
            **alarms(guard, self._bus),
        }


def _newest_alarm(status: dict[str, Any]) -> str:
    alarms = status.get("alarms") or ["no alarm given"]
    return str(alarms[-1])
