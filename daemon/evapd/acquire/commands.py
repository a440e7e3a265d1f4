"""The control socket: what clients may ask of acquire. Handlers take note and return at once."""

from typing import Any, Protocol

from pydantic import Field

from evapd.rpc import Args, Command, NoArgs
from evapd.security.roles import Role


class StartArgs(Args):
    """Begin a run."""

    name: str | None = Field(
        default=None, max_length=100, description="name of the run; the specimen's by default"
    )
    notes: str = Field(default="", max_length=10_000)


class ReasonArgs(Args):
    """Why."""

    reason: str = Field(default="", max_length=1000)


class SetArgs(Args):
    """Change settings of the control loop; what is not named stays. Limits are those of the configuration."""

    target_rate: float | None = Field(default=None, ge=1e-6, le=0.5, description="hits per live pulse")
    pulse_fraction: float | None = Field(default=None, ge=0, le=0.5, description="V_p / V_dc")
    pulse_rate_hz: float | None = Field(default=None, ge=1, le=10e6)
    energy_pj: float | None = Field(
        default=None, ge=0, le=1e9, description="of a laser pulse, at the specimen"
    )
    law: str | None = Field(default=None, max_length=20)
    hold: bool | None = Field(default=None, description="as the command hold")


class OnArgs(Args):
    """On, or off again."""

    on: bool = True


class StageMoveArgs(Args):
    """One axis, one absolute position."""

    axis: str = Field(min_length=1, max_length=50)
    mm: float = Field(allow_inf_nan=False, description="absolute position, mm")


class StageReferenceArgs(Args):
    """One axis."""

    axis: str = Field(min_length=1, max_length=50)
    clear: bool = Field(default=False, description="a person has looked: the way is clear")


class TraceArgs(Args):
    """Of one device."""

    device: str = Field(min_length=1, max_length=100, description="its name in the rig file")
    on: bool = True


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


def make_commands(conductor: Conducts, tracing: Traced, history: Remembers | None = None) -> list[Command]:
    """List what the control socket serves; `describe` is added by the service."""
    return [
        Command(
            "status", NoArgs, lambda _: conductor.status(), doc="Everything at one glance.", who=Role.READ
        ),
        Command(
            "start",
            StartArgs,
            lambda args: conductor.request_start(args["name"], args["notes"]),
            energy=True,
            doc="Begin a run: record, arm the detector, then let the guard raise the voltage.",
        ),
        Command(
            "stop",
            ReasonArgs,
            lambda args: conductor.request_stop(args["reason"] or "stopped by a client"),
            energy=True,
            doc="End the run: pulses off, voltage down, drain, close, finalise. Always works.",
        ),
        Command(
            "abort",
            ReasonArgs,
            lambda args: conductor.abort(args["reason"] or "aborted by a client"),
            energy=True,
            doc="Pulses off and voltage down by the quickest way, now; the run is closed as aborted. For everyone.",
            who=Role.READ,
        ),
        Command(
            "set",
            SetArgs,
            lambda args: conductor.forward_settings(
                {key: value for key, value in args.items() if value is not None}
            ),
            energy=True,
            doc="Change target, fraction, pulse rate, energy or law, or hold; each change opens a segment.",
        ),
        Command(
            "inhibit",
            OnArgs,
            lambda args: conductor.forward("inhibit", on=args["on"]),
            energy=True,
            doc="Stop the pulses and keep the voltage; off: resume.",
        ),
        Command(
            "hold",
            OnArgs,
            lambda args: conductor.forward("hold", on=args["on"]),
            energy=True,
            doc="Stop the pulses, lower the voltage by a tenth and wait; off: resume.",
        ),
        Command(
            "pause",
            NoArgs,
            lambda _: conductor.forward("pause"),
            energy=True,
            doc="Stop the pulses and lower the voltage by control.pause_drop, until a person resumes.",
        ),
        Command(
            "align",
            NoArgs,
            lambda _: conductor.forward("align"),
            energy=True,
            doc="When paused or held: cap the voltage so that beam or stage may be moved; only a laser pulses.",
        ),
        Command(
            "resume",
            NoArgs,
            lambda _: conductor.forward("resume"),
            energy=True,
            doc="Go on from nine tenths of the voltage and a part of the target; opens a segment.",
        ),
        Command(
            "detector_on",
            NoArgs,
            lambda _: conductor.forward("detector_on"),
            energy=True,
            doc="Ramp the detector's supplies up in steps, under the vacuum permit.",
        ),
        Command(
            "detector_off",
            NoArgs,
            lambda _: conductor.forward("detector_off"),
            energy=True,
            doc="Ramp the detector's supplies down in steps; in a run the specimen goes down first.",
        ),
        Command(
            "stage_move",
            StageMoveArgs,
            lambda args: conductor.forward("stage_move", **args),
            doc="Move one axis of the stage; in standby and safe only, and by small steps while aligning.",
        ),
        Command(
            "stage_reference",
            StageReferenceArgs,
            lambda args: conductor.forward("stage_reference", **args),
            doc="Search the reference mark of an axis; in standby and safe only.",
        ),
        Command(
            "stage_stop",
            NoArgs,
            lambda _: conductor.forward("stage_stop"),
            doc="Stop every axis of the stage. Always works.",
        ),
        Command(
            "trace",
            TraceArgs,
            lambda args: tracing.switch(args["device"], on=args["on"]),
            doc="Keep the bytes of a device both ways and write them into the run once a second, as events of kind trace.",
        ),
        Command(
            "acknowledge",
            NoArgs,
            lambda _: conductor.forward("acknowledge"),
            doc="Take note of alarms that are over; leave a latched fault once everything is verified down.",
        ),
        Command(
            "attend",
            NoArgs,
            lambda _: conductor.attend(),
            doc="Somebody is there: once said in a run, its silence counts in attended mode. Said as often as you like.",
        ),
        *([_history(history)] if history is not None else []),
        Command(
            "note", NoteArgs, lambda args: conductor.note(args["text"]), doc="Write a note into the run."
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
