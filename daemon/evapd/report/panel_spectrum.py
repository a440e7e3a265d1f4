"""The mass spectrum with the found peaks; the time-of-flight spectrum where there are no masses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evapd.report.digest import Histogram
from evapd.report.spectrum import Spectrum
from evapd.report.style import BLUE, GREY, RED, say_instead
from evapd.spectrometry.naming import NamedPeak

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LABELS = 24
_MOST_BINS = 6000
_LABEL_GAP = 0.0135  # of the panel's width: one line of a label set upright
_DATA_SHARE = 0.54  # of the panel's height: the rest is for labels
_FLOOR = 0.3  # counts at the bottom of a log scale: a single hit can be seen


def draw_spectrum(axes: "Axes", spectrum: Spectrum, peaks: Sequence[NamedPeak], no_peaks: str) -> None:
    """Draw counts against m/q on a log scale; every peak is marked, the strongest are labelled."""
    low, high = _shown_da(spectrum, peaks)
    edges, counts = _coarser(spectrum.edges, spectrum.counts, low, high)
    axes.stairs(
        np.maximum(counts, _FLOOR), edges, baseline=_FLOOR, fill=True, color=BLUE, linewidth=0.0, alpha=0.9
    )
    top = float(counts.max())
    axes.set_yscale("log")
    axes.set_ylim(_FLOOR, _FLOOR * (max(10.0, top) / _FLOOR) ** (1.0 / _DATA_SHARE))
    axes.set_xlim(low, high)
    axes.set_xlabel("mass-to-charge ratio m/q (Da)")
    axes.set_ylabel(f"hits per {edges[1] - edges[0]:.2g} Da")
    shown = sorted(peaks, key=lambda peak: -peak.counts)[:MOST_LABELS]
    if no_peaks:
        words = f"peaks not looked for: {no_peaks}"
    elif not peaks:
        words = "no peaks found"
    else:
        words = f"{len(peaks)} peaks found without knowing the specimen (m/q and resolving power R"
        words += f" of the {len(shown)} strongest)" if len(shown) < len(peaks) else ")"
    axes.set_title(f"Mass spectrum: {words}")
    heights = [_height(peak, edges, counts) for peak in peaks]
    axes.plot([p.mass_to_charge_da for p in peaks], np.array(heights) * 1.5, "v", color=RED, markersize=4)
    _label(axes, sorted(shown, key=lambda peak: peak.mass_to_charge_da), edges, counts)


def draw_times_of_flight(axes: "Axes", times: Histogram, why: str) -> None:
    """Draw counts against time of flight, because m/q is not known."""
    used = np.flatnonzero(times.counts)
    title = f"Time of flight: {why}"
    if not len(used):
        say_instead(axes, title, "no hit has a time of flight in the range that is shown")
        return
    last = min(len(times.counts), int(used[-1] * 1.05) + 2)
    edges, counts = times.edges[: last + 1], times.counts[:last]
    axes.stairs(np.maximum(counts, _FLOOR), edges, baseline=_FLOOR, fill=True, color=BLUE)
    axes.set_yscale("log")
    axes.set_ylim(_FLOOR, max(10.0, 2.0 * float(counts.max())))
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel("time of flight, raw (ns)")
    axes.set_ylabel(f"hits per {edges[1] - edges[0]:.2g} ns")
    axes.set_title(title)


def _shown_da(spectrum: Spectrum, peaks: Sequence[NamedPeak]) -> tuple[float, float]:
    """Range that holds all peaks and nearly all hits."""
    if peaks:
        high = 1.12 * max(peak.mass_to_charge_da for peak in peaks) + 2.0
    else:
        total = np.cumsum(spectrum.counts)
        high = 1.1 * float(spectrum.centres[np.searchsorted(total, 0.98 * total[-1])]) + 1.0
    return float(spectrum.edges[0]), min(high, float(spectrum.edges[-1]))


def _coarser(
    edges: NDArray[np.float64], counts: NDArray[np.int64], low: float, high: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Cut out a range, with no more bins than can be seen."""
    begin, end = np.searchsorted(edges, (low, high), side="right") - 1
    end = min(int(end), len(counts))
    join = max(1, -(-(end - int(begin)) // _MOST_BINS))
    bins = max(1, (end - int(begin)) // join)
    cut = counts[begin : begin + bins * join]
    return edges[begin : begin + bins * join + 1 : join], cut.reshape(bins, join).sum(axis=1)


def _height(peak: NamedPeak, edges: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    near = slice(
        *np.clip(np.searchsorted(edges, _half_height_range(peak)) + np.array((-1, 1)), 0, len(counts))
    )
    return max(1.0, float(counts[near].max(initial=1)))


def _half_height_range(peak: NamedPeak) -> tuple[float, float]:
    half = 0.5 * peak.width_da
    return peak.mass_to_charge_da - half, peak.mass_to_charge_da + half


def _label(
    axes: "Axes", peaks: Sequence[NamedPeak], edges: NDArray[np.float64], counts: NDArray[np.int64]
) -> None:
    """Set labels upright side by side above the data, each with a line to its peak."""
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    wanted = np.array([(peak.mass_to_charge_da - low) / (high - low) for peak in peaks])
    places = spread(wanted, _LABEL_GAP)

    def count_at(share: float) -> float:
        return float(bottom * (top / bottom) ** share)

    for peak, place in zip(peaks, places, strict=True):
        x_da = low + place * (high - low)
        begin = max(1.8 * _height(peak, edges, counts), bottom)
        bend = max(begin, count_at(_DATA_SHARE + 0.03))
        axes.plot(
            [peak.mass_to_charge_da, peak.mass_to_charge_da, x_da],
            [begin, bend, count_at(_DATA_SHARE + 0.06)],
            color=GREY,
            linewidth=0.6,
        )
        axes.text(
            place,
            _DATA_SHARE + 0.07,
            f"{peak.mass_to_charge_da:.2f}  R {peak.resolving_power:.0f}",
            transform=axes.transAxes,
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=9.5,
        )


def spread(wanted: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Move places apart to at least `gap`, each as little as possible, within 0 to 1; order is kept.

    Args:
        wanted: ascending places, parts of a width.
        gap: least distance of neighbours.
    """
    n = len(wanted)
    if n == 0:
        return wanted
    gap = min(gap, 1.0 / n)
    # Isotonic regression of (place - index * gap): neighbours that collide move as one group about their mean.
    groups: list[tuple[float, int]] = []
    for value in wanted - gap * np.arange(n):
        groups.append((float(value), 1))
        while len(groups) > 1 and groups[-2][0] >= groups[-1][0]:
            (a, m), (b, k) = groups[-2], groups[-1]
            groups[-2:] = [((a * m + b * k) / (m + k), m + k)]
    shifted = np.repeat([mean for mean, _ in groups], [size for _, size in groups])
    inside: NDArray[np.float64] = np.clip(shifted, 0.5 * gap, 1.0 - gap * (n - 0.5))
    return inside + gap * np.arange(n)
