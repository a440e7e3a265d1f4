"""Panels of a calibration's picture that show time sums."""

from typing import TYPE_CHECKING

import numpy as np

from evapd.calibration import Calibration
from evapd.calibration.describe import GATE_SIGMA
from evapd.calibration.timesums import (
    coordinate_mm,
    deviations,
    differences_of,
    sums_of,
    walk_ps,
)
from evapd.report.style import BLUE, GREY, ORANGE, RED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_BINS = 160
_FARTHEST_NS = 12.0


def draw_sums(axes: "Axes", calibration: Calibration, k: int, name: str) -> None:
    """Draw how far the time sums of one layer are from what the anode says, before and after."""
    times = calibration.sample.times_ps
    after = deviations(times, calibration.anode)[:, k] / 1000.0
    before = (
        deviations(times, calibration.start)[:, k] / 1000.0 if calibration.start is not None else after[:0]
    )
    gate = GATE_SIGMA * calibration.layers[name].width_ps / 1000.0
    reach = 2.0 * gate
    if len(before):
        low, high = np.quantile(before, (0.02, 0.98))
        reach = max(reach, abs(low) * 1.15, abs(high) * 1.15)
    reach = min(reach, _FARTHEST_NS)
    edges = _edges(reach, calibration.bin_ps / 1000.0)
    bins = edges.tolist()
    if len(before):
        axes.hist(before, bins, color=ORANGE, alpha=0.8, label="before")
    axes.hist(after, bins, color=BLUE, histtype="step", linewidth=1.6, label="after")
    for sign in (-1, 1):
        axes.axvline(
            sign * gate, color=GREY, linestyle=":", linewidth=1.2, label="gate" if sign > 0 else None
        )
    axes.set_xlim(-reach, reach)
    axes.set_ylim(bottom=0)
    axes.margins(y=0.12)
    axes.set_xlabel(f"time sum of {name}, measured - anode file (ns)")
    axes.set_ylabel(f"hits per {1000 * (edges[1] - edges[0]):.0f} ps")
    layer = calibration.layers[name]
    was = f", was {layer.time_sum_ps.start / 1000:.3f}" if layer.time_sum_ps.start is not None else ""
    axes.set_title(f"{name}: sum {layer.time_sum_ps.value / 1000:.3f} ns{was}; width {layer.width_ps:.0f} ps")
    axes.legend(loc="upper left")


def draw_walk(axes: "Axes", calibration: Calibration, k: int, name: str) -> None:
    """Draw the time sum along the layer, with the anode file's value before and after."""
    from matplotlib.colors import LogNorm  # noqa: PLC0415 - matplotlib comes with the extra `plots`

    times = calibration.sample.times_ps
    layer, report = calibration.anode.layers[name], calibration.layers[name]
    difference = differences_of(times)[:, k]
    along = coordinate_mm(layer, difference)
    sums = (sums_of(times)[:, k] - layer.time_sum_ps) / 1000.0
    gate = GATE_SIGMA * report.width_ps / 1000.0
    low, high = np.quantile(along, (0.0005, 0.9995))
    at = np.linspace(low, high, 400)
    at_difference = 2000.0 * at / layer.mm_per_ns + layer.offset_ps
    after = walk_ps(layer, at_difference) / 1000.0
    limits = [after.min() - 1.5 * gate, after.max() + 1.5 * gate]
    before = None
    if calibration.start is not None:
        old = calibration.start.layers[name]
        before = (old.time_sum_ps - layer.time_sum_ps + walk_ps(old, at_difference)) / 1000.0
        near = np.clip(before, -_FARTHEST_NS, _FARTHEST_NS)
        limits = [min(limits[0], near.min() - 0.3), max(limits[1], near.max() + 0.3)]
    limits[1] += 0.22 * (limits[1] - limits[0])  # room for the legend
    counts, x_edges, y_edges = np.histogram2d(
        along, sums, bins=(120, 90), range=((low, high), (limits[0], limits[1]))
    )
    axes.pcolormesh(
        x_edges,
        y_edges,
        np.ma.masked_equal(counts.T, 0),
        cmap="Greys",
        norm=LogNorm(1, max(2.0, counts.max())),
        rasterized=True,
    )
    if before is not None:
        axes.plot(at, before, color=ORANGE, linewidth=2.0, linestyle="--", label="before")
    axes.plot(at, after, color=RED, linewidth=2.0, label="after")
    if layer.walk is not None:
        points = np.array(layer.walk.coordinate_mm)
        inside = (points >= low) & (points <= high)
        axes.plot(
            points[inside],
            np.array(layer.walk.time_sum_ps)[inside] / 1000.0,
            "o",
            color=RED,
            markersize=4,
        )
    axes.set_ylim(*limits)
    axes.set_xlim(low, high)
    axes.set_xlabel(f"coordinate along {name} (mm)")
    axes.set_ylabel(f"time sum - {layer.time_sum_ps / 1000:.3f} ns (ns)")
    walk = f"walk {report.walk_ps:.0f} ps in {report.walk_points} points" if report.walk_points else "no walk"
    axes.set_title(f"{name}: {walk} (grey: hits)")
    axes.legend(loc="upper left", ncols=2)


def _edges(reach: float, bin_ns: float) -> "NDArray[np.float64]":
    """Bins of a whole number of the TDC's bins: others would show a comb."""
    width = bin_ns * max(1, round(2.0 * reach / _BINS / bin_ns))
    half = int(np.ceil(reach / width))
    return np.asarray((np.arange(-half, half + 1) - 0.5) * width)
