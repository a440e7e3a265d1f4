"""The `.raw` file of the APyT package: raw hits of a tomographic atom probe, 32 bytes each, little endian.

Base, pulse and reflectron voltage in V, x and y in mm, time of flight in ns (float32), epoch (int32), pulse number (uint32).
The unit of the epoch is not documented; it passes as milliseconds and is written so.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evapd.errors import RecordError
from evapd.export.events import Ions
from evapd.units import PS_PER_NS, UM_PER_MM

RAW = np.dtype(
    [(name, "<f4") for name in ("u_base_v", "u_pulse_v", "u_reflectron_v", "x_mm", "y_mm", "tof_ns")]
    + [("epoch", "<i4"), ("pulse", "<u4")]
)
_MS_PER_S = 1000.0


def write_raw(file: BinaryIO, batches: Iterable[Ions]) -> int:
    """Write hits; pulse numbers are kept modulo 2^32. Gives their number."""
    written = 0
    for ions in batches:
        hits = ions.hits
        rows = np.zeros(hits.n, RAW)
        rows["u_base_v"], rows["u_pulse_v"] = hits.v_dc_v, hits.v_p_v
        rows["x_mm"], rows["y_mm"] = hits.x_um / UM_PER_MM, hits.y_um / UM_PER_MM
        rows["tof_ns"] = hits.tof_ps / PS_PER_NS
        rows["epoch"] = np.clip(np.round(_MS_PER_S * ions.elapsed_s), 0, 2**31 - 1)
        rows["pulse"] = (hits.pulse & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        file.write(rows.tobytes())
        written += len(rows)
    return written


def open_raw(path: Path) -> NDArray[Any]:
    """Map the hits of a file into memory, dtype `RAW`.

    Raises:
        RecordError: when the file is empty or no whole number of hits.
    """
    size = path.stat().st_size
    if size == 0 or size % RAW.itemsize:
        raise RecordError(
            f"{path}: {size} bytes are not a whole number of hits of {RAW.itemsize} bytes; is it an APyT .raw file?"
        )
    mapped: NDArray[Any] = np.memmap(path, RAW, "r")
    return mapped
