"""A made-up `.raw` file of the layout and order of size of a real one: tungsten on a straight instrument.

It stands in where the recorded file is not at hand, and says nothing about tungsten: 80 steps of 2 V, hits per pulse
and pace as a recorded file has them, positions uniform on a disc, flight times from the charge states.
"""

import numpy as np

from evapd_sim.elements import species_of
from evapd_sim.flight import flight_time_ps
from evapd_sim.projection import uniform_on_disc
from evapd_sim.raw import RAW_HIT, RawHits

STEPS, STEP_V, FIRST_V = 80, 2.0, 14561.45
_PATH_MM, _RADIUS_MM = 305.0, 72.0
_HITS_PER_S, _SHORTEST_STEP_S = 970.0, 0.145
_MULTIPLICITY = np.array([95965, 1762, 127, 21, 4, 2, 2], dtype=float)  # pulses with 1 to 7 hits
_BACKGROUND = 0.03  # part of the hits that are spread over the time window
_WINDOW_NS = (81.0, 4288.0)
_FIRST_PULSE, _FIRST_EPOCH = 2_252_793, -955_393_725


def make_raw(hits: int, seed: int) -> RawHits:
    """Make `hits` hits; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    made = np.zeros(hits, dtype=RAW_HIT)
    sizes = 1 + rng.choice(len(_MULTIPLICITY), hits, p=_MULTIPLICITY / _MULTIPLICITY.sum())
    pulse = np.repeat(np.arange(hits), sizes)[:hits]
    made["pulse"] = _FIRST_PULSE + pulse
    gaps_s = rng.exponential(hits / _HITS_PER_S / (pulse[-1] + 1), pulse[-1] + 1)
    time_s = np.cumsum(gaps_s)[pulse]
    made["epoch"] = _FIRST_EPOCH + np.floor((time_s - time_s[0]) * 1000.0).astype(np.int64)
    made["u_base_v"] = FIRST_V + STEP_V * np.searchsorted(
        _step_times_s(rng, time_s[-1]), time_s, side="right"
    )
    x_mm, y_mm = uniform_on_disc(rng, hits, _RADIUS_MM)
    species = species_of({"W": 1.0})
    rows = rng.choice(len(species.share), hits, p=species.share)
    tof_ns = 1e-3 * flight_time_ps(
        species.mass_to_charge_da[rows], made["u_base_v"].astype(float), x_mm, y_mm, _PATH_MM
    )
    tof_ns += rng.normal(0.0, 0.3, hits) + rng.exponential(1.0, hits)
    stray = rng.random(hits) < _BACKGROUND
    tof_ns = np.where(stray, rng.uniform(*_WINDOW_NS, hits), tof_ns)
    made["x_mm"], made["y_mm"], made["tof_ns"] = x_mm, y_mm, tof_ns
    return made


def _step_times_s(
    rng: np.random.Generator, duration_s: float
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Times of the voltage steps: irregular, but never closer than the shortest of a recorded run."""
    shares = rng.lognormal(0.0, 1.2, STEPS + 1)
    shortest_s = min(_SHORTEST_STEP_S, 0.5 * duration_s / (STEPS + 1))
    spare_s = duration_s - shortest_s * (STEPS + 1)
    return np.cumsum(shortest_s + spare_s * shares / shares.sum())[:STEPS]
