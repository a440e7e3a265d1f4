"""Live analysis in virtual time: blocks of hits as the twin's flight model gives them, with the voltages that the guard would read."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import Anchor, HitBlock
from evapd.config.live import Live
from evapd.config.model import Instrument
from evapd.live.analysis import LiveAnalysis, Setup
from evapd.live.arrays import unpacked
from evapd.live.legend import Legend, from_elements
from evapd.live.tap import HitTap
from evapd.live.voltages import Voltages
from evapd.spectrometry.sample import Hits

INSTRUMENT = Instrument(
    flight_path_mm=110.0, t0_ps=38_000.0, alpha=1.015, beta=0.7, tof_window_ns=(60, 1500), background_window_ns=(2500, 4000)
)  # fmt: skip
RATE_HZ = 200_000
BEGIN_S = 1000.0


def hit_block(
    tof_ps: NDArray[Any], x_um: NDArray[Any] | int = 0, y_um: NDArray[Any] | int = 0, **more: Any
) -> HitBlock:
    """A block with a hit in every tenth pulse from 0 on, unless told otherwise."""
    n = len(tof_ps)
    columns: dict[str, Any] = {
        "pulse": np.arange(n) * 10, "x_um": x_um, "y_um": y_um, "quality": 0, "multiplicity": 1,
        "first_pulse": 0, "last_pulse": max(10 * n - 1, 0),
    } | more  # fmt: skip
    kinds = {
        "pulse": np.uint32,
        "x_um": np.int32,
        "y_um": np.int32,
        "quality": np.uint8,
        "multiplicity": np.uint8,
    }
    for name, kind in kinds.items():
        columns[name] = np.broadcast_to(np.asarray(columns[name]), n).astype(kind)
    columns.setdefault("anchor", Anchor(columns["last_pulse"], round(BEGIN_S * 1e6)))
    return HitBlock(tof_ps=np.asarray(tof_ps).astype(np.int32), **columns)


@dataclass
class LiveBench:
    """An analysis with its tap, clock and voltages; the clock goes on only by `go`."""

    live: Live = field(default_factory=Live)
    instrument: Instrument = INSTRUMENT
    laser: bool = False
    elements: tuple[str, ...] = ("Al", "Fe")
    legend: Legend | None = None
    now_s: float = BEGIN_S
    pulse: int = 0

    def __post_init__(self) -> None:
        self.v_dc, self.v_p = Voltages(), Voltages()
        self.tap = HitTap(self.live.hits_per_s, lambda: self.now_s)
        self.setup = Setup(
            live=self.live, instrument=self.instrument, voltage_mode=not self.laser, pulse_rate_hz=RATE_HZ, radius_mm=40.0,
            elements=self.elements, legend=self.legend or from_elements(self.elements),
        )  # fmt: skip
        self.analysis = LiveAnalysis(self.setup, self.v_dc, self.v_p, lambda: self.now_s)
        self.tap.begin("run-1")

    def go(self, s: float) -> None:
        self.now_s += s

    def read(self, v_dc_v: float, v_p_v: float | None = None) -> None:
        """The guard reads both voltages now."""
        self.v_dc.take(self.now_s * 1e6, v_dc_v)
        if v_p_v is not None:
            self.v_p.take(self.now_s * 1e6, v_p_v)

    def offer(self, block: HitBlock) -> None:
        self.tap.offer(block)

    def take(self) -> dict[str, Any]:
        """Analyse what waits and give the document."""
        self.analysis.take(self.tap.take())
        return self.analysis.document()

    def fly(self, hits: Hits, *, per_block: int = 200, step_s: float = 0.05) -> dict[str, Any]:
        """Hits in blocks of one voltage each, read at its own time; gives the last document."""
        document: dict[str, Any] = {}
        for begin in range(0, hits.n, per_block):
            part = hits.part(slice(begin, begin + per_block))
            for part_s in (
                1e-6,
                step_s - 1e-6,
            ):  # the voltage is that of the block from its beginning to its end
                self.go(part_s)
                self.read(float(part.v_dc_v[0]), None if self.laser else float(part.v_p_v[0]))
            pulses = round(step_s * RATE_HZ)
            self.offer(
                hit_block(
                    part.tof_ps, part.x_um, part.y_um, pulse=np.linspace(0, pulses - 1, part.n), first_pulse=self.pulse,
                    last_pulse=self.pulse + pulses - 1, anchor=Anchor(self.pulse + pulses - 1, round(self.now_s * 1e6)),
                )
            )  # fmt: skip
            self.pulse += pulses
            if begin // per_block % 4 == 3:
                document = self.take()
        return document | self.take()


def counts(document: dict[str, Any]) -> NDArray[np.int64]:
    """An array of a document as plain counts."""
    return unpacked(document).astype(np.int64)
