"""Peaks of the fine spectrum, quickly enough for once a second, without knowing what the specimen is made of.

They are looked for on bins of equal width in ln(m), m / 1000 wide, because a peak's width grows with its mass; place and widths are then
measured on the fine bins. `evapd.report.peaks` looks harder: it takes a hundred times as long, and scipy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.live.legend import Legend, label_of
from evapd.spectrometry.ions import Ion
from evapd.spectrometry.naming import NamedPeak, name_peaks
from evapd.spectrometry.shape import PeakShape, half_window_da, measure_counts

MOST = 24
LOWEST_DA = 0.75  # below it fine bins are wider than m / 1000
_PER_E = 1000.0  # bins per unit of ln(m)
_BOX = 3  # bins that are summed: about a peak's width
_NEAR = 5  # bins either side within which a maximum is the highest
_FAR = 40  # and within which the valleys beside it are looked for
_RISE = 5.0  # standard deviations from valley to top
_FEWEST = 12.0
_TRIED = 48  # maxima, the strongest
_FEWEST_BINS = 16
_TYPICAL = 250.0  # m over width where too few hits tell the width

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LivePeak:
    """One peak; `shape` is None where too few hits tell its width, `low_da` to `high_da` lie the valleys beside it."""

    mass_da: float
    counts: float
    low_da: float
    high_da: float
    shape: PeakShape | None = None
    label: str = ""

    @property
    def width_da(self) -> float:
        """Full width at half maximum, a typical one where it is not known."""
        return self.shape.fwhm_da if self.shape else self.mass_da / _TYPICAL

    def document(self) -> dict[str, Any]:
        """Give it for displays."""
        shape = self.shape
        tenth = None if shape is None else shape.resolving_power_10
        return {
            "mass_da": round(self.mass_da, 4),
            "counts": round(self.counts, 1),
            "label": self.label,
            "fwhm_da": None if shape is None else round(shape.fwhm_da, 5),
            "m_dm50": None if shape is None else round(shape.resolving_power, 1),
            "m_dm10": None if tenth is None else round(tenth, 1),
        }


class PeakFinder:
    """Finds, measures and names peaks; made once per run."""

    def __init__(self, legend: Legend, ions: Sequence[Ion], bins_per_root: float, bins: int) -> None:
        self._legend, self._ions = legend, ions
        self._per_root = bins_per_root
        self._edges: Floats = np.square(np.arange(bins + 1, dtype=np.float64) / bins_per_root)
        steps = int(np.log(self._edges[-1] / LOWEST_DA) * _PER_E)
        self._coarse: Floats = LOWEST_DA * np.exp(np.arange(steps + 1, dtype=np.float64) / _PER_E)

    def find(self, spectrum: NDArray[np.int64]) -> list[LivePeak]:
        """Give at most 24 peaks, ascending in mass."""
        found = [self.measure(spectrum, *place) for place in self._tops(spectrum)]
        peaks = [peak for peak in found if peak is not None and peak.counts >= _FEWEST]
        peaks = sorted(peaks, key=lambda peak: -peak.counts)[:MOST]
        return self._named(sorted(_apart(peaks), key=lambda peak: peak.mass_da))

    def measure(
        self, spectrum: NDArray[np.int64], mass_da: float, low_da: float, high_da: float
    ) -> LivePeak | None:
        """Measure the peak near a mass and between two; None where nothing stands out."""
        low, high = (int(np.sqrt(edge) * self._per_root) for edge in (low_da, high_da))
        part = slice(max(low, 0), min(high + 1, len(spectrum)))
        if part.stop - part.start < _FEWEST_BINS:
            return None
        counts = spectrum[part].astype(np.float64)
        centres = 0.5 * (self._edges[part] + self._edges[part.start + 1 : part.stop + 1])
        shape = measure_counts(counts, centres, 2.0 * float(np.sqrt(mass_da)) / self._per_root)
        if shape is not None:
            return LivePeak(shape.mass_da, shape.counts, low_da, high_da, shape)
        outer = max(4, len(counts) // 10)
        net = counts - min(counts[:outer].mean(), counts[-outer:].mean())
        near = np.abs(centres - mass_da) < mass_da / _TYPICAL
        total = float(net[near].sum())
        return LivePeak(mass_da, total, low_da, high_da) if total > 0.0 else None

    def _tops(self, spectrum: NDArray[np.int64]) -> list[tuple[float, float, float]]:
        """Masses of maxima that rise above the valleys on both sides, and of these valleys."""
        total = np.concatenate(([0.0], np.cumsum(spectrum, dtype=np.float64)))
        sums = np.convolve(np.diff(np.interp(self._coarse, self._edges, total)), np.ones(_BOX), mode="same")
        padded = np.pad(sums, _NEAR)
        highest = padded[: len(sums)].copy()
        for shift in range(1, 2 * _NEAR + 1):
            np.maximum(highest, padded[shift : shift + len(sums)], out=highest)
        tops = np.flatnonzero((sums == highest) & (sums >= _FEWEST))
        strongest = tops[np.argsort(-sums[tops], kind="stable")][:_TRIED]
        found = []
        for k in strongest.tolist():
            left, right = _valley(sums, k, -1), _valley(sums, k, 1)
            if sums[k] - max(sums[left], sums[right]) > _RISE * np.sqrt(sums[k]):
                mass_da = float(self._coarse[k] * np.exp(0.5 / _PER_E))
                half = half_window_da(mass_da)
                low_da = max(mass_da - half, float(self._coarse[left]))
                found.append((mass_da, low_da, min(mass_da + half, float(self._coarse[right + 1]))))
        return found

    def _named(self, peaks: list[LivePeak]) -> list[LivePeak]:
        if self._legend.source == "ranges":
            return [replace(peak, label=self._range_label(peak.mass_da)) for peak in peaks]
        found = [
            NamedPeak(
                mass_to_charge_da=peak.mass_da,
                counts=peak.counts,
                width_da=peak.width_da,
                resolving_power=peak.mass_da / peak.width_da,
            )
            for peak in peaks
        ]
        named = name_peaks(
            found, self._ions, lambda *_: 0.0
        ).peaks  # what is missing is the report's business
        labels = [" / ".join(ion.name for ion in one.candidates) for one in named]
        return [replace(peak, label=label) for peak, label in zip(peaks, labels, strict=True)]

    def _range_label(self, mass_da: float) -> str:
        for part in self._legend.parts:
            if part.range.low_da <= mass_da < part.range.high_da:
                return label_of(part)
        return ""


def _valley(sums: Floats, k: int, way: int) -> int:
    """The lowest place beside a maximum, at most 4 % of the mass away and not beyond what is higher."""
    side = sums[k + 1 : k + 1 + _FAR] if way > 0 else sums[max(k - _FAR, 0) : k][::-1]
    higher = np.flatnonzero(side > sums[k])
    reach = side[: int(higher[0])] if len(higher) else side
    return k + way * (int(reach.argmin()) + 1) if len(reach) else k


def _apart(peaks: list[LivePeak]) -> list[LivePeak]:
    """Leave out what was measured to be the same peak; the strongest come first."""
    kept: list[LivePeak] = []
    for peak in peaks:
        if all(abs(peak.mass_da - other.mass_da) > 0.5 * peak.width_da for other in kept):
            kept.append(peak)
    return kept
