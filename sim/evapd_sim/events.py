"""Events for measuring a matching: ten mass peaks with tails, cascades of ions that come close in time and place."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd_sim.projection import uniform_on_disc
from evapd_sim.signals import Arrivals

_PEAKS_PS = np.linspace(250_000.0, 1_200_000.0, 10)
_PEAK_SIGMA_PS = 300.0
_PEAK_TAIL_PS = 1500.0
_OTHER_PEAK = 0.5  # share of the partners that may be of any peak; the rest are of the first ion's
_NEAR = 0.6  # share of the partners that land near the first ion
_NEAR_SIGMA_MM = 8.0  # per axis
_DARK_ENDS_PS = 500_000.0  # before the next pulse


@dataclass(frozen=True, kw_only=True, slots=True)
class Events:
    """What comes to the detector."""

    detection: float = 0.05  # events per pulse
    multi: float = 0.30  # chance that an event, or an ion of a cascade, has one more ion
    most: int = 8  # ions of one event
    dark_hz: float = 20.0
    pulse_rate_hz: float = 200_000.0

    @property
    def period_ps(self) -> float:
        """From pulse to pulse."""
        return 1e12 / self.pulse_rate_hz


def draw(rng: np.random.Generator, events: Events, pulses: int, radius_mm: float) -> Arrivals:
    """Arrivals of `pulses` pulses on a disc of `radius_mm`, ascending in pulse and time."""
    start = _chosen(rng, pulses, events.detection)
    size = np.minimum(rng.geometric(1.0 - events.multi, len(start)), events.most)
    event = np.repeat(np.arange(len(start)), size)
    n = len(event)
    first = np.ones(n, dtype=np.bool_)
    first[1:] = event[1:] != event[:-1]
    peak = rng.integers(0, len(_PEAKS_PS), len(start))[event]
    other = ~first & (rng.random(n) < _OTHER_PEAK)
    peak = np.where(other, rng.integers(0, len(_PEAKS_PS), n), peak)
    t_ps = _PEAKS_PS[peak] + rng.normal(0.0, _PEAK_SIGMA_PS, n) + rng.exponential(_PEAK_TAIL_PS, n)
    place_mm = np.stack(uniform_on_disc(rng, n, radius_mm))
    parent = np.maximum.accumulate(np.where(first, np.arange(n), 0))
    near = ~first & (rng.random(n) < _NEAR)
    place_mm = np.where(near, place_mm[:, parent] + rng.normal(0.0, _NEAR_SIGMA_MM, (2, n)), place_mm)
    dark = _chosen(rng, pulses, events.dark_hz / events.pulse_rate_hz)
    latest_ps = max(events.period_ps - _DARK_ENDS_PS, 0.5 * events.period_ps)
    pulse = np.concatenate((start[event], dark))
    t_ps = np.concatenate((t_ps, rng.random(len(dark)) * latest_ps))
    x_mm, y_mm = np.concatenate((place_mm, uniform_on_disc(rng, len(dark), radius_mm)), axis=1)
    inside = np.flatnonzero(np.hypot(x_mm, y_mm) <= radius_mm)
    order = inside[np.lexsort((t_ps[inside], pulse[inside]))]
    return Arrivals(pulse[order], t_ps[order], x_mm[order], y_mm[order])


def _chosen(rng: np.random.Generator, pulses: int, probability: float) -> NDArray[np.int64]:
    """Pulses, ascending, each chosen with `probability`; costs as much as there are of them."""
    if probability <= 0.0:
        return np.empty(0, np.int64)
    mean = pulses * min(probability, 1.0)
    gaps = [rng.geometric(min(probability, 1.0), int(mean + 6.0 * math.sqrt(mean)) + 8)]
    while sum(int(part.sum()) for part in gaps) <= pulses:
        gaps.append(rng.geometric(probability, 1024))
    chosen: NDArray[np.int64] = np.cumsum(np.concatenate(gaps)) - 1
    return chosen[chosen < pulses]
