"""What single-atom ions a specimen's elements would give, for naming peaks that were already found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import yaml

MAX_CHARGE = 4
ELECTRON_DA = 5.48579909e-4  # CODATA 2022; an ion is lighter than its atom by its missing electrons


@dataclass(frozen=True, slots=True)
class Ion:
    """One isotope in one charge state."""

    element: str
    mass_number: int
    charge: int
    mass_to_charge_da: float
    abundance: float  # natural, of the element
    leading: bool  # the element's most abundant isotope

    @property
    def name(self) -> str:
        """Such as `56Fe2+`; a single charge is written without its number."""
        return f"{self.mass_number}{self.element}{'' if self.charge == 1 else self.charge}+"


@cache
def isotope_table() -> Mapping[str, tuple[tuple[float, float], ...]]:
    """Natural isotopes by element: (mass of the atom in Da, abundance); the source stands in `isotopes.yaml`."""
    text = files("evapd.spectrometry").joinpath("isotopes.yaml").read_text(encoding="utf-8")
    elements = yaml.safe_load(text)["elements"]
    return MappingProxyType(
        {
            symbol: tuple((float(mass_da), float(abundance)) for mass_da, abundance in isotopes)
            for symbol, isotopes in elements.items()
        }
    )


def ions_of(elements: Iterable[str], max_charge: int = MAX_CHARGE) -> tuple[Ion, ...]:
    """List every natural isotope in every charge state from 1 to `max_charge`; unknown symbols give nothing."""
    table = isotope_table()
    return tuple(
        Ion(
            element=element,
            mass_number=round(mass_da),
            charge=charge,
            mass_to_charge_da=mass_da / charge - ELECTRON_DA,
            abundance=abundance,
            leading=abundance == max(share for _, share in table[element]),
        )
        for element in dict.fromkeys(elements)
        if element in table
        for charge in range(1, max_charge + 1)
        for mass_da, abundance in table[element]
    )


def unknown_elements(elements: Iterable[str]) -> tuple[str, ...]:
    """Give the symbols that the table does not have, such as a misspelt one."""
    return tuple(symbol for symbol in dict.fromkeys(elements) if symbol not in isotope_table())
