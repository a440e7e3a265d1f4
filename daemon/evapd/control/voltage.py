"""Which voltage was at the specimen when the ions flew, told in the scale of the law's own set points.

Two witnesses: the set points sent through the model of the supply (it follows with one time constant up and another down), and the readback.
The model is exact to the extent that nothing moves; the readback is right about movement but wrong by its calibration, and late. So a readback may
correct the model by no more than the voltage can have moved lately, and this trust always runs out: at rest, the model is believed, whatever the
readback said before. Where the readback departs by more, it has stepped, or the supply has: neither is the specimen's doing. The step is taken into
the calibration at once, and for a while the voltage may not rise.
"""

import math
from collections import deque

from evapd.control.types import ControlSettings

# ln(V read / V set) beyond which the supply is not where it was sent: limited, cut or broken, and no matter of calibration.
FARTHEST = 0.03
_DOUBT_S = 1.5
_FLOOR = 5e-4  # a change of readback smaller than this is resolution, not a step
_MOTION_S = 0.3  # an excursion of the set point is forgotten with this time constant
_TRUST_S = 0.4  # and what the readback may correct, once it does not close in on the model any more
_CALIBRATE_S, _CALIBRATE_DOUBTFUL_S = 2.0, 0.2
_MOVING = 2e-3  # trust at which calibrating takes twice as long
_LATE = 1.5  # a readback that is early or late changes by this many steps of model or command at most
_CLOSING_S, _CLOSING = (
    0.1,
    0.003,
)  # it closes in when it departs by so much less (part of itself) than its mean of so long
_FALLING = 0.004
_SLOWEST_S = 20.0
_CALM_READINGS = 4
_LASTS_S = 1.2  # longer than a guard's grace for a readback that is short


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
        """Begin at this voltage. How it came there is not known: the supply may still be on its way."""
        self._command = self._model = self._high = self._low = log_v
        self._path.clear()
        self._path.append((now_s, log_v))
        self._commands.clear()
        self._held = FARTHEST
        self._pace = self._offset = self._noise = self._correction = 0.0
        self._last: float | None = None
        self._before = self._mean = 0.0  # departure of the readback one reading ago, and its mean
        self._placed = log_v
        self._taken_s = now_s
        self._doubt_until_s = -math.inf
        self._unsettled, self._cut_by_others = 0, False
        self._short_since_s: float | None = None  # since when the supply stands far below
        self._followed: float | None = None  # by how much it stood below when that was followed
        self._tau_down_s = self._settings.hv_tau_down_s
        self._fell: tuple[float, float] | None = None
        self.moved = self.reckoned = 0.0

    def settle(self) -> None:
        """Others may have lowered the voltage: until the readback stands still, it tells where the voltage is."""
        self._unsettled = 0 if self._last is None else _CALM_READINGS
        self._cut_by_others = self._unsettled > 0

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
            self._taken_s = now_s
            self._doubt_until_s = min(self._doubt_until_s, now_s + _DOUBT_S)
        if dt_s <= 0.0:
            return
        step = (self._command - self._model) * self.share(dt_s)
        self._model += step
        self._path.append((now_s, self._model))
        self._pace = max(abs(step), self._pace * math.exp(-dt_s / 0.3))
        keep = math.exp(-dt_s / _MOTION_S)
        self._high = self._model + max(self._high - self._model, 0.0) * keep
        self._low = self._model + min(self._low - self._model, 0.0) * keep
        if not self._closing_in():
            self._held *= math.exp(-dt_s / _TRUST_S)

    def command(self, log_v: float) -> None:
        """Note the set point that holds from now on."""
        self._commands.append((self._path[-1][0], log_v))
        self._command = log_v
        self._pace = max(self._pace, abs(log_v - self._model))
        self._high, self._low = max(self._high, log_v), min(self._low, log_v)

    def take(self, log_read: float, at_s: float, now_s: float) -> float:
        """Take in a readback of the time `at_s`; gives ln V at the specimen then, in the scale of the set points.

        `moved` is then how far the voltage really moved since the last call, `reckoned` what is only told otherwise than before.
        """
        model = self._at(at_s)
        seen = log_read - model
        dt_s = min(max(now_s - self._taken_s, 0.0), 4.0 * self._settings.tick_s)
        change = 0.0 if self._last is None else seen - self._last
        if self._last is None:
            self._mean = seen
        self._mean += (self._mean - seen) * math.expm1(-dt_s / _CLOSING_S)
        self._before = seen if self._last is None else self._last
        self._last, self._taken_s = seen, now_s
        self._learn_fall(log_read, at_s)
        if self._unsettled > 0:
            self._unsettled -= abs(change) < self._floor()
            return self._place(model, min(0.0, seen - self._offset), change)
        self._held = max(self._held, self._range())
        unexplained = abs(change) - _LATE * self._pace
        if unexplained > self._floor():
            self._recalibrate(change, now_s)
        elif abs(seen - self._offset) > self._floor() + self._held:
            self._recalibrate(seen - self._offset, now_s)
        self._noise += 0.02 * (min(max(unexplained, 0.0), 2.0 * self._floor()) - self._noise)
        off = seen - self._offset
        slow = _CALIBRATE_DOUBTFUL_S if self.doubtful(now_s) else _CALIBRATE_S
        self._offset -= off * math.expm1(-dt_s / (slow * (1.0 + self._held / _MOVING)))
        trusted = max(0.0, self._held - _FLOOR)
        return self._place(model, max(-trusted, min(trusted, off)), change)

    def fallen_to(self, log_read: float, now_s: float, *, ions_gone: bool) -> float | None:
        """Give ln V when the supply stands far below what was asked for (limited or cut by others), else None.

        At once after an inhibit, and where the ions are gone as well; else only what lasts, because following a false
        readback would lower V without end, and hide the difference from those who watch over it. Until then V may not rise.
        """
        really = log_read - self._offset
        margin = 2.0 * _FLOOR if self._unsettled > 0 else FARTHEST + max(self._held, self._range())
        short = min(self._command, self._model) - really
        if short <= margin:
            self._short_since_s = None
            return None
        if (ions_gone and self._followed is None) or (self._cut_by_others and self._unsettled > 0):
            self._cut_by_others = True
            return really
        if self._short_since_s is None or self._short_since_s > now_s:
            self._short_since_s = now_s
        self._doubt_until_s = max(self._doubt_until_s, now_s + _DOUBT_S)
        if now_s - self._short_since_s < _LASTS_S:
            return None
        self._short_since_s = None
        if self._followed is not None and abs(short - self._followed) < FARTHEST:
            # It was followed, and is as far below again: the readback is wrong by that, the voltage is where it was sent.
            self._offset -= short
            self._followed = None
            return None
        self._followed = short
        return really

    def follow(self, log_v: float, now_s: float) -> None:
        """The voltage is here, whatever was asked for; the calibration stays."""
        self._command = self._model = self._high = self._low = log_v
        self._path.clear()
        self._path.append((now_s, log_v))
        self._last = self._before = self._mean = self._offset
        self._held = 0.0
        self._doubt_until_s = max(self._doubt_until_s, now_s + _DOUBT_S)
        self._unsettled = _CALM_READINGS if self._cut_by_others else 0

    def _floor(self) -> float:
        return _FLOOR + 5.0 * self._noise

    def _range(self) -> float:
        return self._high - self._low + self._pace

    def _recalibrate(self, by: float, now_s: float) -> None:
        self._doubt_until_s = now_s + _DOUBT_S + self._settings.delay_s
        self._offset = max(-FARTHEST, min(FARTHEST, self._offset + by))

    def _place(self, model: float, correction: float, change: float) -> float:
        # Only what the readback itself did is movement; trust that runs out, or a calibration, moves nothing.
        by_readback = correction - self._correction
        by_readback = max(min(0.0, change), min(max(0.0, change), by_readback))
        placed_model = self._placed - self._correction
        self.moved = model - placed_model + by_readback
        before, self._correction, self._placed = self._placed, correction, model + correction
        self.reckoned = self._placed - before - self.moved
        return self._placed

    def _closing_in(self) -> bool:
        """Whether the readback still comes nearer to the model: a supply that follows more slowly than it should."""
        if self._last is None:
            return False
        off = self._last - self._offset
        side = math.copysign(1.0, off)
        nearer = max(side * (self._mean - self._last), side * (self._before - self._last))
        return abs(off) > _FLOOR and nearer > _CLOSING * abs(off)

    def _learn_fall(self, log_read: float, at_s: float) -> None:
        """Time constant of the fall, from how fast the readback falls while it is well above the set point."""
        before, self._fell = self._fell, (log_read, at_s)
        if before is None or at_s - before[1] <= 0.0:
            return
        above = before[0] - self._offset - self._command_at(before[1])
        if above < _FLOOR < self._model - self._command:  # it has arrived, the model has not
            self._tau_down_s = max(self._settings.hv_tau_down_s, 0.8 * self._tau_down_s)
        fallen = before[0] - log_read
        if above < _FALLING or at_s - before[1] > 1.0 or fallen * _SLOWEST_S < above * (at_s - before[1]):
            return  # a readback that stands still above the set point does not fall slowly: it is wrong
        tau_s = above * (at_s - before[1]) / fallen
        # Only slower than configured: what is quicker than that the readback shows anyway.
        step = 0.15 * math.log(max(tau_s, self._settings.hv_tau_down_s) / self._tau_down_s)
        self._tau_down_s *= math.exp(max(-0.15, min(0.15, step)))

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
