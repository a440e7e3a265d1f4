"""The finished spool into an HDF5 file: every chunk as it is, in the order of the columns."""

from collections.abc import Callable, Iterable
from typing import Any

import h5py
import numpy as np

from evapd.record.finalising.column import Column, TextColumn
from evapd.record.finalising.deflate import unpacked
from evapd.record.finalising.spool import Spool

_TEXT_ROWS = 256
_INDEX_BYTES = 2500  # that HDF5 keeps for the places of even one chunk


def write_columns(
    spool: Spool, file: h5py.File, texts: dict[str, list[str]], check: Callable[[int], None]
) -> None:
    """Write every column as a dataset, groups that are not there as NXcollection.

    Args:
        spool: finished: no column holds anything back.
        file: in which attributes and other content may be there already.
        texts: paths of datasets of texts, each with the paths of the columns that follow each other in it.
        check: told the bytes written so far; may raise.
    """
    done = 0
    for column in spool.columns.values():
        if isinstance(column, TextColumn):
            continue
        if column.rows * column.row_bytes < column.chunks.bytes + _INDEX_BYTES:
            done += _write_small(spool, file, column)
            continue
        dataset = _dataset(file, column)
        for number, (at, size) in enumerate(column.chunks):
            first = (number * column.chunk_rows, *((0,) if column.width else ()))
            dataset.id.write_direct_chunk(first, spool.read(at, size))
            done += size
            check(done)
    for path, sources in texts.items():
        found = [made for source in sources if isinstance(made := spool.columns.get(source), TextColumn)]
        _write_texts(file, path, sum(column.rows for column in found), _texts(spool, found))
        check(done)


def chunk_bytes(spool: Spool) -> int:
    """Give the bytes that `write_columns` will count."""
    return sum(column.chunks.bytes for column in spool.columns.values() if isinstance(column, Column))


def _parent(file: h5py.File, path: str) -> h5py.Group:
    group: h5py.Group = file
    for name in path.split("/")[:-1]:
        group = group.require_group(name)
        if "NX_class" not in group.attrs:
            group.attrs["NX_class"] = "NXcollection"
    return group


def _write_small(spool: Spool, file: h5py.File, column: Column) -> int:
    """Write a column plainly whose index of chunks would be larger than what is saved by compressing it."""
    pieces = [unpacked(spool.read(at, size), column.dtype, column.width) for at, size in column.chunks]
    values = np.concatenate(pieces)[: column.rows] if pieces else np.empty(0, column.dtype)
    shape = (column.rows,) if column.width is None else (column.rows, column.width)
    parent, name = _parent(file, column.path), column.path.rsplit("/", 1)[1]
    _attributes(parent.create_dataset(name, data=values.reshape(shape)), column)
    return column.chunks.bytes


def _dataset(file: h5py.File, column: Column) -> h5py.Dataset:
    tail = () if column.width is None else (column.width,)
    # Filters that every HDF5 reader has; the level is a note only, the chunks come ready.
    dataset = _parent(file, column.path).create_dataset(
        column.path.rsplit("/", 1)[1],
        shape=(column.rows, *tail),
        maxshape=(None, *tail),
        dtype=column.dtype,
        chunks=(column.chunk_rows, *tail),
        shuffle=True,
        compression="gzip",
        compression_opts=1,
    )
    _attributes(dataset, column)
    return dataset


def _attributes(dataset: h5py.Dataset, column: Column) -> None:
    for name, value in column.attributes.items():
        dataset.attrs[name] = value


def _texts(spool: Spool, columns: Iterable[TextColumn]) -> Iterable[list[str]]:
    for column in columns:
        for at, size in column.chunks:
            yield column.texts(spool.read(at, size))


def _write_texts(file: h5py.File, path: str, rows: int, pieces: Iterable[list[str]]) -> None:
    options: dict[str, Any] = {"maxshape": (None,), "chunks": (_TEXT_ROWS,), "compression": "gzip"}
    parent, name = _parent(file, path), path.rsplit("/", 1)[1]
    dataset = parent.create_dataset(name, shape=(rows,), dtype=h5py.string_dtype(), **options)
    begin = 0
    for piece in pieces:
        dataset[begin : begin + len(piece)] = np.array(piece, dtype=object)
        begin += len(piece)
