"""The one place that converts units; every other name carries its unit.

Settings may be written as a bare number in the unit of their key (`v_max_v: 5000`) or as a quantity
(`v_max_v: 5 kV`); a quantity in a unit of another kind is an error, never a guess.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

ELEMENTARY_CHARGE_C = 1.602176634e-19  # exact, SI 2019
DALTON_KG = 1.66053906892e-27  # CODATA 2022
BOLTZMANN_EV_PER_K = 8.617333262e-5  # exact to the digits, SI 2019

US_PER_S = 1_000_000
NS_PER_S = 1_000_000_000
PS_PER_NS = 1000
UM_PER_MM = 1000

_SCALES: dict[str, dict[str, float]] = {
    "V": {"V": 1.0, "mV": 1e-3, "kV": 1e3},
    "V/s": {"V/s": 1.0, "kV/s": 1e3, "V/min": 1.0 / 60.0},
    "A": {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9},
    "s": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0},
    "ns": {"ns": 1.0, "ps": 1e-3, "us": 1e3},
    "ps": {"ps": 1.0, "ns": 1e3},
    "Hz": {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6},
    "mm": {"mm": 1.0, "um": 1e-3, "cm": 10.0, "m": 1e3},
    "K": {"K": 1.0, "mK": 1e-3},
    "Pa": {"Pa": 1.0, "mPa": 1e-3, "uPa": 1e-6, "mbar": 100.0, "Torr": 101325.0 / 760.0},
    "pJ": {"pJ": 1.0, "nJ": 1e3, "fJ": 1e-3},
    "MB": {"MB": 1.0, "GB": 1e3, "kB": 1e-3},
    "nm": {"nm": 1.0, "um": 1e3},
    "deg": {"deg": 1.0},
    "mm/ns": {"mm/ns": 1.0},
}
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z%][A-Za-z/%]*)\s*")


def convert(value: float, unit: str, to: str) -> float:
    """Convert `value` from `unit` to `to`, both of one kind.

    Raises:
        ValueError: when `unit` is not a unit of the same kind as `to`.
    """
    scale = _SCALES[to].get(unit)
    if scale is None:
        raise ValueError(f"wrong unit '{unit}', allowed are {', '.join(_SCALES[to])}")
    return value * scale


def parse_quantity(text: str, to: str) -> float:
    """Read a number with its unit, such as `5 kV`, and give it in the unit `to`.

    Raises:
        ValueError: when the text is not a number with a unit of the right kind.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a number, nor a number with a unit such as '1 {to}'")
    return convert(float(match.group(1)), match.group(2), to)


@dataclass(frozen=True)
class _Unit:
    """Annotation that lets a float setting be written as a quantity."""

    unit: str

    def _read(self, value: Any) -> Any:
        if isinstance(value, bool):
            raise PydanticCustomError(
                "quantity", "a yes/no value where a number in {unit} is wanted", {"unit": self.unit}
            )
        if isinstance(value, str):
            try:
                return parse_quantity(value, self.unit)
            except ValueError as error:
                raise PydanticCustomError("quantity", "{why}", {"why": str(error)}) from None
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        number = handler(schema)
        units = "|".join(re.escape(name) for name in _SCALES[self.unit])
        text = {"type": "string", "pattern": rf"^\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*({units})\s*$"}
        return {"anyOf": [number, text]}


Volt = Annotated[float, _Unit("V")]
VoltPerSecond = Annotated[float, _Unit("V/s")]
Ampere = Annotated[float, _Unit("A")]
Second = Annotated[float, _Unit("s")]
Nanosecond = Annotated[float, _Unit("ns")]
Picosecond = Annotated[float, _Unit("ps")]
Hertz = Annotated[float, _Unit("Hz")]
Millimetre = Annotated[float, _Unit("mm")]
Nanometre = Annotated[float, _Unit("nm")]
Kelvin = Annotated[float, _Unit("K")]
Pascal = Annotated[float, _Unit("Pa")]
Picojoule = Annotated[float, _Unit("pJ")]
Megabyte = Annotated[float, _Unit("MB")]
Degree = Annotated[float, _Unit("deg")]
MillimetrePerNanosecond = Annotated[float, _Unit("mm/ns")]
