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
_STEP_V = 1e-3  # the least amplitude


class Leaf(NamedTuple):
    """One setting: its header, what it is (`flag`, `choice`, `text`, or the unit of a number), limits or choices, and its value after *RST."""

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


def _text(pattern: str, start: str) -> Leaf:
    return Leaf(header(pattern), "text", (0, 0), (), start)


_SHAPES = "SINusoid SQUare PULSe RAMP TRIangle NOISe PRBS DC ARB USER USER1 USER2 USER3 USER4 EMEMory PRNoise SINC GAUSsian LORentz ERISe EDECay HAVersine"
_LEVEL = "[SOURce#:]VOLTage[:LEVel][:IMMediate]"
_PULSE = "[SOURce#:][FUNCtion:]PULSe"
LEAVES: dict[str, Leaf] = {
    "output": _flag("OUTPut#[:STATe]"),
    "load": _number("[SOURce#:]OUTPut#:{LOAD|IMPedance}", "OHM", 50.0, (1.0, _INFINITE)),
    "polarity": _choice("OUTPut#:POLarity", "NORMal INVerted"),
    "sync": _flag("OUTPut#:SYNC[:STATe]", start=True),
    "trigger_out": _flag("OUTPut#:TRIGger[:STATe]"),
    "trigger_out_edge": _choice("OUTPut#:TRIGger:SLOPe", "POSitive NEGative"),
    "trigger_out_mode": _choice("OUTPut#:TRIGger:MODE", "TRIGger SYNC"),
    "sync_mode": _choice("OUTPut#:SYNC:MODE", "NORMal CARRier MARKer"),
    "sync_polarity": _choice("OUTPut#:SYNC:POLarity", "NORMal INVerted"),
    "sync_source": _choice("OUTPut:SYNC:SOURce", "CH1 CH2"),
    "rate_hz": _number("[SOURce#:]FREQuency[:CW|:FIXed]", "HZ", 1000.0, (1e-6, 30e6)),
    "rate_mode": _choice("[SOURce#:]FREQuency:MODE", "CW FIXed SWEep LIST"),
    "start_hz": _number("[SOURce#:]FREQuency:STARt", "HZ", 100.0, (1e-6, 30e6)),
    "stop_hz": _number("[SOURce#:]FREQuency:STOP", "HZ", 1000.0, (1e-6, 30e6)),
    "center_hz": _number("[SOURce#:]FREQuency:CENTer", "HZ", 550.0, (1e-6, 30e6)),
    "rates_together": _flag("[SOURce#:]FREQuency:CONCurrent[:STATe]"),
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
    "levels_together": _flag("[SOURce#:]VOLTage:CONCurrent[:STATe]"),
    "limit_high_v": _number("[SOURce#:]VOLTage:LIMit:HIGH", "V", 10.0, (-10.0, 10.0)),
    "limit_low_v": _number("[SOURce#:]VOLTage:LIMit:LOW", "V", -10.0, (-10.0, 10.0)),
    "phase_deg": _number("[SOURce#:]PHASe[:ADJust]", "DEG", 0.0, (-360.0, 360.0)),
    "burst": _flag("[SOURce#:]BURSt:STATe"),
    "burst_mode": _choice("[SOURce#:]BURSt:MODE", "TRIGgered GATed"),
    "burst_deg": _number("[SOURce#:]BURSt:PHASe", "DEG", 0.0, (-360.0, 360.0)),
    "gate_polarity": _choice("[SOURce#:]BURSt:GATE:POLarity", "NORMal INVerted"),
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
    "beeper": _flag("SYSTem:BEEPer:STATe", start=True),
    # Kept and told, and without effect on the pulses: arbitrary shapes and modulation.
    "arb_hz": _number("[SOURce#:]FUNCtion:ARBitrary:SRATe", "", 40e3, (1e-6, 250e6)),
    "arb_filter": _choice("[SOURce#:]FUNCtion:ARBitrary:FILTer", "NORMal STEP OFF"),
    "arb_advance": _choice("[SOURce#:]FUNCtion:ARBitrary:ADVance", "SRATe TRIGger"),
    "arb_name": _text("[SOURce#:]FUNCtion:ARBitrary", '"INT:\\BUILTIN\\EXP_RISE.ARB"'),
    "shape_file": _text("[SOURce#:]FUNCtion:EFILe", '""'),
    "combined": _text("[SOURce#:]COMBine:FEED", '""'),
    "noise_1_percent": _number("SOURce3:POWer[:LEVel][:IMMediate][:AMPLitude]", "PCT", 0.0, (0.0, 50.0)),
    "noise_2_percent": _number("SOURce4:POWer[:LEVel][:IMMediate][:AMPLitude]", "PCT", 0.0, (0.0, 50.0)),
    "am_percent": _number("[SOURce#:]AM:DEPTh", "PCT", 100.0, (0.0, 120.0)),
    "fm_hz": _number("[SOURce#:]FM:DEViation", "HZ", 100.0, (0.0, 15e6)),
    "pm_deg": _number("[SOURce#:]PM:DEViation", "DEG", 180.0, (0.0, 360.0)),
    "pwm_percent": _number("[SOURce#:]PWM:DEViation:DCYCle", "PCT", 1.0, (0.0, 50.0)),
    "fsk_hz": _number("[SOURce#:]{FSKey|FSK}:FREQuency", "HZ", 100.0, (1e-6, 30e6)),
    "fsk_internal_hz": _number("[SOURce#:]{FSKey|FSK}:INTernal:RATE", "HZ", 10.0, (1e-3, 1e6)),
    "fsk_source": _choice("[SOURce#:]{FSKey|FSK}:SOURce", "INTernal EXTernal"),
    "fsk": _flag("[SOURce#:]{FSKey|FSK}:STATe"),
}
for _kind in ("AM", "FM", "PM", "PWM"):
    _head = f"[SOURce#:]{_kind}"
    LEAVES |= {
        f"{_kind}_state": _flag(f"{_head}:STATe"),
        f"{_kind}_source": _choice(f"{_head}:SOURce", "INTernal EXTernal CH1 CH2"),
        f"{_kind}_internal_hz": _number(f"{_head}:INTernal:FREQuency", "HZ", 10.0, (1e-3, 1e6)),
        f"{_kind}_internal_shape": _choice(f"{_head}:INTernal:FUNCtion[:SHAPe]", _SHAPES),
        f"{_kind}_internal_file": _text(f"{_head}:INTernal:FUNCtion:EFILe", '""'),
    }


