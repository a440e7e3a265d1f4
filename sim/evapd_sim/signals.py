"""From arrivals on the detector to electric signals.

Each arrival gives a signal on the MCP channel and on both ends of every delay line. Signals jitter and go missing, and
suffer what the effects say; lone noise signals are added. What a channel with a dead time registers of them is the
converter's affair.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd_sim.anode import AnodeFile
from evapd_sim.converter import NO_OWNER, Signals
from evapd_sim.effects import NO_EFFECTS, SignalEffects
from evapd_sim.heights import draw_heights, found_late_ps
from evapd_sim.pattern import FixedPattern
from evapd_sim.reflections import reflect

Floats = NDArray[np.float64]
_NS_TO_PS = 1000.0


class Arrivals(NamedTuple):
    """What strikes the detector: pulse, time in ps after it, place in mm from the detector's centre. Shapes (n,)."""

    pulse: NDArray[np.int64]
    t_ps: Floats
    x_mm: Floats
    y_mm: Floats


class DelayLines:
    """The signals of one anode, in ps, before any converter.

    A hit at t with coordinate c along a layer's axis gives t1 = t + (sum + 2c/f + offset) / 2 and
    t2 = t + (sum - 2c/f - offset) / 2, so that t1 + t2 - 2t = sum and f (t1 - t2 - offset) / 2 = c.
    """

    def __init__(
        self,
        anode: AnodeFile,
        *,
        jitter_ps: float,
        missing: float,
        noise_hz: float,
        effects: SignalEffects = NO_EFFECTS,
    ) -> None:
        self._effects = effects
        self._jitter_ps = jitter_ps
        self._missing = missing
        self._noise_hz = noise_hz  # per channel
        self._pattern = FixedPattern(anode, effects)
        lines = anode.lines()
        self.channels = 1 + 2 * len(lines)
        base, along_x, along_y = [0.0], [0.0], [0.0]
        for layer, angle_deg in lines:
            ps_per_mm = _NS_TO_PS / layer.mm_per_ns
            for sign in (1.0, -1.0):
                base.append((layer.time_sum_ps + sign * layer.offset_ps) / 2.0)
                along_x.append(sign * ps_per_mm * math.cos(math.radians(angle_deg)))
                along_y.append(sign * ps_per_mm * math.sin(math.radians(angle_deg)))
        self._along_x = np.array(along_x)[:, None]
        self._along_y = np.array(along_y)[:, None]
        centre_x_mm, centre_y_mm = anode.centre_mm
        self._base = np.array(base)[:, None] + self._along_x * centre_x_mm + self._along_y * centre_y_mm

    def times(self, t_ps: Floats, x_mm: Floats, y_mm: Floats) -> Floats:
        """Times in ps, shape (channels, n), of arrivals without jitter or loss, from shapes (n,)."""
        times: Floats = t_ps + self._base + self._along_x * x_mm + self._along_y * y_mm
        if not self._pattern.flat:
            self._pattern.add_to(times, x_mm, y_mm)
        return times

    def signals(self, rng: np.random.Generator, arrivals: Arrivals, first_owner: int = 0) -> Signals:
        """Signals of arrivals, which are numbered from `first_owner` on."""
        effects = self._effects
        times = self.times(arrivals.t_ps, arrivals.x_mm, arrivals.y_mm)
        if self._jitter_ps > 0.0:
            times += rng.normal(0.0, self._jitter_ps, times.shape)
        seen = rng.random(times.shape) >= self._missing if self._missing > 0.0 else np.ones(times.shape, bool)
        if effects.gap_loss > 0.0:
            seen &= ~self._pattern.lost_in_gap(rng, arrivals.x_mm, arrivals.y_mm)
        heights = None
        if effects.threshold > 0.0:
            heights = draw_heights(rng, effects, *times.shape)
            times += found_late_ps(effects, heights)
            seen &= heights > effects.threshold
        flat = np.flatnonzero(seen)
        channel, hit = np.divmod(flat, max(len(arrivals.pulse), 1))
        signals = Signals(
            arrivals.pulse[hit], channel.astype(np.uint8), times.ravel()[flat], hit + first_owner
        )
        if effects.reflections > 0.0:
            return reflect(rng, effects, signals, None if heights is None else heights.ravel()[flat])
        return signals

    def noise(self, rng: np.random.Generator, dt_s: float, pulses: int, period_ps: float) -> Signals:
        """Lone signals of `dt_s` seconds, uniform over the pulses, their periods and the channels."""
        n = int(rng.poisson(self._noise_hz * self.channels * dt_s))
        return Signals(
            rng.integers(0, pulses, n),
            rng.integers(0, self.channels, n, dtype=np.uint8),
            rng.random(n) * period_ps,
            np.full(n, NO_OWNER),
        )
