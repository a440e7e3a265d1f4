"""What the tests of frames, stream and client share: framers with a counted clock, blocks, and waiting."""

import itertools
import select
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from evapd.blocks import Anchor, HitBlock, Loss, TdcBlock
from evapd.stream.frame import Framer


def make_framer(instance: str = "first-start") -> Framer:
    """A framer whose clocks count calls."""
    mono, utc = itertools.count(1_000_000, 50_000), itertools.count(1_700_000_000_000_000, 50_000)
    return Framer(instance, lambda: next(mono), lambda: next(utc))


def make_hits(n: int, seed: int = 1, first_pulse: int = 1000, pulses: int = 10_000) -> HitBlock:
    """Random hits within 10 000 pulses."""
    rng = np.random.default_rng(seed)
    return HitBlock(
        first_pulse=first_pulse,
        last_pulse=first_pulse + pulses - 1,
        pulse=np.sort(rng.integers(0, pulses, n)).astype("<u4"),
        tof_ps=rng.integers(0, 2**31 - 1, n).astype("<i4"),
        x_um=rng.integers(-40_000, 40_000, n).astype("<i4"),
        y_um=rng.integers(-40_000, 40_000, n).astype("<i4"),
        quality=rng.integers(0, 256, n).astype("u1"),
        multiplicity=rng.integers(1, 256, n).astype("u1"),
        anchor=Anchor(first_pulse, 123_456_789),
        calibration="c0ffee",
        loss=Loss.SATURATED,
        inhibited_pulses=3,
    )


def make_words(n: int, seed: int = 1) -> TdcBlock:
    """Random words."""
    rng = np.random.default_rng(seed)
    return TdcBlock(
        first_pulse=2**40,
        last_pulse=2**40 + 99,
        bin_ps=Fraction(5000, 384),
        pulse=np.sort(rng.integers(2**40, 2**40 + 100, n)).astype("<u8"),
        channel=rng.integers(0, 5, n).astype("u1"),
        time=rng.integers(0, 100_000, n).astype("<i4"),
    )


def wait_for(condition: Callable[[], object], limit_s: float = 30.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        select.select([], [], [], 0.005)
