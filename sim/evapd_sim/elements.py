"""The table of elements: isotopes, charge states, evaporation fields, each with its source.

The numbers live in `data/elements.yaml` with a citation; this module only reads and arranges them.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field

from evapd.config.section import Section
from evapd.errors import ConfigError

Positive = Annotated[float, Field(gt=0)]


class Element(Section):
    """One element. Masses in Da, field in V/nm, density in atoms per nm3."""

    isotopes: tuple[tuple[Positive, Positive], ...]
    charges: dict[int, Positive]
    field_v_per_nm: Positive
    atoms_per_nm3: Positive | None
    source: str


class ElementTable(Section):
    """All elements, and where the numbers come from."""

    sources: dict[str, str]
    elements: dict[str, Element]


@cache
def element_table() -> ElementTable:
    """Read the table that comes with the package."""
    text = files("evapd_sim").joinpath("data", "elements.yaml").read_text(encoding="utf-8")
    return ElementTable.model_validate(yaml.safe_load(text))


@dataclass(frozen=True, slots=True)
class Species:
    """Every ion a specimen can give: one row per element, isotope and charge state.

    Attributes:
        names: such as `56Fe2+`, in the order of the rows.
        mass_da: atomic mass in Da, float64 (rows).
        charge: charge state, float64 (rows).
        element: index into `elements`, intp (rows).
        share: fraction of its element's ions, float64 (rows); adds up to 1 per element.
        elements: symbols in the order of the composition.
        fraction: atomic fraction in the bulk, float64 (elements); adds up to 1.
        field_v_per_nm: evaporation field of the pure element, float64 (elements).
        volume_nm3: mean volume per evaporated atom.
    """

    names: tuple[str, ...]
    mass_da: NDArray[np.float64]
    charge: NDArray[np.float64]
    element: NDArray[np.intp]
    share: NDArray[np.float64]
    elements: tuple[str, ...]
    fraction: NDArray[np.float64]
    field_v_per_nm: NDArray[np.float64]
    volume_nm3: float

    @property
    def mass_to_charge_da(self) -> NDArray[np.float64]:
        """Mass-to-charge ratio of each row in Da."""
        return self.mass_da / self.charge


def species_of(composition: dict[str, float]) -> Species:
    """Arrange the ions of a mixture given by atomic fractions (normalised here).

    Raises:
        ConfigError: when an element is not in the table, or nothing solid is left.
    """
    table = element_table().elements
    unknown = [symbol for symbol in composition if symbol not in table]
    if unknown or not composition:
        raise ConfigError(
            f"twin: composition names {', '.join(unknown) or 'no element'}; known are {', '.join(table)}"
        )
    fraction = np.array(list(composition.values()), dtype=np.float64)
    fraction /= fraction.sum()
    names, mass, charge, element, share = [], [], [], [], []
    for index, symbol in enumerate(composition):
        entry = table[symbol]
        isotope_sum = sum(abundance for _, abundance in entry.isotopes)
        charge_sum = sum(entry.charges.values())
        for mass_da, abundance in entry.isotopes:
            for state, part in entry.charges.items():
                names.append(f"{round(mass_da)}{symbol}{state}+")
                mass.append(mass_da)
                charge.append(float(state))
                element.append(index)
                share.append(abundance / isotope_sum * part / charge_sum)
    volumes = [
        0.0 if (density := table[symbol].atoms_per_nm3) is None else 1.0 / density for symbol in composition
    ]
    volume_nm3 = float(np.dot(fraction, volumes))
    if volume_nm3 <= 0.0:
        raise ConfigError("twin: composition holds nothing solid; name at least one element with a density")
    return Species(
        names=tuple(names),
        mass_da=np.array(mass),
        charge=np.array(charge),
        element=np.array(element, dtype=np.intp),
        share=np.array(share),
        elements=tuple(composition),
        fraction=fraction,
        field_v_per_nm=np.array([table[symbol].field_v_per_nm for symbol in composition]),
        volume_nm3=volume_nm3,
    )
