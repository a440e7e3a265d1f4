"""All that is analysed of a run while it goes on: takes blocks of hits, gives the part of a `live.` document that comes of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evapd.blocks import HitBlock
from evapd.config.live import Live
from evapd.config.model import Instrument
from evapd.live.arrays import packed_counts
from evapd.live.counted import map_document, multiplicity_document, quality_document, uncorrelated_document
from evapd.live.kernels import Numbers, add_hits, warm_up
from evapd.live.legend import Legend
from evapd.live.peaks import LivePeak, PeakFinder
from evapd.live.points import Flown, Optics, PointSampler
from evapd.live.ranged import Ranged
from evapd.live.tallies import BEYOND, FINE, HITS, TOF_PIECES, WITHOUT_MASS, Rolling, Shape, Tallies
from evapd.live.tap import Batch
from evapd.live.voltages import Voltages
from evapd.mass import DA_PER_V_S2_M2
from evapd.record.voltage import PulseClock
from evapd.spectrometry.ions import ions_of
from evapd.units import PS_PER_NS, UM_PER_MM, US_PER_S

FRAMES_PER_S = 5
SLOWLY_S = 1.0  # peaks, charge states and compositions are made anew so often
RESIDUAL = ("H",)  # in every vacuum: named beside the specimen's elements


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the analysis needs of a rig; `radius_mm` of the detector's active area."""

    live: Live
    instrument: Instrument
    voltage_mode: bool
    pulse_rate_hz: float
    radius_mm: float
    elements: tuple[str, ...]
    legend: Legend

    @property
    def bins_per_root(self) -> float:
        """Fine bins per root of a dalton."""
        return self.live.bins * FINE / math.sqrt(self.live.mass_max_da)

    @property
    def has_masses(self) -> bool:
        """Whether the flight path is one that the formula is for."""
        return self.instrument.flight_path_kind == "straight"

    def numbers(self) -> Numbers:
        """Give the kernel's constants."""
        instrument, (low, high) = self.instrument, self.instrument.tof_window_ns
        b_low, b_high = instrument.background_window_ns or (0.0, 0.0)
        half_um = round(self.radius_mm * UM_PER_MM)
        return Numbers(
            factor=DA_PER_V_S2_M2 * instrument.alpha,
            t0_ps=float(instrument.t0_ps),
            path_mm2=float(instrument.flight_path_mm) ** 2,
            bins_per_root=self.bins_per_root,
            window_low_ps=round(low * PS_PER_NS),
            window_high_ps=round(high * PS_PER_NS),
            pieces_per_ps=TOF_PIECES / (PS_PER_NS * (high - low)),
            background_low_ps=round(b_low * PS_PER_NS),
            background_high_ps=round(b_high * PS_PER_NS),
            half_um=half_um,
            cells_per_um=self.live.map_cells / (2.0 * half_um),
            side=self.live.map_cells,
        )

    def shape(self) -> Shape:
        """Give the sizes of what is counted."""
        return Shape(self.live.bins, self.live.map_cells)


@dataclass(slots=True)
class _Slow:
    """What is made once a second."""

    peaks: list[LivePeak] = field(default_factory=list)
    main: dict[str, Any] = field(default_factory=lambda: {"recent": None, "run": None})
    charge_states: dict[str, Any] = field(default_factory=dict)
    composition: dict[str, Any] = field(default_factory=dict)


