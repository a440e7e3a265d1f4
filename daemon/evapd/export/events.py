"""A run's hits for the file formats: whole pulses at a time, with what belongs to a pulse and to the projection."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.errors import StateError
from evapd.export.projection import Projection, Projector
from evapd.record.nxs import HitChunk, RunFile
from evapd.report.clock import PulseTimes, pulse_times
from evapd.units import UM_PER_MM

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ions:
    """Hits of whole pulses; `multiplicity` is on the first hit of a pulse and 0 on the others."""

    hits: HitChunk
    multiplicity: NDArray[np.uint32]
    pulses_since: NDArray[np.uint32]  # live pulses since the last pulse with a hit, 0 within a pulse
    elapsed_s: Floats  # since the start of the run
    xyz_nm: Floats | None  # shape (n, 3); None where not asked for

    @property
    def mass_da(self) -> NDArray[np.float32]:
        """m/q; only asked for where masses are known."""
        assert self.hits.mass_to_charge_da is not None  # noqa: S101 - looked at before writing begins
        return self.hits.mass_to_charge_da


class Source:
    """Gives the hits of a run, as often as a format needs them."""

    def __init__(self, run: RunFile) -> None:
        self.run = run
        self.info = run.info
        self.times: PulseTimes = pulse_times(run)
        instrument = self.info.configuration.get("instrument") or {}
        self.flight_path_mm = float(instrument.get("flight_path_mm") or 0.0)
        self.voltage_mode = (self.info.configuration.get("pulse") or {}).get("mode", "voltage") == "voltage"
        self.left_out = 0  # hits of the last pass that had no m/q or no voltage

    def need_masses(self, kind: str) -> None:
        """Refuse a run without mass-to-charge ratios.

        Raises:
            StateError: naming the formats that do not need them.
        """
        if not self.run.n_hits or self.run.hits(0, 1).mass_to_charge_da is None:
            what = (
                "has no hits"
                if not self.run.n_hits
                else "has no mass-to-charge ratios (no straight flight path)"
            )
            raise StateError(
                f"run {self.info.id} {what}, so it cannot be written as {kind}; give a calibration with --mass, or "
                "choose raw, pyccapt, parquet or csv"
            )

    def radius_mm(self) -> float:
        """Give the radius of the imaged area: the anode's, or else the farthest hit's."""
        known = float(self.info.anode.get("radius_mm") or 0.0)
        if known:
            return known
        farthest = max(
            (float(np.hypot(c.x_um.astype(float), c.y_um).max()) for c in self.run.iter_hits() if c.n),
            default=0.0,
        )
        return max(farthest / UM_PER_MM, 1.0)

    def ions(self, projection: Projection | None = None) -> Iterator[Ions]:
        """Give all hits; with a projection only those with m/q and voltages, with their positions.

        Raises:
            StateError: when a projection is asked for and the record has no flight path.
        """
        projector = None
        if projection is not None:
            scale = getattr(self.run, "scale", None)
            path_mm = scale.flight_path_mm if scale is not None else self.flight_path_mm
            if path_mm <= 0.0:
                raise StateError(f"run {self.info.id} has no flight path, so nothing can be projected")
            projector = Projector(projection, flight_path_mm=path_mm, radius_mm=self.radius_mm())
        self.left_out = 0
        last_live, first = -1.0, True
        for hits in whole_pulses(self._chosen(usable=projection is not None)):
            starts = np.flatnonzero(np.concatenate(([True], hits.pulse[1:] != hits.pulse[:-1])))
            sizes = np.diff(np.append(starts, hits.n))
            multiplicity = np.zeros(hits.n, np.uint32)
            multiplicity[starts] = sizes
            live = self.times.live_before(hits.pulse[starts])
            since = np.diff(live, prepend=-1.0 if first else last_live)
            pulses_since = np.zeros(hits.n, np.uint32)
            pulses_since[starts] = np.clip(np.round(since), 1.0, 2.0**32 - 1)
            last_live, first = float(live[-1]), False
            xyz_nm = None
            if projector is not None:
                v_v = hits.v_dc_v.astype(np.float64)
                v_tot_v = v_v + hits.v_p_v if self.voltage_mode else v_v
                xyz_nm = projector.positions_nm(hits.x_um / UM_PER_MM, hits.y_um / UM_PER_MM, v_tot_v)
            yield Ions(
                hits=hits, multiplicity=multiplicity, pulses_since=pulses_since,
                elapsed_s=self.times.time_of(hits.pulse), xyz_nm=xyz_nm,
            )  # fmt: skip

    def _chosen(self, *, usable: bool) -> Iterator[HitChunk]:
        for chunk in self.run.iter_hits():
            if not usable or chunk.mass_to_charge_da is None:
                yield chunk
                continue
            good = np.isfinite(chunk.mass_to_charge_da) & np.isfinite(chunk.v_dc_v)
            good &= np.isfinite(chunk.v_p_v) if self.voltage_mode else True
            self.left_out += int(chunk.n - np.count_nonzero(good))
            yield _part(chunk, good)


def whole_pulses(chunks: Iterator[HitChunk]) -> Iterator[HitChunk]:
    """Cut a run's chunks anew so that no pulse is spread over two; empty ones are left out."""
    rest: HitChunk | None = None
    for chunk in chunks:
        whole = chunk if rest is None else _joined(rest, chunk)
        if not whole.n:
            continue
        cut = int(np.searchsorted(whole.pulse, whole.pulse[-1]))
        if cut:
            yield _part(whole, slice(0, cut))
        rest = _part(whole, slice(cut, None))
    if rest is not None and rest.n:
        yield rest


def _part(chunk: HitChunk, rows: slice | NDArray[np.bool_]) -> HitChunk:
    part: dict[str, Any] = {}
    for field in fields(HitChunk):
        values = getattr(chunk, field.name)
        part[field.name] = None if values is None else values[rows]
    return HitChunk(**part)


def _joined(one: HitChunk, other: HitChunk) -> HitChunk:
    both: dict[str, Any] = {}
    for field in fields(HitChunk):
        pair = getattr(one, field.name), getattr(other, field.name)
        both[field.name] = None if pair[0] is None else np.concatenate(pair)
    return HitChunk(**both)
