"""Small blocks for tests."""

from fractions import Fraction

import numpy as np

from evapd.blocks import Anchor, HitBlock, Loss, TdcBlock


def words(
    first_pulse: int, last_pulse: int, rows: list[tuple[int, int, int]] | None = None, loss: Loss = Loss.NONE
) -> TdcBlock:
    """A block of words from rows of (pulse, channel, time)."""
    table = np.array(rows or np.empty((0, 3)), dtype=np.int64).reshape(-1, 3)
    return TdcBlock(
        first_pulse=first_pulse,
        last_pulse=last_pulse,
        bin_ps=Fraction(25),
        pulse=table[:, 0].astype(np.uint64),
        channel=table[:, 1].astype(np.uint8),
        time=table[:, 2].astype(np.int32),
        anchor=Anchor(last_pulse, last_pulse * 5),
        loss=loss,
    )


def hits(
    first_pulse: int, last_pulse: int, rows: list[tuple[int, int]] | None = None, loss: Loss = Loss.NONE
) -> HitBlock:
    """A block of hits from rows of (pulse offset, tof in ps)."""
    table = np.array(rows or np.empty((0, 2)), dtype=np.int64).reshape(-1, 2)
    n = len(table)
    return HitBlock(
        first_pulse=first_pulse,
        last_pulse=last_pulse,
        pulse=table[:, 0].astype(np.uint32),
        tof_ps=table[:, 1].astype(np.int32),
        x_um=np.zeros(n, np.int32),
        y_um=np.zeros(n, np.int32),
        quality=np.zeros(n, np.uint8),
        multiplicity=np.ones(n, np.uint8),
        anchor=Anchor(last_pulse, last_pulse * 5),
        calibration="quad-test",
        loss=loss,
    )
