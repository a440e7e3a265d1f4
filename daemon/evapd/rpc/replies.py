"""What the commands of acquire and guard bring: the shape of every result. Keys may be added, never taken away."""

from typing import Any, Literal

from evapd.rpc.command import Result

Document = dict[str, Any]
RunStateName = Literal["idle", "arming", "running", "stopping", "finalising"]
EnergyStateName = Literal[
    "off", "standby", "ramping", "evaporating", "holding", "paused", "aligning", "inhibited", "ramping_down",
    "safe", "fault_latched",
]  # fmt: skip


class Nothing(Result):
    """An answer, and nothing more."""


class Accepted(Result):
    """A command that was taken note of; what became of it, `status` and the stream tell."""

    accepted: Literal[True]


class RunAccepted(Accepted):
    """The same, with the state the run was in."""

    run_state: RunStateName


class EnergyAccepted(Accepted):
    """The same from the guard, with the specimen's energy state."""

    energy_state: EnergyStateName


class AbortAccepted(EnergyAccepted):
    """The guard has aborted; `problem` says what was wrong with the request all the same."""

    problem: str = ""


class AbortPassedOn(Accepted):
    """The guard has aborted, and acquire closes the run; `problem` says what was wrong with the request all the same."""

    guard: AbortAccepted
    problem: str = ""


class SettingsAccepted(EnergyAccepted):
    """The settings that hold from now on."""

    settings: Document


class DetectorAccepted(EnergyAccepted):
    """The state of the detector's supplies."""

    detector: str


class Acknowledged(EnergyAccepted):
    """How many alarms were taken note of."""

    acknowledged: int


class Traced(Accepted):
    """The devices whose bytes are kept."""

    traced: Any


class Attended(Accepted):
    """Somebody is there; `changed`: nobody was known to be before."""

    changed: bool


class LeaseState(Result):
    """Who commands: the holder's key, or "local", its name for itself, and how long still."""

    holder: str
    client: str
    remaining_s: float


class LeaseTerms(LeaseState):
    """The lease that this client holds now."""

    ttl_s: float


class LeaseReleased(Result):
    """Whether this client held it until now."""

    released: bool


class RunStatus(Result):
    """The run under way; times are microseconds since 1970, or seconds."""

    id: str
    folder: str
    started_utc: int
    elapsed_s: float
    segment: int


class LastRun(Result):
    """The run before; its id is empty when it never was opened."""

    id: str
    folder: str
    end_reason: str
    conditions: list[str]


class DeviceStatus(Result):
    """One instrument; a state of `unknown` is never "off"."""

    role: str
    state: str
    age_s: float | None
    last_error: str | None
    reading: Document | None


class AlarmStatus(Result):
    """One alarm, for programs. Not `active`: its cause is over, and it waits for a person."""

    name: str
    severity: Literal["info", "warning", "alarm"]
    what: str
    active: bool
    latch: bool


class Losses(Result):
    """What was lost, by kind; all 0 is the normal case."""

    flags: list[str]
    lost_blocks: int
    saturated_blocks: int
    counter_jumps: int
    queue_overflows: int
    journal: int


class GuardStatus(Result):
    """What the guard says of the specimen's energy; voltages are measured, `*_set_*` are commanded."""

    instance: str
    energy_state: EnergyStateName
    v_dc_v: float | None
    v_dc_set_v: float | None
    v_p_v: float | None
    v_p_set_v: float | None
    law: str
    mode: str
    target_rate: float
    target_now: float
    pulse_fraction: float
    pulse_rate_hz: float
    clamped: bool
    segment: int
    settings: Document
    verified_down: bool
    alarms: list[str]
    alarm_list: list[AlarmStatus]
    margins: dict[str, float | None]
    explosive: Document | None
    devices: dict[str, DeviceStatus]
    journal: str
    journal_lost: int
    link: Document
    lateness_us: dict[str, float]
    realtime: bool
    digest: str
    wiring: Document
    run_id: str


class Status(Result):
    """Everything at one glance. `guard` is null when the guard does not answer."""

    instance: str
    run_state: RunStateName
    run: RunStatus | None
    last_run: LastRun | None
    finalising: Any
    finalising_pace: Document | None
    hits: int
    pulses: int
    words: int
    rate_per_pulse: float | None
    losses: Losses
    journal: Document | None
    time_sums: Document | None
    devices: dict[str, DeviceStatus]
    guard: GuardStatus | None
    guard_address: str
    alarms: list[str]
    alarm_list: list[AlarmStatus]
    lease: LeaseState | None
