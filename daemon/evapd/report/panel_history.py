"""Voltage and rate against time, with segments, inhibits and the stop."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evapd.record.pulsetable import INHIBITED, UNCOVERED
from evapd.report.digest import RunDigest
from evapd.report.rates import BIN_S, BINS_PER_S
from evapd.report.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, say_instead
from evapd.report.targets import Targets
from evapd.units import US_PER_S

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
_MOST_POINTS = 4000
_LOG_ABOVE = 4.0  # times the target: then a linear scale would hide how well it was held


def draw_voltage(axes: "Axes", digest: RunDigest) -> None:
    """Draw measured V_dc and V_tot."""
    voltages = digest.voltages
    if not len(voltages.t_s):
        say_instead(axes, "Voltage", "no voltage was read in this run")
        return
    step = max(1, len(voltages.t_s) // _MOST_POINTS)
    single = "." if len(voltages.t_s) < 3 else ""
    axes.plot(voltages.t_s[::step], voltages.v_dc_v[::step] / 1e3, marker=single, color=BLUE, label="V_dc")
    if voltages.v_tot_v is not None:
        axes.plot(
            voltages.t_s[::step],
            voltages.v_tot_v[::step] / 1e3,
            marker=single,
            color=RED,
            label="V_tot = V_dc + V_p",
        )
    axes.set_title("Voltage, as measured")
    axes.set_ylabel("kV")
    low, high = digest.v_dc_range_v or (0.0, 0.0)
    high = max(high, voltages.v_tot_max_v or 0.0)
    if low > 0.5 * high:
        # A replay changes by a per cent: a scale from zero would make it look flat.
        axes.set_ylim(1e-3 * (low - 0.1 * (high - low) - 1.0), 1e-3 * (high + 0.1 * (high - low) + 1.0))
    else:
        shown = voltages.v_dc_v if voltages.v_tot_v is None else voltages.v_tot_v
        axes.set_ylim(0.0, 1.08e-3 * max(1.0, float(np.nanmax(shown))))
    axes.ticklabel_format(axis="y", useOffset=False)


def draw_rate(axes: "Axes", digest: RunDigest, targets: Targets) -> None:
    """Draw the rate against the target; where no law held one, hits per second."""
    history = digest.rates
    if not np.any(history.live > 0):
        say_instead(axes, "Rate", "no live pulses")
        return
    target = targets.at(history.t_s)
    if targets.held:
        values, unit, title = history.rate(), "hits per live pulse", "Rate, uncorrelated hits taken off"
    else:
        values, unit = history.hits / BIN_S, "hits per second"
        title = "Hits per second (no law held a rate)"
    many = max(1, len(values) // _MOST_POINTS)
    t_s, fine = _means(history.t_s, many), _means(values, many)
    axes.plot(t_s, fine, color=SKY, linewidth=0.8, label=f"mean of {many * BIN_S:g} s")
    whole = BINS_PER_S * max(1, many // BINS_PER_S)
    if many < BINS_PER_S and len(values) >= 2 * whole:
        axes.plot(
            _means(history.t_s, whole), _means(values, whole), color=BLUE, linewidth=1.6, label="mean of 1 s"
        )
    if np.isfinite(target).any():
        axes.plot(history.t_s, target, color=ORANGE, linewidth=1.8, ls="--", label="target")
        top = float(np.nanmax(fine / _means(target, many))) if np.isfinite(fine).any() else 1.0
        if top > _LOG_ABOVE:
            axes.set_yscale("log")
            axes.set_ylim(1e-3 * float(np.nanmax(target)), 2.0 * top * float(np.nanmax(target)))
        else:
            axes.set_ylim(0.0, 1.15 * max(1.1, top) * float(np.nanmax(target)))
    else:
        axes.set_ylim(bottom=0.0)
    axes.set_ylabel(unit)
    axes.set_xlabel("time since the start of the run (s)")
    axes.set_title(title)


def mark_run(axes_of_time: Sequence["Axes"], digest: RunDigest, runs: dict[str, NDArray[np.generic]]) -> None:
    """Mark segments, inhibited and lost pulses, and the stop in every history, and write the legends."""
    for axes in axes_of_time:
        if not axes.lines:
            continue  # it says why it is empty
        for kind, colour, words in (
            (INHIBITED, GREY, "pulses inhibited"),
            (UNCOVERED, PURPLE, "pulses lost"),
        ):
            for number, (begin_s, end_s) in enumerate(spans_s(digest, runs, kind)):
                axes.axvspan(
                    begin_s, end_s, color=colour, alpha=0.3, lw=0, label=words if number == 0 else None
                )
        for number, segment in enumerate(digest.info.segments[1:]):
            begin_s = (segment.t_mono_us - digest.info.t_start_mono_us) / US_PER_S
            axes.axvline(begin_s, color=GREEN, lw=1.0, ls=":", label="new segment" if number == 0 else None)
        axes.axvline(digest.stop_s, color=GREY, lw=1.2, ls="-.", label="stop")
        axes.set_xlim(min(0.0, digest.times.begin_s), max(1.0, 1.01 * max(digest.stop_s, digest.times.end_s)))
        axes.grid(visible=True, color="#E4E4E4", linewidth=0.6)
        axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1.0), borderaxespad=0.0, handlelength=1.6)


def spans_s(digest: RunDigest, runs: dict[str, NDArray[np.generic]], kind: int) -> list[tuple[float, float]]:
    """Give the stretches of pulses of one kind in seconds, those joined that touch in the picture."""
    chosen = np.asarray(runs["kind"]) == kind
    begin = digest.times.time_of(np.asarray(runs["first_pulse"])[chosen].astype(np.float64))
    end = digest.times.time_of(np.asarray(runs["last_pulse"])[chosen].astype(np.float64) + 1.0)
    apart = (digest.times.end_s - digest.times.begin_s) / 1000.0
    spans: list[tuple[float, float]] = []
    for begin_s, end_s in zip(begin.tolist(), end.tolist(), strict=True):
        if spans and begin_s - spans[-1][1] <= apart:
            spans[-1] = (spans[-1][0], end_s)
        else:
            spans.append((begin_s, max(end_s, begin_s + apart)))  # a short one must be seen as well
    return spans


def _means(values: Floats, many: int) -> Floats:
    """Mean of every `many` values that are known; NaN where none is."""
    whole = len(values) // many * many
    cut = values[:whole].reshape(-1, many)
    known = np.isfinite(cut)
    total, number = np.where(known, cut, 0.0).sum(axis=1), known.sum(axis=1)
    mean: Floats = np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0)
    return mean
