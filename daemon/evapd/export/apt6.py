"""APT, version 6: little endian, a header and one section per quantity.

Header of 540 bytes: "APT" and a zero byte, int32 its size, int32 version 2, the file's name as 256 UTF-16 units, uint64
FILETIME, uint64 ions. Section header of 148 bytes: "SEC" and a zero byte, int32 its size, int32 version 2, the section's
name as 32 UTF-16 units, int32 section version, uint32 relationship (1: one record per ion), uint32 record type (1: of fixed
size), uint32 data type (1 integer, 3 float), int32 bits per value, int32 bytes per record, unit as 16 UTF-16 units, int64
records, int64 bytes of data. Before the data of "Position" come six float32, counted to its header: least and greatest x,
y, z. Layout: as read by ifes_apt_tc_data_modeling (NOMAD, FAIRmat) from the makers' description; readers refuse unknown names.
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from evapd.export.events import Ions
from evapd.units import PS_PER_NS, UM_PER_MM

_FILE_HEAD = struct.Struct("<4sii512sQQ")
_SECTION_HEAD = struct.Struct("<4sii64siIIIii32sqq")
_BOUNDS = struct.Struct("<6f")
_INTEGER, _FLOAT = 1, 3
_FILETIME_1970 = 116_444_736_000_000_000  # 100 ns since 1601-01-01
Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Section:
    """One quantity: its name and unit as readers know them, its type, and where its values come from."""

    name: str
    unit: str
    dtype: str
    values: Callable[[Ions], Array]
    width: int = 1

    @property
    def record_bytes(self) -> int:
        """Bytes per ion."""
        return np.dtype(self.dtype).itemsize * self.width


def _positions(ions: Ions) -> Array:
    assert ions.xyz_nm is not None  # noqa: S101 - this format is given projected ions
    return ions.xyz_nm


SECTIONS = (
    Section("tof", "ns", "<f4", lambda ions: ions.hits.tof_ps / PS_PER_NS),
    Section("Voltage", "", "<f4", lambda ions: ions.hits.v_dc_v),
    Section("Mass", "Da", "<f4", lambda ions: ions.mass_da),
    Section("XDet_mm", "mm", "<f4", lambda ions: ions.hits.x_um / UM_PER_MM),
    Section("YDet_mm", "mm", "<f4", lambda ions: ions.hits.y_um / UM_PER_MM),
    Section("Multiplicity", "", "<i4", lambda ions: ions.multiplicity),
    Section("Position", "nm", "<f4", _positions, width=3),
)


def write_apt(file: BinaryIO, batches: Callable[[], Iterable[Ions]], *, name: str, t_utc_us: int) -> int:
    """Write projected ions; they are read twice, first for their number and bounds.

    Args:
        file: open for writing, and able to seek.
        batches: begins a pass over the ions.
        name: the file's own name.
        t_utc_us: when the run began, us since 1970; 0 where unknown.

    Returns:
        The number of ions.
    """
    count, low, high = 0, np.full(3, np.inf), np.full(3, -np.inf)
    for ions in batches():
        positions = np.asarray(_positions(ions), np.float32)
        low, high = np.minimum(low, positions.min(axis=0)), np.maximum(high, positions.max(axis=0))
        count += ions.hits.n
    bounds = _BOUNDS.pack(*(np.column_stack((low, high)).ravel() if count else np.zeros(6)))
    filetime = _FILETIME_1970 + 10 * t_utc_us if t_utc_us else 0
    file.write(_FILE_HEAD.pack(b"APT\0", _FILE_HEAD.size, 2, _wide(name, 256), filetime, count))
    places = []
    for section in SECTIONS:
        extra = bounds if section.name == "Position" else b""
        file.write(_section_head(section, count, len(extra)) + extra)
        places.append(file.tell())
        file.seek(count * section.record_bytes, 1)
    file.truncate()
    for ions in batches():
        for k, section in enumerate(SECTIONS):
            data = np.ascontiguousarray(section.values(ions), dtype=section.dtype).tobytes()
            file.seek(places[k])
            file.write(data)
            places[k] += len(data)
    return count


def _section_head(section: Section, count: int, extra: int) -> bytes:
    dtype = np.dtype(section.dtype)
    return _SECTION_HEAD.pack(
        b"SEC\0", _SECTION_HEAD.size + extra, 2, _wide(section.name, 32), 1, 1, 1,
        _FLOAT if dtype.kind == "f" else _INTEGER, 8 * dtype.itemsize, section.record_bytes, _wide(section.unit, 16),
        count, count * section.record_bytes,
    )  # fmt: skip


def _wide(text: str, units: int) -> bytes:
    """Give UTF-16 with at least one zero unit behind it."""
    encoded = text.encode("utf-16-le")[: 2 * (units - 1)]
    return encoded.ljust(2 * units, b"\0")
