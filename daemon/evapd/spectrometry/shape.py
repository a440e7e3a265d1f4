"""Place and widths of one peak that is known to be there, from the hits around it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FEWEST_HITS = 100.0
_FINE = 40_000  # bins per m: far below any width
_WIDEST_DA = 0.45  # half the window: isotopes of doubly charged ions lie 0.5 Da apart
_SMOOTH = 6  # boxes per full width at half maximum
_BOX_TO_FWHM2 = 8.0 * np.log(2.0) / 12.0  # what a box of width b adds to a squared FWHM, per b^2


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakShape:
    """What was measured; widths in Da, None where background or a neighbour hides the height asked for."""

    mass_da: float  # centroid of the part above half height
    counts: float  # above the background
    fwhm_da: float
    fw10_da: float | None  # full width at a tenth of the height

    @property
    def resolving_power(self) -> float:
        """Mass over full width at half maximum."""
        return self.mass_da / self.fwhm_da

    @property
    def resolving_power_10(self) -> float | None:
        """Mass over full width at a tenth of the maximum."""
        return None if self.fw10_da is None else self.mass_da / self.fw10_da


def half_window_da(mass_da: float) -> float:
    """How far around a mass its peak is looked at, Da."""
    return min(0.025 * mass_da, _WIDEST_DA)


def measure_peak(masses_da: Floats, mass_da: float, half_da: float | None = None) -> PeakShape | None:
    """Measure the highest peak within the window around a mass; None where fewer than 100 hits stand out.

    Args:
        masses_da: m/q of hits, any that lie outside are passed over.
        mass_da: where the peak is expected.
        half_da: half of the window; by default `half_window_da`.
    """
    half = half_window_da(mass_da) if half_da is None else half_da
    bins = int(2 * half / mass_da * _FINE)
    edges = np.linspace(mass_da - half, mass_da + half, bins + 1)
    near = masses_da[(masses_da >= edges[0]) & (masses_da < edges[-1])]
    counts = np.histogram(near, edges)[0].astype(np.float64)
    return measure_counts(counts, 0.5 * (edges[:-1] + edges[1:]), float(edges[1] - edges[0]))


def measure_counts(counts: Floats, centres: Floats, bin_da: float) -> PeakShape | None:
    """Measure the highest peak of a piece of spectrum; None where fewer than 100 hits stand out.

    Args:
        counts: per bin, narrow bins of about equal width.
        centres: middle of each bin, Da.
        bin_da: width of a bin at the peak, Da.
    """
    bins = len(counts)
    # The quietest tenth of both sides: what lies below the peak, whichever side a neighbour stands on.
    outer = max(4, bins // 10)
    floor = float(min(counts[:outer].mean(), counts[-outer:].mean()))
    net = counts - floor
    if net.sum() < FEWEST_HITS:
        return None
    box = max(3, bins // 60)
    for _ in range(3):
        upper = _above(_smoothed(net, box), 0.5)
        width = upper.stop - upper.start
        # As fine as the hits allow: with few of them a fine box would measure noise.
        finer = int(max(width / _SMOOTH, min(400.0 * width / max(float(net[upper].sum()), 1.0), width / 2.0)))
        box = max(1, min(finer, bins // 8))
    smooth = _smoothed(net, box)
    upper = _above(smooth, 0.5)
    weights = np.maximum(net[upper], 0.0)
    if weights.sum() < 0.2 * FEWEST_HITS:
        return None
    noise = np.sqrt(max(floor, 0.0) / box)
    tenth = _width(smooth, 0.1) if smooth.max() * 0.1 > 3.0 * noise else None
    return PeakShape(
        mass_da=float(np.average(centres[upper], weights=weights)),
        counts=float(net.sum()),
        fwhm_da=bin_da * _unboxed(_width(smooth, 0.5) or float(upper.stop - upper.start), box),
        fw10_da=None if tenth is None else bin_da * _unboxed(tenth, box),
    )


def _smoothed(net: Floats, box: int) -> Floats:
    box |= 1
    return np.convolve(net, np.full(box, 1.0 / box), mode="same")


def _unboxed(width: float, box: int) -> float:
    """Take off what the box added: its variance, as a Gaussian's width."""
    return float(np.sqrt(max(width**2 - _BOX_TO_FWHM2 * (box**2 - 1.0), 1.0)))


def _above(smooth: Floats, share: float) -> slice:
    top = int(np.argmax(smooth))
    low = np.flatnonzero(smooth[: top + 1] < share * smooth[top])
    high = np.flatnonzero(smooth[top:] < share * smooth[top])
    return slice(int(low[-1]) + 1 if len(low) else 0, top + int(high[0]) if len(high) else len(smooth))


def _width(smooth: Floats, share: float) -> float | None:
    """Width in bins at a share of the height, with crossings between bins; None where a flank never gets that low."""
    part = _above(smooth, share)
    if part.start == 0 or part.stop == len(smooth):
        return None
    level = share * float(smooth.max())
    left = (smooth[part.start] - level) / max(smooth[part.start] - smooth[part.start - 1], 1e-300)
    right = (smooth[part.stop - 1] - level) / max(smooth[part.stop - 1] - smooth[part.stop], 1e-300)
    return float(part.stop - 1 - part.start + left + right)
