"""The report of a run as one picture."""

from pathlib import Path
from typing import TYPE_CHECKING

from evapd.errors import RecordError
from evapd.record.nxs import RunFile
from evapd.report.digest import RunDigest, gather
from evapd.report.found import missing_extra
from evapd.report.losses import losses_text
from evapd.report.panel_detector import draw_map, draw_multiplicity, draw_quality
from evapd.report.panel_history import draw_rate, draw_voltage, mark_run
from evapd.report.panel_peaks import draw_peak_table
from evapd.report.panel_spectrum import draw_spectrum, draw_times_of_flight
from evapd.report.style import GREEN, RED, SETTINGS, say_instead
from evapd.report.summary import Summary, summary_of
from evapd.report.targets import Targets
from evapd.spectrometry.rescaled import open_rescaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_PX, HEIGHT_PX, DPI = 1600, 1200, 100
_LONGEST_LINE = 180


def plot_run(run_path: Path, output: Path | None = None, mass: Path | None = None) -> Path:
    """Write the PNG report of a finalised run.

    Args:
        run_path: its folder or its `.nxs` file.
        output: where the picture goes; by default `<id>.png` beside the `.nxs` file.
        mass: mass calibration file to be used instead of the recorded masses.

    Raises:
        ConfigError: when the mass calibration file is not valid.
        RecordError: when the run is not finalised or cannot be read, or the picture cannot be written.
        StateError: when matplotlib is missing, with how to get it.
    """
    with open_rescaled(run_path, mass) as run:
        digest = gather(run)
        return draw_report(run, digest, summary_of(run, digest), output)


def draw_report(run: RunFile, digest: RunDigest, summary: Summary, output: Path | None = None) -> Path:
    """Draw what was gathered of an open run; see `plot_run`."""
    figure = report_figure(run, digest, summary)
    output = output or run.path.with_suffix(".png")
    part = output.with_name(f"{output.name}.part")
    try:
        figure.savefig(part, format="png")
        part.replace(output)
    except OSError as error:
        raise RecordError(f"{output}: {error.strerror or error}; name another place with --output") from error
    finally:
        part.unlink(missing_ok=True)
    return output


def report_figure(run: RunFile, digest: RunDigest, summary: Summary) -> "Figure":
    """Lay out the picture without writing it.

    Raises:
        StateError: when matplotlib is missing, with how to get it.
    """
    try:
        from matplotlib import rc_context  # noqa: PLC0415 - matplotlib comes with the extra `plots`
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise missing_extra("the PNG report", error) from error
    with rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        _draw(figure, run, digest, summary)
    return figure


def _draw(figure: "Figure", run: RunFile, digest: RunDigest, summary: Summary) -> None:
    _header(figure, summary)
    _spectrum(figure.add_axes((0.055, 0.612, 0.93, 0.228)), digest, summary)
    draw_map(figure, figure.add_axes((0.055, 0.265, 0.29, 0.275)), digest)
    voltage = figure.add_axes((0.43, 0.43, 0.43, 0.11))
    rate = figure.add_axes((0.43, 0.265, 0.43, 0.11))
    draw_voltage(voltage, digest)
    draw_rate(rate, digest, Targets.of(digest.info))
    mark_run((voltage, rate), digest, run.pulses())
    draw_quality(figure.add_axes((0.11, 0.05, 0.20, 0.145)), digest)
    draw_multiplicity(figure.add_axes((0.385, 0.05, 0.19, 0.145)), digest)
    draw_peak_table(figure.add_axes((0.61, 0.03, 0.375, 0.175)), summary)


def _spectrum(axes: "Axes", digest: RunDigest, summary: Summary) -> None:
    if not digest.hits:
        say_instead(axes, "Mass spectrum", "this run has no hits")
    elif digest.spectrum is None or not digest.spectrum.n:
        draw_times_of_flight(axes, digest.tof_ns, summary.no_peaks)
    else:
        peaks = summary.naming.peaks if summary.naming else ()
        draw_spectrum(axes, digest.spectrum, peaks, summary.no_peaks)


def _header(figure: "Figure", summary: Summary) -> None:
    good = summary.conditions == ("GOOD",)
    lines = {line[:14].strip(): line[15:] for line in summary.lines()}
    figure.text(0.02, 0.974, _cut(summary.run_id, 90), fontsize=17, fontweight="bold", va="center")
    figure.text(
        0.985, 0.974, " ".join(summary.conditions), fontsize=15, fontweight="bold", ha="right", va="center",
        color=GREEN if good else RED,
    )  # fmt: skip
    told = (
        f"hits: {lines['hits']}; specimen: {lines['specimen']}",
        f"ended: {summary.end_reason or 'not told'}",
        f"rate: {lines['rate']}",
        f"voltage: {lines['voltage']}",
        f"losses: {losses_text(summary.losses)}",
    )
    for row, words in enumerate(told):
        lost = row == len(told) - 1 and any(summary.losses.values())
        figure.text(
            0.02, 0.9515 - 0.0185 * row, _cut(words, _LONGEST_LINE), fontsize=11.5, va="center",
            color=RED if lost else "black",
        )  # fmt: skip


def _cut(words: str, longest: int) -> str:
    return words if len(words) <= longest else f"{words[: longest - 1]}…"
