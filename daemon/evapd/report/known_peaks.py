"""Peaks that a person says are there: `1:H,27:Al`, or elements whose ions are looked for."""

import re
from collections.abc import Sequence
from itertools import pairwise

from evapd.errors import StateError
from evapd.spectrometry.align import KnownPeak
from evapd.spectrometry.ions import MAX_CHARGE, Ion, ions_of, unknown_elements

_ENTRY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*:\s*([A-Za-z][A-Za-z0-9()+]*)\s*")
_NEAR_DA = 0.6  # from a rounded number to the ion that is meant
_RARE = 0.05  # isotopes below this abundance are no landmarks
_ONE_PEAK = 0.001  # of m: closer ones cannot be told apart by anything here
_TOGETHER = 0.003  # of m: closer ones are one peak
_OUTWEIGHS = 10.0  # times the abundance: then the other one does not move the peak


def peaks_from_text(text: str) -> list[KnownPeak]:
    """Read `mass:name, mass:name, ...`.

    A whole number with the symbol of an element means the element's ion nearest to it (27:Al is 27Al+, 28:Fe is
    56Fe2+); a number with decimals is taken as the mass-to-charge ratio itself, in Da (18.0106:H2O).

    Raises:
        StateError: when an entry is none of these; all wrong entries are named.
    """
    found, wrong = [], []
    for entry in text.split(","):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            wrong.append(f"'{entry.strip()}' is not of the form mass:name, such as 27:Al or 18.0106:H2O")
            continue
        number, name = match.groups()
        if "." in number:
            found.append(KnownPeak(name, float(number)))
            continue
        ions = [ion for ion in ions_of([name]) if abs(ion.mass_to_charge_da - float(number)) <= _NEAR_DA]
        if unknown_elements([name]):
            wrong.append(
                f"'{entry.strip()}': {name} is no element of the table; give its exact mass, such as {number}.0123:{name}"
            )
        elif not ions:
            wrong.append(
                f"'{entry.strip()}': no ion of {name} with 1 to {MAX_CHARGE} charges is near {number} Da"
            )
        else:
            best = min(
                ions, key=lambda ion: (abs(ion.mass_to_charge_da - float(number)) > 0.3, -ion.abundance)
            )
            found.append(KnownPeak(best.name, best.mass_to_charge_da))
    if any(not 0.5 <= peak.mass_da <= 1000.0 for peak in found):
        wrong.append("a mass lies outside 0.5 to 1000 Da")
    found = sorted({peak.mass_da: peak for peak in found}.values(), key=lambda peak: peak.mass_da)
    wrong += [
        f"{one.name} and {other.name} lie within 0.1 % of each other and are one peak: name one of them"
        for one, other in pairwise(found)
        if other.mass_da / one.mass_da - 1.0 < _ONE_PEAK
    ]
    if wrong:
        raise StateError("--peaks: " + "; ".join(wrong))
    return found


def peaks_of_elements(elements: Sequence[str]) -> list[KnownPeak]:
    """List the ions of elements that make good landmarks: not rare, and not in one peak with another.

    Raises:
        StateError: when a symbol is not in the table of isotopes, or none is given.
    """
    if unknown := unknown_elements(elements):
        raise StateError(
            f"--elements: {', '.join(unknown)} is not in the table of isotopes; check the spelling"
        )
    ions = [ion for ion in ions_of(elements) if ion.abundance >= _RARE]
    if not ions:
        raise StateError(
            "no peaks are known: name them with --peaks 1:H,27:Al or --elements Al,Fe (the record names no elements)"
        )
    return [KnownPeak(ion.name, ion.mass_to_charge_da) for ion in ions if not _moved_by_another(ion, ions)]


def _moved_by_another(ion: Ion, ions: Sequence[Ion]) -> bool:
    return any(
        other is not ion
        and abs(other.mass_to_charge_da / ion.mass_to_charge_da - 1.0) < _TOGETHER
        and other.abundance * _OUTWEIGHS > ion.abundance
        for other in ions
    )
