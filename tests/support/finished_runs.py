"""Finalised runs of every kind that a report may meet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evapd.blocks import Anchor, HitBlock
from evapd.record.finalise import finalise
from evapd.record.run import RunStore, new_run_folder
from support.recorded_runs import RATE_HZ, T_MONO, T_UTC, Recorder, info_of, record_guard

ANODE = {
    "kind": "quad",
    "radius_mm": 40.0,
    "layers": {
        "x": {"time_sum_ps": 100_000, "mm_per_ns": 0.8},
        "y": {"time_sum_ps": 100_000, "mm_per_ns": 0.8},
    },
}
BLOCK_PULSES = 10_000


def hit_block(
    number: int,
    pulses: Sequence[int] = (),
    tof_ps: int | Sequence[int] = 500_000,
    inhibited: int = 0,
    last: int | None = None,
    **columns: Any,
) -> HitBlock:
    """The block `number` of 50 ms at 200 kHz, with hits at the given pulses of it."""
    n, first = len(pulses), number * BLOCK_PULSES
    end = first + BLOCK_PULSES - 1 if last is None else last
    many = np.unique(np.asarray(pulses, int), return_inverse=True, return_counts=True)
    made: dict[str, Any] = {
        "tof_ps": tof_ps,
        "x_um": 0,
        "y_um": 0,
        "quality": 0,
        "multiplicity": many[2][many[1].ravel()] if n else 1,
    } | columns
    types = {"tof_ps": "<i4", "x_um": "<i4", "y_um": "<i4", "quality": "u1", "multiplicity": "u1"}
    return HitBlock(
        first_pulse=first,
        last_pulse=end,
        pulse=np.asarray(pulses, np.uint32),
        **{name: np.array(np.broadcast_to(made[name], n), dtype) for name, dtype in types.items()},
        anchor=Anchor(end, T_MONO + round((end + 1) * 1e6 / RATE_HZ)),
        calibration="test",
        inhibited_pulses=inhibited,
    )


def finished_run(
    runs: Path, made: Sequence[HitBlock], *, seconds: float | None = None, guard: bool = True, **changes: Any
) -> Path:
    """Write and finalise a run of these blocks; without `guard` nobody read a voltage."""
    folder = new_run_folder(runs, "tip", T_UTC)
    store = RunStore(folder)
    store.create(info_of(folder, **({"anode": ANODE, "state": "finished", "end_reason": "test"} | changes)))
    if guard:
        record_guard(store, 0.05 * len(made) if seconds is None else seconds)
    acquire = Recorder.at(store.journal, "acquire", folder.name)
    for block in made:
        acquire.now_us[0] = block.anchor.t_mono_us
        acquire.journal.append(acquire.framer.hits(block))
    acquire.journal.close()
    finalise(folder)
    return folder
