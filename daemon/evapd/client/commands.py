"""Every command of the control socket, once; `Client` and `AsyncClient` make their methods of them."""

import logging
import time
import uuid
from typing import Any

from evapd.client.lease_term import Term
from evapd.client.script import Ask, Script, Sleep, command
from evapd.client.status import Describe, Outcome, Status
from evapd.errors import RateLimited, RequestTimeout, StateError, StreamError
from evapd.rpc.arguments import CEILINGS

ABORT_S = 0.5  # acquire answers in milliseconds, or it is not worth waiting for
GUARD_S = 2.0
_LOOK_S = 0.1
_UNSTARTED_S = 10.0  # a start that was accepted shows within this time

log = logging.getLogger(__name__)


class Commands:
    """What a client may ask for.

    Every command may raise `RequestError` when the daemon refuses (its kinds `Forbidden`, `LeaseHeld` and
    `RateLimited` have classes of their own), `RequestTimeout` when nobody answers (`sent` tells whether the command
    may have been executed), and `LeaseLost` when this client had a lease and has it no longer.
    """

    def __init__(self, *, guard: str | None, near: bool, timeout_s: float, retry_s: float) -> None:
        self._guard, self._timeout_s, self._retry_s = guard, timeout_s, retry_s
        self._near = near  # on the daemon's own machine, where the guard's own socket is
        self._instance = ""  # the daemon's start that was heard of last
        self._term: Term | None = None

    @command
    def status(self) -> Script[Status]:
        """Ask how everything stands."""
        status = Status.read((yield from self._ask("status", reads=True)))
        self._instance = status.instance
        if self._near:  # elsewhere the same path would be another instrument's guard
            self._guard = status.guard_address or self._guard
        return status

    @command
    def describe(self) -> Script[Describe]:
        """Ask which commands there are, with the JSON schemas of their arguments."""
        return Describe.read((yield from self._ask("describe", reads=True)))

    @command
    def request(self, command: str, /, **args: Any) -> Script[dict[str, Any]]:
        """Send any command by name, also one that this version does not know; gives its result as it is."""
        return (yield from self._ask(command, args))

    @command
    def start(
        self, name: str | None = None, notes: str = "", *, wait_s: float | None = None
    ) -> Script[Outcome]:
        """Begin a run.

        Args:
            name: Of the run; the specimen's by default.
            notes: For the record.
            wait_s: Wait up to so many seconds until the run records; then `run` of the outcome is filled in.

        Raises:
            RequestError: with kind StateError while another one is under way.
            StateError: when the run ended before it recorded; with the reason.
        """
        before = None
        if wait_s is not None:
            before = (yield from Commands.status(self)).last_run
        outcome = Outcome.read((yield from self._ask("start", {"name": name, "notes": notes})))
        if wait_s is None:
            return outcome
        status = yield from self._await_running(wait_s, before.id if before else None)
        return outcome.model_copy(update={"run_state": status.run_state, "run": status.run})

    @command
    def stop(self, reason: str = "", *, wait_s: float | None = None) -> Script[Outcome]:
        """End the run: pulses off, voltage down, record closed.

        Args:
            reason: For the record.
            wait_s: Wait up to so many seconds until the file is finalised; then `last_run` of the outcome names it.
        """
        outcome = Outcome.read((yield from self._ask("stop", {"reason": reason}, eases=True)))
        if wait_s is None:
            return outcome
        status = yield from Commands.await_state(self, "idle", timeout_s=wait_s)
        return outcome.model_copy(update={"run_state": status.run_state, "last_run": status.last_run})

    @command
    def await_state(self, *run_states: str, timeout_s: float = 60.0) -> Script[Status]:
        """Wait until the run is in one of these states: idle, arming, running, stopping, finalising.

        Raises:
            StateError: when it is not in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            status = yield from Commands.status(self)
            if status.run_state in run_states:
                return status
            if time.monotonic() >= deadline_s:
                raise StateError(_not_there(status, " or ".join(run_states), timeout_s))
            yield Sleep(_LOOK_S)

    @command
    def abort(self, reason: str = "") -> Script[Outcome]:
        """Pulses off and voltage down by the quickest way; straight to the guard when acquire does not confirm.

        Raises:
            StreamError: when nobody confirmed: act by hand.
        """
        return (yield from abort_script(self._guard, reason or "aborted by a script"))

    @command
    def set(
        self,
        *,
        target_rate: float | None = None,
        pulse_fraction: float | None = None,
        pulse_rate_hz: float | None = None,
        energy_pj: float | None = None,
        v_ceiling_v: float | None = None,
        energy_ceiling_pj: float | None = None,
        law: str | None = None,
        lower: bool = False,
    ) -> Script[Outcome]:
        """Change settings of the run under way; what is not named stays, every change opens a segment.

        Args:
            target_rate: Hits per live pulse.
            pulse_fraction: V_p / V_dc.
            pulse_rate_hz: Pulses per second.
            energy_pj: Of a laser pulse, at the specimen.
            v_ceiling_v: V_dc is not raised above it, and comes down to it; at most what the rig file allows.
            energy_ceiling_pj: The energy of a laser pulse does not go above it; at most what the rig file allows.
            law: `imm`, `pi-log`, `hold`, `ramp` or `monitor`.
            lower: Refuse all of it where a value is above the present one; a ceiling is then lowered also while
                somebody else holds the lease.
        """
        given = {
            "target_rate": target_rate, "pulse_fraction": pulse_fraction, "pulse_rate_hz": pulse_rate_hz,
            "energy_pj": energy_pj, "v_ceiling_v": v_ceiling_v, "energy_ceiling_pj": energy_ceiling_pj, "law": law,
        }  # fmt: skip
        settings = {name: value for name, value in given.items() if value is not None}
        if not settings:
            raise StateError(f"nothing to set: name at least one of {', '.join(given)}")
        if lower:
            settings["lower"] = True
        eases = lower and CEILINGS.issuperset(settings.keys() - {"lower"})
        return Outcome.read((yield from self._ask("set", settings, eases=eases)))

    @command
    def hold(self, *, on: bool = True) -> Script[Outcome]:
        """Stop the pulses, lower the voltage by a tenth and wait; or go on, see `resume`."""
        return Outcome.read((yield from self._ask("hold", {"on": on}, eases=on)))

    @command
    def inhibit(self, *, on: bool = True) -> Script[Outcome]:
        """Stop the pulses and keep the voltage; or go on, see `resume`."""
        return Outcome.read((yield from self._ask("inhibit", {"on": on}, eases=on)))

    @command
    def pause(self) -> Script[Outcome]:
        """Stop the pulses and lower the voltage by `control.pause_drop`, until `resume`."""
        return Outcome.read((yield from self._ask("pause", eases=True)))

    @command
    def align(self) -> Script[Outcome]:
        """Cap the voltage so that beam or stage may be moved; from a pause or a hold."""
        return Outcome.read((yield from self._ask("align")))

    @command
    def resume(self) -> Script[Outcome]:
        """Go on from nine tenths of the voltage and a part of the target.

        Raises:
            RequestError: with kind StateError when there is nothing to resume, or a rule stands against it.
        """
        return Outcome.read((yield from self._ask("resume")))

    @command
    def detector(self, *, on: bool) -> Script[Outcome]:
        """Ramp the detector's supplies up in steps, or down; in a run the specimen goes down first.

        Raises:
            RequestError: with kind StateError and everything that speaks against it.
        """
        return Outcome.read((yield from self._ask("detector_on" if on else "detector_off", eases=not on)))

    @command
    def stage_move(self, axis: str, mm: float) -> Script[Outcome]:
        """Move one axis of the stage to an absolute position, where the guard allows it (docs/stage.md)."""
        return Outcome.read((yield from self._ask("stage_move", {"axis": axis, "mm": mm})))

    @command
    def stage_reference(self, axis: str, *, clear: bool = False) -> Script[Outcome]:
        """Search the reference mark of an axis; `clear` says that a person has looked: the way is clear."""
        return Outcome.read((yield from self._ask("stage_reference", {"axis": axis, "clear": clear})))

    @command
    def stage_stop(self) -> Script[Outcome]:
        """Stop every axis of the stage."""
        return Outcome.read((yield from self._ask("stage_stop", eases=True)))

    @command
    def trace(self, device: str, *, on: bool = True) -> Script[Outcome]:
        """Write the bytes of a device into the run, both ways, as events of kind `trace`; or no longer."""
        return Outcome.read((yield from self._ask("trace", {"device": device, "on": on})))

    @command
    def acknowledge(self) -> Script[Outcome]:
        """Take note of alarms that are over; leave a latched fault once everything is verified down."""
        return Outcome.read((yield from self._ask("acknowledge")))

    @command
    def attend(self) -> Script[Outcome]:
        """Say that somebody is there; once said in a run, its silence counts in attended mode."""
        return Outcome.read((yield from self._ask("attend")))

    @command
    def note(self, text: str) -> Script[Outcome]:
        """Write a note into the run's record."""
        return Outcome.read((yield from self._ask("note", {"text": text})))

    def _ask(
        self, command: str, args: dict[str, Any] | None = None, *, reads: bool = False, eases: bool = False
    ) -> Script[dict[str, Any]]:
        """Ask once, or as often as `retry_s` allows; a command is executed at most once all the same.

        Args:
            command: Its name.
            args: Its arguments.
            reads: It changes nothing, so it may be asked again without a thought.
            eases: It can only lower the energy, so a lost lease does not stand in its way.
        """
        now_s = time.monotonic()
        if self._term is not None and not reads and not eases:
            self._term.check(now_s)
        until_s, patient_s = now_s + self._retry_s, now_s + max(self._timeout_s, self._retry_s)
        request_id = uuid.uuid4().hex
        if self._retry_s > 0 and not reads and not self._instance:
            try:
                yield from Commands.status(self)  # to know later whether it is still the same start
            except RequestTimeout as error:
                error.sent = False  # the command, that is
                raise
        instance = self._instance
        while True:
            try:
                return (yield Ask(command, args or {}, request_id, self._timeout_s))
            except RateLimited as error:
                wait_s = error.retry_after_s
                if not reads or wait_s is None or time.monotonic() + wait_s > patient_s:
                    raise
                yield Sleep(wait_s)
                request_id = uuid.uuid4().hex  # under the old one the refusal might be repeated
            except RequestTimeout as error:
                if time.monotonic() >= until_s:
                    raise
                if error.sent and not reads:
                    yield from self._same_start(instance, command, error)

    def _same_start(self, instance: str, command: str, error: RequestTimeout) -> Script[None]:
        """Go on only if the daemon is still the one that was asked: another would execute the request again."""
        try:
            status = yield from Commands.status(self)
        except RequestTimeout:
            raise error from None
        if status.instance != instance:
            raise RequestTimeout(
                f"the daemon was restarted while {command!r} was under way; whether it was executed before is not "
                "known: look at `status()`, then decide",
                sent=True,
                request_id=error.request_id,
            ) from error

    def _await_running(self, timeout_s: float, before: str | None) -> Script[Status]:
        began_s, seen = time.monotonic(), False
        while True:
            status = yield from Commands.status(self)
            waited_s = time.monotonic() - began_s
            if status.run_state == "running":
                return status
            seen |= status.run_state != "idle"
            last = status.last_run if status.last_run and status.last_run.id != before else None
            if status.run_state == "idle" and (seen or last or waited_s > _UNSTARTED_S):
                why = last.end_reason if last else "; ".join(map(str, status.alarms))
                raise StateError(
                    f"the run did not begin: {why or 'see the events and the log of the daemon'}"
                )
            if waited_s >= timeout_s:
                raise StateError(_not_there(status, "running", timeout_s))
            yield Sleep(_LOOK_S)


