"""An integrating analogue-to-digital converter behind a readback register."""

from dataclasses import dataclass, field

import numpy as np

# Mode: conversion time in s, bits beside the sign. Times from the Probus V command reference (register M0I), bits as
# the same reference gives them for the two ends and typical values between.
MODES: tuple[tuple[float, int], ...] = (
    (256e-6, 14), (1e-3, 15), (4e-3, 15), (20e-3, 17), (40e-3, 17), (80e-3, 18), (200e-3, 19), (800e-3, 20),
)  # fmt: skip


@dataclass(slots=True)
class Adc:
    """Converts one quantity, over and over: the register holds the mean of the last complete conversion.

    Attributes:
        full_scale: value of the largest code, in the unit of the quantity.
        mode: index into `MODES`.
        noise_lsb: standard deviation of one conversion in codes.
        ideal: neither noise nor rounding, for transcripts.
    """

    full_scale: float
    rng: np.random.Generator
    mode: int = 3
    noise_lsb: float = 0.5
    ideal: bool = False
    value: float = 0.0
    counts: int = 0
    _sum: float = field(default=0.0, repr=False)
    _time_s: float = field(default=0.0, repr=False)

    def advance(self, value: float, dt_s: float) -> None:
        """Integrate `value` over `dt_s`."""
        time_s, bits = MODES[self.mode]
        self._sum += value * dt_s
        self._time_s += dt_s
        if self._time_s < time_s:
            return
        mean = value if dt_s >= time_s else self._sum / self._time_s
        self._sum = self._time_s = 0.0
        lsb = self.full_scale / 2**bits
        codes = mean / lsb if self.ideal else mean / lsb + self.rng.normal(0.0, self.noise_lsb)
        self.counts = round(codes)
        self.value = mean if self.ideal else self.counts * lsb
