"""The yardstick: the matching in plain C (`tests/bench/matching.c`), compiled here and called on the same arrays."""

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from evapd.blocks import TdcBlock
from evapd.matching import Anode
from evapd.matching.numbers import WALK_POINTS, numbers_of
from evapd.matching.settings import MatchSettings
from evapd.matching.workspace import TIME_LIMIT_PS, Columns, make_columns

SOURCE = Path(__file__).parents[1] / "bench" / "matching.c"
# No fused multiply-add: the same bits as the kernels.
FLAGS = ("-std=gnu11", "-O3", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off")
_TYPES = {"f8": "double", "i8": "int64_t", "u8": "uint64_t", "i4": "int32_t", "u1": "uint8_t", "b1": "bool"}


class _Columns(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_void_p) for name in Columns._fields)


class CMatching:
    """One build of the yardstick."""

    def __init__(self, folder: Path, *flags: str) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise FileNotFoundError("no C compiler `cc` on the path: install one to measure against plain C")
        (folder / "numbers.h").write_text(_header(), encoding="utf-8")
        library = folder / f"matching{'-'.join(('', *flags)).replace('=', '')}.so"
        command = [compiler, *FLAGS, *flags, f"-I{folder}", str(SOURCE), "-o", str(library), "-lm"]
        subprocess.run(command, check=True)
        self._c = ctypes.CDLL(str(library))
        pointer, i8, u8 = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64
        words = [pointer, pointer, pointer, i8]
        self._c.all_sound.argtypes = [*words, u8, u8, ctypes.c_int, ctypes.c_int32]
        self._c.match_words.argtypes = [pointer, pointer, pointer, i8, u8, *words, pointer]
        self._c.match_words.restype = i8
        self._c.scratch_size.restype = self._c.numbers_size.restype = i8

    def prepare(self, block: TdcBlock, anode: Anode, settings: MatchSettings) -> Callable[[], Columns]:
        """All arguments made; the call checks the words and matches them into columns made beforehand."""
        numbers = _numbers(anode, settings, block.bin_ps)
        assert self._c.numbers_size() == numbers.nbytes
        scratch = ctypes.create_string_buffer(self._c.scratch_size())
        columns = touched_columns(block.n // 4)
        out = _Columns(*(column.ctypes.data for column in columns))
        saturated = ctypes.c_int64()
        words = (block.pulse.ctypes.data, block.channel.ctypes.data, block.time.ctypes.data, block.n)
        limit = min(int(TIME_LIMIT_PS / block.bin_ps), 2**31 - 1)
        check = (*words, block.first_pulse, block.last_pulse, anode.channels, limit)
        match = (
            numbers.ctypes.data,
            scratch,
            ctypes.byref(out),
            0,
            block.first_pulse,
            *words,
            ctypes.byref(saturated),
        )

        def call() -> Columns:
            sound = self._c.all_sound(*check)
            n = self._c.match_words(*match)
            assert sound
            assert n >= 0
            return Columns(*(column[:n] for column in columns))

        # C has only the addresses of these: they live as long as the call.
        return partial(_keeping, call, (numbers, scratch, out, block))


def _keeping(call: Callable[[], Columns], kept: object) -> Columns:
    assert kept is not None
    return call()


def touched_columns(n: int) -> Columns:
    """Columns whose pages are in memory, so that only the matching is timed."""
    columns = make_columns(n)
    for column in columns:
        column.fill(0)
    return columns


def _numbers(anode: Anode, settings: MatchSettings, bin_ps: Fraction) -> np.ndarray:  # type: ignore[type-arg]
    numbers = numbers_of(anode, settings, bin_ps)
    return np.array(numbers, numbers.dtype).reshape(1)


def _header() -> str:
    """The kernels' record of a quad anode as a C structure."""
    from support.anodes import quad  # noqa: PLC0415 - only the layout is needed

    layout = _numbers(quad(), MatchSettings(), Fraction(1)).dtype
    fields = []
    for name in layout.names or ():
        kind = layout[name]
        fields.append(f"    {_TYPES[kind.base.str[1:]]} {name}{''.join(f'[{size}]' for size in kind.shape)};")
    return "\n".join(
        [
            "#include <stdbool.h>",
            "#include <stdint.h>",
            f"enum {{ WALK_POINTS = {WALK_POINTS} }};",
            "typedef struct {",
            *fields,
            "} Numbers;",
            "",
        ]
    )
