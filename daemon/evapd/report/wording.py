"""A summary in plain words."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from evapd.report.losses import losses_text
from evapd.spectrometry.ions import MAX_CHARGE, unknown_elements
from evapd.spectrometry.naming import Naming

if TYPE_CHECKING:
    from evapd.report.held import RateSummary
    from evapd.report.summary import Summary

_SHOWN_PEAKS = 30


def lines_of(summary: "Summary") -> list[str]:
    """Put a summary into lines of a heading and words."""
    return [f"{heading:14s} {words}" for heading, words in _entries(summary)]


def _entries(summary: "Summary") -> Iterator[tuple[str, str]]:
    yield (
        "run",
        f"{summary.run_id}, {' '.join(summary.conditions)}, ended: {summary.end_reason or 'not told'}",
    )
    made_of = ", ".join(summary.elements) or "not told"
    yield "specimen", f"{summary.specimen}, made of (as configured): {made_of}"
    inside = f"{summary.hits_in_window:,d} of them in the time-of-flight window"
    yield (
        "hits",
        f"{summary.hits:,d} in {summary.live_pulses:,d} live pulses over {summary.duration_s:.1f} s, {inside}",
    )
    yield from _rate(summary)
    yield "voltage", _voltage(summary)
    if summary.naming is None:
        yield "mass peaks", f"not looked for: {summary.no_peaks}"
    else:
        yield from _peaks(summary.naming, summary.elements)
    yield "losses", losses_text(summary.losses)
    yield "run folder", str(summary.folder)
    yield (
        "report",
        str(summary.report) if summary.report else f"none yet; `evapd plot {summary.folder}` writes it",
    )


def _rate(summary: "Summary") -> Iterator[tuple[str, str]]:
    rate = summary.rate
    if rate is None:
        mean = (
            f", mean {summary.mean_rate:.4g} hits per live pulse" if math.isfinite(summary.mean_rate) else ""
        )
        yield "rate", f"law '{summary.law}' holds no rate{mean}"
        return
    if rate.reached_s is None:
        most = "the run was shorter than 1 s of live pulses"
        if math.isfinite(rate.peak_1s):
            most = f"the mean of 1 s never came to 90 % of it, {_times(rate.peak_1s)} was the most"
        yield "rate", f"the target of {rate.target:g} hits per pulse was not reached: {most}"
        return
    beside = f"{rate.mean_over_target:.3f} of the target {rate.target:g}"
    if rate.target_changed:
        beside = f"{rate.mean_over_target:.3f} of the targets in force (the last was {rate.target:g})"
    yield "rate", f"mean {rate.mean:.5f} hits per pulse, {beside}, over {rate.at_target_s:.1f} s at target"
    yield "", _since(rate)
    if rate.scatter_bins:
        alone = f"counting statistics alone give {100 * rate.scatter_counting:.1f} %"
        seen = f"{100 * rate.scatter:.1f} % rms of ln(rate/target) in {rate.scatter_bins} bins of 1 s"
        yield "scatter", f"{seen}; {alone}"
    else:
        yield "scatter", "not known: less than 1 s at target"
    yield (
        "peak rate",
        f"{_times(rate.peak_100ms)} in 0.1 s, {_times(rate.peak_1s)} in 1 s, over the whole run",
    )


def _since(rate: "RateSummary") -> str:
    taken_off = (
        f"; uncorrelated hits taken off: {rate.background:.5f} per pulse" if rate.background > 0 else ""
    )
    return (
        f"(from 90 % of the target in 1 s, {rate.reached_s:.1f} s after the start, until the stop{taken_off})"
    )


def _times(ratio: float) -> str:
    return f"{ratio:.2f} of the target" if math.isfinite(ratio) else "unknown"


def _voltage(summary: "Summary") -> str:
    if summary.v_dc_v is None:
        return "no hit has a known voltage" if summary.hits else "no hit, so none belongs to one"
    parts = [f"V_dc {summary.v_dc_v[0]:.0f} to {summary.v_dc_v[1]:.0f} V at the hits"]
    if summary.v_dc_at_target_v is not None:
        parts.append(f"{summary.v_dc_at_target_v[0]:.0f} to {summary.v_dc_at_target_v[1]:.0f} V at target")
    if summary.v_tot_max_v is not None:
        parts.append(f"V_tot at most {summary.v_tot_max_v:.0f} V")
    return ", ".join(parts)


def _peaks(naming: Naming, elements: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    named = ", ".join(elements) or "none"
    yield (
        "mass peaks",
        f"{len(naming.peaks)} found blindly; beside them what the elements ({named}) would give",
    )
    strongest = sorted(naming.peaks, key=lambda peak: -peak.counts)[:_SHOWN_PEAKS]
    for peak in naming.peaks:
        if peak in strongest:
            fits = peak.label if peak.candidates else "nothing of these elements fits"
            yield (
                "",
                f"{peak.mass_to_charge_da:8.3f} Da {peak.counts:10,.0f} counts   m/dm {peak.resolving_power:5.0f}   {fits}",
            )
    if len(naming.peaks) > len(strongest):
        yield "", f"and {len(naming.peaks) - len(strongest)} weaker ones"
    for row, words in enumerate(_not_found(naming, elements)):
        yield ("not found" if row == 0 else ""), words


def _not_found(naming: Naming, elements: tuple[str, ...]) -> list[str]:
    words = [
        f"{miss.ion.name} at {miss.ion.mass_to_charge_da:.3f} Da (about {miss.expected_counts:,.0f} counts expected)"
        for miss in naming.missing
    ]
    if naming.absent:
        words.append(
            f"{', '.join(naming.absent)}: no peak within its own width of any ion with 1 to {MAX_CHARGE} charges "
            "(is the mass scale right? flight_path_mm, t0_ps, alpha and beta make it)"
        )
    if unknown := unknown_elements(elements):
        words.append(f"{', '.join(unknown)}: not in the table of isotopes, so nothing is expected")
    return words or ["nothing that was expected is missing"]
