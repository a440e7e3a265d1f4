"""What the guard recorded besides hits: the control loop's columns, instrument readings."""

from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd.record.finalising.column import Column
from evapd.record.finalising.histories import Histories, Series
from evapd.record.finalising.spool import Spool
from evapd.stream.frame import Message
from evapd.units import US_PER_S

_ROWS = 4096
_FRAMES = 256  # of the control loop, read together
_READINGS = 1024
_UNKNOWN_INTEGER = -1
_AXIS = "/position_mm"
# What has a history of its own among the plots: role, beginning of the field, its end, history's name, title, units.
_PLOTTED = (
    ("vacuum", "pressure_pa/", "", "pressure", "pressure at gauge {}", "Pa"),
    ("temperature", "temperature_k/", "", "temperature", "temperature at sensor {}", "K"),
    ("stage", "axes/", _AXIS, "stage", "position of stage axis {} by its encoder", "mm"),
)
# Units by the end of a field's name, as the rules of this program have it.
_UNITS = {
    "v": "V", "a": "A", "w": "W", "hz": "Hz", "pa": "Pa", "k": "K", "s": "s", "us": "us", "ns": "ns", "ps": "ps",
    "mm": "mm", "um": "um", "nm": "nm", "deg": "deg", "pj": "pJ", "percent": "%", "db": "dB",
}  # fmt: skip
_BARE = "1"  # of numbers and states


def units_of(field: str) -> str:
    """Give the units of a field by the end of its own name, or of the group it is in; 1 where it has none."""
    for part in reversed(field.split("/")):
        head, _, tail = part.rpartition("_")
        if head and tail in _UNITS:
            return _UNITS[tail]
    return _BARE


class LoopRows(NamedTuple):
    """Rows of the control loop: columns of one length, and their units."""

    n: int
    columns: dict[str, NDArray[Any]]
    units: dict[str, str]


class LoopFrames:
    """Frames of the control loop that look alike, read together: one by one they would cost more than all hits."""

    def __init__(self, take: Callable[[LoopRows], None]) -> None:
        """Prepare; `take` gets the rows, in their order."""
        self._take = take
        self._frames: list[Message] = []

    def add(self, message: Message) -> None:
        """Take one frame."""
        if not message.header["n"]:
            return
        if self._frames and not _alike(self._frames[0], message):
            self.flush()
        self._frames.append(message)
        if len(self._frames) >= _FRAMES:
            self.flush()

    def flush(self) -> None:
        """Give the rows of what was taken."""
        frames, self._frames = self._frames, []
        if not frames:
            return
        n, described = frames[0].header["n"], frames[0].header["columns"]
        raw = np.frombuffer(b"".join(frame.payload for frame in frames), np.uint8).reshape(len(frames), -1)
        columns: dict[str, NDArray[Any]] = {}
        for entry in described:
            dtype, offset = np.dtype(entry["dtype"]), entry["offset"]
            part = np.ascontiguousarray(raw[:, offset : offset + n * dtype.itemsize])
            columns[str(entry["name"])] = part.reshape(-1).view(dtype)
        units = {str(entry["name"]): str(entry.get("unit", "")) for entry in described}
        self._take(LoopRows(n * len(frames), columns, units))


def _alike(one: Message, other: Message) -> bool:
    same = one.header["n"] == other.header["n"] and len(one.payload) == len(other.payload)
    return same and one.header["columns"] == other.header["columns"]


