"""The settings of an SCPI function generator: headers, limits, choices. Channels are numbered from 1.

Source: Keysight 33500 operating and service guide, Tektronix AFG3000 programmer manual, headers as open clients use them.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from evapd_sim.wire.numbers import flag
from evapd_sim.wire.scpi import boolean, choice, header, quantity

Value = float | bool | str
_INFINITE = 9.9e37


class Leaf(NamedTuple):
    """One setting: its header, what it is (`flag`, `choice`, or the unit of a number), limits or choices, and its value after *RST."""

    pattern: re.Pattern[str]
    kind: str
    limits: tuple[float, float]
    words: tuple[str, ...]
    start: Value


def _number(pattern: str, unit: str, start: float, limits: tuple[float, float]) -> Leaf:
    return Leaf(header(pattern), unit, limits, (), start)


def _choice(pattern: str, words: str) -> Leaf:
    names = tuple(words.split())
    return Leaf(header(pattern), "choice", (0, 0), names, choice(names[0], names) or "")


def _flag(pattern: str, *, start: bool = False) -> Leaf:
    return Leaf(header(pattern), "flag", (0, 1), (), start)


_SHAPES = "SINusoid SQUare PULSe RAMP TRIangle NOISe PRBS DC ARB USER USER1 USER2 USER3 USER4 EMEMory PRNoise SINC GAUSsian LORentz ERISe EDECay HAVersine"
_LEVEL = "[SOURce#:]VOLTage[:LEVel][:IMMediate]"
_PULSE = "[SOURce#:][FUNCtion:]PULSe"
LEAVES: dict[str, Leaf] = {
    "output": _flag("OUTPut#[:STATe]"),
    "load": _number("OUTPut#:{LOAD|IMPedance}", "OHM", 50.0, (1.0, _INFINITE)),
    "polarity": _choice("OUTPut#:POLarity", "NORMal INVerted"),
    "sync": _flag("OUTPut#:SYNC[:STATe]", start=True),
    "trigger_out": _flag("OUTPut#:TRIGger[:STATe]"),
    "trigger_out_edge": _choice("OUTPut#:TRIGger:SLOPe", "POSitive NEGative"),
    "rate_hz": _number("[SOURce#:]FREQuency[:CW|:FIXed]", "HZ", 1000.0, (1e-6, 30e6)),
    "rate_mode": _choice("[SOURce#:]FREQuency:MODE", "CW FIXed SWEep LIST"),
    "start_hz": _number("[SOURce#:]FREQuency:STARt", "HZ", 100.0, (1e-6, 30e6)),
    "stop_hz": _number("[SOURce#:]FREQuency:STOP", "HZ", 1000.0, (1e-6, 30e6)),
    "span_hz": _number("[SOURce#:]FREQuency:SPAN", "HZ", 900.0, (0.0, 30e6)),
    "shape": _choice("[SOURce#:]FUNCtion[:SHAPe]", _SHAPES),
    "ramp_percent": _number("[SOURce#:]FUNCtion:RAMP:SYMMetry", "PCT", 100.0, (0.0, 100.0)),
    "square_percent": _number("[SOURce#:]FUNCtion:SQUare:DCYCle", "PCT", 50.0, (0.01, 99.99)),
    "width_s": _number(f"{_PULSE}:WIDTh", "S", 100e-6, (16e-9, 1e6)),
    "duty_percent": _number(f"{_PULSE}:DCYCle", "PCT", 10.0, (0.01, 99.99)),
    "edge_s": _number(f"{_PULSE}:TRANsition[:BOTH|:LEADing]", "S", 10e-9, (2.9e-9, 1e-6)),
    "fall_s": _number(f"{_PULSE}:TRANsition:TRAiling", "S", 10e-9, (2.9e-9, 1e-6)),
    "period_s": _number(f"{_PULSE}:PERiod", "S", 1e-3, (33e-9, 1e6)),
    "delay_s": _number(f"{_PULSE}:DELay", "S", 0.0, (0.0, 1e6)),
    "hold": _choice(f"{_PULSE}:HOLD", "WIDTh DCYCle DUTY"),
    "amplitude_v": _number(f"{_LEVEL}[:AMPLitude]", "V", 0.1, (1e-3, 20.0)),
    "offset_v": _number(f"{_LEVEL}:OFFSet", "V", 0.0, (-10.0, 10.0)),
    "high_v": _number(f"{_LEVEL}:HIGH", "V", 0.05, (-10.0, 10.0)),
    "low_v": _number(f"{_LEVEL}:LOW", "V", -0.05, (-10.0, 10.0)),
    "unit": _choice("[SOURce#:]VOLTage:UNIT", "VPP VRMS DBM"),
    "limit_high_v": _number("[SOURce#:]VOLTage:LIMit:HIGH", "V", 10.0, (-10.0, 10.0)),
    "limit_low_v": _number("[SOURce#:]VOLTage:LIMit:LOW", "V", -10.0, (-10.0, 10.0)),
    "phase_deg": _number("[SOURce#:]PHASe[:ADJust]", "DEG", 0.0, (-360.0, 360.0)),
    "burst": _flag("[SOURce#:]BURSt:STATe"),
    "burst_mode": _choice("[SOURce#:]BURSt:MODE", "TRIGgered GATed"),
    "burst_deg": _number("[SOURce#:]BURSt:PHASe", "DEG", 0.0, (-360.0, 360.0)),
    "cycles": _number("[SOURce#:]BURSt:NCYCles", "", 1.0, (1.0, _INFINITE)),
    "burst_s": _number("[SOURce#:]BURSt:INTernal:PERiod", "S", 10e-3, (1e-6, 8000.0)),
    "burst_delay_s": _number("[SOURce#:]BURSt:TDELay", "S", 0.0, (0.0, 85.0)),
    "sweep": _flag("[SOURce#:]SWEep:STATe"),
    "sweep_s": _number("[SOURce#:]SWEep:TIME", "S", 1.0, (1e-3, 8000.0)),
    "sweep_hold_s": _number("[SOURce#:]SWEep:HTIMe", "S", 0.0, (0.0, 3600.0)),
    "sweep_back_s": _number("[SOURce#:]SWEep:RTIMe", "S", 0.0, (0.0, 3600.0)),
    "sweep_mode": _choice("[SOURce#:]SWEep:MODE", "AUTO MANual"),
    "spacing": _choice("[SOURce#:]SWEep:SPACing", "LINear LOGarithmic"),
    "trigger": _choice("TRIGger#[:SEQuence]:SOURce", "IMMediate EXTernal TIMer BUS INTernal"),
    "trigger_edge": _choice("TRIGger#[:SEQuence]:SLOPe", "POSitive NEGative"),
    "trigger_delay_s": _number("TRIGger#[:SEQuence]:DELay", "S", 0.0, (0.0, 1000.0)),
    "trigger_count": _number("TRIGger#[:SEQuence]:COUNt", "", 1.0, (1.0, 1e6)),
    "range_auto": _flag("[SOURce#:]VOLTage:RANGe:AUTO", start=True),
    "clock": _choice("[SOURce:]ROSCillator:SOURce", "INTernal EXTernal"),
    "angle": _choice("UNIT:ANGLe", "DEGree RADian SECond DEFault"),
    "trigger_s": _number("TRIGger#[:SEQuence]:TIMer", "S", 1e-3, (1e-6, 8000.0)),
}


def read(leaf: Leaf, text: str) -> Value | None:
    """Read the value of a set, limits apart; None when it is none."""
    if leaf.kind == "flag":
        return boolean(text)
    if leaf.kind == "choice":
        return choice(text, leaf.words)
    low, high = leaf.limits
    named = {
        "MIN": low,
        "MINIMUM": low,
        "MAX": high,
        "MAXIMUM": high,
        "INF": _INFINITE,
        "INFINITY": _INFINITE,
    }
    if (found := named.get(text.strip().upper())) is not None:
        return found
    if text.strip().upper() in {"DEF", "DEFAULT"}:
        return leaf.start
    value = quantity(text, leaf.kind)
    # Amplitudes may carry the unit in which they are meant.
    return quantity(text, leaf.kind + "PP") if value is None and leaf.kind == "V" else value


def write(value: Value, form: str) -> str:
    """Write a value as the reply to a query; `form` is of numbers."""
    if isinstance(value, str):
        return value
    return flag(value) if isinstance(value, bool) else format(value, form)


@dataclass(slots=True)
class Settings:
    """Values by channel and name; those that were never set are as after *RST."""

    values: dict[tuple[int, str], Value] = field(default_factory=dict)

    def __getitem__(self, key: tuple[int, str]) -> Value:
        return self.values.get(key, LEAVES[key[1]].start)

    def number(self, channel: int, name: str) -> float:
        """Give a value that is a number."""
        return float(self[channel, name])


def find(path: str) -> tuple[str, int, Leaf] | None:
    """Find the setting of a header in capitals without question mark: its name, its channel, and what it is."""
    for name, leaf in LEAVES.items():
        if found := leaf.pattern.fullmatch(path):
            return name, int(next((digits for digits in found.groups() if digits), "1")), leaf
    return None
