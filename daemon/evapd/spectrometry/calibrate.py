"""A mass scale from known peaks: align, fit constants, correct, and keep only what makes peaks no wider."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd.errors import StateError
from evapd.spectrometry.align import KnownPeak, align
from evapd.spectrometry.corrections import fit_corrections, why_no_bowl, why_no_voltage
from evapd.spectrometry.fitting import (
    Constants,
    Near,
    fit_constants,
    flight_times_differ,
    near_peaks,
    peaks_there,
    shape_at,
    shapes_of,
    standing_out,
)
from evapd.spectrometry.masses import MassScale
from evapd.spectrometry.sample import Hits
from evapd.spectrometry.shape import PeakShape

Floats = NDArray[np.float64]
FEWEST_HITS = 1_000
_MOST_TO_FIT = 300_000
_GAIN = 0.01  # of ln(resolving power): what a correction must bring on hits it has not seen
_NOISE = (
    2.0  # measured widths differ by chance, in ln(resolving power) by this over the square root of the hits
)
_PLACE_FLOOR_DA = 0.001  # below this a peak's place means nothing
_POLISHES = 3
_ROUNDS = 3
_BLUNT = 50.0  # resolving power that a peak counts with which cannot be measured


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownResult:
    """One known peak before and after; None where it could not be measured."""

    peak: KnownPeak
    before: PeakShape | None
    after: PeakShape | None

    @property
    def error_da(self) -> float | None:
        """Distance from the truth after calibration, Da."""
        return None if self.after is None else self.after.mass_da - self.peak.mass_da


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """What came of a calibration."""

    start: MassScale
    scale: MassScale
    fitted: dict[str, float]  # standard error by name of the constant
    held: dict[str, str]  # reason by name of constant or correction
    peaks: tuple[KnownResult, ...]
    absent: tuple[KnownPeak, ...]  # known peaks that do not stand out
    hits: int

    @property
    def gain(self) -> float:
        """Mean resolving power after over before, each peak by its counts; 1 where nothing can be compared."""
        both = [(r.before, r.after) for r in self.peaks if r.before and r.after]
        if not both:
            return 1.0
        weight = np.array([after.counts for _, after in both])
        ratio = np.array([np.log(after.resolving_power / before.resolving_power) for before, after in both])
        return float(np.exp(np.average(ratio, weights=weight)))


def calibrate(
    hits: Hits,
    known: Sequence[KnownPeak],
    start: MassScale,
    *,
    t0_reach_ps: float = 10_000.0,
    scale_reach: float = 0.12,
) -> Calibrated:
    """Fit a mass scale.

    Candidates are, from plain to rich: alpha alone; the constants that the data tell; those with corrections for
    voltage, place, or both. Each is fitted to the even hits and judged by the widths of the peaks in the odd ones; a
    richer one is taken only when it makes the peaks narrower there.

    Args:
        hits: of the run, with voltages.
        known: peaks whose masses are known; those that are not there are found out and named.
        start: constants to begin with.
        t0_reach_ps: how far t0 is searched.
        scale_reach: how far ln(m/q) is searched.

    Raises:
        StateError: when there are too few hits, or none of the peaks is there.
    """
    if hits.n < FEWEST_HITS:
        raise StateError(f"{hits.n} hits with known voltages are too few; a calibration needs {FEWEST_HITS}")
    stride = max(1, hits.n // (2 * _MOST_TO_FIT))
    fit_on, judge_on = hits.part(slice(0, None, 2 * stride)), hits.part(slice(1, None, 2))

    def aligned(scale: MassScale) -> MassScale:
        begin = scale.model_copy(update={"t0_ps": start.t0_ps})
        found = align(hits, known, begin, t0_reach_ps=t0_reach_ps, scale_reach=scale_reach)
        if flight_times_differ(peaks_there(hits, known, found)):
            return found
        return align(hits, known, begin, t0_reach_ps=0.0, scale_reach=scale_reach)  # nothing tells t0

    begun = aligned(start)
    peaks = standing_out(hits, known, begun)
    chosen = _choose(fit_on, judge_on, peaks, start, begun)
    for _ in range(_ROUNDS):
        # A sharper spectrum shows more peaks, and a t0 that was not told by the few may have been found wrong.
        again = aligned(chosen.scale)
        better = max((chosen.scale, again), key=lambda scale: len(peaks_there(hits, known, scale)))
        more = peaks_there(hits, known, better)
        if not {*more} - {*peaks}:
            break
        peaks = more
        chosen = _choose(fit_on, judge_on, peaks, start, better)
    fitted, held = chosen.fitted, chosen.held
    scale = _polished(hits, peaks, chosen.scale, free_t0="t0_ps" in fitted)
    return Calibrated(
        start=start,
        scale=scale,
        fitted=fitted,
        held=held,
        peaks=_results(hits, peaks, start, scale),
        absent=tuple(peak for peak in known if peak not in peaks),
        hits=hits.n,
    )


class _Chosen(NamedTuple):
    scale: MassScale
    fitted: dict[str, float]
    held: dict[str, str]


def _choose(
    fit_on: Hits, judge_on: Hits, peaks: Sequence[KnownPeak], start: MassScale, begun: MassScale
) -> _Chosen:
    """Fit the candidates, and take the plainest of those that make the peaks sharp."""
    bare = begun.model_copy(update={"voltage": None, "bowl": None})
    best: _Chosen | None = None
    sharpest = -np.inf
    # Corrections found with fewer peaks may hide a wrong constant, so those peaks are also fitted without them.
    for origin in (bare,) if bare == begun else (bare, begun):
        constants = fit_constants(fit_on, peaks, origin)
        near = near_peaks(fit_on, peaks, constants.scale)
        for name, candidate, whys in _candidates(fit_on, peaks, start, constants.scale, near):
            sharpness = _sharpness(judge_on, peaks, candidate)
            wanted = -_NOISE / np.sqrt(len(near.rest)) if name == "constants" and origin is bare else _GAIN
            if best is None or sharpness > sharpest + wanted:
                best, sharpest = _chosen(name, candidate, constants, whys), sharpness
    assert best is not None  # noqa: S101 - there is at least one candidate
    return best


def _candidates(
    hits: Hits, peaks: Sequence[KnownPeak], start: MassScale, scale: MassScale, near: Near
) -> Iterator[tuple[str, MassScale, dict[str, str]]]:
    """Give candidates from plain to rich, each with why a correction is not there."""
    bare = scale.model_copy(update={"voltage": None, "bowl": None})
    whys = {
        "voltage": why_no_voltage(bare.accelerating_v(near.hits.v_dc_v, near.hits.v_p_v)),
        "bowl": why_no_bowl(len(near.rest)),
    }
    yield "as it was", _as_it_was(hits, peaks, start, scale), whys
    yield "constants", bare, whys
    for voltage, bowl in ((True, False), (False, True), (True, True)):
        if not (voltage and whys["voltage"]) and not (bowl and whys["bowl"]):
            yield "corrected", fit_corrections(hits, peaks, scale, voltage=voltage, bowl=bowl), whys


def _chosen(name: str, scale: MassScale, constants: Constants, whys: dict[str, str]) -> _Chosen:
    held, fitted = dict(constants.held), dict(constants.fitted)
    for correction, why in whys.items():
        if getattr(scale, correction) is None:
            held[f"{correction} correction"] = (
                why or "peaks of hits that were not fitted become no narrower by it"
            )
    if name == "as it was":
        for constant in ("t0_ps", "flight_path_mm", "beta"):
            fitted.pop(constant, None)
            held.setdefault(constant, "no choice of it makes the peaks narrower than they were")
    return _Chosen(scale, fitted, held)


def _as_it_was(hits: Hits, peaks: Sequence[KnownPeak], start: MassScale, fitted: MassScale) -> MassScale:
    """Scale the start so that it fits: resolving powers stay exactly what they were."""
    near = near_peaks(hits, peaks, fitted)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.log(fitted.mass_da(*near.hits.columns) / start.mass_da(*near.hits.columns))
    middle = float(np.nanmedian(apart))
    return start.model_copy(update={"alpha": start.alpha * float(np.exp(middle))})


def _sharpness(hits: Hits, peaks: Sequence[KnownPeak], scale: MassScale) -> float:
    """Mean ln(resolving power) of the peaks, each by the square root of its counts; a lost peak counts as blunt."""
    total = weights = 0.0
    masses = scale.mass_da(*hits.columns)
    for peak in peaks:
        shape = shape_at(masses, peak, peaks)
        weight = np.sqrt(np.count_nonzero(np.abs(masses / peak.mass_da - 1.0) < 0.01))
        power = shape.resolving_power if shape is not None else _BLUNT
        total += weight * np.log(power)
        weights += weight
    return float(total / weights) if weights else 0.0


def _polished(hits: Hits, peaks: Sequence[KnownPeak], scale: MassScale, *, free_t0: bool) -> MassScale:
    """Put the peaks' centroids onto the truth, by alpha and t0 alone: what a reader of the spectrum looks at."""
    for _ in range(_POLISHES):
        shapes = shapes_of(hits, peaks, scale)
        used = [(peak, shapes[peak.name]) for peak in peaks if peak.name in shapes]
        if not used:
            return scale
        truth = np.array([peak.mass_da for peak, _ in used])
        rest = np.array([np.log(shape.mass_da / peak.mass_da) for peak, shape in used])
        error_da = np.array(
            [np.hypot(shape.fwhm_da / np.sqrt(shape.counts), _PLACE_FLOOR_DA) for _, shape in used]
        )
        columns = [np.ones(len(used))]
        if free_t0 and len(used) > 1:
            near = near_peaks(hits, [peak for peak, _ in used], scale)
            flight_ps = [
                float(np.median(near.hits.tof_ps[near.peak == k])) - scale.t0_ps for k in range(len(used))
            ]
            columns.append(-2.0 / np.array(flight_ps))
        weight = truth / error_da
        design = np.column_stack(columns) * weight[:, None]
        step = np.linalg.lstsq(design, rest * weight, rcond=None)[0]
        update = {"alpha": scale.alpha * float(np.exp(-step[0]))}
        if len(step) > 1:
            update["t0_ps"] = scale.t0_ps - float(step[1])
        scale = scale.model_copy(update=update)
    return scale


def _results(
    hits: Hits, peaks: Sequence[KnownPeak], start: MassScale, scale: MassScale
) -> tuple[KnownResult, ...]:
    """Measure every peak in the old and in the new masses; in the old ones wherever its hits lie."""
    after = shapes_of(hits, peaks, scale)
    old = start.mass_da(*hits.columns)
    near = near_peaks(hits, peaks, scale, 0.004)
    there = []
    for k, peak in enumerate(peaks):
        mine = start.mass_da(*near.hits.part(near.peak == k).columns)
        mine = mine[np.isfinite(mine)]
        there.append(KnownPeak(peak.name, float(np.median(mine)) if len(mine) else peak.mass_da))
    return tuple(
        KnownResult(peak=peak, before=shape_at(old, place, there), after=after.get(peak.name))
        for peak, place in zip(peaks, there, strict=True)
    )
