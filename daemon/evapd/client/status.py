"""What the daemon answers, typed. Keys that a newer daemon adds are kept; what it does not know is None."""

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
    target_rate: float | None = None  # hits per live pulse
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
    hits: int = 0
    pulses: int = 0
    rate_per_pulse: float | None = None
    words: int = 0
    losses: dict[str, Any] = Field(default_factory=dict)
    stream: dict[str, Any] | None = None
    journal: dict[str, Any] | None = None
    devices: dict[str, DeviceStatus] = Field(default_factory=dict)
    guard: GuardStatus | None = None
    alarms: list[Any] = Field(default_factory=list)


class Outcome(Answer):
    """What a command came to; `via` says which process took it."""

    via: str = "acquire"
    run_state: str | None = None
