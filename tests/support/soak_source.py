"""A TDC whose words lie in memory, for the soak: a driver of its own, loaded as any laboratory's driver is.

A file of words (`write_words`) is played round and round, its pulses counted on, at the pace of the clock. When it is
disarmed it writes beside the file how much it sent, which is what everything else is held against.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from evapd.blocks import TdcBlock
from evapd.device.protocols import DriverConfig, TdcSource
from evapd.device.readings import Identity, TdcDescription
from evapd_drivers.tdc.source import LibrarySource
from support.signals import SignalModel, part_of, simulate

BLOCKS, BLOCK_PULSES = 20, 75_000  # a block holds about 4200 hits
SCHEME = "file:"


def write_words(path: Path, model: SignalModel, seed: int = 1) -> None:
    """Words of `BLOCKS` consecutive blocks of 5 % detection, 30 % multi-hits."""
    words = simulate(model, BLOCKS * BLOCK_PULSES, seed).block
    bin_ps = (words.bin_ps.numerator, words.bin_ps.denominator)
    np.savez(path, pulse=words.pulse, channel=words.channel, time=words.time, bin_ps=bin_ps)


def sent(path: Path) -> dict[str, int]:
    """What the source says it sent, once it has been disarmed."""
    return dict(json.loads(path.with_suffix(".sent").read_text()))


class Config(DriverConfig):
    """Settings: `connect` is `file:PATH` of words, and how many pulses a second come."""

    pulse_rate_hz: Annotated[float, Field(gt=0)]


class WordsInMemory(LibrarySource[TdcBlock]):
    """Gives a block as soon as its last pulse is due."""

    Config = Config
    protocol: ClassVar[type] = TdcSource

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._path, self._rate_hz = Path(config.connect.removeprefix(SCHEME)), config.pulse_rate_hz
        self._blocks: list[TdcBlock] = []
        self._began_s, self._given, self._words = 0.0, 0, 0

    def _connect(self) -> tuple[Identity, TdcDescription]:
        with np.load(self._path) as file:
            bin_ps = Fraction(*map(int, file["bin_ps"]))
            pulse, channel, at = file["pulse"], file["channel"], file["time"]
        whole = TdcBlock(
            first_pulse=0, last_pulse=BLOCKS * BLOCK_PULSES - 1, bin_ps=bin_ps, pulse=pulse, channel=channel, time=at
        )  # fmt: skip
        edges = np.arange(BLOCKS + 1) * BLOCK_PULSES
        cuts = np.searchsorted(pulse, edges)
        self._blocks = [
            part_of(whole, cuts[k], cuts[k + 1], int(edges[k]), int(edges[k + 1]) - 1) for k in range(BLOCKS)
        ]
        identity = Identity(vendor="evapd", model="words in memory")
        return identity, TdcDescription(bin_ps=bin_ps, channels=5, counter_bits=63)

    def _release(self) -> None:
        self._blocks = []

    def _start(self) -> None:
        self._began_s, self._given, self._words = time.monotonic(), 0, 0

    def _stop(self) -> Iterable[TdcBlock]:
        told = {"blocks": self._given, "pulses": self._given * BLOCK_PULSES, "words": self._words}
        self._path.with_suffix(".sent").write_text(json.dumps(told))
        return ()

    def _poll(self) -> TdcBlock | None:
        due = int((time.monotonic() - self._began_s) * self._rate_hz / BLOCK_PULSES)
        if self._given >= due:
            return None
        turn, place = divmod(self._given, BLOCKS)
        shift, block = turn * BLOCKS * BLOCK_PULSES, self._blocks[place]
        self._given += 1
        self._words += block.n
        last = block.last_pulse + shift
        return replace(
            block, first_pulse=block.first_pulse + shift, last_pulse=last, pulse=block.pulse + np.uint64(shift),
            anchor=self._anchor(last + 1),
        )  # fmt: skip

    def _flush(self) -> TdcBlock:
        return self._beat()

    def _beat(self) -> TdcBlock:
        first = self._given * BLOCK_PULSES
        none = np.empty(0, np.int64)
        return TdcBlock(
            first_pulse=first, last_pulse=first - 1, bin_ps=self.describe().bin_ps, pulse=none.astype(np.uint64),
            channel=none.astype(np.uint8), time=none.astype(np.int32), anchor=self._anchor(first),
        )  # fmt: skip
