"""Settings of a Lake Shore 336 that are kept and given back: PID, RAMP, OUTMODE, limits, alarms, names, curves, zones, display, network.

Source: Model 336 user's manual, chapter Computer Interface Operation, and the maker's own Python package with its tests. By practice only: the values at power-on.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from evapd_sim.wire.numbers import read_float, read_integer, six_digits


class _Form(NamedTuple):
    """What one command takes: its keys (inputs, outputs, curves), kinds of its fields, and the values at power-on.

    Kinds: `i` whole number, `f` number, `s` text, with or without double quotes. Without keys it is there once. `second` is how many there are under each key, from 1:
    points of a curve, zones of a loop.
    """

    keys: tuple[str, ...]
    kinds: str
    start: tuple[str, ...]
    second: int = 0

    def split(self, arguments: list[str]) -> tuple[str, list[str]] | None:
        """Give the key and the fields behind it; None where there is no such key."""
        count = bool(self.keys) + bool(self.second)
        key = arguments[:count]
        if len(key) < count or (self.keys and key[0] not in self.keys):
            return None
        if self.second and not (key[1].isdecimal() and 1 <= int(key[1]) <= self.second):
            return None
        return ",".join(key), arguments[count:]


_INPUTS, _OUTPUTS, _ANALOGUE = tuple("ABCD"), tuple("1234"), tuple("34")
_CURVES = tuple(str(number) for number in range(1, 60))
_FORMS = {
    "PID": _Form(_OUTPUTS, "fff", ("50", "20", "0")),
    "RAMP": _Form(_OUTPUTS, "if", ("0", "0")),
    "OUTMODE": _Form(_OUTPUTS, "iii", ("1", "1", "0")),
    "MOUT": _Form(_OUTPUTS, "f", ("0",)),
    "HTRSET": _Form(tuple("12"), "iifi", ("1", "2", "1.0", "1")),
    "ZONE": _Form(_OUTPUTS, "fffffiif", ("0", "50", "20", "0", "0", "0", "0", "0.1"), 10),
    "WARMUP": _Form(_ANALOGUE, "if", ("0", "100")),
    "ANALOG": _Form(_ANALOGUE, "iiffi", ("1", "1", "400", "0", "0")),
    "TLIMIT": _Form(_INPUTS, "f", ("0",)),
    "ALARM": _Form(_INPUTS, "ifffiii", ("0", "400", "0", "0", "0", "0", "0")),
    "INTYPE": _Form(_INPUTS, "iiiii", ("1", "0", "0", "0", "1")),
    "INCRV": _Form(_INPUTS, "i", ("2",)),
    "INNAME": _Form(_INPUTS, "s", ("",)),
    "FILTER": _Form(_INPUTS, "iii", ("0", "8", "10")),
    "DIOCUR": _Form(_INPUTS, "i", ("0",)),
    "CRVHDR": _Form(_CURVES, "ssifi", ("DT-670", "STANDARD C", "2", "500", "1")),
    "CRVPT": _Form(_CURVES, "ff", ("0", "0"), 200),
    "RELAY": _Form(tuple("12"), "isi", ("0", "A", "2")),
    "DISPFLD": _Form(tuple("12345678"), "ii", ("1", "1")),
    "DISPLAY": _Form((), "iii", ("4", "1", "1")),
    "BRIGT": _Form((), "i", ("25",)),
    "LOCK": _Form((), "is", ("0", "123")),
    "LEDS": _Form((), "i", ("1",)),
    "MODE": _Form((), "i", ("0",)),
    "IEEE": _Form((), "i", ("12",)),
    "INTSEL": _Form((), "i", ("1",)),
    "WEBLOG": _Form((), "ss", ("user", "")),
    "NET": _Form((), "iissssssss", ("1", "0", "192.168.0.12", "255.255.255.0", "192.168.0.1", "192.168.0.1", "192.168.0.1", "LSCI-336", "", "")),
    "OPSTE": _Form((), "i", ("0",)),
    "*ESE": _Form((), "i", ("0",)),
    "*SRE": _Form((), "i", ("0",)),
}  # fmt: skip


def _read(kind: str, text: str) -> str | None:
    """Check one field and bring it into the form of a reply."""
    if kind == "s":
        return text.strip('"')[:40]
    if kind == "i":
        whole = read_integer(text)
        return None if whole is None else str(whole)
    number = read_float(text)
    return None if number is None else six_digits(number)


@dataclass(slots=True)
class Store:
    """Values by command and key, as the reply would show them."""

    _values: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def query(self, name: str, arguments: list[str]) -> str | None:
        """Answer a query; None when there is none such."""
        form = _FORMS.get(name)
        found = form.split(arguments) if form else None
        return ",".join(self._fields(name, found[0])) if found and not found[1] else None

    def command(self, name: str, arguments: list[str]) -> bool:
        """Keep the values of a set, and the old one where a field is empty or not sent; False where it is not understood, and nothing is changed then."""
        form = _FORMS.get(name)
        found = form.split(arguments) if form else None
        if form is None or found is None or not any(found[1]) or any(found[1][len(form.kinds) :]):
            return False
        key, sent = found
        fields = self._fields(name, key)
        for place, (kind, text) in enumerate(zip(form.kinds, sent, strict=False)):
            value = _read(kind, text) if text else fields[place]
            if value is None:
                return False
            fields[place] = value
        self._values[name, key] = fields
        return True

    @staticmethod
    def known(name: str) -> bool:
        """Whether there is a setting of that name."""
        return name in _FORMS

    def delete_curve(self, number: str) -> None:
        """Forget header and points of a curve."""
        for name, key in [
            key for key in self._values if key[0] in {"CRVHDR", "CRVPT"} and key[1].split(",")[0] == number
        ]:
            del self._values[name, key]

    def ramp(self, output: str) -> tuple[bool, float]:
        """Whether the set point ramps, and its rate in K/min; 0 means at once."""
        on, rate = self._fields("RAMP", output)
        return on == "1" and float(rate) > 0, abs(float(rate))

    def limit_k(self, name: str) -> float:
        """Temperature limit of an input in K, 0 = none."""
        return float(self._fields("TLIMIT", name)[0])

    def alarm(self, name: str) -> tuple[bool, float, float]:
        """Whether the alarm of an input is on, its high and low value in K."""
        on, high_k, low_k, *_ = self._fields("ALARM", name)
        return on == "1", float(high_k), float(low_k)

    def _fields(self, name: str, key: str) -> list[str]:
        form = _FORMS[name]
        start = [_read(kind, text) or "" for kind, text in zip(form.kinds, form.start, strict=True)]
        return list(self._values.get((name, key), start))
