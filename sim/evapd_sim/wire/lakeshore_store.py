"""Settings of a Lake Shore 336 that are kept and given back: PID, RAMP, OUTMODE, limits, alarms, names.

Source: Model 336 user's manual, chapter Computer Interface Operation.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from evapd_sim.wire.numbers import read_float, read_integer, six_digits


class _Form(NamedTuple):
    """What one command takes: its keys (inputs, outputs, curves), kinds of its fields, and the values at power-on.

    Kinds: `i` whole number, `f` number, `s` text in double quotes.
    """

    keys: tuple[str, ...]
    kinds: str
    start: tuple[str, ...]


_INPUTS, _OUTPUTS = tuple("ABCD"), tuple("1234")
_FORMS = {
    "PID": _Form(_OUTPUTS, "fff", ("50", "20", "0")),
    "RAMP": _Form(_OUTPUTS, "if", ("0", "0")),
    "OUTMODE": _Form(_OUTPUTS, "iii", ("1", "1", "0")),
    "MOUT": _Form(_OUTPUTS, "f", ("0",)),
    "HTRSET": _Form(tuple("12"), "iiifi", ("2", "0", "2", "1.0", "1")),
    "TLIMIT": _Form(_INPUTS, "f", ("0",)),
    "ALARM": _Form(_INPUTS, "ifffiii", ("0", "400", "0", "0", "0", "0", "0")),
    "INTYPE": _Form(_INPUTS, "iiiii", ("1", "0", "0", "0", "1")),
    "INCRV": _Form(_INPUTS, "i", ("2",)),
    "INNAME": _Form(_INPUTS, "s", ("",)),
    "CRVHDR": _Form(tuple(str(number) for number in range(1, 60)), "ssifi", ("DT-670", "STANDARD C", "2", "500", "1")),
}  # fmt: skip


def _read(kind: str, text: str) -> str | None:
    """Check one field and bring it into the form of a reply."""
    if kind == "s":
        return text.strip('"')[:15]
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
        if form is None or len(arguments) != 1 or arguments[0] not in form.keys:
            return None
        return ",".join(self._fields(name, arguments[0]))

    def command(self, name: str, arguments: list[str]) -> None:
        """Keep the values of a set; one that is not understood changes nothing and says nothing."""
        form = _FORMS.get(name)
        if form is None or len(arguments) != 1 + len(form.kinds) or arguments[0] not in form.keys:
            return
        fields = [_read(kind, text) for kind, text in zip(form.kinds, arguments[1:], strict=True)]
        known = [text for text in fields if text is not None]
        if len(known) == len(fields):
            self._values[name, arguments[0]] = known

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
        return self._values.get((name, key), start)
