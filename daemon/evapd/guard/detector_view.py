"""What is known of the detector's supplies in one tick, for the ramp and for the rules."""

import math
from dataclasses import dataclass

from evapd.config.wiring import DetectorSupply
from evapd.device.readings import HighVoltageReading
from evapd.guard.detector_state import DetectorState
from evapd.guard.types import Inputs

FLOOR_V = 5.0  # near zero a relative tolerance means nothing


@dataclass(frozen=True, slots=True)
class SupplyView:
    """One supply as the rules see it."""

    name: str
    known: bool
    why: str
    v_v: float | None  # read, signed
    i_a: float | None
    t_s: float  # of the reading
    wanted_v: float  # set point that was asked for
    settings: DetectorSupply
    down: bool = False  # it says itself that its output is off, or that it has tripped


@dataclass(frozen=True, slots=True)
class DetectorView:
    """What the rules see of the detector."""

    state: DetectorState
    supplies: tuple[SupplyView, ...]
    off_band_s: float = 0.0  # for how long a supply has not been where it shall stand
    stuck: str = ""  # the ramp cannot go on: why


def reading_of(inputs: Inputs, name: str) -> HighVoltageReading | None:
    """Give the newest reading of a supply where it is known."""
    device = inputs.devices.get(name)
    if device is None or not device.known or not isinstance(device.reading, HighVoltageReading):
        return None
    return device.reading


def view_of(inputs: Inputs | None, name: str, settings: DetectorSupply, wanted_v: float) -> SupplyView:
    """Gather what is known of one supply."""
    device = None if inputs is None else inputs.devices.get(name)
    reading = None if inputs is None else reading_of(inputs, name)
    return SupplyView(
        name=name,
        known=reading is not None,
        why="no such device" if device is None else device.why,
        v_v=None if reading is None else reading.v_meas_v,
        i_a=None if reading is None else reading.i_meas_a,
        t_s=-math.inf if reading is None else reading.t_mono_s,
        wanted_v=wanted_v,
        settings=settings,
        down=reading is not None and (reading.output_on is False or bool(reading.tripped)),
    )
