"""Names for peaks that were found without knowing the specimen, and what one would have expected besides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evapd.spectrometry.ions import Ion

# A peak that would not stand out is not missed: five standard deviations of what is there already.
_SIGNIFICANT = 5.0
_FEWEST_COUNTS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPeak:
    """A found peak and the ions that lie within its full width at half maximum, the most abundant first.

    Several candidates were not told apart; none means that no single-atom ion of the named elements fits.
    """

    mass_to_charge_da: float
    counts: float
    width_da: float  # full width at half maximum
    resolving_power: float
    candidates: tuple[Ion, ...] = ()

    @property
    def label(self) -> str:
        """The candidates' names, or a question mark."""
        return " / ".join(ion.name for ion in self.candidates) or "?"


@dataclass(frozen=True, slots=True)
class Missing:
    """An isotope that should stand out, from the found peak of its element and charge state, but does not."""

    ion: Ion
    expected_counts: float


@dataclass(frozen=True, slots=True)
class Naming:
    """Found beside expected."""

    peaks: tuple[NamedPeak, ...]
    missing: tuple[Missing, ...]
    absent: tuple[str, ...]  # elements of which no charge state was found


def name_peaks(
    peaks: Sequence[NamedPeak], ions: Sequence[Ion], counts_near: Callable[[float, float], float]
) -> Naming:
    """Set found peaks beside the ions of the elements that the specimen is said to be made of.

    An ion is a candidate when it lies within one full width of a peak and so does the most abundant isotope of its
    element in the same charge state: without its main isotope a rare one explains nothing.

    Args:
        peaks: as found, without candidates.
        ions: of the named elements.
        counts_near: hits within a width (Da) around a mass-to-charge ratio (Da), whatever they are.
    """
    places = {ion: _peak_of(ion, peaks) for ion in ions}
    leaders = {
        (ion.element, ion.charge): place for ion, place in places.items() if ion.leading and place is not None
    }
    taken = [ion for ion in ions if places[ion] is not None and (ion.element, ion.charge) in leaders]
    named = tuple(
        _named(peak, [ion for ion in taken if places[ion] == index]) for index, peak in enumerate(peaks)
    )
    return Naming(
        peaks=named,
        missing=tuple(_missing(named, ions, leaders, counts_near, places)),
        absent=tuple(
            element
            for element in dict.fromkeys(ion.element for ion in ions)
            if not any(element == found for found, _ in leaders)
        ),
    )


def _peak_of(ion: Ion, peaks: Sequence[NamedPeak]) -> int | None:
    distances = [
        (abs(peak.mass_to_charge_da - ion.mass_to_charge_da) / peak.width_da, index)
        for index, peak in enumerate(peaks)
    ]
    nearest = min(distances, default=None)
    return nearest[1] if nearest is not None and nearest[0] <= 1.0 else None


def _named(peak: NamedPeak, candidates: list[Ion]) -> NamedPeak:
    candidates.sort(key=lambda ion: (-ion.abundance, ion.charge))
    return NamedPeak(
        mass_to_charge_da=peak.mass_to_charge_da,
        counts=peak.counts,
        width_da=peak.width_da,
        resolving_power=peak.resolving_power,
        candidates=tuple(candidates),
    )


def _missing(
    peaks: Sequence[NamedPeak],
    ions: Sequence[Ion],
    leaders: dict[tuple[str, int], int],
    counts_near: Callable[[float, float], float],
    places: dict[Ion, int | None],
) -> list[Missing]:
    found = []
    for ion in ions:
        index = leaders.get((ion.element, ion.charge))
        if index is None or places[ion] is not None:
            continue
        leader = next(
            each for each in ions if each.leading and (each.element, each.charge) == (ion.element, ion.charge)
        )
        peak = peaks[index]
        expected = peak.counts * ion.abundance / leader.abundance
        there = counts_near(ion.mass_to_charge_da, 2.0 * peak.width_da)
        if expected >= max(_FEWEST_COUNTS, _SIGNIFICANT * there**0.5):
            found.append(Missing(ion, expected))
    return found
