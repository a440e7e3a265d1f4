"""Peaks of a mass spectrum, found without knowing what the specimen is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks as local_maxima
from scipy.signal import peak_widths

from evapd.report.background import Floats, estimate, significance, window_sums
from evapd.report.spectrum import Spectrum

RESOLVING_POWERS = (2000.0, 1000.0, 500.0, 250.0, 125.0)  # a peak is looked for in windows of m / these
# Maxima are looked for in sums over m / the first number, first fine, then coarse for peaks of few counts; one counts
# when it rises above the valley beside it by the second number of standard deviations.
SMOOTHING = ((1000.0, 5.0), (300.0, 4.0))
DEFAULT_SIGMA = 5.5  # one false peak in some thousand spectra of 20 000 bins
MIN_COUNTS = 10.0
# A peak whose foot is higher than this part of its top stands on a neighbour's tail: what lies under a straight line
# from foot to foot is not its own. Lower feet are where two flanks cross, and belong to either.
ON_A_TAIL = 0.3
_BOX_TO_FWHM2 = 8.0 * np.log(2.0) / 12.0  # what a box of width b adds to a squared FWHM, per b^2


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """One peak."""

    mass_da: float  # centroid of the part above half height
    counts: float  # above the background, from foot to foot
    background: float  # counts under it, from foot to foot: uncorrelated hits and neighbours' tails
    fwhm_da: float
    resolving_power: float  # mass_da / fwhm_da
    significance: float  # standard deviations
    label: str = ""


def find_peaks(
    spectrum: Spectrum, min_significance: float = DEFAULT_SIGMA, min_counts: float = MIN_COUNTS
) -> list[Peak]:
    """Find the peaks of a spectrum.

    Args:
        spectrum: counts in bins of equal width, several bins per peak.
        min_significance: standard deviations above the background in the best of several windows.
        min_counts: least counts above the background.

    Returns:
        Peaks ascending in mass; none for an empty spectrum or one of background only.
    """
    counts = spectrum.counts.astype(np.float64)
    if counts.sum() < min_counts:
        return []
    at = np.arange(len(counts))
    windows = [_half_width(spectrum, power) for power in RESOLVING_POWERS]
    background = estimate(counts, spectrum.centres, spectrum.bin_da, windows)
    sigma = np.zeros(len(counts))
    for half in windows:
        low, high = at - half, at + half + 1
        sigma = np.maximum(
            sigma, significance(window_sums(counts, low, high), window_sums(background, low, high))
        )
    peaks: list[Peak] = []
    taken = np.zeros(len(counts), bool)
    for power, rise in SMOOTHING:
        half = _half_width(spectrum, power)
        smooth = _smoothed(counts, background, half)
        tops, found = local_maxima(smooth.net, height=0.0, prominence=0.0)
        real = (
            (found["prominences"] > rise * smooth.noise[tops])
            & (sigma[tops] > min_significance)
            & ~taken[tops]
        )
        for top in tops[real].tolist():
            peak, feet = _measure(spectrum, background, smooth, top, float(sigma[top]))
            peaks.append(peak)
            taken[feet] = True
    return sorted((peak for peak in peaks if peak.counts >= min_counts), key=lambda peak: peak.mass_da)


def label_peaks(peaks: Sequence[Peak], masses_da: Mapping[str, float], tolerance: float = 1.0) -> list[Peak]:
    """Name peaks after they were found.

    Args:
        peaks: what `find_peaks` gave.
        masses_da: mass-to-charge ratios of candidates by name, such as `{"27Al+": 26.981}`.
        tolerance: largest distance of a candidate, in units of the peak's FWHM.

    Returns:
        The same peaks; `label` holds the names of all candidates within the tolerance, the nearest first, joined
        by " or ", and stays empty without one.
    """
    named = []
    for peak in peaks:
        distance_da = {name: abs(mass - peak.mass_da) for name, mass in masses_da.items()}
        near = [name for name, d_da in distance_da.items() if d_da <= tolerance * peak.fwhm_da]
        named.append(replace(peak, label=" or ".join(sorted(near, key=distance_da.__getitem__))))
    return named


def _half_width(spectrum: Spectrum, resolving_power: float) -> NDArray[np.int64]:
    """Half of m / resolving power in whole bins, for each bin."""
    return np.rint(spectrum.centres / resolving_power / spectrum.bin_da / 2.0).astype(np.int64)


class _Smooth(NamedTuple):
    """Counts above the background, as means over a box around each bin."""

    net: Floats
    noise: Floats  # standard deviation of `net`
    box: Floats  # bins


def _smoothed(counts: Floats, background: Floats, half: NDArray[np.int64]) -> _Smooth:
    at = np.arange(len(counts))
    box = np.asarray(2.0 * half + 1.0, np.float64)
    total = window_sums(counts, at - half, at + half + 1)
    expected = window_sums(background, at - half, at + half + 1)
    return _Smooth((total - expected) / box, np.sqrt(np.maximum(total, 1.0)) / box, box)


def _feet(smooth: _Smooth, top: int) -> slice:
    """Bins from foot to foot: outwards until nothing is left above the noise, or a neighbour rises."""
    net, noise = smooth.net, smooth.noise
    ends = []
    for step in (-1, 1):
        k = lowest = top
        while 0 <= k + step < len(net):
            k += step
            if net[k] < net[lowest]:
                lowest = k
            if net[k] <= noise[k] or net[k] > net[lowest] + 3.0 * noise[k]:
                break
        ends.append(lowest)
    return slice(ends[0], ends[1] + 1)


def _measure(
    spectrum: Spectrum, background: Floats, smooth: _Smooth, top: int, sigma: float
) -> tuple[Peak, slice]:
    """Width, position and area of the peak whose maximum is in bin `top`; and its bins from foot to foot."""
    net = smooth.net
    # Half of the height above the background, not above the valleys to the neighbours.
    whole = (net[[top]], np.array([0]), np.array([len(net) - 1]))
    widths, _, left, right = peak_widths(net, [top], rel_height=0.5, prominence_data=whole)
    upper = slice(int(np.floor(left[0])), int(np.ceil(right[0])) + 1)
    mass_da = float(np.average(spectrum.centres[upper], weights=np.maximum(net[upper], 0.0)))
    fwhm_bins = np.sqrt(max(widths[0] ** 2 - _BOX_TO_FWHM2 * (smooth.box[top] ** 2 - 1.0), 1.0))
    fwhm_da = float(fwhm_bins) * spectrum.bin_da
    feet = _feet(smooth, top)
    below = float(background[feet].sum())
    ends = np.maximum(net[[feet.start, feet.stop - 1]], 0.0)
    if ends.max() > ON_A_TAIL * net[top]:
        below += float(ends.mean()) * (feet.stop - feet.start)
    peak = Peak(
        mass_da=mass_da,
        counts=float(spectrum.counts[feet].sum()) - below,
        background=below,
        fwhm_da=fwhm_da,
        resolving_power=mass_da / fwhm_da,
        significance=sigma,
    )
    return peak, feet
