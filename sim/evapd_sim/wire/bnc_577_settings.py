"""The settings of a BNC 575/577 or Quantum Composers 9520/9530: system timer (channel 0) and output channels.

Source: BNC 575 and 577 operating manuals, chapter Programming; Quantum Composers 9500+ and 9530 manuals. By practice only: digits of the
replies beside `0.000120000`, and the ranges of counters and levels.
"""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from evapd_sim.wire.numbers import flag
from evapd_sim.wire.scpi import boolean, choice, header, quantity, short

Value = float | bool | str
_NANOSECOND = 1e-9
_STEPS_S = {"time": 0.25e-9, "period": 5e-9}
_UNITS = {"time": "S", "period": "S", "volt": "V"}


class Leaf(NamedTuple):
    """One setting: its keywords behind `:PULSe#`, its kind, limits or choices, and the value after *RST.

    Kinds: `flag`, `choice`, `count` whole number, `time` in s by 0.25 ns, `period` in s by 5 ns, `volt` with two decimals.
    """

    pattern: re.Pattern[str]
    kind: str
    low: float
    high: float
    words: tuple[str, ...]
    start: Value


def _leaf(
    pattern: str, kind: str, start: Value, limits: tuple[float, float] = (0, 0), words: str = ""
) -> Leaf:
    return Leaf(header(pattern), kind, *limits, tuple(words.split()), start)


_MODES = "NORMal SINGle BURSt DCYCle"
_COUNT = partial(_leaf, kind="count", limits=(1, 9_999_999))
_PLACES = "T0 CHA CHB CHC CHD CHE CHF CHG CHH"
_BOTH = {
    "state": _leaf("STATe", "flag", start=False),
    "burst": _COUNT("BCOunter", start=10),
    "on": _COUNT("PCOunter", start=4),
    "off": _COUNT("OCOunter", start=2),
}
SYSTEM = _BOTH | {
    "period": _leaf("PERiod", "period", 1e-3, (50e-9, 5000.0)),
    "mode": _leaf("MODe", "choice", "NORM", words=_MODES),
    "cycle": _COUNT("CYCLe", start=1),
    "clock": _leaf("ICLock[:MODe]", "choice", "INT", words="INTernal EXTernal XPL SYS EXT10 EXT20 EXT25 EXT40 EXT50 EXT80 EXT100"),
    "clock_mhz": _leaf("ICLock:RATe", "count", 10, (10, 100)),
    "clock_v": _leaf("ICLock:LEVel", "volt", 1.0, (0.02, 2.5)),
    "clock_lost": _leaf("ICLock:OPTion", "choice", "LAST", words="FORCE LAST"),
    "clock_out": _leaf("OCLock", "choice", "T0", words="T0 10 11 12 14 16 20 25 33 50 100"),
    "trigger": _leaf("TRIGger:MODe", "choice", "DIS", words="DISabled TRIGger DUAL"),
    "trigger_edge": _leaf("TRIGger:{EDGe|LOGic}", "choice", "RIS", words="RISing FALLing"),
    "trigger_v": _leaf("TRIGger:LEVel", "volt", 2.5, (0.2, 15.0)),
    "gate": _leaf("GATe:MODe", "choice", "DIS", words="DISabled PULSe OUTPut CHANnel"),
    "gate_logic": _leaf("GATe:LOGic", "choice", "HIGH", words="LOW HIGH"),
    "gate_edge": _leaf("GATe:EDGe", "choice", "RIS", words="RISing FALLing"),
    "gate_v": _leaf("GATe:LEVel", "volt", 2.5, (0.2, 15.0)),
    "external": _leaf("EXTernal:MODe", "choice", "DIS", words="DISabled TRIGger GATe"),
    "external_edge": _leaf("EXTernal:EDGe", "choice", "RIS", words="RISing FALLing"),
    "external_v": _leaf("EXTernal:LEVel", "volt", 2.5, (0.2, 15.0)),
    "counter": _leaf("COUNter:STATe", "flag", start=False),
}  # fmt: skip
CHANNEL = _BOTH | {
    "width": _leaf("WIDTh", "time", 10e-6, (10e-9, 999.99999999975)),
    "delay": _leaf("DELay", "time", 0.0, (-999.99999999975, 999.99999999975)),
    "sync": _leaf("SYNC", "choice", "T0", words=_PLACES),
    "mux": _leaf("MUX", "count", 1, (0, 255)),
    "polarity": _leaf("POLarity", "choice", "NORM", words="NORMal COMPlement INVerted"),
    "mode": _leaf("CMODe", "choice", "NORM", words=_MODES),
    "wait": _leaf("WCOunter", "count", 0, (0, 9_999_999)),
    "gate": _leaf("CGATe", "choice", "DIS", words="DISabled PULSe OUTPut LOW HIGH"),
    "logic": _leaf("CLOGic", "choice", "HIGH", words="LOW HIGH"),
    "trigger": _leaf("CTRIg", "choice", "DIS", words="DISabled TRIG GATE"),
    "output": _leaf("OUTPut:MODe", "choice", "TTL", words="TTL ADJustable"),
    "amplitude_v": _leaf("OUTPut:AMPLitude", "volt", 4.0, (2.0, 20.0)),
}  # fmt: skip
GROUPS = tuple(header(group) for group in ("TRIGger", "GATe", "EXTernal", "COUNter", "OUTPut"))


