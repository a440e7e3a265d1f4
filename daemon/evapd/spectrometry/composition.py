"""Compositions from ranged hits: background taken off by a named method, errors from counting, charge states.

Counts in the ranges are taken as independent Poisson numbers (a multinomial one where their sum is fixed). With n_r the
counts of range r above the background, a_r its atoms and a_er those of element e, the fraction is c_e = sum a_er n_r / sum a_r
n_r, and its variance sum ((a_er - c_e a_r) / sum a_r n_r)^2 var(n_r): for ions of one atom and no background that is c (1 - c) / N
(Danoix, Grancher, Bostel, Blavette, Ultramicroscopy 107 (2007) 734). Ions that arrive together scatter more than that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evapd.spectrometry.ranges import Range

Floats = NDArray[np.float64]
Method = Literal["none", "flat-tof", "sidebands"]
METHODS: dict[Method, str] = {
    "none": "nothing is taken off",
    "flat-tof": "uncorrelated hits are even in time of flight, so their density falls as 1/sqrt(m); its height is the median over what is not ranged",
    "sidebands": "a straight line between the densities just below and just above each range, as wide together as the range",
}
BIN_DA = 0.01
_MARGIN_DA = 0.5  # what lies this near to a range is not taken for background
_WINDOW_DA = 2.0  # pieces whose median is taken
_FEWEST_WINDOWS = 5
_Z = 1.2533  # standard error of a median over that of a mean


@dataclass(frozen=True, slots=True)
class Counted:
    """One range: hits in it, and the background under them with its standard error."""

    range: Range
    hits: int
    background: float
    background_error: float
    charge: int | None = None

    @property
    def net(self) -> float:
        """Hits above the background."""
        return self.hits - self.background

    @property
    def variance(self) -> float:
        """Of the net counts."""
        return self.hits + self.background_error**2


@dataclass(frozen=True, slots=True)
class Share:
    """Atomic fraction of an element with its standard error."""

    element: str
    atoms: float
    fraction: float
    error: float


@dataclass(frozen=True, slots=True)
class ChargeRatio:
    """Counts of an ion with `charge` + 1 charges over those with `charge`, with the standard error."""

    ion: str
    charge: int
    ratio: float
    error: float


class Histogram:
    """Hits in narrow bins from 0 to the highest mass that is looked at; memory does not grow with the hits."""

    def __init__(self, high_da: float) -> None:
        self.counts = np.zeros(round(high_da / BIN_DA), np.int64)
        self.total = self.without_mass = 0

    def add(self, masses_da: NDArray[np.float32]) -> None:
        """Count hits; NaN are told apart."""
        known = masses_da[np.isfinite(masses_da)]
        self.total += len(masses_da)
        self.without_mass += len(masses_da) - len(known)
        inside = known[(known >= 0.0) & (known < len(self.counts) * BIN_DA)]
        place = np.minimum((inside.astype(np.float64) / BIN_DA).astype(np.int64), len(self.counts) - 1)
        self.counts += np.bincount(place, minlength=len(self.counts))


class RangeCounter:
    """Counts hits in ranges exactly, to the last digit of their edges."""

    def __init__(self, ranges: Sequence[Range]) -> None:
        self._low = np.array([each.low_da for each in ranges])
        self._high = np.array([each.high_da for each in ranges])
        self.hits = np.zeros(len(ranges), np.int64)

    def add(self, masses_da: NDArray[np.float32]) -> None:
        """Count hits; the lower edge belongs to a range, the upper does not."""
        masses = masses_da[np.isfinite(masses_da)].astype(np.float64)
        place = np.searchsorted(self._low, masses, side="right") - 1
        inside = (place >= 0) & (masses < self._high[place])
        self.hits += np.bincount(place[inside], minlength=len(self.hits))


def backgrounds(
    histogram: Histogram, ranges: Sequence[Range], method: Method
) -> tuple[list[tuple[float, float]], Method]:
    """Give the counts under each range with their standard errors, and the method that was used.

    Where ranges leave too little of the spectrum free for `flat-tof`, it is `sidebands`.
    """
    if method == "none":
        return [(0.0, 0.0)] * len(ranges), method
    flat = _flat(histogram, ranges) if method == "flat-tof" else []
    return (flat, method) if flat else (_sidebands(histogram, ranges), "sidebands")


def _free(histogram: Histogram, ranges: Sequence[Range], margin_da: float) -> NDArray[np.bool_]:
    free = np.ones(len(histogram.counts), bool)
    for each in ranges:
        free[
            max(0, int((each.low_da - margin_da) / BIN_DA)) : int((each.high_da + margin_da) / BIN_DA) + 1
        ] = False
    return free


def _flat(histogram: Histogram, ranges: Sequence[Range]) -> list[tuple[float, float]]:
    free = _free(histogram, ranges, _MARGIN_DA)
    edges = np.arange(len(histogram.counts) + 1) * BIN_DA
    weight = 2.0 * np.diff(np.sqrt(edges))  # integral of 1/sqrt(m) over a bin
    wide = round(_WINDOW_DA / BIN_DA)
    heights, variances = [], []
    for begin in range(0, len(free), wide):
        part = slice(begin, begin + wide)
        share = float(weight[part][free[part]].sum())
        if np.count_nonzero(free[part]) >= wide // 2:
            counts = float(histogram.counts[part][free[part]].sum())
            heights.append(counts / share)
            variances.append(max(counts, 1.0) / share**2)
    if len(heights) < _FEWEST_WINDOWS:
        return []
    height = float(np.median(heights))
    error = _Z * float(np.sqrt(np.median(variances) / len(heights)))
    shares = [2.0 * (np.sqrt(each.high_da) - np.sqrt(each.low_da)) for each in ranges]
    return [(height * float(share), error * float(share)) for share in shares]


def _sidebands(histogram: Histogram, ranges: Sequence[Range]) -> list[tuple[float, float]]:
    free, found = _free(histogram, ranges, 0.0), []
    for each in ranges:
        low, high = int(each.low_da / BIN_DA), min(int(np.ceil(each.high_da / BIN_DA)), len(free))
        half = max(1, (high - low) // 2)
        width = (each.high_da - each.low_da) / BIN_DA
        densities, variance = [], 0.0
        for part in (slice(max(0, low - half), low), slice(high, high + half)):
            bins = int(np.count_nonzero(free[part]))
            if bins:
                counts = float(histogram.counts[part][free[part]].sum())
                densities.append(counts / bins)
                variance += counts / bins**2
        mean = float(np.mean(densities)) if densities else 0.0
        error = float(np.sqrt(variance)) / len(densities) if densities else 0.0
        found.append((mean * width, error * width))
    return found


def shares_of(counted: Sequence[Counted]) -> list[Share]:
    """Give the atomic fractions of the elements, the most abundant first; empty where nothing was counted."""
    atoms = [dict(each.range.atoms) for each in counted]
    net = np.array([each.net for each in counted])
    variance = np.array([each.variance for each in counted])
    whole = np.array([float(sum(part.values())) for part in atoms])
    total = float(whole @ net)
    if total <= 0.0:
        return []
    made = []
    for element in sorted({symbol for part in atoms for symbol in part}):
        own = np.array([float(part.get(element, 0)) for part in atoms])
        fraction = float(own @ net) / total
        error = float(np.sqrt(((own - fraction * whole) / total) ** 2 @ variance))
        made.append(Share(element, float(own @ net), fraction, error))
    return sorted(made, key=lambda share: -share.atoms)


def charge_ratios(counted: Sequence[Counted]) -> list[ChargeRatio]:
    """Give the ratios of neighbouring charge states of every ion of which two were ranged."""
    piles: dict[str, dict[int, tuple[float, float]]] = {}
    for each in counted:
        if each.charge is not None:
            pile = piles.setdefault(each.range.ion, {})
            net, variance = pile.get(each.charge, (0.0, 0.0))
            pile[each.charge] = (net + each.net, variance + each.variance)
    ratios = []
    for ion, pile in sorted(piles.items()):
        for charge in sorted(pile):
            if charge + 1 in pile and pile[charge][0] > 0 and pile[charge + 1][0] > 0:
                (below, below_variance), (above, above_variance) = pile[charge], pile[charge + 1]
                ratio = above / below
                error = ratio * float(np.sqrt(above_variance / above**2 + below_variance / below**2))
                ratios.append(ChargeRatio(ion, charge, ratio, error))
    return ratios


def charge_of(
    each: Range, isotopes: Mapping[str, Sequence[tuple[float, float]]], *, most: int = 4, electron_da: float
) -> int | None:
    """Tell the charge of a ranged ion from the isotopes of its elements; None where no charge brings it into the range.

    Where several do, the one whose isotopes in the range are the most abundant together is taken.

    Args:
        each: the range.
        isotopes: by element, (mass of the atom in Da, abundance).
        most: highest charge that is thought of.
        electron_da: mass of an electron.
    """
    if not each.atoms or any(symbol not in isotopes for symbol, _ in each.atoms):
        return None
    masses = {0.0: 1.0}
    for symbol, n in each.atoms:
        for _ in range(n):
            joined: dict[float, float] = {}
            for mass, share in masses.items():
                for isotope_da, abundance in isotopes[symbol]:
                    key = round(mass + isotope_da, 2)
                    joined[key] = joined.get(key, 0.0) + share * abundance
            masses = {mass: share for mass, share in joined.items() if share > 1e-6}
    inside = {
        charge: sum(
            share
            for mass, share in masses.items()
            if each.low_da <= mass / charge - electron_da < each.high_da
        )
        for charge in range(1, most + 1)
    }
    best = max(inside, key=lambda charge: inside[charge])
    return best if inside[best] > 0.0 else None
