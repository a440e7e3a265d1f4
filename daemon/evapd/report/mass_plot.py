"""A mass calibration as one picture: the spectrum and each known peak, before and after."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evapd.errors import RecordError
from evapd.report.found import missing_extra
from evapd.report.style import BLUE, GREEN, GREY, ORANGE, RED, SETTINGS, say_instead
from evapd.spectrometry.calibrate import Calibrated, KnownResult
from evapd.spectrometry.sample import Hits
from evapd.spectrometry.shape import half_window_da

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_PX, HEIGHT_PX, DPI = 1600, 1200, 100
_MOST_PEAKS = 8
_FLOOR = 0.5
Floats = NDArray[np.float64]


def plot_mass(result: Calibrated, hits: Hits, output: Path, *, source: str) -> Path:
    """Write the picture as PNG, replacing an older one.

    Raises:
        RecordError: when the file cannot be written.
        StateError: when matplotlib is missing, with how to get it.
    """
    figure = mass_figure(result, hits, source=source)
    part = output.with_name(f"{output.name}.part")
    try:
        figure.savefig(part, format="png")
        part.replace(output)
    except OSError as error:
        raise RecordError(
            f"{output}: {error.strerror or error}; name another place with --picture"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return output


def mass_figure(result: Calibrated, hits: Hits, *, source: str) -> "Figure":
    """Lay out the picture without writing it.

    Raises:
        StateError: when matplotlib is missing, with how to get it.
    """
    try:
        from matplotlib import rc_context  # noqa: PLC0415 - matplotlib comes with the extra `plots`
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise missing_extra("the picture of the calibration", error) from error
    with rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        _draw(figure, result, hits, source)
    return figure


def _draw(figure: "Figure", result: Calibrated, hits: Hits, source: str) -> None:
    old, new = result.start.mass_da(*hits.columns), result.scale.mass_da(*hits.columns)
    scale = result.scale
    figure.text(0.02, 0.972, f"Mass calibration, run {source}", fontsize=17, fontweight="bold", va="center")
    words = (
        f"L {scale.flight_path_mm:.2f} mm, t0 {scale.t0_ps / 1000:.3f} ns, alpha {scale.alpha:.5f}, beta {scale.beta:.3f}; "
        f"voltage correction {'used' if scale.voltage else 'not used'}, bowl correction {'used' if scale.bowl else 'not used'}; "
        f"resolving power {result.gain:.3f} times what it was"
    )
    figure.text(0.02, 0.945, words, fontsize=11.5, va="center")
    _spectrum(figure.add_axes((0.055, 0.68, 0.93, 0.22)), result, old, new)
    shown = sorted(result.peaks, key=lambda row: -(row.after.counts if row.after else 0.0))[:_MOST_PEAKS]
    for k, row in enumerate(sorted(shown, key=lambda row: row.peak.mass_da)):
        axes = figure.add_axes((0.055 + 0.24 * (k % 4), 0.375 - 0.295 * (k // 4) + 0.03, 0.195, 0.20))
        _peak(axes, row, old, new)


def _spectrum(axes: "Axes", result: Calibrated, old: Floats, new: Floats) -> None:
    high = 1.15 * max((row.peak.mass_da for row in result.peaks), default=100.0) + 2.0
    edges = np.linspace(0.0, high, 4000)
    for masses, colour, words in ((old, ORANGE, "before"), (new, BLUE, "after")):
        counts = np.histogram(masses[np.isfinite(masses)], edges)[0]
        axes.stairs(np.maximum(counts, _FLOOR), edges, color=colour, linewidth=0.8, label=words)
    for row in result.peaks:
        axes.axvline(row.peak.mass_da, color=GREY, linewidth=0.5, zorder=0)
    axes.set_yscale("log")
    axes.set_ylim(bottom=_FLOOR)
    axes.set_xlim(0.0, high)
    axes.set_xlabel("mass-to-charge ratio m/q (Da)")
    axes.set_ylabel(f"hits per {edges[1]:.2g} Da")
    axes.set_title("Spectrum (grey: where the known peaks belong)")
    axes.legend(loc="upper right")


def _peak(axes: "Axes", row: KnownResult, old: Floats, new: Floats) -> None:
    truth = row.peak.mass_da
    if row.after is None:
        say_instead(axes, f"{row.peak.name} {truth:.3f} Da", "too weak to be measured")
        return
    half = min(half_window_da(truth), 8.0 * row.after.fwhm_da)
    edges = np.linspace(truth - half, truth + half, 161)
    axes.stairs(np.histogram(old, edges)[0], edges, color=ORANGE, linewidth=1.0)
    axes.stairs(np.histogram(new, edges)[0], edges, color=BLUE, linewidth=1.0, fill=True, alpha=0.6)
    axes.axvline(truth, color=RED if abs(row.error_da or 0.0) > 0.02 else GREEN, linewidth=1.0)
    before = f"{row.before.resolving_power:.0f}" if row.before else "-"
    axes.set_title(
        f"{row.peak.name}: m/Δm {before} to {row.after.resolving_power:.0f}, off {row.error_da:+.4f} Da",
        fontsize=10,
    )
    axes.set_xlabel("m/q (Da)")
