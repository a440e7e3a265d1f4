"""The control socket: what clients may ask of acquire. Handlers take note and return at once."""

from typing import Any, Protocol

from pydantic import Field

from evapd.rpc import Args, Command, NoArgs, replies
from evapd.rpc.arguments import (
    OnArgs,
    ReasonArgs,
    SetArgs,
    StageMoveArgs,
    StageReferenceArgs,
    TraceArgs,
    always,
    only_lowers,
    turns_on,
)
from evapd.rpc.lease import Lease
from evapd.rpc.lease_commands import lease_commands
from evapd.security.roles import Role

_KEPT_S = 0.05  # many may ask at once: within this time they get the same answer


class StartArgs(Args):
    """Begin a run."""

    name: str | None = Field(
        default=None, max_length=100, description="name of the run; the specimen's by default"
    )
    notes: str = Field(default="", max_length=10_000)


class NoteArgs(Args):
    """A note for the run's record."""

    text: str = Field(min_length=1, max_length=10_000)


class HistoryArgs(Args):
    """Histories since some time."""

    since_s: float = Field(default=0.0, ge=0, le=1e9, description="after the beginning, s")
    most: int = Field(default=1000, ge=10, le=2000, description="bins at most")


class Conducts(Protocol):
    """What the commands need of the conductor."""

    def status(self) -> dict[str, Any]:
        """Everything a client may want to know at one glance."""
        ...

    def request_start(self, name: str | None, notes: str) -> dict[str, Any]:
        """Begin a run soon."""
        ...

    def request_stop(self, reason: str) -> dict[str, Any]:
        """End the run soon."""
        ...

    def abort(self, reason: str) -> dict[str, Any]:
        """Make safe at once, then end the run."""
        ...

    def forward_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Give new settings to the guard."""
        ...

    def forward(self, command: str, **args: Any) -> dict[str, Any]:
        """Give a command to the guard."""
        ...

    def attend(self) -> dict[str, Any]:
        """Tell the guard that somebody is there."""
        ...

    def note(self, text: str) -> dict[str, Any]:
        """Write a note into the run."""
        ...


class Traced(Protocol):
    """What the commands need to see the bytes of a device."""

    def switch(self, device: str, *, on: bool) -> dict[str, Any]:
        """Keep them, or no longer."""
        ...


class Remembers(Protocol):
    """What the commands need of the histories that live analysis keeps."""

    def document(self, since_s: float, most: int) -> dict[str, Any]:
        """Give them from a time on, in at most so many bins."""
        ...


def make_commands(
    conductor: Conducts, tracing: Traced, history: Remembers | None = None, lease: Lease | None = None
) -> list[Command]:
    """List what the control socket serves; `describe` is added by the service."""
    return [
        Command(
            "status",
            NoArgs,
            lambda _: conductor.status(),
            doc="Everything at one glance.",
            who=Role.READ,
            result=replies.Status,
            keep_s=_KEPT_S,
        ),
        Command(
            "start",
            StartArgs,
            lambda args: conductor.request_start(args["name"], args["notes"]),
            energy=True,
            doc="Begin a run: record, arm the detector, then let the guard raise the voltage.",
            result=replies.Accepted,
        ),
        Command(
            "stop",
            ReasonArgs,
            lambda args: conductor.request_stop(args["reason"] or "stopped by a client"),
            energy=True,
            doc="End the run: pulses off, voltage down, drain, close, finalise. Always works.",
            result=replies.RunAccepted,
            lowers=always,
        ),
        Command(
            "abort",
            ReasonArgs,
            lambda args: conductor.abort(args["reason"] or "aborted by a client"),
            energy=True,
            doc="Pulses off and voltage down by the quickest way, now; the run is closed as aborted. For everyone.",
            who=Role.READ,
            result=replies.AbortPassedOn,
            always=True,
        ),
        Command(
            "set",
            SetArgs,
            lambda args: conductor.forward_settings(
                {key: value for key, value in args.items() if value is not None}
            ),
            energy=True,
            doc="Change target, fraction, pulse rate, energy, a ceiling or the law, or hold; each change opens a segment.",
            result=replies.SettingsAccepted,
            lowers=only_lowers,
        ),
        Command(
            "inhibit",
            OnArgs,
            lambda args: conductor.forward("inhibit", on=args["on"]),
            energy=True,
            doc="Stop the pulses and keep the voltage; off: resume.",
            result=replies.EnergyAccepted,
            lowers=turns_on,
        ),
        Command(
            "hold",
            OnArgs,
            lambda args: conductor.forward("hold", on=args["on"]),
            energy=True,
            doc="Stop the pulses, lower the voltage by a tenth and wait; off: resume.",
            result=replies.EnergyAccepted,
            lowers=turns_on,
        ),
        Command(
            "pause",
            NoArgs,
            lambda _: conductor.forward("pause"),
            energy=True,
            doc="Stop the pulses and lower the voltage by control.pause_drop, until a person resumes.",
            result=replies.EnergyAccepted,
            lowers=always,
        ),
        Command(
            "align",
            NoArgs,
            lambda _: conductor.forward("align"),
            energy=True,
            doc="When paused or held: cap the voltage so that beam or stage may be moved; only a laser pulses.",
            result=replies.EnergyAccepted,
        ),
        Command(
            "resume",
            NoArgs,
            lambda _: conductor.forward("resume"),
            energy=True,
            doc="Go on from nine tenths of the voltage and a part of the target; opens a segment.",
            result=replies.EnergyAccepted,
        ),
        Command(
            "detector_on",
            NoArgs,
            lambda _: conductor.forward("detector_on"),
            energy=True,
            doc="Ramp the detector's supplies up in steps, under the vacuum permit.",
            result=replies.DetectorAccepted,
        ),
        Command(
            "detector_off",
            NoArgs,
            lambda _: conductor.forward("detector_off"),
            energy=True,
            doc="Ramp the detector's supplies down in steps; in a run the specimen goes down first.",
            result=replies.DetectorAccepted,
            lowers=always,
        ),
        Command(
            "stage_move",
            StageMoveArgs,
            lambda args: conductor.forward("stage_move", **args),
            doc="Move one axis of the stage; in standby and safe only, and by small steps while aligning.",
            result=replies.EnergyAccepted,
        ),
        Command(
            "stage_reference",
            StageReferenceArgs,
            lambda args: conductor.forward("stage_reference", **args),
            doc="Search the reference mark of an axis; in standby and safe only.",
            result=replies.EnergyAccepted,
        ),
        Command(
            "stage_stop",
            NoArgs,
            lambda _: conductor.forward("stage_stop"),
            doc="Stop every axis of the stage. Always works.",
            result=replies.EnergyAccepted,
            lowers=always,
        ),
        Command(
            "trace",
            TraceArgs,
            lambda args: tracing.switch(args["device"], on=args["on"]),
            doc="Keep the bytes of a device both ways and write them into the run once a second, as events of kind trace.",
            result=replies.Traced,
        ),
        Command(
            "acknowledge",
            NoArgs,
            lambda _: conductor.forward("acknowledge"),
            doc="Take note of alarms that are over; leave a latched fault once everything is verified down.",
            result=replies.Acknowledged,
        ),
        Command(
            "attend",
            NoArgs,
            lambda _: conductor.attend(),
            doc="Somebody is there: once said in a run, its silence counts in attended mode. Said as often as you like.",
            result=replies.Attended,
            news=lambda result: bool(result.get("changed")),
        ),
        *([_history(history)] if history is not None else []),
        *lease_commands(lease or Lease()),
        Command(
            "note",
            NoteArgs,
            lambda args: conductor.note(args["text"]),
            doc="Write a note into the run.",
            result=replies.Accepted,
            lease=False,
        ),
    ]


def _history(history: Remembers) -> Command:
    return Command(
        "history",
        HistoryArgs,
        lambda args: history.document(**args),
        doc="Histories of the run under way or the last one: least, greatest and mean value per bin (docs/protocols/live.md).",
        who=Role.READ,
    )
