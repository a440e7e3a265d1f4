"""A calibration as one picture: time sums, walk, and the detector's outline, before and after."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evapd.calibration import Calibration
from evapd.errors import RecordError
from evapd.report.calibration_panels import draw_sums, draw_walk
from evapd.report.calibration_rim import draw_consistency, draw_image, draw_rim
from evapd.report.found import missing_extra
from evapd.report.style import GREEN, ORANGE, SETTINGS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH_PX, HEIGHT_PX, DPI = 1600, 1250, 100
_LONGEST_LINE = 185
_MOST_NOTES = 2


def plot_calibration(calibration: Calibration, output: Path, *, source: str = "") -> Path:
    """Write the picture as PNG, replacing an older one.

    Args:
        calibration: what to show.
        output: the file.
        source: where the words came from, for the heading.

    Raises:
        RecordError: when the file cannot be written.
        StateError: when matplotlib is missing, with how to get it.
    """
    figure = calibration_figure(calibration, source=source)
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


def calibration_figure(calibration: Calibration, *, source: str = "") -> "Figure":
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
        _header(figure, calibration, source)
        _draw(figure, calibration)
    return figure


def _draw(figure: "Figure", calibration: Calibration) -> None:
    names = calibration.anode.layer_names
    left, right, gap = 0.055, 0.985, 0.055
    width = (right - left - gap * (len(names) - 1)) / len(names)
    for k, name in enumerate(names):
        at = left + k * (width + gap)
        draw_sums(figure.add_axes((at, 0.655, width, 0.175)), calibration, k, name)
        draw_walk(figure.add_axes((at, 0.375, width, 0.21)), calibration, k, name)
    hexanode = calibration.anode.kind == "hex"
    panels = 4 if hexanode else 3
    gap = 0.06
    width = (right - left - gap * (panels - 1)) / panels
    boxes = [(left + k * (width + gap), 0.055, width, 0.245) for k in range(panels)]
    draw_image(figure.add_axes(boxes[0]), calibration, calibration.start, "before")
    draw_image(figure.add_axes(boxes[1]), calibration, calibration.anode, "after")
    draw_rim(figure.add_axes(boxes[2]), calibration)
    if hexanode:
        draw_consistency(figure.add_axes(boxes[3]), calibration)


def _header(figure: "Figure", calibration: Calibration, source: str) -> None:
    anode = calibration.anode
    figure.text(
        0.02, 0.975, f"Calibration {anode.calibration_id}", fontsize=17, fontweight="bold", va="center"
    )
    before = "" if calibration.start is None else f"{100 * calibration.fitting_before:.1f} % → "
    figure.text(
        0.985, 0.975, f"lone pulses that fit: {before}{100 * calibration.fitting_after:.1f} %", fontsize=15,
        fontweight="bold", ha="right", va="center", color=GREEN,
    )  # fmt: skip
    for row, (words, colour) in enumerate(_lines(calibration, source)):
        figure.text(0.02, 0.951 - 0.0185 * row, _cut(words), fontsize=11.5, va="center", color=colour)


def _lines(calibration: Calibration, source: str) -> list[tuple[str, str]]:
    start = calibration.start.calibration_id if calibration.start else "nothing"
    layers = calibration.layers.items()
    jitter, dead = calibration.jitter_ps, calibration.dead_time_ps
    lines = [
        f"{source or 'words'}: {calibration.hits:,d} hits of {calibration.words:,d} words; began with {start}",
        f"jitter {jitter.value:.1f} ± {jitter.error:.1f} ps (MCP {_ps(calibration.mcp_jitter_ps)}, "
        f"line ends {_ps(calibration.line_jitter_ps)}); dead time {dead.value / 1000:.2f} ns"
        + (f" ± {dead.error / 1000:.2f} ns" if dead.measured else " (not measured)"),
        "scale "
        + ", ".join(f"{name} {layer.mm_per_ns.value:.5f}{_error(layer.mm_per_ns.error, 5)}" for name, layer in layers)
        + " mm/ns; offset "
        + ", ".join(f"{name} {layer.offset_ps.value:+.0f}{_error(layer.offset_ps.error, 0)}" for name, layer in layers)
        + " ps",
    ]  # fmt: skip
    notes = [f"note: {note}" for note in calibration.notes[:_MOST_NOTES]]
    if len(calibration.notes) > _MOST_NOTES:
        notes[-1] += f" (and {len(calibration.notes) - _MOST_NOTES + 1} more)"
    return [(line, "black") for line in lines] + [(note, ORANGE) for note in notes]


def _ps(value: float) -> str:
    return f"{value:.0f} ps" if np.isfinite(value) else "not told apart"


def _error(value: float, digits: int) -> str:
    return f" ± {value:.{digits}f}" if np.isfinite(value) else ""


def _cut(words: str) -> str:
    return words if len(words) <= _LONGEST_LINE else f"{words[: _LONGEST_LINE - 1]}…"
