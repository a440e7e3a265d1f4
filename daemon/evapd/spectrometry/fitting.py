"""Fitting the mass scale to known peaks: constants first, then what voltage and place still do."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evapd.errors import StateError
from evapd.spectrometry import modal
from evapd.spectrometry.align import KnownPeak, present
from evapd.spectrometry.masses import MassScale
from evapd.spectrometry.sample import Hits
from evapd.spectrometry.shape import PeakShape, half_window_da, measure_peak

Floats = NDArray[np.float64]
FEWEST_HITS = 200
_ROUNDS = 8
_SHRINK = 0.6
_WIDEST, _NARROWEST = 4e-3, 2.5e-4  # h of ln m: at the start, and at the end
_RATIO_FOR_T0 = 1.15  # of the flight times of the lightest and the heaviest known peak
_PATH_ERROR = 0.003  # a flight path is fitted when its standard error is below this part of it
_PATH_REACH = 0.15
_BETA_ERROR = 0.05
_BETA_SPREAD = 0.02  # of V_p / V_dc over the run


@dataclass(slots=True)
class Constants:
    """The formula's constants as fitted: which were free with which errors, and why the others were held."""

    scale: MassScale
    fitted: dict[str, float] = field(default_factory=dict)  # standard error by name
    held: dict[str, str] = field(default_factory=dict)  # reason by name


@dataclass(frozen=True, slots=True)
class Near:
    """Hits near known peaks: which peak each belongs to, and how far off it is in ln m."""

    hits: Hits
    peak: NDArray[np.int64]
    rest: Floats


def near_peaks(hits: Hits, peaks: Sequence[KnownPeak], scale: MassScale, reach: float | None = None) -> Near:
    """Pick the hits within a window around the nearest known peak."""
    masses = scale.mass_da(*hits.columns)
    order = np.argsort([peak.mass_da for peak in peaks])
    wanted = np.array([peaks[k].mass_da for k in order])
    middles = 0.5 * (wanted[:-1] + wanted[1:])
    with np.errstate(invalid="ignore", divide="ignore"):
        place = np.searchsorted(middles, masses)
        rest = np.log(masses / wanted[place])
    window = np.array([half_window_da(mass) / mass for mass in wanted])
    limit = window[place] if reach is None else np.minimum(reach, window[place])
    chosen = np.abs(rest) < limit
    return Near(hits.part(chosen), order[place[chosen]], rest[chosen])


def fit_constants(hits: Hits, peaks: Sequence[KnownPeak], start: MassScale) -> Constants:
    """Fit alpha, and t0, L and beta where the data tell them; the start must be roughly aligned.

    Raises:
        StateError: when too few hits lie on the known peaks.
    """
    result = Constants(start)
    names = ["alpha"]
    if not flight_times_differ(peaks):
        result.held["t0_ps"] = "one flight time alone cannot tell t0 from alpha"
    else:
        names.append("t0_ps")
    result = _rounds(hits, peaks, result, names)
    errors = _errors(hits, peaks, result.scale, [*names, "flight_path_mm"])
    error = errors.get("flight_path_mm", np.inf) / start.flight_path_mm
    if error < _PATH_ERROR:
        tried = _rounds(
            hits, peaks, Constants(result.scale, {}, dict(result.held)), [*names, "flight_path_mm"]
        )
        change = abs(tried.scale.flight_path_mm / start.flight_path_mm - 1.0)
        if change < _PATH_REACH:
            result = tried
            names.append("flight_path_mm")
        else:
            result.held["flight_path_mm"] = (
                f"the best fit is {tried.scale.flight_path_mm:.1f} mm, {100 * change:.0f} % from where it began: the places of the hits "
                "do not follow a straight path from one point"
            )
    else:
        result.held["flight_path_mm"] = (
            f"its error would be {100 * error:.2g} % (limit {100 * _PATH_ERROR:g} %): the hits' places do not tell it from alpha"
        )
    _try_beta(hits, peaks, result, names)
    return result


def _try_beta(hits: Hits, peaks: Sequence[KnownPeak], result: Constants, names: list[str]) -> None:
    if not result.scale.voltage_mode:
        result.held["beta"] = "laser mode: no pulse voltage accelerates"
        return
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = np.nanpercentile(hits.v_p_v / hits.v_dc_v, (2.0, 98.0))
    if not high - low > _BETA_SPREAD:
        result.held["beta"] = (
            f"the pulse fraction stayed within {high - low:.2g} (wanted is {_BETA_SPREAD:g}): beta cannot be told from alpha"
        )
        return
    error = _errors(hits, peaks, result.scale, [*names, "beta"]).get("beta", np.inf)
    if error >= _BETA_ERROR:
        result.held["beta"] = f"its error would be {error:.2g}, the limit is {_BETA_ERROR:g}"
        return
    tried = _rounds(hits, peaks, Constants(result.scale, {}, dict(result.held)), [*names, "beta"])
    if 0.0 < tried.scale.beta < 1.5:
        result.scale, result.fitted = tried.scale, tried.fitted
    else:
        result.held["beta"] = f"the best fit is {tried.scale.beta:.2f}, which no pulse can be"


def flight_times_differ(peaks: Sequence[KnownPeak]) -> bool:
    """Tell whether these peaks can tell t0 from alpha."""
    if not peaks:
        return False
    masses = [peak.mass_da for peak in peaks]
    return bool(np.sqrt(max(masses) / min(masses)) >= _RATIO_FOR_T0)


