"""The rate of a run in bins of 0.1 s."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.record.nxs import HitChunk
from evapd.report.clock import PulseTimes
from evapd.units import PS_PER_NS

BIN_S = 0.1
BINS_PER_S = 10
_NEAR_BINS = 25  # the background is the mean over 2.5 s to either side
_FULL = 0.5  # a bin with fewer live pulses than this part of the usual number says nothing about the rate
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateHistory:
    """Counts in bins of 0.1 s; all arrays have one length.

    `t_s` middle of the bin since the start of the run; `live` live pulses; `hits` in the time-of-flight window;
    `background` uncorrelated hits expected among them, from the background window, 0 without one.
    """

    t_s: Floats
    live: Floats
    hits: Floats
    background: Floats

    def rate(self) -> Floats:
        """Hits per live pulse without the background; NaN where too few pulses were live to say."""
        usual = np.median(self.live[self.live > 0]) if np.any(self.live > 0) else np.inf
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.live >= _FULL * usual, (self.hits - self.background) / self.live, np.nan)


class RateCounter:
    """Counts hits into the bins of a run; memory does not grow with the hits."""

    def __init__(self, times: PulseTimes, instrument: Mapping[str, Any]) -> None:
        bins = max(1, int(np.ceil((times.end_s - times.begin_s) / BIN_S - 1e-6)))
        edges_s: Floats = times.begin_s + BIN_S * np.arange(bins + 1, dtype=np.float64)
        self._t_s = edges_s[:-1] + 0.5 * BIN_S
        self._edges = times.pulse_at(edges_s)
        self._live = np.diff(times.live_before(self._edges))
        self._hits = np.zeros(bins)
        self._background = np.zeros(bins)
        self._window_ps = _window_ps(instrument.get("tof_window_ns")) or (-np.inf, np.inf)
        self._background_ps = _window_ps(instrument.get("background_window_ns"))
        self.in_window = 0

    def add(self, chunk: HitChunk) -> None:
        """Count some hits."""
        bins = np.searchsorted(self._edges, chunk.pulse.astype(np.float64), side="right") - 1
        bins = np.clip(bins, 0, len(self._hits) - 1)
        inside = _inside(chunk.tof_ps, self._window_ps)
        self.in_window += int(np.count_nonzero(inside))
        self._hits += np.bincount(bins[inside], minlength=len(self._hits))
        if self._background_ps is not None:
            inside = _inside(chunk.tof_ps, self._background_ps)
            self._background += np.bincount(bins[inside], minlength=len(self._hits))

    def history(self) -> RateHistory:
        """Give what was counted."""
        share = 0.0
        if self._background_ps is not None:
            share = _width(self._window_ps) / _width(self._background_ps)
        live = _around(self._live)
        counted = _around(self._background)
        per_pulse = share * np.divide(counted, live, out=np.zeros_like(live), where=live > 0)
        return RateHistory(t_s=self._t_s, live=self._live, hits=self._hits, background=per_pulse * self._live)


def _around(values: Floats) -> Floats:
    """Sum of each bin and its neighbours: uncorrelated hits are too few in one bin, and grow with the voltage."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    at = np.arange(len(values))
    first, end = np.maximum(at - _NEAR_BINS, 0), np.minimum(at + _NEAR_BINS + 1, len(values))
    return total[end] - total[first]


def _window_ps(window_ns: Any) -> tuple[float, float] | None:
    if not window_ns:
        return None
    return float(window_ns[0]) * PS_PER_NS, float(window_ns[1]) * PS_PER_NS


def _inside(tof_ps: NDArray[np.int32], window_ps: tuple[float, float]) -> NDArray[np.bool_]:
    return (tof_ps >= window_ps[0]) & (tof_ps < window_ps[1])


def _width(window_ps: tuple[float, float]) -> float:
    return window_ps[1] - window_ps[0]
