"""Drawing ions: events in Poisson numbers, each a cascade of a geometric number of ions close in place and time.

The number of events is scaled so that the mean number of ions stays what the barrier says; the counts then scatter more
than Poisson, with a Fano factor (1 + p) / (1 - p) before the detector thins them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd_sim.elements import Species
from evapd_sim.projection import disc_radius, uniform_on_disc
from evapd_sim.settings import MultiHitTwin
from evapd_sim.specimen import EvaporationRate

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ions:
    """Ions that the detector sees, shapes (n,).

    `pulse` is the offset from the first pulse of the step, `wait_ps` the departure after that pulse, `a` and `b` the
    Lambert coordinates on the cap, `species` the row of the table, `pulsed` whether a pulse set them free.
    """

    pulse: NDArray[np.int64]
    wait_ps: Floats
    a: Floats
    b: Floats
    species: NDArray[np.intp]
    pulsed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cascades:
    """Sizes of the events of one step: those set free by pulses, then those under the standing voltage."""

    pulsed: NDArray[np.int64]
    standing: NDArray[np.int64]
    ions: int


class Evaporation:
    """Draws what leaves the tip during one step."""

    def __init__(self, species: Species, settings: MultiHitTwin, *, view_angle_deg: float) -> None:
        self._species = species
        self._settings = settings
        self._disc = disc_radius(view_angle_deg)

    def cascades(self, rng: np.random.Generator, pulsed_ions: float, standing_ions: float) -> Cascades:
        """Draw the events that give these numbers of ions on average."""
        stop = 1.0 - self._settings.probability
        pulsed = rng.geometric(stop, rng.poisson(pulsed_ions * stop))
        standing = rng.geometric(stop, rng.poisson(standing_ions * stop))
        return Cascades(pulsed, standing, int(pulsed.sum()) + int(standing.sum()))

    def place(
        self,
        rng: np.random.Generator,
        rate: EvaporationRate,
        cascades: Cascades,
        *,
        pulses: int,
        period_ps: float,
        radius_nm: float,
        seen: float,
    ) -> Ions:
        """Place the ions of the events in `pulses` pulses; each is kept with the probability `seen`."""
        n_pulsed = len(cascades.pulsed)
        sizes = np.concatenate((cascades.pulsed, cascades.standing))
        events = len(sizes)
        pulse = rng.integers(0, pulses, events)
        wait = np.zeros(events)
        wait[n_pulsed:] = rng.random(events - n_pulsed) * period_ps
        a, b = uniform_on_disc(rng, events, self._disc)
        parent = np.repeat(np.arange(events), sizes)
        first = np.empty(len(parent), dtype=np.bool_)
        first[:1] = True
        first[1:] = parent[1:] != parent[:-1]
        kept = rng.random(len(parent)) < seen
        parent, first = parent[kept], first[kept]
        n = len(parent)
        spread = self._settings.spread_nm / radius_nm * ~first
        pulsed = parent < n_pulsed
        return Ions(
            pulse=pulse[parent],
            wait_ps=wait[parent] + ~first * rng.exponential(self._settings.delay_ps, n),
            a=a[parent] + spread * rng.standard_normal(n),
            b=b[parent] + spread * rng.standard_normal(n),
            species=self.choose(rng, rate, pulsed),
            pulsed=pulsed,
        )

    @property
    def disc(self) -> float:
        """Radius of the imaged cap in Lambert coordinates."""
        return self._disc

    def choose(
        self, rng: np.random.Generator, rate: EvaporationRate, pulsed: NDArray[np.bool_]
    ) -> NDArray[np.intp]:
        """Element by its rate, isotope and charge state by their shares; pulsed ions come first."""
        n_pulsed = int(np.count_nonzero(pulsed))
        parts = [
            self._rows(rng, rate.per_pulse, n_pulsed),
            self._rows(rng, rate.per_s, len(pulsed) - n_pulsed),
        ]
        return np.concatenate(parts)

    def _rows(self, rng: np.random.Generator, by_element: Floats, n: int) -> NDArray[np.intp]:
        if n == 0:
            return np.empty(0, dtype=np.intp)
        table = self._species
        cumulative = np.cumsum(by_element[table.element] * table.share)
        rows: NDArray[np.intp] = np.searchsorted(cumulative, rng.random(n) * cumulative[-1])
        return rows