class LoopTable:
    """The `loop.` columns as datasets of equal length, whatever columns the guard sends."""

    def __init__(self, spool: Spool, group: str) -> None:
        self._spool, self._group = spool, group
        self._columns: dict[str, Column] = {}
        self._rows = 0

    def add(self, rows: "LoopRows") -> None:
        """Take rows; a column that is absent in them, or new, is filled with NaN, -1 or 0."""
        for name, values in rows.columns.items():
            if name not in self._columns:
                column = self._column(name, values.dtype.str, rows.units[name] or _BARE)
                self._fill(column, self._rows)
                self._columns[name] = column
            self._columns[name].append(values)
        self._rows += rows.n
        for column in self._columns.values():
            if column.rows < self._rows:
                self._fill(column, self._rows - column.rows)

    def _column(self, name: str, dtype: str, units: str) -> Column:
        path = f"{self._group}/{name.replace('/', '_')}"
        return self._spool.column(path, dtype, units=units, rows=_ROWS)

    def kept(self) -> dict[str, Any]:
        """Give what is needed to go on later."""
        columns = [[name, column.path, column.dtype.str] for name, column in self._columns.items()]
        return {"rows": self._rows, "columns": columns}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on with what `kept` gave."""
        self._rows = kept["rows"]
        self._columns = {name: self._spool.column(path, dtype) for name, path, dtype in kept["columns"]}

    @staticmethod
    def _fill(column: Column, rows: int) -> None:
        filler = {"f": np.nan, "i": _UNKNOWN_INTEGER}.get(column.dtype.kind, 0)
        for start in range(0, rows, _ROWS):
            column.append(np.full(min(_ROWS, rows - start), filler, dtype=column.dtype))


def _numbers(reading: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    for key, value in reading.items():
        name = f"{path}/{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from _numbers(value, name)
        elif isinstance(value, bool | int | float):
            yield name, float(value)


class _Field:
    """One number that one device tells, until it is written."""

    def __init__(self, t_us: Column, value: Column, history: Series | None) -> None:
        self._t_us, self._value, self._history = t_us, value, history
        self._pending_t_us, self._pending = array("q"), array("d")
        self._newest_us = 0

    def add(self, t_us: int, value: float) -> None:
        if t_us <= self._newest_us:
            return  # told before
        self._newest_us = t_us
        self._pending_t_us.append(t_us)
        self._pending.append(value)
        if len(self._pending) >= _READINGS:
            self.write()

    def write(self) -> None:
        t_us, value = np.array(self._pending_t_us, np.int64), np.array(self._pending, np.float64)
        self._t_us.append(t_us)
        self._value.append(value)
        if self._history is not None:
            self._history.append(t_us, value)
        del self._pending_t_us[:], self._pending[:]

    def kept(self) -> list[Any]:
        return [self._newest_us, self._pending_t_us.tolist(), self._pending.tolist()]

    def restore(self, newest_us: int, t_us: list[int], value: list[float]) -> None:
        self._newest_us = newest_us
        self._pending_t_us, self._pending = array("q", t_us), array("d", value)


class SlowTable:
    """Every number that instruments told, as one series per device and field: `<device>/<field>/{t_mono_us, value}`."""

    def __init__(self, spool: Spool, group: str, histories: Histories) -> None:
        self._spool, self._group, self._histories = spool, group, histories
        self._fields: dict[tuple[str, str], _Field] = {}
        self.roles: dict[str, str] = {}

    def add(self, message: Message) -> None:
        """Take one frame; a reading that was told before is not taken again."""
        content = message.document
        if not isinstance(content, Mapping) or not isinstance(content.get("devices"), Mapping):
            return
        t_us = _whole(content.get("t_mono_us")) or _whole(message.header.get("t_mono_us"))
        for device, entry in content["devices"].items():
            if not isinstance(entry, Mapping) or not isinstance(entry.get("reading"), Mapping):
                continue
            role = self.roles.setdefault(device, str(entry.get("role", "")))
            reading = dict(entry["reading"])
            t_s = reading.pop("t_mono_s", None)
            t_reading_us = round(t_s * US_PER_S) if isinstance(t_s, int | float) else t_us
            for field, value in _numbers(reading):
                known = self._fields.get((device, field)) or self._begin(device, field, role)
                known.add(t_reading_us, value)

    def _begin(self, device: str, field: str, role: str) -> _Field:
        place = f"{self._group}/{device.replace('/', '_')}/{field.replace('/', '_')}"
        t_us = self._spool.column(f"{place}/t_mono_us", "<i8", rows=_READINGS, units="us")
        value = self._spool.column(f"{place}/value", "<f8", rows=_READINGS, units=units_of(field))
        made = self._fields[device, field] = _Field(t_us, value, self._history(device, field, role))
        return made

    def _history(self, device: str, field: str, role: str) -> Series | None:
        for plotted, begin, end, name, title, units in _PLOTTED:
            if role == plotted and field.startswith(begin) and field.endswith(end):
                which = field.removeprefix(begin).removesuffix(end)
                return self._histories.series(
                    f"{name}_{which}", title.format(which), units, owner=f"{device}/{field}"
                )
        return None

    def close(self) -> None:
        """Write what is held back."""
        for field in self._fields.values():
            field.write()

    def kept(self) -> dict[str, Any]:
        """Give what is needed to go on later."""
        return {"roles": self.roles, "fields": [[*key, *one.kept()] for key, one in self._fields.items()]}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on with what `kept` gave."""
        self.roles = dict(kept["roles"])
        for device, field, *rest in kept["fields"]:
            self._begin(device, field, self.roles[device]).restore(*rest)


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
