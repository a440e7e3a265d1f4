"""Which voltage was at the specimen when the ions flew, told in the scale of the law's own set points.

Two witnesses: the set points sent through the model of the supply (it follows with one time constant up and another down), and the readback.
The model is exact to the extent that nothing moves; the readback is right about movement but wrong by its calibration. So a readback may
correct the model by no more than the set point has moved lately. Where it departs by more, at a still set point, it is the readback that has
stepped, or the supply: neither is the specimen's doing. The step is taken into the calibration at once, and for a while the voltage may not rise.
"""

import math
from collections import deque

from evapd.control.types import ControlSettings

# ln(V read / V set) beyond which the supply is not where it was sent: limited, cut or broken, and no matter of calibration.
FARTHEST = 0.03
_DOUBT_S = 1.5
_FLOOR = 5e-4  # a change of readback smaller than this is resolution, not a step
_MOTION_S = 1.0  # movement is remembered for this long once the readback agrees
_LAGGING_S = 10.0  # and for this long while it does not
_CALIBRATE_S = 2.0
_FALLING = 0.004
_SLOWEST_S = 20.0
_CALM_READINGS = 4


class VoltageTrack:
    """Follows ln V in V of the set points; `doubtful` says that the readback has just stepped."""

    def __init__(self, settings: ControlSettings) -> None:
        self._settings = settings
        self._path: deque[tuple[float, float]] = deque(
            maxlen=max(16, math.ceil((settings.delay_s + 2.0) / settings.tick_s))
        )
        self._commands: deque[tuple[float, float]] = deque(maxlen=self._path.maxlen)
        self.reset(0.0, 0.0)

    def reset(self, log_v: float, now_s: float) -> None:
        """Begin at rest at this voltage."""
        self._command = self._model = log_v
        self._path.clear()
        self._path.append((now_s, log_v))
        self._commands.clear()
        self._motion = self._pace = 0.0
        self._offset = 0.0
        self._noise = 0.0
        self._last: float | None = None
        self._doubt_until_s = -math.inf
        self._unsettled = 0
        self._tau_down_s = self._settings.hv_tau_down_s
        self._fell: tuple[float, float] | None = None

    def settle(self) -> None:
        """Others may have lowered the voltage: until the readback stands still, it tells where the voltage is."""
        self._unsettled = 0 if self._last is None else _CALM_READINGS

    @property
    def offset(self) -> float:
        """Calibration of the readback, ln(V read / V set), as learned."""
        return self._offset

    @property
    def now(self) -> float:
        """Voltage, as ln V, at which the model has the supply now."""
        return self._model

    def share(self, after_s: float) -> float:
        """Share of the way to the set point that the supply covers in so many seconds."""
        tau_s = self._settings.hv_tau_up_s if self._command >= self._model else self._tau_down_s
        return -math.expm1(-after_s / max(tau_s, 1e-3))

    def reached(self, after_s: float) -> float:
        """Voltage, as ln V, that the supply will have reached after so many seconds at this set point."""
        return self._model + (self._command - self._model) * self.share(after_s)

    def doubtful(self, now_s: float) -> bool:
        """Whether the readback stepped so lately that the voltage must not rise."""
        return now_s < self._doubt_until_s or self._unsettled > 0

    def advance(self, now_s: float) -> None:
        """Let the supply follow the last set point until now."""
        dt_s = now_s - self._path[-1][0]
        if dt_s < 0.0:  # the clock went back: what was before cannot be placed any more
            self._path.clear()
            self._path.append((now_s, self._model))
            self._doubt_until_s = min(self._doubt_until_s, now_s + _DOUBT_S)
        if dt_s <= 0.0:
            return
        step = (self._command - self._model) * self.share(dt_s)
        self._model += step
        self._path.append((now_s, self._model))
        forget_s = _LAGGING_S if self._lagging() else _MOTION_S
        self._motion = self._motion * math.exp(-dt_s / forget_s)
        self._pace = max(abs(step), self._pace * math.exp(-dt_s / 0.3))

    def command(self, log_v: float) -> None:
        """Note the set point that holds from now on."""
        self._motion += abs(log_v - self._command)
        self._commands.append((self._path[-1][0], log_v))
        self._command = log_v

    def take(self, log_read: float, at_s: float, now_s: float) -> float:
        """Take in a readback of the time `at_s`; gives ln V at the specimen then, in the scale of the set points."""
        model = self._at(at_s)
        seen = log_read - model
        if self._last is None:
            self._offset = max(-FARTHEST, min(FARTHEST, seen))
        self._learn_fall(log_read - self._offset, at_s)
        change = 0.0 if self._last is None else seen - self._last
        self._last = seen
        floor = _FLOOR + 5.0 * self._noise
        off = seen - self._offset
        if self._unsettled > 0:
            self._unsettled -= abs(change) < floor
            return min(model, log_read - self._offset)
        if abs(change) > floor + 3.0 * self._pace or abs(off) > floor + 1.2 * self._motion:
            self._doubt_until_s = now_s + _DOUBT_S + self._settings.delay_s
            self._offset = max(-FARTHEST, min(FARTHEST, self._offset + off))
            off = 0.0
        if self._motion < _FLOOR:
            self._noise += 0.02 * (min(abs(change), 2.0 * floor) - self._noise)
            share = self._settings.tick_s / (0.2 if self.doubtful(now_s) else _CALIBRATE_S)
            self._offset += min(0.5, share) * off
        trusted = max(0.0, self._motion - _FLOOR)
        return model + max(-trusted, min(trusted, off))

    def fallen_to(self, log_read: float) -> float | None:
        """Give ln V when the supply stands far below what was asked for (limited or cut by others), else None."""
        really = log_read - self._offset
        lag = self._motion if self._motion > _FLOOR else 0.0
        margin = 2.0 * _FLOOR if self._unsettled > 0 else FARTHEST + lag
        if really >= min(self._command, self._model) - margin:
            return None
        return really

    def follow(self, log_v: float, now_s: float) -> None:
        """The voltage is here, whatever was asked for; the calibration stays."""
        self._command = self._model = log_v
        self._path.clear()
        self._path.append((now_s, log_v))
        self._last = self._offset
        self._doubt_until_s = max(self._doubt_until_s, now_s + _DOUBT_S)
        self._unsettled = _CALM_READINGS

    def _learn_fall(self, real: float, at_s: float) -> None:
        """Time constant of the fall, from how fast the readback falls while it is well above the set point."""
        before, self._fell = self._fell, (real, at_s)
        if before is None or at_s - before[1] <= 0.0:
            return
        above = before[0] - self._command_at(before[1])
        if above < _FALLING or at_s - before[1] > 1.0:
            return
        fallen = max(before[0] - real, 0.0)
        tau_s = min(above * (at_s - before[1]) / max(fallen, 1e-6), _SLOWEST_S)
        # Only slower than configured: what is quicker than that the readback shows anyway.
        step = 0.15 * math.log(max(tau_s, self._settings.hv_tau_down_s) / self._tau_down_s)
        self._tau_down_s *= math.exp(max(-0.15, min(0.15, step)))

    def _lagging(self) -> bool:
        return self._last is not None and abs(self._last - self._offset) > max(_FLOOR, 0.25 * self._motion)

    def _command_at(self, t_s: float) -> float:
        for since_s, log_v in reversed(self._commands):
            if since_s <= t_s:
                return log_v
        return self._commands[0][1] if self._commands else self._command

    def _at(self, t_s: float) -> float:
        later = self._path[-1]
        if t_s >= later[0]:
            return later[1]
        for earlier in reversed(self._path):
            if earlier[0] <= t_s:
                share = (t_s - earlier[0]) / (later[0] - earlier[0]) if later[0] > earlier[0] else 0.0
                return earlier[1] + share * (later[1] - earlier[1])
            later = earlier
        return later[1]
