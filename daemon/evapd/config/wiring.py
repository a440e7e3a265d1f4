"""Sections of a rig for what hangs on the guard beside the specimen: interlock contacts, outputs, detector supplies."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from evapd.config.section import Section
from evapd.units import Ampere, Hertz, Second, Volt

DETECTOR_ROLES = ("mcp", "anode", "electrode", "reflectron")
"""Supplies that the section `detector` ramps; they stand on their own, whatever the specimen does."""


class Contact(Section):
    """One contact of the interlock chain, read back by an input of the `io` device."""

    # What it is for decides what its opening does: door, other, relay: make safe; valve: the same, detector supplies first;
    # water: ramp down; ups: ramp down, then the detector supplies, and stay there.
    kind: Literal["door", "valve", "water", "ups", "relay", "other"]
    safe_when: bool = True  # the level that means that all is well


class Crowbar(Section):
    """The output that discharges the specimen at once; released by a person, once everything is verified down."""

    output: str
    causes: tuple[Literal["interlock", "arc", "voltage-limit", "abort"], ...] = ("interlock", "arc")


class Contacts(Section):
    """What of the wiring the guard reads and drives: names are those of inputs and outputs of the `io` device."""

    inputs: dict[str, Contact] = Field(default_factory=dict)
    inhibit: str | None = None  # output: on stops the pulses at the pulser's own input
    heartbeat: str | None = None  # output: alternates while the guard is well, for a watchdog relay
    relay_s: Annotated[Second, Field(ge=0.25, le=5)] = 0.5  # that relay drops out after this long
    crowbar: Crowbar | None = None


class DetectorSupply(Section):
    """One supply of the detector, electrode or reflectron, by the name of its device."""

    v_v: Annotated[
        Volt, Field(ge=-30000, le=30000)
    ]  # where it stands while the detector is on, signed as at the output
    step_v: Annotated[Volt, Field(gt=0)] = 50.0
    current_max_a: Annotated[Ampere, Field(gt=0)] | None = None


class Detector(Section):
    """How the detector's supplies are ramped, and what is watched."""

    supplies: Annotated[dict[str, DetectorSupply], Field(min_length=1)]
    dwell_s: Annotated[Second, Field(ge=0.2)] = 2.0  # at each step upwards
    down_dwell_s: Annotated[Second, Field(ge=0.05)] = 0.2  # at each step downwards
    settle_s: Annotated[Second, Field(gt=0)] = 5.0  # to follow a step, and to come down
    tolerance: Annotated[float, Field(gt=0, le=0.2)] = 0.02
    off_v: Annotated[Volt, Field(gt=0)] = 50.0  # below this a supply counts as off
    pressure_max_pa: Annotated[float, Field(gt=0)] | None = None  # None: that of `guard`
    dark_rate_max_hz: Annotated[Hertz, Field(gt=0)] | None = None  # hits without pulses
    # Two supplies whose voltages stay close to each other: signal and reference wire of the delay lines.
    wires: tuple[str, str] | None = None
    wire_difference_max_v: Annotated[Volt, Field(gt=0)] = 100.0

    @property
    def steps(self) -> int:
        """How many steps lead up; all supplies take the same part of their own way with each."""
        return max(max(1, math.ceil(abs(one.v_v) / one.step_v)) for one in self.supplies.values())

    @property
    def down_takes_s(self) -> float:
        """Longest time of the way down in steps, verification included."""
        return self.steps * self.down_dwell_s + 2.0 * self.settle_s

    @model_validator(mode="after")
    def _wires_stay_together(self) -> Self:
        if self.wires is None:
            return self
        missing = [name for name in self.wires if name not in self.supplies]
        if missing or self.wires[0] == self.wires[1]:
            raise ValueError(f"wires: wanted are two of the supplies {', '.join(self.supplies)}")
        first, second = (self.supplies[name] for name in self.wires)
        apart_v = abs(first.v_v - second.v_v)
        if apart_v > self.wire_difference_max_v:
            raise ValueError(
                f"wires: {apart_v:g} V apart when on, wire_difference_max_v allows {self.wire_difference_max_v:g} V"
            )
        step_v = max(abs(first.v_v), abs(second.v_v)) / self.steps
        if apart_v + step_v > self.wire_difference_max_v:
            raise ValueError(
                f"wires: {apart_v + step_v:g} V apart while one is a step behind, wire_difference_max_v allows "
                f"{self.wire_difference_max_v:g} V: smaller step_v"
            )
        return self
