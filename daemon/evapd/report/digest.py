"""Everything that reports need of a run's hits, gathered in one pass in bounded memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.record.nxs import HitChunk, RunFile
from evapd.record.runinfo import RunInfo
from evapd.report.clock import PulseTimes, pulse_times
from evapd.report.rates import RateCounter, RateHistory
from evapd.report.spectrum import Spectrum
from evapd.report.voltages import Voltages
from evapd.units import PS_PER_NS, UM_PER_MM, US_PER_S

HIGHEST_DA = 300.0
FEWEST_MAP_BINS, MOST_MAP_BINS = 20, 160
HITS_PER_MAP_BIN = 10
TOF_BINS = 4000
MAX_MULTIPLICITY = 255


@dataclass(slots=True)
class Histogram:
    """Counts in bins of equal width."""

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


@dataclass(slots=True, kw_only=True)
class RunDigest:
    """What was gathered. `spectrum` is None where the file has no mass-to-charge ratios."""

    info: RunInfo
    hits: int
    times: PulseTimes
    stop_s: float  # when the run was told to stop, s since its start
    rates: RateHistory
    in_window: int  # hits in the time-of-flight window
    spectrum: Spectrum | None
    tof_ns: Histogram
    radius_mm: float
    map_edges_mm: NDArray[np.float64]  # of both axes
    map_counts: NDArray[np.int64]  # shape (x, y)
    quality: dict[int, int]  # hits by quality code
    multiplicity: NDArray[np.int64]  # hits by the number of hits in their pulse, up to 255
    voltages: Voltages
    v_dc_range_v: tuple[float, float] | None  # of the hits; None where no hit has a voltage
    without_voltage: int

    @property
    def together(self) -> float:
        """Mean number of hits in the pulse of a hit; 1 without hits."""
        if not self.hits:
            return 1.0
        return float(np.dot(self.multiplicity, np.arange(len(self.multiplicity)))) / self.hits


class _Gatherer:
    def __init__(self, run: RunFile) -> None:
        info = run.info
        instrument = info.configuration.get("instrument") or {}
        self.times = pulse_times(run)
        self.rates = RateCounter(self.times, instrument)
        self.spectrum: Spectrum | None = None
        window_ns = instrument.get("tof_window_ns") or (0.0, 5000.0)
        edges = np.linspace(0.0, 1.25 * float(window_ns[1]), TOF_BINS + 1)
        self.tof = Histogram(edges, np.zeros(TOF_BINS, np.int64))
        # The matching has taken the centre off already.
        self.radius_mm = float(info.anode.get("radius_mm") or 0.0) or _widest_mm(run)
        reach = 1.05 * self.radius_mm
        bins = int(np.clip(np.sqrt(run.n_hits / HITS_PER_MAP_BIN), FEWEST_MAP_BINS, MOST_MAP_BINS))
        self.edges_mm = np.linspace(-reach, reach, bins + 1)
        self.map = np.zeros((bins, bins), np.int64)
        self.quality = np.zeros(256, np.int64)
        self.multiplicity = np.zeros(MAX_MULTIPLICITY + 1, np.int64)
        self.v_low, self.v_high, self.without_voltage = np.inf, -np.inf, 0

    def add(self, chunk: HitChunk) -> None:
        self.rates.add(chunk)
        if chunk.mass_to_charge_da is not None:
            if self.spectrum is None:
                self.spectrum = Spectrum.empty(0.0, HIGHEST_DA)
            self.spectrum.add(chunk.mass_to_charge_da)
        self.tof.counts += np.histogram(chunk.tof_ps / PS_PER_NS, self.tof.edges)[0]
        x_mm, y_mm = chunk.x_um / UM_PER_MM, chunk.y_um / UM_PER_MM
        self.map += np.histogram2d(x_mm, y_mm, (self.edges_mm, self.edges_mm))[0].astype(np.int64)
        self.quality += np.bincount(chunk.quality, minlength=256)
        self.multiplicity += np.bincount(chunk.multiplicity, minlength=MAX_MULTIPLICITY + 1)
        known = chunk.v_dc_v[np.isfinite(chunk.v_dc_v)]
        self.without_voltage += chunk.n - len(known)
        if len(known):
            self.v_low = min(self.v_low, float(known.min()))
            self.v_high = max(self.v_high, float(known.max()))


def _widest_mm(run: RunFile) -> float:
    """Largest distance of a hit from an axis, for a run whose record has no anode."""
    widest = max(
        (int(max(np.abs(c.x_um).max(), np.abs(c.y_um).max())) for c in run.iter_hits() if c.n), default=0
    )
    return max(widest / UM_PER_MM, 1.0)


def stop_time_s(info: RunInfo, events: list[dict[str, Any]], end_s: float) -> float:
    """When the run was told to stop, s since its start; its last pulse where no event says so."""
    for event in events:
        if event.get("run_state") == "stopping" and isinstance(event.get("t_mono_us"), int):
            return min(end_s, (int(event["t_mono_us"]) - info.t_start_mono_us) / US_PER_S)
    return end_s


def gather(run: RunFile) -> RunDigest:
    """Read a finalised run once.

    Memory does not grow with the hits: histograms, and one value per 0.1 s of the run.
    """
    gatherer = _Gatherer(run)
    for chunk in run.iter_hits():
        gatherer.add(chunk)
    has_voltage = gatherer.v_low <= gatherer.v_high
    return RunDigest(
        info=run.info,
        hits=run.n_hits,
        times=gatherer.times,
        stop_s=stop_time_s(run.info, run.events(), gatherer.times.end_s),
        rates=gatherer.rates.history(),
        in_window=gatherer.rates.in_window,
        spectrum=gatherer.spectrum,
        tof_ns=gatherer.tof,
        radius_mm=gatherer.radius_mm,
        map_edges_mm=gatherer.edges_mm,
        map_counts=gatherer.map,
        quality={int(code): int(gatherer.quality[code]) for code in np.flatnonzero(gatherer.quality)},
        multiplicity=gatherer.multiplicity,
        voltages=Voltages.of(run.histories()),
        v_dc_range_v=(gatherer.v_low, gatherer.v_high) if has_voltage else None,
        without_voltage=gatherer.without_voltage,
    )
