"""The control socket: what clients may ask of acquire. Handlers take note and return at once."""

from typing import Any, Protocol

from pydantic import Field

from evapd.rpc import Args, Command, NoArgs


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

    target_rate: float | None = Field(default=None, gt=0, le=0.5, description="hits per live pulse")
    pulse_fraction: float | None = Field(default=None, ge=0, le=0.5, description="V_p / V_dc")
    pulse_rate_hz: float | None = Field(default=None, gt=0, le=10e6)
    law: str | None = Field(default=None, max_length=20)
    hold: bool | None = Field(default=None, description="hold the voltage, or let the law go on")


class NoteArgs(Args):
    """A note for the run's record."""

    text: str = Field(min_length=1, max_length=10_000)


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

    def note(self, text: str) -> dict[str, Any]:
        """Write a note into the run."""
        ...


def make_commands(conductor: Conducts) -> list[Command]:
    """List what the control socket serves; `describe` is added by the service."""
    return [
        Command("status", NoArgs, lambda _: conductor.status(), doc="Everything at one glance."),
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
        ),
        Command(
            "set",
            SetArgs,
            lambda args: conductor.forward_settings(
                {key: value for key, value in args.items() if value is not None}
            ),
            energy=True,
            doc="Change target, fraction, pulse rate or law, or hold; each change opens a segment.",
        ),
        Command(
            "note", NoteArgs, lambda args: conductor.note(args["text"]), doc="Write a note into the run."
        ),
    ]
