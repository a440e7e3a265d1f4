"""What the protocol page shows in bytes, made by the code."""

import numpy as np

from evapd.blocks import Anchor, HitBlock
from evapd.stream.frame import HITS, Frame, Framer


def hex_dump(data: bytes) -> str:
    """Offset, sixteen bytes, and the same as ASCII."""
    lines = []
    for offset in range(0, len(data), 16):
        row = data[offset : offset + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{offset:04x}  {row.hex(' '):<47}  {text}")
    return "\n".join(lines)


def worked_example() -> Frame:
    """The frame of the page."""
    framer = Framer("0123456789abcdef0123456789abcdef", lambda: 5_025_000, lambda: 1_772_366_400_000_000)
    framer.run, framer.segment = "20260301T120000Z-W110", 1
    framer._next[HITS] = 41
    block = HitBlock(
        first_pulse=20_000,
        last_pulse=29_999,
        pulse=np.array([7, 4321], "<u4"),
        tof_ps=np.array([612_345, 598_001], "<i4"),
        x_um=np.array([-1250, 18_004], "<i4"),
        y_um=np.array([9_100, -3], "<i4"),
        quality=np.array([0, 2], "u1"),
        multiplicity=np.array([1, 1], "u1"),
        anchor=Anchor(20_000, 5_000_000),
        calibration="3f9a6c",
    )
    return framer.hits(block)
