"""The `.raw` file of the APyT package: recorded hits of a tomographic atom probe, 32 bytes each, little endian."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.errors import ConfigError

RAW_HIT = np.dtype(
    [
        ("u_base_v", "<f4"),
        ("u_pulse_v", "<f4"),
        ("u_reflectron_v", "<f4"),
        ("x_mm", "<f4"),
        ("y_mm", "<f4"),
        ("tof_ns", "<f4"),
        ("epoch", "<i4"),  # undocumented unit; it passes as milliseconds
        ("pulse", "<u4"),
    ]
)
RawHits = NDArray[Any]  # structured, dtype RAW_HIT


def read_raw(path: Path) -> RawHits:
    """Read the hits of a file, ascending in pulse number and epoch.

    Raises:
        ConfigError: when the file is not of this layout: size, order, or values that are no numbers.
    """
    size = path.stat().st_size
    if size == 0 or size % RAW_HIT.itemsize:
        raise ConfigError(
            f"{path}: {size} bytes are not a whole number of hits of {RAW_HIT.itemsize} bytes; is it an APyT .raw file?"
        )
    hits = np.fromfile(path, dtype=RAW_HIT)
    for name in ("pulse", "epoch"):
        falls = np.flatnonzero(np.diff(hits[name].astype(np.int64)) < 0)
        if len(falls):
            raise ConfigError(f"{path}: hit {falls[0] + 1}: {name} falls; a replay needs hits in their order")
    for name in ("u_base_v", "x_mm", "y_mm", "tof_ns"):
        wrong = np.flatnonzero(~np.isfinite(hits[name]) | (np.abs(hits[name]) > 1e6))
        if len(wrong):
            raise ConfigError(f"{path}: hit {wrong[0]}: {name} is {hits[name][wrong[0]]}")
    return hits


def write_raw(path: Path, hits: RawHits) -> None:
    """Write hits in this layout."""
    hits.astype(RAW_HIT).tofile(path)
