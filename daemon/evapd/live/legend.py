"""Which part of the spectrum belongs to which ion: from a range file, or guessed from the specimen's elements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.spectrometry.composition import charge_of
from evapd.spectrometry.ions import ELECTRON_DA, MAX_CHARGE, Ion, ions_of, isotope_table
from evapd.spectrometry.palette import GREY, IN_ORDER
from evapd.spectrometry.ranges import Range

LOW, HIGH = 0.996, 1.011  # of an ion's m/q, without a range file: more above, where the energy deficits lie
RARE = 0.01  # isotopes below this abundance claim nothing
OUTWEIGHS = 10.0  # times the abundance: then the other ion in a range does not matter
MOST_IONS = 254
MOST_RANGES = 256  # that are told


@dataclass(frozen=True, slots=True)
class Part:
    """A range with the charge of its ion, None where it is not known, and its ion's place in the legend."""

    range: Range
    charge: int | None
    ion: int


@dataclass(frozen=True, slots=True)
class Legend:
    """Ions by place, from 1; 0 is what belongs to no ion.

    `parts` are what is counted for compositions and charge states, `shown` what points are coloured by: without a range file
    rare isotopes colour points, but are not counted.
    """

    source: str  # "ranges", "elements" or "none"
    names: tuple[str, ...]
    colours: tuple[str, ...]
    parts: tuple[Part, ...]
    shown: tuple[Part, ...]

    def table(self, bins_per_root: float, bins: int) -> NDArray[np.uint8]:
        """Give the ion's place for every fine bin of the spectrum."""
        table = np.zeros(bins, np.uint8)
        for part in self.shown:
            low, high = edges_of(part.range, bins_per_root, bins)
            table[low:high] = part.ion
        return table

    def document(self) -> dict[str, Any]:
        """Give it for displays."""
        return {
            "source": self.source,
            "names": ["", *self.names],
            "colours": [GREY, *self.colours],
            "ranges": [
                {
                    "low_da": round(part.range.low_da, 4),
                    "high_da": round(part.range.high_da, 4),
                    "label": label_of(part),
                    "ion": part.ion,
                }
                for part in self.parts[:MOST_RANGES]
            ],
        }


def edges_of(each: Range, bins_per_root: float, bins: int) -> tuple[int, int]:
    """First fine bin of a range, and the first behind it; edges are put on the nearest edge of a bin."""
    low, high = np.sqrt([each.low_da, each.high_da]) * bins_per_root
    return min(round(float(low)), bins), min(round(float(high)), bins)


def label_of(part: Part) -> str:
    """Such as `CrO2+` or `Al2+`; without a known charge the ion alone."""
    if part.charge is None:
        return part.range.ion
    return f"{part.range.ion}{'' if part.charge == 1 else part.charge}+"


def from_ranges(ranges: Sequence[Range]) -> Legend:
    """Take the ranges of a file, and its colours."""
    names = list(dict.fromkeys(each.ion for each in ranges))[:MOST_IONS]
    places = {name: k + 1 for k, name in enumerate(names)}
    colours = [IN_ORDER[k % len(IN_ORDER)] for k in range(len(names))]
    for each in ranges:
        if each.colour and each.ion in places:
            colours[places[each.ion] - 1] = each.colour
    parts = tuple(
        Part(
            each,
            charge_of(each, isotope_table(), most=MAX_CHARGE, electron_da=ELECTRON_DA),
            places.get(each.ion, 0),
        )
        for each in ranges
    )
    return Legend("ranges", tuple(names), tuple(colours), parts, parts)


def from_elements(elements: Iterable[str]) -> Legend:
    """Guess ranges of single-atom ions of elements: around every isotope that is not rare.

    Counted is each charge state's most abundant isotope, where no other ion that matters lies in its range.
    """
    ions = [ion for ion in ions_of(elements) if ion.abundance >= RARE]
    names = tuple(dict.fromkeys(ion.element for ion in ions))
    places = {name: k + 1 for k, name in enumerate(names)}
    # The most abundant comes last and so covers the others.
    shown = tuple(_part(ion, places) for ion in sorted(ions, key=lambda ion: ion.abundance))
    alone = [ion for ion in ions if ion.leading and not any(_disturbs(other, ion) for other in ions)]
    parts = tuple(_part(ion, places) for ion in sorted(alone, key=lambda ion: ion.mass_to_charge_da))
    colours = tuple(IN_ORDER[k % len(IN_ORDER)] for k in range(len(names)))
    return Legend("elements" if names else "none", names, colours, parts, shown)


def _part(ion: Ion, places: dict[str, int]) -> Part:
    mass_da = ion.mass_to_charge_da
    return Part(Range(LOW * mass_da, HIGH * mass_da, ((ion.element, 1),)), ion.charge, places[ion.element])


def _disturbs(other: Ion, ion: Ion) -> bool:
    """Whether ranges of two ions overlap and the other is not negligible."""
    apart = max(other.mass_to_charge_da, ion.mass_to_charge_da) * LOW >= HIGH * min(
        other.mass_to_charge_da, ion.mass_to_charge_da
    )
    return other is not ion and not apart and other.abundance * OUTWEIGHS > ion.abundance
