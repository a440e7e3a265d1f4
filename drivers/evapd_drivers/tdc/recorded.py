"""What a replay can play: words of a run or words file, hits of a run, hits file or APyT `.raw` file; read in bounded memory.

It is read by what wrote it: this is the one driver module that imports the recorder, and only when something is played.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from evapd.blocks import HitBlock, TdcBlock
from evapd.errors import RecordError
from evapd.units import PS_PER_NS, UM_PER_MM

B = TypeVar("B", TdcBlock, HitBlock)
MAX_WORDS = 1 << 16
_MS_PER_S = 1000.0


@dataclass(frozen=True, slots=True)
class Recording(Generic[B]):
    """Something recorded, found and readable; `pulse_rate_hz` None where it does not say how fast pulses came."""

    what: str
    bin_ps: Fraction
    channels: int
    pulse_rate_hz: float | None
    blocks: Callable[[], Iterator[B]]  # from the beginning, every time


def recorded_words(path: Path) -> Recording[TdcBlock]:
    """Open a run folder or a words file.

    Raises:
        EvapdError: it is absent, damaged, or was recorded without words.
    """
    from evapd.record.words import open_words  # noqa: PLC0415 - loads more than most rigs need

    source = open_words(path, max_words=MAX_WORDS)
    anode = source.anode
    return Recording(
        what=f"words of {path.name}",
        bin_ps=source.bin_ps,
        channels=7 if anode is None or anode.kind == "hex" else 5,
        pulse_rate_hz=None if source.info is None else _rate_of(source.info.configuration),
        blocks=source.blocks,
    )


def recorded_hits(path: Path) -> Recording[HitBlock]:
    """Open a run folder, a hits file (`.npz`) or an APyT `.raw` file.

    Raises:
        EvapdError: it is absent, damaged, or none of these.
    """
    if path.is_dir():
        return _hits_of_run(path)
    if not path.is_file():
        raise RecordError(
            f"{path} does not exist; give a run folder, a hits file (.npz) or an APyT .raw file"
        )
    if path.suffix == ".npz":
        from evapd.record.hitsfile import read_hits  # noqa: PLC0415

        next(read_hits(path), None)  # says now what is wrong with it
        return _hits(path, None, lambda: read_hits(path))
    return _hits_of_raw(path)


def _hits(path: Path, rate_hz: float | None, blocks: Callable[[], Iterator[HitBlock]]) -> Recording[HitBlock]:
    return Recording(f"hits of {path.name}", Fraction(1), 1, rate_hz, blocks)


def _rate_of(configuration: Any) -> float | None:
    rate_hz = configuration.get("pulse", {}).get("rate_hz")
    return float(rate_hz) if rate_hz else None


def _hits_of_run(path: Path) -> Recording[HitBlock]:
    from evapd.record.journal import read_journal  # noqa: PLC0415
    from evapd.record.run import ACQUIRE_PREFIX, RunStore  # noqa: PLC0415
    from evapd.stream.frame import HITS  # noqa: PLC0415

    store = RunStore(path)
    info = store.load()

    def blocks() -> Iterator[HitBlock]:
        for message in read_journal(store.journal, ACQUIRE_PREFIX):
            if message.topic == HITS:
                yield message.hit_block()

    return _hits(path, _rate_of(info.configuration), blocks)


def _hits_of_raw(path: Path) -> Recording[HitBlock]:
    from evapd.export.raw import open_raw  # noqa: PLC0415

    rows = open_raw(path)
    pulse = np.asarray(rows["pulse"], np.int64)
    if np.any(np.diff(pulse) < 0):
        raise RecordError(
            f"{path}: pulse numbers fall, so hits are out of order; `evapd import` makes a run of it"
        )
    epoch = rows["epoch"]
    elapsed_s = (int(epoch[-1]) - int(epoch[0])) / _MS_PER_S
    pulses = int(pulse[-1] - pulse[0])
    rate_hz = pulses / elapsed_s if elapsed_s > 0 and pulses > 0 else None
    return _hits(path, rate_hz, lambda: _raw_blocks(rows, pulse))


def _raw_blocks(rows: Any, pulse: Any) -> Iterator[HitBlock]:
    a = 0
    while a < len(pulse):
        b = min(a + MAX_WORDS, len(pulse))
        b = int(np.searchsorted(pulse, pulse[b - 1], "right"))  # a pulse comes with all its hits
        _, index, count = np.unique(pulse[a:b], return_inverse=True, return_counts=True)
        part = rows[a:b]
        x_um, y_um = (
            np.rint(part[name] * np.float64(UM_PER_MM)).astype(np.int32) for name in ("x_mm", "y_mm")
        )
        yield HitBlock(
            first_pulse=int(pulse[a]),
            last_pulse=int(pulse[b - 1]),
            pulse=(pulse[a:b] - pulse[a]).astype(np.uint32),
            tof_ps=np.rint(part["tof_ns"] * np.float64(PS_PER_NS)).astype(np.int32),
            x_um=x_um,
            y_um=y_um,
            quality=np.zeros(b - a, np.uint8),
            multiplicity=np.minimum(count, 255).astype(np.uint8)[index],
        )
        a = b