class LiveAnalysis:
    """One run after the other; every method is called by one thread."""

    def __init__(self, setup: Setup, v_dc: Voltages, v_p: Voltages, clock: Callable[[], float]) -> None:
        self._setup, self._v_dc, self._v_p, self._clock = setup, v_dc, v_p, clock
        self._numbers, self._shape = setup.numbers(), setup.shape()
        bins, per_root = setup.live.bins * FINE, setup.bins_per_root
        ions = ions_of((*setup.elements, *RESIDUAL))
        self._finder = PeakFinder(setup.legend, ions, per_root, bins)
        self._ranged = Ranged(setup.legend, per_root, bins)
        self._table = setup.legend.table(per_root, bins)
        self._begin("")

    def _begin(self, run: str) -> None:
        setup, now_s = self._setup, self._clock()
        self.run, self.detected = run, 0
        self._rolling = Rolling(self._shape, setup.live.recent_s, now_s)
        self._pulse_clock = PulseClock(setup.pulse_rate_hz)
        optics = Optics(
            flight_path_mm=setup.instrument.flight_path_mm, t0_ps=setup.instrument.t0_ps, alpha=setup.instrument.alpha,
            beta=setup.instrument.beta, voltage_mode=setup.voltage_mode, radius_mm=setup.radius_mm,
        )  # fmt: skip
        self._points = PointSampler(setup.live.projection, optics, self._table, setup.bins_per_root)
        self._fresh: dict[str, Any] | None = None
        self._slow, self._slow_due_s = _Slow(), -math.inf

    def warm_up(self) -> None:
        """Compile the kernel, or load what was compiled; before a run is armed."""
        parts = self._parts(self._shape.zeros(np.uint32))
        warm_up(self._numbers, parts)

    def take(self, batch: Batch) -> None:
        """Count what came since the last time, and project a sample of it."""
        if batch.began:
            self._begin(batch.run)
        self._rolling.turn(self._clock())
        self.detected += batch.detected
        flown = [self._count(block) for block in batch.blocks]
        most = int(self._setup.live.points_per_s / FRAMES_PER_S) if self._setup.has_masses else 0
        self._fresh = self._points.take(flown, most, batch.detected)

    def _count(self, block: HitBlock) -> Flown:
        flown = self._flown(block)
        v_v, v_per_pulse = flown.v_dc_v, flown.v_dc_per_pulse
        if self._setup.voltage_mode:
            v_v += self._setup.instrument.beta * flown.v_p_v
            v_per_pulse += self._setup.instrument.beta * flown.v_p_per_pulse
        if not self._setup.has_masses:
            v_v = math.nan
        columns = block.pulse, block.tof_ps, block.x_um, block.y_um, block.quality, block.multiplicity
        if len({len(column) for column in columns}) != 1:  # the kernel looks at no bounds
            raise ValueError(f"columns of different lengths in the block of pulse {block.first_pulse}")
        add_hits(
            *columns, v_v, v_per_pulse, self._numbers, *self._parts(self._rolling.now),
        )  # fmt: skip
        return flown

    def _flown(self, block: HitBlock) -> Flown:
        """Voltages of a block's first and last pulse; between them they are taken to rise evenly."""
        now_us = round(self._clock() * US_PER_S)
        first_us, period_us = self._pulse_clock.line(
            block.first_pulse, block.last_pulse, block.anchor, now_us
        )
        pulses = max(block.pulses - 1, 1)
        last_us = first_us + pulses * period_us
        v_dc, v_dc_end = self._v_dc.at(first_us), self._v_dc.at(last_us)
        if not self._setup.voltage_mode:
            return Flown(block, v_dc, (v_dc_end - v_dc) / pulses, 0.0, 0.0)
        v_p, v_p_end = self._v_p.at(first_us), self._v_p.at(last_us)
        return Flown(block, v_dc, (v_dc_end - v_dc) / pulses, v_p, (v_p_end - v_p) / pulses)

    @staticmethod
    def _parts(tallies: Tallies) -> tuple[Any, ...]:
        return (
            tallies.spectrum, tallies.cells, tallies.tof, tallies.multiplicity_hits, tallies.multiplicity_pulses,
            tallies.quality, tallies.singles,
        )  # fmt: skip

    def uncorrelated(self) -> dict[str, Any]:
        """Give the part of the hits of the last seconds that is not correlated with the pulse."""
        return uncorrelated_document(self._rolling.recent(), self._setup.instrument)

    def document(self) -> dict[str, Any]:
        """Give the keys of a `live.` document that come of hits; docs/protocols/live.md describes each."""
        setup, now_s = self._setup, self._clock()
        recent, whole = self._rolling.recent(), self._rolling.whole()
        if now_s >= self._slow_due_s:
            self._slow_due_s = now_s + SLOWLY_S
            self._slow = self._make_slow(recent, whole)
        analysed = int(whole.singles[HITS])
        fresh, self._fresh = self._fresh, None
        return {
            "analysis": {
                "run": self.run,
                "hits": self.detected,
                "analysed_hits": analysed,
                "recent_s": self._rolling.covered_s(now_s),
                "recent_hits": int(recent.singles[HITS]),
                "problem": None if setup.has_masses else "no masses: the flight path is not straight",
            },
            "ions": setup.legend.document(),
            "spectrum": self._spectrum(recent, whole) if setup.has_masses else None,
            "map": map_document(recent, whole, setup.live.map_cells, setup.radius_mm),
            "multiplicity": multiplicity_document(recent, whole),
            "quality": quality_document(recent, whole),
            "uncorrelated": {
                "recent": uncorrelated_document(recent, setup.instrument),
                "run": uncorrelated_document(whole, setup.instrument),
            },
            "charge_states": self._slow.charge_states or None,
            "composition": self._slow.composition or None,
            "points": fresh if setup.has_masses else None,
        }

    def _spectrum(self, recent: Tallies, whole: Tallies) -> dict[str, Any]:
        bins = self._setup.live.bins
        return {
            "spacing": "root",
            "bins": bins,
            "max_da": self._setup.live.mass_max_da,
            "recent": packed_counts(recent.spectrum.reshape(bins, FINE).sum(axis=1)),
            "run": packed_counts(whole.spectrum.reshape(bins, FINE).sum(axis=1)),
            "beyond": int(whole.singles[BEYOND]),
            "without_mass": int(whole.singles[WITHOUT_MASS]),
            "peaks": [peak.document() for peak in self._slow.peaks],
            "main": self._slow.main,
        }

    def _make_slow(self, recent: Tallies, whole: Tallies) -> _Slow:
        if not self._setup.has_masses:
            return _Slow()
        peaks = self._finder.find(whole.spectrum)
        slow = _Slow(peaks)
        if peaks:
            main = max(peaks, key=lambda peak: peak.counts)
            now = self._finder.measure(recent.spectrum, main.mass_da, main.low_da, main.high_da)
            slow.main = {
                "run": main.document(),
                "recent": None if now is None else {**now.document(), "label": main.label},
            }
        if self._setup.legend.parts:
            ranged = {
                "recent": self._ranged.document(recent.spectrum),
                "run": self._ranged.document(whole.spectrum),
            }
            slow.charge_states = {key: one.pop("charge_states") for key, one in ranged.items()}
            if self._setup.legend.source == "ranges":
                slow.composition = ranged
        return slow
