"""The process that tells people: one loop hears, decides and hands messages to the hooks, each of which has a thread of its own."""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from evapd.alarms import keeping
from evapd.alarms.delivery import Outcome, deliver, secret_variables
from evapd.alarms.ears import Ears, Heard
from evapd.alarms.escalation import Escalation
from evapd.alarms.messages import Message, Situation, compose
from evapd.alarms.model import Alarm, Order, Policy
from evapd.alarms.watch import Watch
from evapd.config import LoadedRig
from evapd.config.alarms import Hook
from evapd.errors import StateError
from evapd.rpc.caller import Caller, served
from evapd.security.access import Access
from evapd.stream.sockets import reachable

_log = logging.getLogger(__name__)
TURN_S = 0.25
SAVE_S = 1.0
LAST_WORDS_S = 5.0
FAILING = 3  # attempts in a row that failed, from which on the other hooks are told


class Sends(Protocol):
    """How a message goes out."""

    def __call__(self, hook: Hook, message: Message, base: Path, hidden: frozenset[str]) -> Outcome:
        """Send it; returns within the hook's time."""
        ...


class _Desk:
    """One hook and its thread: one message at a time, and tests behind it."""

    def __init__(
        self,
        name: str,
        hook: Hook,
        send: Callable[[Hook, Message], Outcome],
        done: "queue.Queue[tuple[str, Outcome]]",
    ) -> None:
        self.name, self.hook, self.kind = name, hook, str(hook.model_dump()["kind"])
        self.tested: Outcome | None = None
        self.test_waits = False
        self.last: tuple[float, Outcome] | None = None
        self._send, self._done = send, done
        self._work: queue.Queue[tuple[Message, bool]] = queue.Queue(4)
        threading.Thread(target=self._run, name=f"hook-{name}", daemon=True).start()

    def give(self, message: Message, *, test: bool = False) -> None:
        """Send a message soon."""
        if test:
            if self.test_waits:
                raise StateError(f"a test of '{self.name}' is under way; wait for it")
            self.tested, self.test_waits = None, True
        self._work.put_nowait((message, test))

    def _run(self) -> None:
        while True:
            message, test = self._work.get()
            try:
                outcome = self._send(self.hook, message)
            except Exception as error:  # noqa: BLE001 - this thread is the only way to this person: it goes on
                _log.exception("hook %s: a fault in sending", self.name)
                outcome = Outcome(False, f"a fault in evapd: {type(error).__name__}: {error}")
            level = logging.INFO if outcome.ok else logging.WARNING
            _log.log(level, "hook %s: %s: %s", self.name, message.title, outcome.what)
            self.last = (time.monotonic(), outcome)
            if test:
                self.tested, self.test_waits = outcome, False
            else:
                self._done.put((self.name, outcome))


