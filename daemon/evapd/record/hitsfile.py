"""Words and hits files: `.npz` that anyone can read with numpy alone; written piece by piece, in one step seen from outside."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import HIT_COLUMNS, TDC_COLUMNS, HitBlock, TdcBlock
from evapd.errors import RecordError
from evapd.record.newfile import new_file
from evapd.record.npzcolumns import NpzFile, NpzTable
from evapd.record.npzwriter import NpzSpool

_WORDS = [(column.name, column.dtype) for column in TDC_COLUMNS]
# Absolute pulses while the file grows: whether their offsets fit 32 bits shows at its end.
_HITS = [(column.name, "<u8" if column.name == "pulse" else column.dtype) for column in HIT_COLUMNS]
_MAX_OFFSET = 2**32 - 1
_ROWS = 1 << 20


def write_words(path: Path, blocks: Iterable[TdcBlock]) -> int:
    """Write a words file; an existing one is replaced.

    Args:
        path: the file; members `pulse` u8, `channel` u1, `time` i4, `bin_ps`, `first_pulse`, `last_pulse`.
        blocks: at least one, consecutive, of one bin width.

    Returns:
        Number of words.

    Raises:
        RecordError: when the file cannot be written.
        ValueError: without a block, or when the bin width changes.
    """
    first: TdcBlock | None = None
    last_pulse = 0
    with new_file(path) as file, NpzSpool(path.parent, _WORDS) as spool:
        for block in blocks:
            first = first or block
            if block.bin_ps != first.bin_ps:
                raise ValueError(
                    f"a words file has one bin width, here are {first.bin_ps} and {block.bin_ps} ps"
                )
            last_pulse = block.last_pulse
            spool.append({name: getattr(block, name) for name, _ in _WORDS})
        if first is None:
            raise ValueError("a words file needs at least one block, which tells the bin width")
        numbers = {
            "bin_ps": np.array(first.bin_ps.as_integer_ratio(), "<i8"),
            "first_pulse": _number(first.first_pulse),
            "last_pulse": _number(last_pulse),
        }
        spool.write(file, numbers, {})
    return spool.rows


def write_hits(path: Path, blocks: Iterable[HitBlock], *, first_pulse: int | None = None) -> int:
    """Write a hits file; an existing one is replaced.

    Args:
        path: the file; members are the columns of a HitBlock and `first_pulse`. `pulse` is u4, or u8 where the hits
            span 2^32 pulses or more.
        blocks: ascending in pulse.
        first_pulse: from which the pulses are counted; by default that of the first block.

    Returns:
        Number of hits.

    Raises:
        RecordError: when the file cannot be written.
    """
    last = -1
    with new_file(path) as file, NpzSpool(path.parent, _HITS) as spool:
        for block in blocks:
            first_pulse = block.first_pulse if first_pulse is None else first_pulse
            if not block.n:
                continue
            pulse = block.pulse + np.uint64(block.first_pulse)
            last = int(pulse[-1])
            spool.append({name: getattr(block, name) for name, _ in _HITS} | {"pulse": pulse})
        begin = first_pulse or 0
        dtype = "<u4" if last - begin <= _MAX_OFFSET else "<u8"
        spool.write(file, {"first_pulse": _number(begin)}, {"pulse": (dtype, begin)})
    return spool.rows


def _number(value: int) -> NDArray[np.int64] | NDArray[np.uint64]:
    return np.array(value, "<i8" if value < 2**63 else "<u8")


def read_hits(path: Path, *, max_hits: int = _ROWS) -> Iterator[HitBlock]:
    """Read a hits file in bounded memory; without a hit there is no block.

    Raises:
        RecordError: when it is damaged, or no hits file.
    """
    columns = [(column.name, column.dtype) for column in HIT_COLUMNS]
    with NpzFile(path) as file:
        numbers = file.integers("first_pulse")
        if len(numbers) != 1 or numbers[0] < 0:
            raise RecordError(
                f"{path}: first_pulse is {list(numbers)}; it is one pulse number, counted from 0"
            )
        columns[0] = ("pulse", "<u8")
        with NpzTable(file, columns) as table:
            a = 0
            while a < table.rows:
                b = min(a + max_hits, table.rows)
                pulse = table.read(a, b)[0]
                if np.any(pulse[1:] < pulse[:-1]):
                    raise RecordError(
                        f"{path}: the hits {a} to {b} do not ascend in pulse; write the file anew"
                    )
                b = a + int(np.searchsorted(pulse, pulse[0] + np.uint64(_MAX_OFFSET), "right"))
                offset, *others = table.read(a, b)
                values: dict[str, Any] = dict(zip([name for name, _ in columns[1:]], others, strict=True))
                yield HitBlock(
                    first_pulse=numbers[0] + int(offset[0]),
                    last_pulse=numbers[0] + int(offset[-1]),
                    pulse=(offset - offset[0]).astype("<u4"),
                    **values,
                )
                a = b
                table.release(a)
