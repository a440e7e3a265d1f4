"""Words on disk: files as anyone may write them with numpy, and run folders as acquire leaves them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evapd.blocks import Anchor, HitBlock, TdcBlock, join_hits
from evapd.matching import Anode, Matcher
from evapd.record.run import RunStore, new_run_folder
from support.anodes import quad
from support.recorded_runs import RATE_HZ, T_MONO, T_UTC, Recorder, info_of, record_guard
from support.signals import part_of


def save_words(path: Path, block: TdcBlock, *, compressed: bool = False, **changes: Any) -> Path:
    """Write a words file with numpy; a change of None leaves the array out."""
    arrays: dict[str, Any] = {
        "pulse": block.pulse,
        "channel": block.channel,
        "time": block.time,
        "bin_ps": np.array(block.bin_ps.as_integer_ratio()),
        "first_pulse": block.first_pulse,
        "last_pulse": block.last_pulse,
    } | changes
    save = np.savez_compressed if compressed else np.savez
    save(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def frames_of(block: TdcBlock, pulses: int) -> Iterator[TdcBlock]:
    """Cut a block into frames of so many pulses, each with the anchor of its last pulse at 200 kHz."""
    for first in range(block.first_pulse, block.last_pulse + 1, pulses):
        last = min(first + pulses - 1, block.last_pulse)
        a, b = np.searchsorted(block.pulse, np.array([first, last + 1], np.uint64))
        anchor = Anchor(last, T_MONO + round((last + 1) * 1e6 / RATE_HZ))
        yield replace(part_of(block, int(a), int(b), first, last), anchor=anchor)


def record_words(
    runs: Path,
    frames: Iterable[TdcBlock],
    anode: Anode | None = None,
    *,
    seconds: float = 0.0,
    **changes: Any,
) -> tuple[RunStore, HitBlock]:
    """Record frames of words with the hits that acquire would make of them; gives the hits.

    As in acquire a frame without words is not written, its hits are. With `seconds` there are voltages, too.
    """
    anode = anode or quad()
    folder = new_run_folder(runs, "tip", T_UTC)
    store = RunStore(folder)
    known = {"anode": anode.model_dump(mode="json"), "calibration": anode.calibration_id, "state": "finished"}
    store.create(info_of(folder, **(known | changes)))
    if seconds:
        record_guard(store, seconds)
    acquire, matcher, made = Recorder.at(store.journal, "acquire", folder.name), Matcher(anode), []
    for frame in frames:
        acquire.now_us[0] = frame.anchor.t_mono_us
        if frame.n or frame.loss:
            acquire.journal.append(acquire.framer.words(frame))
        made.append(matcher.match(frame))
        acquire.journal.append(acquire.framer.hits(made[-1]))
    made.append(matcher.flush())
    acquire.journal.append(acquire.framer.hits(made[-1]))
    acquire.journal.close()
    return store, join_hits(made)
