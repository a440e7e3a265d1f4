"""The guard's own socket: what acquire, the command line and scripts may ask. Abort works when acquire is gone."""

from pathlib import Path
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
    turns_on,
)
from evapd.security.roles import Role

_KEPT_S = 0.05  # many may ask at once: within this time they get the same answer


class RunBeginArgs(Args):
    """A run that acquire has armed and records."""

    run_id: str = Field(min_length=1, max_length=200)
    folder: Path = Field(strict=False)  # a text in JSON
    digest: str = Field(max_length=128, description="digest of acquire's configuration")
    asked_s: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="monotonic time at which a person asked for it; an abort since then refuses it",
    )


class Guards(Protocol):
    """What the commands need of the process."""

    def status(self) -> dict[str, Any]:
        """Everything at one glance."""
        ...

    def run_begin(
        self, run_id: str, folder: Path, digest: str, asked_s: float | None = None
    ) -> dict[str, Any]:
        """Begin a run."""
        ...

    def run_end(self, reason: str) -> dict[str, Any]:
        """End the run."""
        ...

    def abort(self, reason: str) -> dict[str, Any]:
        """Make safe by the quickest way."""
        ...

    def inhibit(self, *, on: bool) -> dict[str, Any]:
        """Stop pulses, or go on."""
        ...

    def hold(self, *, on: bool) -> dict[str, Any]:
        """Stop pulses and wait at a lower voltage, or go on."""
        ...

    def pause(self) -> dict[str, Any]:
        """Stop pulses at a lower voltage for a while."""
        ...

    def align(self) -> dict[str, Any]:
        """Cap the voltage so that beam or stage may be moved."""
        ...

    def resume(self) -> dict[str, Any]:
        """Go on after a stop by a person."""
        ...

    def detector(self, *, on: bool) -> dict[str, Any]:
        """Ramp the detector's supplies up, or down."""
        ...

    def stage_move(self, axis: str, mm: float) -> dict[str, Any]:
        """Start a move of the stage."""
        ...

    def stage_reference(self, axis: str, *, clear: bool) -> dict[str, Any]:
        """Start the search for an axis' reference mark."""
        ...

    def stage_stop(self) -> dict[str, Any]:
        """Stop every axis."""
        ...

    def trace(self, device: str, *, on: bool) -> dict[str, Any]:
        """Keep the bytes of a device both ways, and write them down."""
        ...

    def attend(self) -> dict[str, Any]:
        """Somebody is there."""
        ...

    def acknowledge(self) -> dict[str, Any]:
        """Take note of alarms."""
        ...

    def set(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Change settings."""
        ...


def make_commands(guard: Guards) -> list[Command]:
    """List what the guard's socket serves; `describe` is added by the service."""
    return [
        Command("ping", NoArgs, lambda _: {}, doc="Answer.", who=Role.READ, result=replies.Nothing),
        Command(
            "status",
            NoArgs,
            lambda _: guard.status(),
            doc="Everything at one glance.",
            who=Role.READ,
            result=replies.GuardStatus,
            keep_s=_KEPT_S,
        ),
        Command(
            "abort",
            ReasonArgs,
            lambda args: guard.abort(args["reason"] or "aborted by a client"),
            energy=True,
            doc="Pulses off and voltage down by the quickest way, now. For everyone; law monitor commands nothing.",
            who=Role.READ,
            result=replies.AbortAccepted,
            always=True,
        ),
        Command(
            "inhibit",
            OnArgs,
            lambda args: guard.inhibit(on=args["on"]),
            energy=True,
            doc="Stop the pulses and keep the voltage; off: let the run go on.",
            result=replies.EnergyAccepted,
            lowers=turns_on,
        ),
        Command(
            "hold",
            OnArgs,
            lambda args: guard.hold(on=args["on"]),
            energy=True,
            doc="Stop the pulses, lower the voltage by a tenth and wait; off: let the run go on.",
            result=replies.EnergyAccepted,
            lowers=turns_on,
        ),
        Command(
            "pause",
            NoArgs,
            lambda _: guard.pause(),
            energy=True,
            doc="Stop the pulses and lower the voltage by control.pause_drop, until a person resumes.",
            result=replies.EnergyAccepted,
            lowers=always,
        ),
        Command(
            "align",
            NoArgs,
            lambda _: guard.align(),
            energy=True,
            doc="When paused or held: cap the voltage so that beam or stage may be moved; only a laser pulses.",
            result=replies.EnergyAccepted,
        ),
        Command(
            "resume",
            NoArgs,
            lambda _: guard.resume(),
            energy=True,
            doc="Go on from nine tenths of the voltage and a part of the target; opens a segment.",
            result=replies.EnergyAccepted,
        ),
        Command(
            "detector_on",
            NoArgs,
            lambda _: guard.detector(on=True),
            energy=True,
            doc="Ramp the detector's supplies up in steps, under the vacuum permit.",
            result=replies.DetectorAccepted,
        ),
        Command(
            "detector_off",
            NoArgs,
            lambda _: guard.detector(on=False),
            energy=True,
            doc="Ramp the detector's supplies down in steps; in a run the specimen goes down first.",
            result=replies.DetectorAccepted,
            lowers=always,
        ),
        Command(
            "stage_move",
            StageMoveArgs,
            lambda args: guard.stage_move(args["axis"], args["mm"]),
            doc="Move one axis of the stage; in standby and safe only, and by small steps while aligning.",
            result=replies.EnergyAccepted,
        ),
        Command(
            "stage_reference",
            StageReferenceArgs,
            lambda args: guard.stage_reference(args["axis"], clear=args["clear"]),
            doc="Search the reference mark of an axis; in standby and safe only.",
            result=replies.EnergyAccepted,
        ),
        Command(
            "stage_stop",
            NoArgs,
            lambda _: guard.stage_stop(),
            doc="Stop every axis. Always works.",
            result=replies.EnergyAccepted,
            lowers=always,
        ),
        Command(
            "trace",
            TraceArgs,
            lambda args: guard.trace(args["device"], on=args["on"]),
            doc="Keep the bytes of a device both ways and write them into the run once a second, as events of kind trace.",
            result=replies.Traced,
        ),
        Command(
            "attend",
            NoArgs,
            lambda _: guard.attend(),
            doc="Somebody is there. Once said in a run, its silence for 60 s stops every rise, for 10 min holds (attended mode).",
            result=replies.Attended,
            news=lambda result: bool(result.get("changed")),
        ),
        Command(
            "acknowledge",
            NoArgs,
            lambda _: guard.acknowledge(),
            doc="Take note of alarms that are over; leave a latched fault once everything is verified down.",
            result=replies.Acknowledged,
        ),
        Command(
            "set",
            SetArgs,
            lambda args: guard.set({key: value for key, value in args.items() if value is not None}),
            energy=True,
            doc="Change target, fraction, pulse rate, energy, a ceiling or the law, or hold; in a run each change opens a segment.",
            result=replies.SettingsAccepted,
        ),
        Command(
            "run_begin",
            RunBeginArgs,
            lambda args: guard.run_begin(args["run_id"], args["folder"], args["digest"], args["asked_s"]),
            energy=True,
            doc="Switch on, ramp to the start, evaporate. For acquire.",
            result=replies.EnergyAccepted,
        ),
        Command(
            "run_end",
            ReasonArgs,
            lambda args: guard.run_end(args["reason"] or "the run ends"),
            energy=True,
            doc="Pulses off, voltage down at the configured slope, output off, verified. For acquire.",
            result=replies.EnergyAccepted,
            lowers=always,
        ),
    ]