def abort_script(guard: str | None, reason: str) -> Script[Outcome]:
    """Ask acquire to abort and, when that fails for any reason, the guard itself.

    Args:
        guard: Address of the guard's own socket, where it is known.
        reason: For the record.

    Raises:
        StreamError: when neither confirmed; the message tells the operator to act by hand.
    """
    request_id, args = uuid.uuid4().hex, {"reason": reason}
    try:
        return Outcome.read((yield Ask("abort", args, request_id, ABORT_S)))
    except StreamError as error:
        first = error
    if guard is None:
        raise StreamError(
            f"abort was not confirmed: {first}. The guard's own address is not known here: run `evapd abort` "
            "on the machine of the daemon, or switch the high voltage off by hand"
        ) from first
    log.warning("abort through acquire failed (%s), going straight to the guard", first)
    try:
        return Outcome.read((yield Ask("abort", args, request_id, GUARD_S, guard)) | {"via": "guard"})
    except StreamError as second:
        raise StreamError(
            f"abort was confirmed neither by acquire ({first}) nor by the guard ({second}): "
            "switch the high voltage off by hand"
        ) from second


def _not_there(status: Status, wanted: str, timeout_s: float) -> str:
    alarms = "; ".join(map(str, status.alarms))
    return f"the daemon is {status.run_state}, not {wanted}, after {timeout_s:g} s{': ' if alarms else ''}{alarms}"
