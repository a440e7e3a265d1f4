"""The columns with one row per hit, where NXapm wants them, and nothing per hit twice.

Hits are gathered to chunks; a chunk's voltages, masses and compressed bytes are made by a pool of threads (numpy and zlib
work without the interpreter's lock), and written in order.
"""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import HIT_COLUMNS
from evapd.config.model import Instrument
from evapd.mass import mass_to_charge_da
from evapd.matching.quality import Quality
from evapd.record.columns import CHUNK_ROWS
from evapd.record.finalising.deflate import chunk
from evapd.record.finalising.spool import Spool
from evapd.record.nxapm import PATHS
from evapd.record.voltage import MAX_GAP_US, Readback, interpolated

# Steps far below what an instrument resolves; without them the noise of the last bits would fill the disk.
VOLTAGE_STEP_V = 1 / 128
MASS_STEP_DA = 1 / 16384
HIT_NAMES = tuple(column.name for column in HIT_COLUMNS)
HIT_DTYPES = tuple(np.dtype(column.dtype) for column in HIT_COLUMNS)
# Names of the file's columns, dtype, columns of a row, units.
_COLUMNS: dict[str, tuple[str, int | None, str]] = {
    "pulse": ("<u8", None, ""),
    "v_dc_v": ("<f4", None, "V"),
    "v_p_v": ("<f4", None, "V"),
    "tof_ps": ("<f8", None, "ps"),
    "xy_um": ("<i4", 2, "um"),
    "quality": ("|u1", None, ""),
    "multiplicity": ("|u1", None, ""),
    "mass_to_charge_da": ("<f4", None, "Da"),
}
Arrays = tuple[NDArray[Any], ...]
Readings = tuple[NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Flight:
    """What turns a time of flight into m/q; None where the configuration cannot say or the path is not straight."""

    instrument: Instrument
    voltage_mode: bool


class Rows(NamedTuple):
    """Consecutive hits of one block."""

    first_pulse: int
    first_us: float  # time of the first pulse
    period_us: float
    columns: Arrays  # as HIT_NAMES

    @property
    def n(self) -> int:
        """Number of hits."""
        return len(self.columns[0])

    @property
    def end_us(self) -> float:
        """Time of the last hit's pulse; there must be one."""
        return self.first_us + float(self.columns[0][-1]) * self.period_us

    def part(self, rows: slice) -> "Rows":
        """Give some of them."""
        return self._replace(columns=tuple(column[rows] for column in self.columns))


class _Made(NamedTuple):
    """A chunk, ready to be written."""

    rows: int
    data: dict[str, bytes]
    golden: int
    multiple: int
    without_voltage: int


def _stepped(values: NDArray[np.float64], step: float) -> NDArray[np.float32]:
    return (np.round(values / step) * step).astype(np.float32)


def _make(blocks: list[Rows], v_dc: Readings, v_p: Readings | None, flight: Flight | None) -> _Made:
    counts = [block.n for block in blocks]
    offset, tof_ps, x_um, y_um, quality, multiplicity = (
        np.concatenate([block.columns[k] for block in blocks]) for k in range(len(HIT_NAMES))
    )
    first = np.repeat(np.array([block.first_pulse for block in blocks], np.uint64), counts)
    t_us = np.repeat(np.array([block.first_us for block in blocks]), counts)
    t_us += offset * np.repeat(np.array([block.period_us for block in blocks]), counts)
    v_dc_v = interpolated(t_us, *v_dc)
    v_p_v = np.zeros(len(t_us)) if v_p is None else interpolated(t_us, *v_p)
    columns: dict[str, NDArray[Any]] = {
        "pulse": first + offset,
        "v_dc_v": _stepped(v_dc_v, VOLTAGE_STEP_V),
        "v_p_v": _stepped(v_p_v, VOLTAGE_STEP_V),
        "tof_ps": tof_ps.astype(np.float64),
        "xy_um": np.column_stack((x_um, y_um)),
        "quality": quality,
        "multiplicity": multiplicity,
    }
    if flight is not None:
        instrument = flight.instrument
        mass_da = mass_to_charge_da(
            tof_ps,
            x_um,
            y_um,
            v_dc_v,
            v_p_v,
            flight_path_mm=instrument.flight_path_mm,
            t0_ps=instrument.t0_ps,
            alpha=instrument.alpha,
            beta=instrument.beta,
            voltage_mode=flight.voltage_mode,
        )
        columns["mass_to_charge_da"] = _stepped(mass_da, MASS_STEP_DA)
    return _Made(
        rows=len(offset),
        data={name: chunk(values, CHUNK_ROWS) for name, values in columns.items()},
        golden=int(np.count_nonzero(quality == Quality.FULL)),
        multiple=int(np.count_nonzero(multiplicity > 1)),
        without_voltage=int(np.count_nonzero(np.isnan(v_dc_v))),
    )


class HitTable:
    """Takes hits block by block. `readings` is asked for the voltages up to a time, us, when a chunk is full."""

    def __init__(
        self,
        spool: Spool,
        flight: Flight | None,
        readings: Callable[[float], tuple[Readback, Readback | None]],
    ) -> None:
        self.hits = self.golden = self.multiple = self.without_voltage = 0
        self._flight, self._readings = flight, readings
        self._columns = {
            name: spool.column(PATHS[name], dtype, width=width, units=units)
            for name, (dtype, width, units) in _COLUMNS.items()
            if flight is not None or name != "mass_to_charge_da"
        }
        self._pending: deque[Rows] = deque()
        self._pending_rows = 0
        cores = len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(cores, thread_name_prefix="chunks")
        self._most = 2 * cores  # chunks under way: memory is bounded
        self._under_way: deque[Future[_Made]] = deque()

    def add(self, rows: Rows) -> None:
        """Add hits of a block; their arrays are kept until they are written."""
        if not rows.n:
            return
        self._pending.append(rows)
        self._pending_rows += rows.n
        while self._pending_rows >= CHUNK_ROWS:
            self._cut(CHUNK_ROWS)

    def settle(self) -> None:
        """Write every chunk that is full."""
        while self._under_way:
            self._take()

    def close(self) -> None:
        """Write everything."""
        if self._pending_rows:
            self._cut(self._pending_rows)
        self.settle()
        self._pool.shutdown()

    def abandon(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def sizes(self) -> dict[str, int]:
        """Give the bytes on disk by column."""
        return {name: column.chunks.bytes for name, column in self._columns.items()}

    def kept(self) -> dict[str, Any]:
        """Give what is needed to go on later; `settle` comes first."""
        counts = {name: getattr(self, name) for name in ("hits", "golden", "multiple", "without_voltage")}
        columns = [
            np.concatenate([np.empty(0, dtype), *(rows.columns[k] for rows in self._pending)]).astype(dtype)
            for k, dtype in enumerate(HIT_DTYPES)
        ]
        blocks = [[rows.n, rows.first_pulse, rows.first_us, rows.period_us] for rows in self._pending]
        return counts | {"columns": columns, "blocks": blocks}

    def restore(self, kept: dict[str, Any]) -> None:
        """Go on with what `kept` gave."""
        for name in ("hits", "golden", "multiple", "without_voltage"):
            setattr(self, name, kept[name])
        begin = 0
        for n, first_pulse, first_us, period_us in kept["blocks"]:
            columns = tuple(column[begin : begin + n] for column in kept["columns"])
            self._pending.append(Rows(first_pulse, first_us, period_us, columns))
            begin += n
        self._pending_rows = begin

    def _cut(self, wanted: int) -> None:
        blocks: list[Rows] = []
        left = wanted
        while left:
            rows = self._pending.popleft()
            if rows.n > left:
                self._pending.appendleft(rows.part(slice(left, None)))
                rows = rows.part(slice(0, left))
            blocks.append(rows)
            left -= rows.n
        self._pending_rows -= wanted
        v_dc, v_p = self._readings(max(rows.end_us for rows in blocks))
        begin_us = min(rows.first_us for rows in blocks) - 2 * MAX_GAP_US
        end_us = max(rows.end_us for rows in blocks) + 2 * MAX_GAP_US
        amplitude = None if v_p is None else _window(v_p, begin_us, end_us)
        job = self._pool.submit(_make, blocks, _window(v_dc, begin_us, end_us), amplitude, self._flight)
        self._under_way.append(job)
        while len(self._under_way) >= self._most:
            self._take()

    def _take(self) -> None:
        made = self._under_way.popleft().result()
        for name, data in made.data.items():
            self._columns[name].put(data, made.rows)
        self.hits += made.rows
        self.golden += made.golden
        self.multiple += made.multiple
        self.without_voltage += made.without_voltage


def _window(readback: Readback, begin_us: float, end_us: float) -> Readings:
    """Give the readings within a time, and one more on either side: where they are far away, that must show."""
    t_us, value = readback.t_us, readback.value
    first, last = np.searchsorted(t_us, [begin_us, end_us])
    part = slice(max(0, first - 1), last + 1)
    return t_us[part], value[part]
