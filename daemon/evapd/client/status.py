"""What the daemon answers, typed. Keys that a newer daemon adds are kept; what it does not know is None."""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evapd.errors import StreamError


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @classmethod
    def read(cls, content: dict[str, Any]) -> Self:
        """Check an answer.

        Raises:
            StreamError: when it is not what docs/protocols/control.md says.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise StreamError(
                f"the daemon's answer is not a {cls.__name__}: {where}: {first['msg']}; are both of one version?"
            ) from None


class RunInfo(Answer):
    """The run under way."""

    id: str
    folder: str = ""
    started_utc: int | None = None  # microseconds since 1970
    elapsed_s: float | None = None
    segment: int | None = None


class LastRun(Answer):
    """The run that ended last; `folder` has its record, see docs/run-folder.md."""

    id: str
    folder: str = ""
    end_reason: str = ""
    conditions: list[str] = Field(default_factory=list)  # GOOD, or what was wrong

    @property
    def nxs(self) -> Path:
        """The finalised file; only on the daemon's own machine."""
        return Path(self.folder) / f"{self.id}.nxs"


class LeaseInfo(Answer):
    """Who commands at present."""

    holder: str = ""  # name of the key, or "local"
    client: str = ""  # what the program calls itself
    remaining_s: float | None = None


class DeviceStatus(Answer):
    """One instrument; a state of `unknown` is never "off"."""

    role: str = ""
    state: str = "unknown"
    age_s: float | None = None  # of the newest reading, when the daemon answered
    last_error: str | None = None
    reading: dict[str, Any] | None = None


class GuardStatus(Answer):
    """What the guard says of the specimen's energy; voltages are measured, `v_dc_set_v` is commanded."""

    energy_state: str = "unknown"
    v_dc_v: float | None = None
    v_dc_set_v: float | None = None
    v_p_v: float | None = None
    law: str | None = None
    mode: str | None = None  # of the law, such as hunting or tracking
    target_rate: float | None = None  # hits per live pulse
    target_now: float | None = None  # smaller for a while after a resume
    pulse_fraction: float | None = None
    pulse_rate_hz: float | None = None
    margins: dict[str, float | None] = Field(
        default_factory=dict
    )  # of each rule: 1 far, 0 triggers, None not known
    explosive: dict[str, Any] | None = (
        None  # chi and the smallest survivable transition; None while S is not known
    )
    alarms: list[Any] = Field(default_factory=list)


class Status(Answer):
    """How everything stands. `guard` is None when the guard does not answer."""

    instance: str
    run_state: str
    run: RunInfo | None = None
    last_run: LastRun | None = None
    lease: LeaseInfo | None = None  # null: whoever may operate may command
    hits: int = 0
    pulses: int = 0
    rate_per_pulse: float | None = None
    words: int = 0
    losses: dict[str, Any] = Field(default_factory=dict)
    journal: dict[str, Any] | None = None
    devices: dict[str, DeviceStatus] = Field(default_factory=dict)
    guard: GuardStatus | None = None
    guard_address: str | None = None  # the way of `abort` when acquire is gone
    alarms: list[Any] = Field(default_factory=list)


class Outcome(Answer):
    """What a command came to; `via` says which process took it. What it does not tell is None."""

    via: str = "acquire"
    run_state: str | None = None
    energy_state: str | None = None
    settings: dict[str, Any] | None = None  # of the control loop, after `set`
    run: RunInfo | None = None  # when `start` waited for it
    last_run: LastRun | None = None  # when `stop` waited for it


class CommandInfo(Answer):
    """One command: `args` is the JSON schema of its arguments, `who` the least role that may ask for it."""

    name: str
    doc: str = ""
    energy: bool = False  # it may change the energy at the specimen
    who: str = "operate"
    reads: bool = False  # it changes nothing
    args: dict[str, Any] = Field(default_factory=dict)


class ParameterInfo(Answer):
    """Something that may be set or watched: unit, limits, and how it stands."""

    name: str
    type: str = ""
    unit: str = ""
    doc: str = ""
    settable: bool = False
    value: Any = None
    min: float | None = None
    max: float | None = None
    choices: list[str] | None = None
    command: str | None = None  # that sets it
    argument: str | None = None  # of this name


class Describe(Answer):
    """Which commands there are, and which parameters."""

    v: int
    commands: list[CommandInfo]
    parameters: list[ParameterInfo] = Field(default_factory=list)
    limits: dict[str, float] = Field(default_factory=dict)

    def parameter(self, name: str) -> ParameterInfo:
        """Give a parameter by name.

        Raises:
            KeyError: when this daemon has no such parameter.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    def __getitem__(self, name: str) -> CommandInfo:
        """Give a command by name.

        Raises:
            KeyError: when this daemon has no such command.
        """
        for command in self.commands:
            if command.name == name:
                return command
        raise KeyError(name)