class Office:
    """Everything of the process but its beginning and end. `turn` belongs to the main thread; the lock is for the commands."""

    def __init__(self, loaded: LoadedRig, send: Sends = deliver) -> None:
        self._loaded = loaded
        section, base = loaded.rig.alarms, loaded.path.absolute().parent
        self.escalation = Escalation(Policy.of(name, hook) for name, hook in section.hooks.items())
        self._lock = threading.Lock()
        self._boot, self._saved_s, self._fault = keeping.boot_id(), 0.0, ""
        self._load()
        self.watch = Watch(self.escalation, section.silent_s, time.monotonic())
        self._done: queue.Queue[tuple[str, Outcome]] = queue.Queue()
        hidden = secret_variables(section.hooks)
        self._desks = {
            name: _Desk(name, hook, lambda hook, message: send(hook, message, base, hidden), self._done)
            for name, hook in section.hooks.items()
        }
        self._failing: dict[str, str] = {}

    def turn(self, heard: list[Heard]) -> None:
        """Take in what was heard, and say what is due."""
        with self._lock:
            now_s, utc_s = time.monotonic(), time.time()
            for one in heard:
                self._hear(one, now_s, utc_s)
            self.watch.tick(now_s, utc_s)
            self._take_outcomes(now_s, utc_s)
            for order in self.escalation.due(now_s):
                self._desks[order.hook].give(self._message(order, now_s))
        if self.escalation.changed and now_s - self._saved_s >= SAVE_S:
            self.save()

    def close(self) -> None:
        """Wait shortly for what is under way, and keep what is known."""
        until_s = time.monotonic() + LAST_WORDS_S
        while time.monotonic() < until_s and self.busy:
            time.sleep(0.02)
            with self._lock:
                self._take_outcomes(time.monotonic(), time.time())
        self.save()

    @property
    def busy(self) -> bool:
        """Whether a hook has a message under way."""
        return any(self.escalation.is_under_way(name) for name in self._desks)

    def _hear(self, heard: Heard, now_s: float, utc_s: float) -> None:
        match heard.what:
            case "acquire":
                self.watch.hear_acquire(heard.content, heard.asked_s, now_s, utc_s)
            case "guard":
                self.watch.hear_guard(heard.content, heard.asked_s, now_s, utc_s)
            case "event":
                self.watch.hear_event(heard.header or {}, heard.content, now_s, utc_s)
            case "beat":
                self.watch.hear_beat(heard.content)
            case "disk":
                self.watch.hear_disk(heard.content, self._loaded.rig.record.reserve_mb * 1e6, now_s, utc_s)

    def _take_outcomes(self, now_s: float, utc_s: float) -> None:
        while True:
            try:
                name, outcome = self._done.get_nowait()
            except queue.Empty:
                return
            self.escalation.delivered(name, now_s, ok=outcome.ok)
            if outcome.ok:
                if self._failing.pop(name, None) is not None and not self._failing:
                    self.watch.working()
            elif self.escalation.failures(name) >= FAILING:
                self._failing[name] = outcome.what
                self.watch.failing(name, outcome.what, now_s, utc_s)

    def _message(self, order: Order, now_s: float) -> Message:
        alarms = [alarm for number in order.alarms if (alarm := self.escalation.by_id(number)) is not None]
        return compose(order.kind, alarms, self.situation(now_s), now_s)

    def situation(self, now_s: float) -> Situation:
        """How things stand, as far as it was heard."""
        acquire, guard = self.watch.acquire, self.watch.guard
        rig, allowed_s = self._loaded.rig, self._loaded.rig.alarms.silent_s
        answers = acquire.heard_s is not None and now_s - acquire.heard_s <= allowed_s
        status, energy = acquire.status or {}, guard.status or {}
        age_s = None if guard.heard_s is None else now_s - guard.heard_s
        known = age_s is not None and age_s < 60.0
        run = status.get("run")
        return Situation(
            rig=rig.name,
            folder=str(self._loaded.layout.folder),
            control=reachable(rig.sockets.control),
            energy_state=str(energy["energy_state"]) if known and "energy_state" in energy else None,
            v_dc_v=_number(energy.get("v_dc_v")) if known else None,
            energy_age_s=age_s,
            run=str(run.get("id")) if isinstance(run, Mapping) else None,
            run_state=str(status["run_state"]) if answers and "run_state" in status else None,
            hits=status["hits"] if isinstance(status.get("hits"), int) else None,
        )

    # What the socket asks; on its thread.

    def listing(self) -> dict[str, Any]:
        """Every alarm, every hook, and how things stand."""
        with self._lock:
            now_s = time.monotonic()
            alarms = [
                alarm.document(now_s) | {"silent_for_s": self._silent_for_s(alarm, now_s)}
                for alarm in self.escalation.alarms
            ]
            hooks = {name: self._hook_document(desk, now_s) for name, desk in self._desks.items()}
            heard_s = {"acquire": self.watch.acquire.heard_s, "guard": self.watch.guard.heard_s}
        heard = {
            name: at_s is not None and now_s - at_s <= self._loaded.rig.alarms.silent_s
            for name, at_s in heard_s.items()
        }
        return {
            "rig": self._loaded.rig.name,
            "alarms": alarms,
            "hooks": hooks,
            "heard": heard,
            "state_fault": self._fault,
        }

    def acknowledge(
        self, number: int | None, for_s: float | None, up_to: int | None = None
    ) -> dict[str, Any]:
        """Take note that a person has seen one alarm, or all, or all up to a number.

        Raises:
            StateError: when there is no such alarm.
        """
        by = who_asks(served())
        with self._lock:
            if number is not None and self.escalation.by_id(number) is None:
                raise StateError(f"there is no alarm {number}; see `evapd alarms list`")
            seen = self.escalation.acknowledge(number, time.monotonic(), for_s, up_to=up_to, by=by)
        _log.info("acknowledged by %s: %s", by, ", ".join(map(str, seen)) or "nothing was open")
        return {"acknowledged": seen}

    def test(self, hook: str | None) -> dict[str, Any]:
        """Send a test message through one hook, or each; what comes of it stands in the listing.

        Raises:
            StateError: when there is no such hook, or a test of it is under way.
        """
        if hook is not None and hook not in self._desks:
            raise StateError(
                f"there is no hook '{hook}'; the rig file has {', '.join(self._desks) or 'none'}"
            )
        chosen = [self._desks[hook]] if hook else list(self._desks.values())
        with self._lock:
            message = message_of_test(self.situation(time.monotonic()))
            for desk in chosen:
                desk.give(message, test=True)
        return {"testing": [desk.name for desk in chosen]}

    # Within.

    def _silent_for_s(self, alarm: Alarm, now_s: float) -> float | None:
        until_s = self.escalation.silent_until_s(alarm.name)
        return None if until_s is None else round(until_s - now_s, 1)

    def _hook_document(self, desk: _Desk, now_s: float) -> dict[str, Any]:
        last, tested = desk.last, desk.tested
        return {
            "kind": desk.kind,
            "severity_min": desk.hook.severity_min,
            "delay_s": desk.hook.delay_s,
            "failures": self.escalation.failures(desk.name),
            "last": None
            if last is None
            else {"ok": last[1].ok, "what": last[1].what, "age_s": round(now_s - last[0], 1)},
            "test": None
            if tested is None
            else {"ok": tested.ok, "what": tested.what, "took_s": round(tested.took_s, 2)},
        }

    def _load(self) -> None:
        path = self._loaded.layout.alarms_state
        try:
            data = keeping.read(path)
            if data is not None:
                keeping.unpack(data, self.escalation, time.monotonic(), time.time(), self._boot)
        except (OSError, ValueError) as error:
            _log.warning(
                "%s cannot be used: %s; what was told and acknowledged before is not known any more",
                path,
                error,
            )

    def save(self) -> None:
        """Keep what was told and acknowledged; a disk that does not take it is told once and stops nothing."""
        self._saved_s = time.monotonic()
        with self._lock:
            data = keeping.pack(self.escalation, self._saved_s, time.time(), self._boot)
            self.escalation.changed = False
        try:
            keeping.write(self._loaded.layout.alarms_state, data)
        except OSError as error:
            if str(error) != self._fault:
                _log.warning(
                    "%s cannot be written: %s; a restart would tell again what was told",
                    self._loaded.layout.alarms_state,
                    error,
                )
            self._fault = str(error)
        else:
            self._fault = ""


def message_of_test(situation: Situation) -> Message:
    """Write the message of `evapd alarms test`."""
    now_s = time.monotonic()
    alarm = Alarm(
        id=0, name="test", severity="info", what="somebody is testing whether this message arrives", source="alarms", effect="",
        lasting=False, waits=False, began_s=now_s, began_utc_s=time.time(), active=False,
    )  # fmt: skip
    return compose("test", [alarm], situation, now_s)


def who_asks(caller: Caller | None) -> str:
    """Name who acknowledges, as that one called itself: the person first, then the program."""
    if caller is None:
        return "somebody"
    name, program = caller.asked_by.get("name", ""), caller.client
    said = f"{name} ({program})" if name and program else name or program or "somebody"
    return "".join(one if one.isprintable() else " " for one in said)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def make_ears(loaded: LoadedRig) -> Ears:
    """Listen to this rig's daemon."""
    sockets = loaded.rig.sockets
    return Ears(
        control=reachable(sockets.control),
        stream=reachable(sockets.stream),
        replay=reachable(sockets.replay),
        guard=loaded.layout.guard_ipc,
        keys=Access.load(sockets.keys).own,
        runs=loaded.layout.runs,
    )
