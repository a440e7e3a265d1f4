"""Parquet and CSV: every hit with every column that the finalised run has, in physical units."""

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evapd.errors import StateError
from evapd.export.events import Ions

_ROW_GROUP = 1 << 20
_DECIMALS = {"v_dc_v": 5, "v_p_v": 5, "mass_to_charge_da": 6, "elapsed_s": 6}


def columns_of(ions: Ions) -> dict[str, NDArray[Any]]:
    """Give the columns by name; m/q only where masses are known."""
    hits = ions.hits
    columns: dict[str, NDArray[Any]] = {
        "pulse": hits.pulse,
        "elapsed_s": ions.elapsed_s,
        "tof_ps": hits.tof_ps,
        "x_um": hits.x_um,
        "y_um": hits.y_um,
        "v_dc_v": hits.v_dc_v,
        "v_p_v": hits.v_p_v,
        "quality": hits.quality,
        "multiplicity": hits.multiplicity,
    }
    if hits.mass_to_charge_da is not None:
        columns["mass_to_charge_da"] = hits.mass_to_charge_da
    return columns


def write_csv(file: BinaryIO, batches: Iterable[Ions]) -> int:
    """Write hits as text: a line of names, then one line per hit; an unknown value is empty. Gives their number."""
    written = 0
    for ions in batches:
        columns = columns_of(ions)
        if not written:
            file.write((",".join(columns) + "\n").encode())
        texts = [_texts(name, values) for name, values in columns.items()]
        file.write("".join(",".join(row) + "\n" for row in zip(*texts, strict=True)).encode())
        written += ions.hits.n
    return written


def _texts(name: str, values: NDArray[Any]) -> list[str]:
    if values.dtype.kind != "f":
        return [str(value) for value in values.tolist()]
    decimals = _DECIMALS[name]
    return [
        f"{value:.{decimals}f}".rstrip("0").rstrip(".") if value == value else ""  # noqa: PLR0124 - NaN
        for value in values.astype(np.float64).tolist()
    ]


def need_parquet() -> Any:
    """Give the library that writes Parquet.

    Raises:
        StateError: when it is missing, with how to get it.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise StateError(
            f"Parquet: {error.name or 'pyarrow'} is not installed; it comes with the extra `parquet`: "
            "pip install 'evapd[parquet]'"
        ) from error
    return pa, pq


def write_parquet(file: BinaryIO, batches: Iterable[Ions], *, about: Mapping[str, str]) -> int:
    """Write hits in row groups of about a million, zstd; `about` goes into the file's metadata. Gives their number.

    Raises:
        StateError: when pyarrow is missing, with how to get it.
    """
    pa, pq = need_parquet()
    writer, pending, rows, written = None, [], 0, 0
    try:
        for ions in batches:
            table = pa.table(columns_of(ions)).replace_schema_metadata(dict(about))
            writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
            pending.append(table)
            rows += ions.hits.n
            written += ions.hits.n
            if rows >= _ROW_GROUP:
                writer.write_table(pa.concat_tables(pending).combine_chunks(), row_group_size=rows)
                pending, rows = [], 0
        if writer is not None and pending:
            writer.write_table(pa.concat_tables(pending).combine_chunks(), row_group_size=rows)
    finally:
        if writer is not None:
            writer.close()
    return written
