"""Starts twin, guard and acquire, restarts what dies, and stops in the order that safety asks for.

The supervisor holds nothing that matters: when it is killed, guard and acquire go on, and can be stopped one by one.
"""

import logging
import signal
import sys
import time
import uuid
from types import FrameType
from typing import Any

from evapd.config import LoadedRig
from evapd.config.model import Start
from evapd.errors import EvapdError, RequestError, StreamError
from evapd.process import EXIT_CONFIG
from evapd.rpc import Requester
from evapd.security.access import Access
from evapd.stream.sockets import reachable
from evapd.supervisor.child import Child, StartFailed
from evapd.supervisor.ownership import owned
from evapd.supervisor.progress import Progress

_log = logging.getLogger(__name__)
POLL_S = 0.1
READY_S = 60.0  # unless a child says that it needs more
REQUEST_S = 1.0
RESTART_DELAYS_S = (0.0, 0.5, 1.0, 2.0, 5.0)
# What the daemon works without: started last, never waited for, restarted ever more slowly.
BESIDE = ("alarms", "web")
BESIDE_DELAYS_S = (1.0, 5.0, 20.0, 60.0)
BESIDE_ENDS_S = 10.0


class RunLost(EvapdError):
    """The run that was to be watched over did not come to its own end."""


class Supervisor:
    """One `evapd run`."""

    def __init__(self, loaded: LoadedRig, progress: Progress) -> None:
        self.loaded = loaded
        self.folder_args = [str(loaded.path), "--folder", str(loaded.layout.folder)]
        self._progress = progress
        self._signals: list[str] = []  # names of the signals that asked us to end
        self._signals_told = 0
        sockets = loaded.rig.sockets
        own = Access.load(sockets.keys).own
        self._requester = Requester(reachable(sockets.control), REQUEST_S, keys=own)
        self._again_s: dict[str, float] = {}
        self._alarms: set[str] = set()
        self._recording = False  # a run was under way when acquire answered last
        self._start_accepted = False
        self.children: dict[str, Child] = {}
        if loaded.twin is not None:
            self._add("twin", "evapd_sim", ["twin"])
        self._add("guard", "evapd.guard", [])
        self._add("acquire", "evapd.acquire", [])
        if loaded.rig.alarms.hooks:
            self._add("alarms", "evapd.alarms", [])
        if loaded.rig.web.enabled:
            self._add("web", "evapd.web", [])

    def _add(self, name: str, module: str, words: list[str]) -> None:
        layout = self.loaded.layout
        command = [sys.executable, "-m", module, *words, *self.folder_args]
        self.children[name] = Child(name, command, layout.sockets, layout.folder / "log")

    def end(self, signum: int, _frame: FrameType | None) -> None:
        """Handle Ctrl-C, SIGTERM and a terminal that was closed.

        It takes a note and no lock, and writes nothing: the main thread may be in the middle of either.
        """
        self._signals.append(signal.Signals(signum).name)

    def _ending(self) -> bool:
        """Whether we were asked to end; tells the person what follows from each signal."""
        for name in self._signals[self._signals_told :]:
            first = self._signals_told == 0
            self._signals_told += 1
            self._progress.say(
                f"{name}: going to safe, closing the run"
                if first
                else "still stopping: the voltage goes down first"
            )
        return bool(self._signals)

    def start(self) -> None:
        """Start all and wait until they are ready, or until we are asked to end.

        Raises:
            StartFailed: when one ends before it is ready; the others are stopped by `stop()`.
        """
        needed = [name for name in self.children if name not in BESIDE]
        for name in needed:
            if self._ending():
                return
            self.children[name].start()
            if name == "twin":  # the instruments are there before the daemon asks for them
                self._await_ready(["twin"])
        self._await_ready(needed)
        for name in self.children.keys() - needed:
            self._start_again(self.children[name])
        if "web" in self.children and not self._ending():
            self._progress.say(f"  the display is at http://{self.loaded.rig.web.address}/")

    def _await_ready(self, names: list[str]) -> None:
        deadline_s = time.monotonic() + READY_S
        waiting = [self.children[name] for name in names if not self.children[name].ready]
        while waiting and not self._ending():
            for child in waiting:
                code = child.poll()
                if code is not None:
                    raise StartFailed(child, code)
                if child.ready:
                    self._progress.say(
                        f"  {child.name:8s} ready after {child.ready_after_s:.1f} s  {child.status}"
                    )
            waiting = [child for child in waiting if not child.ready]
            for child in waiting:
                if child.is_slow():
                    self._progress.say(f"  {child.name:8s} not ready yet: {child.status}")
                if time.monotonic() > max(deadline_s, child.extended_until_s):
                    raise StartFailed(child, None)
            time.sleep(0.02)

    def ask(self, command: str, **args: Any) -> dict[str, Any] | None:
        """Ask acquire; None when it does not answer."""
        try:
            return self._requester.request(command, args)
        except StreamError as error:
            _log.debug("acquire: %s", error)
            return None

    def serve(self, *, start_run: bool, until_run_ends: bool) -> dict[str, Any] | None:
        """Watch over the children until Ctrl-C, or until the run that was started has been finalised; gives that run's record.

        Raises:
            RunLost: when the run was refused, or when acquire died under it.
        """
        run, acquire = "", self.children["acquire"]
        if start_run and not self._ending():
            self._progress.say(f"starting a run of '{self.loaded.rig.specimen.name}'")
            self._start_run()
        restarts = acquire.restarts
        while not self._ending():
            self._tend()
            status = self.ask("status")
            if status is not None:
                self._tell(status)
                run = (status["run"] or {}).get("id", run)
                if until_run_ends and status["run_state"] == "idle" and status["finalising"] is None:
                    if status["last_run"] is not None:
                        return dict(status["last_run"])
                    # It may have died before it ever told the run's name.
                    if run or acquire.restarts > restarts:
                        raise RunLost(
                            f"run {run or 'just begun'} was interrupted, because acquire died under it; everything that was written is kept, "
                            f"and the run is marked as recovered: see `evapd runs {self.loaded.layout.folder}`"
                        )
            time.sleep(POLL_S)
        return None

    def _start_run(self) -> None:
        """Ask for a run until acquire has taken note of it; by its id, the request is executed once."""
        request_id, deadline_s = uuid.uuid4().hex, time.monotonic() + READY_S
        while not self._ending():
            self._tend()
            try:
                self._requester.request("start", request_id=request_id)
            except RequestError as error:
                raise RunLost(f"the run was refused: {error}") from error
            except StreamError as error:
                if time.monotonic() > deadline_s:
                    raise RunLost(f"the run was not started: {error}") from error
                continue
            self._start_accepted = self._recording = True
            return

    def _tell(self, status: dict[str, Any]) -> None:
        for alarm in status.get("alarms", []):
            if alarm not in self._alarms:
                self._progress.say(f"ALARM: {alarm}")
        self._alarms = set(status.get("alarms", []))
        # A start that was accepted counts until its run has ended, also before the run was ever seen.
        begun = self._start_accepted and status["last_run"] is None
        self._recording = begun or status["run_state"] != "idle"
        if status["run_state"] != "idle":
            self._progress.update(status)

    def _tend(self) -> None:
        """Restart what has died: the guard always and at once, for it alone brings the voltage down."""
        for child in self.children.values():
            code = child.poll()
            if code is None:
                continue
            due_s = self._again_s.get(child.name)
            if due_s is None:
                delays_s = BESIDE_DELAYS_S if child.name in BESIDE else RESTART_DELAYS_S
                delay_s = delays_s[min(child.restarts, len(delays_s) - 1)]
                self._progress.say(
                    f"ALARM: {child.name} ended with exit code {code}, restarting it\n{child.last_words()}"
                )
                due_s = self._again_s[child.name] = time.monotonic() + delay_s
            if time.monotonic() >= due_s:
                del self._again_s[child.name]
                child.restarts += 1
                self._start_again(child)

    def _start_again(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:  # a full disk, too many processes: tried again with the next delay
            self._progress.say(f"ALARM: {child.name} cannot be started: {error}; trying again")

    def stop(self) -> bool:
        """Run closed and voltage down, then what works beside, guard, acquire, twin; False when something had to be killed."""
        clean = self._close_run()
        for name in BESIDE:  # before the others, whose end it would tell people of
            child = self.children.get(name)
            if child is not None and child.terminate(BESIDE_ENDS_S) is None:
                child.kill()
        for name in ("guard", "acquire", "twin"):
            child = self.children.get(name)
            if child is None:
                continue
            patience_s = self._ramp_down_s() if name == "guard" else 30.0
            if child.terminate(patience_s) is None:
                self._progress.say(
                    f"ALARM: {name} did not end within {patience_s:.0f} s and was killed; look at the supply"
                )
                child.kill()
                clean = False
        self._requester.close()
        return clean

    def _close_run(self) -> bool:
        acquire = self.children["acquire"]
        if acquire.poll() is not None:
            return self._acquire_died() if self._recording else True
        if not acquire.ready:
            return not self._recording
        self.ask("stop", reason="the supervisor was asked to end")
        deadline_s = time.monotonic() + self._ramp_down_s() + 600.0
        while time.monotonic() < deadline_s:
            status = self.ask("status")
            if status is None and acquire.poll() is not None:
                return self._acquire_died()
            if status is not None:
                if status["run_state"] == "idle":
                    return True
                self._progress.update(status)
            self._ending()
            time.sleep(POLL_S)
        self._progress.say("ALARM: the run was not closed in time; see log/acquire.log in the rig's folder")
        return False

    def _acquire_died(self) -> bool:
        self._progress.say(
            f"ALARM: acquire ended with exit code {self.children['acquire'].poll()} before it had closed the run; everything "
            "that was written is kept, the next start marks the run as recovered"
        )
        return False

    def _ramp_down_s(self) -> float:
        rig = self.loaded.rig
        detector_s = 0.0 if rig.detector is None else rig.detector.down_takes_s
        specimen_s = rig.specimen.v_dc_max_v / rig.guard.ramp_down_v_per_s + 30.0 * rig.guard.hv_tau_down_s
        return 20.0 + specimen_s + detector_s


def supervise(
    loaded: LoadedRig, progress: Progress, *, waiting: bool = False
) -> tuple[int, dict[str, Any] | None]:
    """Run a rig until it ends; gives the exit code and the record of the run that was started automatically.

    Args:
        loaded: The rig.
        progress: Where it tells what happens.
        waiting: Begin no run, whatever the rig says of `start`, and stay until somebody ends it.

    Raises:
        StateError: when another supervisor, or what a killed one left behind, works in the rig's folder.
        RecordError: when the folder cannot be written.
    """
    loaded.layout.make()
    with owned(loaded.layout.folder):
        return _supervise(loaded, progress, Start() if waiting else loaded.rig.start)


def _supervise(loaded: LoadedRig, progress: Progress, start: Start) -> tuple[int, dict[str, Any] | None]:
    supervisor = Supervisor(loaded, progress)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, supervisor.end)
    code, record = 0, None
    try:
        supervisor.start()
        record = supervisor.serve(start_run=start.automatic, until_run_ends=start.exit_after_run)
    except StartFailed as error:
        progress.say(str(error))
        code = error.code if error.code in {1, EXIT_CONFIG} else 1
    except RunLost as error:
        progress.say(f"ALARM: {error}")
        code = 1
    finally:
        if not supervisor.stop():
            code = code or 1
    if record is not None and "ABORTED" in record["conditions"]:
        progress.say(f"the run was aborted: {record['end_reason']}")
        code = code or 1
    return code, record if record and record["folder"] else None
