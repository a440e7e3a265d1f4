"""Arguments that the sockets of acquire and guard share, and what a person may change in a run: one home for both."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import Field

from evapd.rpc.command import Args
from evapd.rpc.lease import LEAST_TTL_S, MOST_TTL_S, TTL_S

Law = Literal["imm", "pi-log", "hold", "ramp", "monitor"]


class Range(NamedTuple):
    """Lowest and highest value, both allowed."""

    low: float
    high: float
    unit: str


RANGES: Mapping[str, Range] = {
    "target_rate": Range(1e-6, 0.5, "hits per live pulse"),
    "pulse_fraction": Range(0.0, 0.5, "V_p / V_dc"),
    "pulse_rate_hz": Range(1.0, 10e6, "Hz"),
    "energy_pj": Range(0.0, 1e9, "pJ of a laser pulse, at the specimen"),
    "v_ceiling_v": Range(0.0, 1e6, "V"),
    "energy_ceiling_pj": Range(0.0, 1e9, "pJ of a laser pulse, at the specimen"),
}
CEILINGS = frozenset({"v_ceiling_v", "energy_ceiling_pj"})
"""What a person may lower also while somebody else commands."""


def _within(name: str) -> Any:
    low, high, unit = RANGES[name]
    return Field(default=None, ge=low, le=high, description=unit)


class ReasonArgs(Args):
    """Why."""

    reason: str = Field(default="", max_length=1000)


class OnArgs(Args):
    """On, or off again."""

    on: bool = True


class SetArgs(Args):
    """Settings of the control loop; what is not named stays. The limits of the rig hold beside these."""

    target_rate: float | None = _within("target_rate")
    pulse_fraction: float | None = _within("pulse_fraction")
    pulse_rate_hz: float | None = _within("pulse_rate_hz")
    energy_pj: float | None = _within("energy_pj")
    v_ceiling_v: float | None = _within("v_ceiling_v")
    energy_ceiling_pj: float | None = _within("energy_ceiling_pj")
    law: Law | None = None
    hold: bool | None = Field(default=None, description="as the command hold")
    lower: bool | None = Field(
        default=None, description="refuse all of it where a value is above the present one"
    )


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


class LeaseTakeArgs(Args):
    """Terms of a lease."""

    ttl_s: float = Field(
        default=TTL_S, ge=LEAST_TTL_S, le=MOST_TTL_S, description="ends this long after the last command, s"
    )
    force: bool = Field(default=False, description="take it over from whoever holds it; everybody is told")


def turns_on(args: Mapping[str, Any]) -> bool:
    """Whether `inhibit` or `hold` is switched on, which only lowers the energy."""
    return args["on"] is True


def only_lowers(args: Mapping[str, Any]) -> bool:
    """Whether `set` does nothing but hold, or lower a ceiling: the guard refuses what was to be lower and is not."""
    given = {key for key, value in args.items() if value is not None} - {"hold", "lower"}
    if args["hold"] is False:
        return False
    return args["lower"] is True and given <= CEILINGS if given else args["hold"] is True


def always(_: Mapping[str, Any]) -> bool:
    """Say that a command only lowers the energy, whatever its arguments."""
    return True
