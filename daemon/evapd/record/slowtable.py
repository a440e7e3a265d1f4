"""What the guard recorded besides hits: the control loop's columns, instrument readings, events."""

from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np

from evapd.record.columns import GrowingColumn
from evapd.record.voltage import Readback
from evapd.stream.frame import Message
from evapd.units import US_PER_S

_ROWS = 4096
_UNKNOWN_INTEGER = -1


class LoopTable:
    """The `loop.` columns as datasets of equal length, whatever columns the guard sends."""

    def __init__(self, group: h5py.Group) -> None:
        self._group = group
        self._columns: dict[str, GrowingColumn] = {}
        self._rows = 0

    def add(self, message: Message) -> None:
        """Take one frame; a column that is absent in it, or new, is filled with NaN, -1 or 0."""
        n = int(message.header["n"])
        units = {entry["name"]: str(entry.get("unit", "")) for entry in message.header["columns"]}
        for name, values in message.columns.items():
            if name not in self._columns:
                column = GrowingColumn(self._group, name, values.dtype.str, units=units[name], rows=_ROWS)
                self._fill(column, self._rows)
                self._columns[name] = column
            self._columns[name].append(values)
        self._rows += n
        for column in self._columns.values():
            if column.rows < self._rows:
                self._fill(column, self._rows - column.rows)

    def flush(self) -> None:
        """Write what is buffered."""
        for column in self._columns.values():
            column.flush()

    @staticmethod
    def _fill(column: GrowingColumn, rows: int) -> None:
        dtype = column.dtype
        filler = {"f": np.nan, "i": _UNKNOWN_INTEGER}.get(dtype.kind, 0)
        for start in range(0, rows, _ROWS):
            column.append(np.full(min(_ROWS, rows - start), filler, dtype=dtype))


def _numbers(reading: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    for key, value in reading.items():
        name = f"{path}/{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from _numbers(value, name)
        elif isinstance(value, bool | int | float):
            yield name, float(value)


class SlowTable:
    """Every number that instruments told, as one series per device and field."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], Readback] = {}
        self.roles: dict[str, str] = {}

    def add(self, message: Message) -> None:
        """Take one frame; a reading that was told before is not taken again."""
        content = message.document
        if not isinstance(content, Mapping) or not isinstance(content.get("devices"), Mapping):
            return
        t_us = int(content.get("t_mono_us") or message.header["t_mono_us"])
        for device, entry in content["devices"].items():
            if not isinstance(entry, Mapping) or not isinstance(entry.get("reading"), Mapping):
                continue
            self.roles[device] = str(entry.get("role", ""))
            reading = dict(entry["reading"])
            t_s = reading.pop("t_mono_s", None)
            t_reading_us = round(t_s * US_PER_S) if isinstance(t_s, int | float) else t_us
            for field, value in _numbers(reading):
                self.series.setdefault((device, field), Readback()).add(t_reading_us, value)

    def of_role(self, role: str, prefix: str) -> dict[str, Readback]:
        """Give the series of devices with this role whose field begins with `prefix/`, by the rest of its name."""
        return {
            field.removeprefix(f"{prefix}/"): series
            for (device, field), series in self.series.items()
            if self.roles[device] == role and field.startswith(f"{prefix}/")
        }

    def write(self, group: h5py.Group) -> None:
        """Write all series as `<device>/<field>/{t_mono_us, value}`."""
        for (device, field), series in self.series.items():
            if not len(series):
                continue
            place = group.require_group(device.replace("/", "_")).create_group(field.replace("/", "_"))
            place.attrs["NX_class"] = "NXcollection"
            place.create_dataset("t_mono_us", data=series.t_us, compression="gzip", shuffle=True).attrs[
                "units"
            ] = "us"
            place.create_dataset("value", data=series.value, compression="gzip", shuffle=True)
        for device, role in self.roles.items():
            if device.replace("/", "_") in group:
                group[device.replace("/", "_")].attrs["role"] = role
                group[device.replace("/", "_")].attrs["NX_class"] = "NXcollection"
