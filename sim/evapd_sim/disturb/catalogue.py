"""All events by name: how they are read, listed, and shown in the documentation."""

from functools import cache
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import Field, TypeAdapter, ValidationError

from evapd_sim.disturb.chamber_events import (
    ContactOpen,
    CryostatWarmUp,
    GaugeFault,
    TemperatureDrift,
    VacuumBurst,
)
from evapd_sim.disturb.clear import Clear
from evapd_sim.disturb.event import Event
from evapd_sim.disturb.pulser_events import (
    BeamWalk,
    InhibitInput,
    LaserDrift,
    PulserDerating,
    PulserDropout,
)
from evapd_sim.disturb.specimen_events import (
    Burst,
    DcLeakage,
    Flash,
    Fracture,
    LayerStep,
    MicroFracture,
    Oscillation,
    PoleNoise,
    RateDrift,
    RateWalk,
)
from evapd_sim.disturb.supply_events import (
    Arc,
    InterlockOpen,
    Local,
    ReadbackError,
    ReadbackStuck,
    SlowFall,
    Trip,
)
from evapd_sim.disturb.tdc_events import TdcHang, TdcJump, TdcLoss, TdcNoHeartbeat, TdcOverflow, TdcWrap
from evapd_sim.disturb.wire_events import (
    Deaf,
    Duplicate,
    Echo,
    Garbage,
    HalfLines,
    Late,
    Lost,
    OtherUnit,
    Replug,
    Silent,
    Unplug,
)

AnyEvent = Annotated[
    LayerStep
    | PoleNoise
    | RateWalk
    | RateDrift
    | Oscillation
    | Burst
    | Flash
    | Fracture
    | MicroFracture
    | DcLeakage
    | PulserDropout
    | PulserDerating
    | LaserDrift
    | BeamWalk
    | InhibitInput
    | SlowFall
    | ReadbackError
    | ReadbackStuck
    | Trip
    | Arc
    | Local
    | InterlockOpen
    | Silent
    | Deaf
    | Garbage
    | Late
    | HalfLines
    | Lost
    | Duplicate
    | Echo
    | Unplug
    | Replug
    | OtherUnit
    | TdcHang
    | TdcNoHeartbeat
    | TdcLoss
    | TdcOverflow
    | TdcJump
    | TdcWrap
    | VacuumBurst
    | GaugeFault
    | ContactOpen
    | TemperatureDrift
    | CryostatWarmUp
    | Clear,
    Field(discriminator="do"),
]
# JSON schema's keywords, and pydantic's own where a value may have a unit.
_BOUNDS = {
    ">=": {"minimum", "ge"},
    ">": {"exclusiveMinimum", "gt"},
    "<=": {"maximum", "le"},
    "<": {"exclusiveMaximum", "lt"},
}
_TIMES = {"do", "at_s", "at_ions", "at_v_dc_v"}


def _name(kind: type[Event]) -> str:
    return str(get_args(kind.model_fields["do"].annotation)[0])


EVENTS: dict[str, type[Event]] = {_name(kind): kind for kind in get_args(get_args(AnyEvent)[0])}


class Parameter(NamedTuple):
    """One parameter of an event, in words."""

    name: str
    default: str  # empty: it must be given
    meaning: str


@cache
def _adapter() -> TypeAdapter[Event]:
    return TypeAdapter(AnyEvent)


def read_event(values: Any) -> Event:
    """Check an event that came from outside.

    Raises:
        ValidationError: pydantic's, when it is none.
    """
    return _adapter().validate_python(values)


def why_not(error: ValidationError) -> str:
    """Say in one line why something is no event."""
    reasons = []
    for each in error.errors(include_url=False):
        where = ".".join(str(part) for part in each["loc"][1:])
        reasons.append(f"{where}: {each['msg']}" if where else each["msg"])
    return "; ".join(reasons) + "; `evapd-sim events` lists what there is"


def summary(kind: type[Event]) -> str:
    """What an event is, in one sentence."""
    return (kind.__doc__ or "").splitlines()[0]


def parameters(kind: type[Event]) -> list[Parameter]:
    """The parameters of an event beside its name and time, from its schema."""
    schema = kind.model_json_schema()
    required = schema.get("required", [])
    return [
        Parameter(
            name,
            "" if name in required else str(part.get("default", "")).lower(),
            ", ".join(each for each in (part.get("description", ""), _allowed(part)) if each),
        )
        for name, part in schema["properties"].items()
        if name not in _TIMES
    ]


def _allowed(part: dict[str, Any]) -> str:
    """What a schema allows, in words."""
    if "enum" in part:
        return " or ".join(part["enum"])
    low, high = "", ""
    for each in (
        part,
        *part.get("anyOf", []),
        *(inner for one in part.get("anyOf", []) for inner in one.get("anyOf", [])),
    ):
        for sign, keys in _BOUNDS.items():
            for key in keys & each.keys():
                text = f"{sign} {each[key]:g}"
                low, high = (text, high) if sign[0] == ">" else (low, text)
    return " and ".join(each for each in (low, high) if each)


def table() -> str:
    """All events as a Markdown table."""
    rows = ["| event | what happens | parameters |", "| --- | --- | --- |"]
    for name, kind in EVENTS.items():
        cells = [
            f"`{each.name}`{' = ' + each.default if each.default else ''}"
            + (f" ({each.meaning})" if each.meaning else "")
            for each in parameters(kind)
        ]
        rows.append(f"| `{name}` | {summary(kind)} | {'; '.join(cells) or '-'} |")
    return "\n".join(rows) + "\n"