def read(leaf: Leaf, text: str) -> Value | None:
    """Read the value of a set; None when it is none, or out of range."""
    if leaf.kind == "flag":
        return boolean(text)
    if leaf.kind == "choice":
        return choice(text, leaf.words)
    value = quantity(text, _UNITS.get(leaf.kind, ""))
    if value is None or not leaf.low <= value <= leaf.high:
        return None
    step = _STEPS_S.get(leaf.kind, 1.0 if leaf.kind == "count" else 0.01)
    return round(value / step) * step


def write(leaf: Leaf, value: Value) -> str:
    """Write a value as the reply to a query."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return flag(value)
    if leaf.kind == "count":
        return f"{value:.0f}"
    if leaf.kind == "volt":
        return f"{value:.2f}"
    whole = abs(value / _NANOSECOND - round(value / _NANOSECOND)) < 1e-3
    return f"{value:.9f}" if whole else f"{value:.11f}"


@dataclass(slots=True)
class Settings:
    """Values by channel (0 = system) and name; those that were never set are as after *RST."""

    values: dict[tuple[int, str], Value] = field(default_factory=dict)

    def __getitem__(self, key: tuple[int, str]) -> Value:
        channel, name = key
        return self.values.get(key, (CHANNEL if channel else SYSTEM)[name].start)

    def number(self, channel: int, name: str) -> float:
        """Give a value that is a number."""
        return float(self[channel, name])

    def copy(self) -> "Settings":
        """Give what *SAV keeps; whether it runs is not part of it."""
        return Settings({key: value for key, value in self.values.items() if key != (0, "state")})


def find(channel: int | None, path: str) -> tuple[bool, str, Leaf] | None:
    """Find the setting that the keywords behind `:PULSe#` name: whether it is the system's, its name, and what it is.

    Args:
        channel: the number behind PULSe, 0 for the system, None where it is missing.
        path: the keywords, in capitals, without the question mark.
    """
    tables = [(True, SYSTEM)] if channel == 0 else [(False, CHANNEL), (True, SYSTEM)]
    for system, table in tables:
        for name, leaf in table.items():
            if leaf.pattern.fullmatch(path):
                return system, name, leaf
    return None


def place_name(channel: int) -> str:
    """`T0`, `CHA`, ..."""
    return "T0" if channel == 0 else f"CH{chr(ord('A') + channel - 1)}"


def places(channels: int) -> list[str]:
    """Give the names of all timers of a unit with so many outputs."""
    return [short(place_name(channel)) for channel in range(channels + 1)]
