"""Peaks of a run: found blindly first, named from the configuration's elements afterwards."""

from typing import Any

import numpy as np

from evapd.errors import StateError
from evapd.record.runinfo import RunInfo
from evapd.report.spectrum import Spectrum
from evapd.spectrometry.ions import ions_of
from evapd.spectrometry.naming import NamedPeak, Naming, name_peaks


def find_named_peaks(spectrum: Spectrum | None, info: RunInfo) -> Naming | None:
    """Find the peaks of a spectrum, then name them; None without a spectrum.

    The finder is given counts and nothing else.

    Raises:
        StateError: when scipy is missing, with how to get it.
    """
    if spectrum is None:
        return None
    try:
        from evapd.report.peaks import find_peaks  # noqa: PLC0415 - scipy comes with the extra `plots`
    except ImportError as error:
        raise missing_extra("peaks of the spectrum", error) from error
    found = tuple(
        NamedPeak(
            mass_to_charge_da=peak.mass_da,
            counts=peak.counts,
            width_da=peak.fwhm_da,
            resolving_power=peak.resolving_power,
        )
        for peak in find_peaks(spectrum)
    )

    def counts_near(mass_da: float, width_da: float) -> float:
        low, high = np.searchsorted(spectrum.edges, (mass_da - 0.5 * width_da, mass_da + 0.5 * width_da))
        return float(spectrum.counts[low:high].sum())

    return name_peaks(found, ions_of(elements_of(info)), counts_near)


def elements_of(info: RunInfo) -> tuple[str, ...]:
    """Elements that the configuration names for the specimen."""
    specimen: dict[str, Any] = info.specimen or info.configuration.get("specimen") or {}
    return tuple(str(symbol) for symbol in specimen.get("elements") or ())


def missing_extra(what: str, error: ImportError) -> StateError:
    """Say which extra to install."""
    return StateError(
        f"{what}: {error.name or error} is not installed; it comes with the extra `plots`: pip install 'evapd[plots]'"
    )