def _rounds(hits: Hits, peaks: Sequence[KnownPeak], begun: Constants, names: list[str]) -> Constants:
    """Gauss-Newton with ever narrower kernels."""
    scale, width, found = begun.scale, _WIDEST, None
    for _ in range(_ROUNDS):
        near = near_peaks(hits, peaks, scale, 5.0 * width)
        if len(near.rest) < FEWEST_HITS:
            raise StateError(
                f"{len(near.rest)} hits lie on the known peaks, {FEWEST_HITS} are needed: are these the right peaks? "
                "See the spectrum with `evapd plot`, and name peaks that are there with --peaks"
            )
        try:
            found = modal.fit(_design(near.hits, scale, names), near.rest, np.full(len(near.rest), width))
        except np.linalg.LinAlgError:
            raise StateError(
                f"{', '.join(names)} cannot be told apart from these peaks; name more peaks"
            ) from None
        scale = _moved(scale, names, found.value)
        width = max(_SHRINK * width, _narrow(hits, peaks, scale))
    assert found is not None  # noqa: S101 - there is at least one round
    fitted = {
        name: float(error * (scale.alpha if name == "alpha" else 1.0))
        for name, error in zip(names, found.error, strict=True)
    }
    return Constants(scale, fitted, begun.held)


def _errors(hits: Hits, peaks: Sequence[KnownPeak], scale: MassScale, names: list[str]) -> dict[str, float]:
    width = _narrow(hits, peaks, scale)
    near = near_peaks(hits, peaks, scale, 5.0 * width)
    try:
        found = modal.fit(_design(near.hits, scale, names), near.rest, np.full(len(near.rest), width))
    except np.linalg.LinAlgError:
        return {}
    return dict(zip(names, found.error.tolist(), strict=True))


def _narrow(hits: Hits, peaks: Sequence[KnownPeak], scale: MassScale) -> float:
    """Half of the median relative width of the peaks."""
    shapes = shapes_of(hits, peaks, scale)
    widths = [shape.fwhm_da / shape.mass_da for shape in shapes.values()]
    return max(_NARROWEST, 0.5 * float(np.median(widths))) if widths else _WIDEST


def shapes_of(hits: Hits, peaks: Sequence[KnownPeak], scale: MassScale) -> dict[str, PeakShape]:
    """Measure the known peaks in calibrated masses, by name; those that are not to be measured are left out."""
    masses = scale.mass_da(*hits.columns)
    measured = {peak.name: shape_at(masses, peak, peaks) for peak in peaks}
    return {name: shape for name, shape in measured.items() if shape is not None}


def shape_at(masses_da: Floats, peak: KnownPeak, peaks: Sequence[KnownPeak]) -> PeakShape | None:
    """Measure a known peak; None where what is there is a neighbour's flank and not this peak."""
    apart = [abs(other.mass_da - peak.mass_da) for other in peaks if other.mass_da != peak.mass_da]
    half_da = min([half_window_da(peak.mass_da), *(0.6 * distance for distance in apart)])
    shape = measure_peak(masses_da, peak.mass_da, half_da)
    if shape is None or abs(shape.mass_da - peak.mass_da) > min(
        0.5 * half_da, max(shape.fwhm_da, 0.002 * peak.mass_da)
    ):
        return None
    return shape


def _design(hits: Hits, scale: MassScale, names: Sequence[str]) -> Floats:
    """Derivatives of ln m by ln alpha, t0 (ps), L (mm), beta."""
    path2 = scale.flight_path_mm**2 + 1e-6 * (hits.x_um**2 + hits.y_um**2)
    columns: dict[str, Floats] = {}
    for name in names:
        if name == "alpha":
            columns[name] = np.ones(hits.n)
        elif name == "t0_ps":
            columns[name] = -2.0 / (hits.tof_ps - scale.t0_ps)
        elif name == "flight_path_mm":
            columns[name] = -2.0 * scale.flight_path_mm / path2
        else:
            columns[name] = hits.v_p_v / scale.accelerating_v(hits.v_dc_v, hits.v_p_v)
    return np.column_stack(list(columns.values()))


def _moved(scale: MassScale, names: Sequence[str], value: Floats) -> MassScale:
    """Take a step; the residual is too high by design @ value."""
    update = {}
    for name, step in zip(names, value.tolist(), strict=True):
        update[name] = scale.alpha * float(np.exp(-step)) if name == "alpha" else getattr(scale, name) - step
    return scale.model_copy(update=update)


def peaks_there(hits: Hits, peaks: Sequence[KnownPeak], scale: MassScale) -> list[KnownPeak]:
    """Tell which known peaks are there, if any."""
    return present(scale.mass_da(*hits.columns), peaks, fewest=FEWEST_HITS / 2)


def standing_out(hits: Hits, peaks: Sequence[KnownPeak], scale: MassScale) -> list[KnownPeak]:
    """Tell which known peaks are there.

    Raises:
        StateError: when none is.
    """
    found = peaks_there(hits, peaks, scale)
    if not found:
        raise StateError(
            f"none of the known peaks ({', '.join(peak.name for peak in peaks)}) stands out in the spectrum; "
            "are flight path, t0 and pulse mode roughly right? Give better ones with --flight-path-mm and --t0-ps"
        )
    return found
