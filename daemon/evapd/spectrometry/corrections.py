"""What voltage and place still do to ln(m/q) once the constants are fitted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.spectrometry import modal
from evapd.spectrometry.align import KnownPeak
from evapd.spectrometry.fitting import near_peaks, shapes_of
from evapd.spectrometry.masses import BowlCorrection, MassScale, VoltageCorrection
from evapd.spectrometry.sample import Hits

Floats = NDArray[np.float64]
_HITS_PER_KNOT, _MOST_KNOTS = 2_000, 10
_VOLTAGE_SPREAD = 0.01  # of V over the run, below which there is nothing to correct
_STIFFNESS = 0.05  # of the smoothing of the voltage curve, relative to its data
_FEWEST_FOR_BOWL, _MANY_FOR_BOWL = 3_000, 20_000


@dataclass(frozen=True, slots=True)
class Knots:
    """Voltages between which the correction is a straight line."""

    v_v: Floats

    def hats(self, v_v: Floats) -> Floats:
        """Give the share of every knot at voltages; shape (n, knots), rows sum to one."""
        v = np.clip(v_v, self.v_v[0], self.v_v[-1])
        right = np.clip(np.searchsorted(self.v_v, v, side="right"), 1, len(self.v_v) - 1)
        share = (v - self.v_v[right - 1]) / (self.v_v[right] - self.v_v[right - 1])
        rows = np.arange(len(v))
        made = np.zeros((len(v), len(self.v_v)))
        made[rows, right - 1] = 1.0 - share
        made[rows, right] = share
        return made


def why_no_voltage(v_v: Floats) -> str:
    """Say why no correction for voltage can be fitted; empty where it can."""
    low, high = np.percentile(v_v, (1.0, 99.0))
    if high / low - 1.0 < _VOLTAGE_SPREAD:
        return f"the accelerating voltage stayed within {100 * (high / low - 1.0):.2g} %, there is nothing to correct"
    return (
        ""
        if len(v_v) >= 2 * _HITS_PER_KNOT
        else f"{len(v_v)} hits on the peaks, {2 * _HITS_PER_KNOT} are needed"
    )


def why_no_bowl(n: int) -> str:
    """Say why no correction for place can be fitted; empty where it can."""
    return "" if n >= _FEWEST_FOR_BOWL else f"{n} hits on the peaks, {_FEWEST_FOR_BOWL} are needed"


def _terms(n: int) -> list[tuple[int, int]]:
    most = 4 if n >= _MANY_FOR_BOWL else 2
    return [(i, total - i) for total in range(1, most + 1) for i in range(total, -1, -1)]


def fit_corrections(
    hits: Hits, peaks: Sequence[KnownPeak], scale: MassScale, *, voltage: bool, bowl: bool
) -> MassScale:
    """Fit the corrections asked for together; the mean of that for voltage goes into alpha.

    The kernel of each peak is half as wide as the peak, so that all peaks have their say.
    """
    for _ in range(2):  # the second time the peaks are already sharper
        scale = _once(hits, peaks, scale, voltage=voltage, bowl=bowl)
    return scale


def _once(
    hits: Hits, peaks: Sequence[KnownPeak], scale: MassScale, *, voltage: bool, bowl: bool
) -> MassScale:
    shapes = shapes_of(hits, peaks, scale)
    widths = np.array([0.5 * shapes[p.name].fwhm_da / p.mass_da if p.name in shapes else 2e-3 for p in peaks])
    bare = scale.model_copy(update={"voltage": None, "bowl": None})
    near = near_peaks(hits, peaks, scale, 5.0 * float(widths.max()))
    plain = scale.voltage is None and scale.bowl is None
    rest = (
        near.rest
        if plain
        else near.rest + np.log(bare.mass_da(*near.hits.columns) / scale.mass_da(*near.hits.columns))
    )
    v_v = scale.accelerating_v(near.hits.v_dc_v, near.hits.v_p_v)
    blocks: list[Floats] = []
    knots: Knots | None = None
    terms: list[tuple[int, int]] = []
    radius_mm = 1.0
    if voltage:
        count = int(np.clip(len(v_v) // _HITS_PER_KNOT, 2, _MOST_KNOTS))
        places = np.unique(np.percentile(v_v, np.linspace(0.5, 99.5, count)))
        knots = Knots(places)
        blocks.append(knots.hats(v_v))
    else:
        blocks.append(np.ones((len(v_v), 1)))
    if bowl:
        radius_mm = float(np.percentile(np.hypot(near.hits.x_um, near.hits.y_um), 99.5)) * 1e-3
        terms = _terms(len(v_v))
        x, y = near.hits.x_um * (1e-3 / radius_mm), near.hits.y_um * (1e-3 / radius_mm)
        far = np.maximum(np.hypot(x, y), 1.0)
        blocks.append(np.column_stack([(x / far) ** i * (y / far) ** j for i, j in terms]))
    design = np.column_stack(blocks)
    found = modal.fit(design, rest, widths[near.peak], _ridge(design.shape[1], knots, widths, len(v_v)))
    many = blocks[0].shape[1]
    curve = found.value[:many]
    mean = float(np.mean(blocks[0] @ curve))
    made: dict[str, VoltageCorrection | BowlCorrection | float] = {
        "alpha": scale.alpha * float(np.exp(-mean))
    }
    if knots is not None:
        made["voltage"] = VoltageCorrection(
            v_v=tuple(knots.v_v.tolist()), ln_m=tuple((curve - mean).tolist())
        )
    if bowl:
        factors = found.value[many:].tolist()
        made["bowl"] = BowlCorrection(
            radius_mm=radius_mm, terms=tuple((i, j, c) for (i, j), c in zip(terms, factors, strict=True))
        )
    return bare.model_copy(update=made)


def _ridge(k: int, knots: Knots | None, widths: Floats, hits: int) -> Floats:
    """Hold the second differences of the voltage curve, and what no hit tells."""
    ridge = np.eye(k) * 1e-9 * hits / float(widths.min()) ** 2
    if knots is not None and len(knots.v_v) > 2:
        n = len(knots.v_v)
        bend = np.diff(np.eye(n), 2, axis=0)
        ridge[:n, :n] += _STIFFNESS * hits / n / float(widths.max()) ** 2 * (bend.T @ bend)
    return ridge