def read(leaf: Leaf, text: str) -> Value | None:
    """Read the value of a set, limits apart; None when it is none."""
    if leaf.kind == "flag":
        return boolean(text)
    if leaf.kind == "choice":
        return choice(text, leaf.words)
    if leaf.kind == "text":
        return text
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

    def fit_levels(self, channel: int, name: str) -> None:
        """See to it that amplitude and offset say the same as the levels, after `name` was set."""
        if name in {"amplitude_v", "offset_v"}:
            half_v, offset_v = self.number(channel, "amplitude_v") / 2.0, self.number(channel, "offset_v")
            self.values |= {(channel, "high_v"): offset_v + half_v, (channel, "low_v"): offset_v - half_v}
        elif name in {"high_v", "low_v"}:
            high_v, low_v = self.number(channel, "high_v"), self.number(channel, "low_v")
            if high_v <= low_v:  # the other one gives way
                high_v, low_v = (high_v, high_v - _STEP_V) if name == "high_v" else (low_v + _STEP_V, low_v)
            self.values |= {
                (channel, "high_v"): high_v, (channel, "low_v"): low_v,
                (channel, "amplitude_v"): high_v - low_v, (channel, "offset_v"): (high_v + low_v) / 2.0,
            }  # fmt: skip


def find(path: str) -> tuple[str, int, Leaf] | None:
    """Find the setting of a header in capitals without question mark: its name, its channel, and what it is."""
    for name, leaf in LEAVES.items():
        if found := leaf.pattern.fullmatch(path):
            return name, int(next((digits for digits in found.groups() if digits), "1")), leaf
    return None
