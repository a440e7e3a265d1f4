"""The default law: interacting models of the specimen over Poisson counts, with an identified sensitivity.

Each window of counts is placed at the voltage that was there when its ions flew (`voltage.py`), and goes into the models of `modes.py`; the movement of
the voltage since then is reckoned with the S of `sensitivity.py`. So what is compared with the target is the log rate that is to be expected
once everything that was commanded has arrived. The models weigh themselves: in quiet running the slowest one speaks and counting
noise hardly reaches the voltage; when poles, terraces or a layer move the rate, a quicker one takes over within a few windows.

Authority is asymmetric: down at once, up at the slew, slower while counts are too few to stop in time, and not at all when blind, after an
abrupt collapse of the rate, or while the readback is in doubt.
"""

import math
from collections import deque
from dataclasses import replace

from evapd.control.counts import Background, Counts, usable
from evapd.control.dispersion import Dispersion
from evapd.control.ledger import Ledger
from evapd.control.limits import Limits
from evapd.control.modes import Ahead, ModeBank
from evapd.control.poisson import Window
from evapd.control.sensitivity import LOWEST, SensitivityBank
from evapd.control.types import ControlSettings, RateObservation, Setpoint
from evapd.control.voltage import VoltageTrack

# Counting noise that the quiet model lets through to V_dc, relative rms.
_VOLTAGE_NOISE = 5e-5
# Time constant with which an expected error is taken back, in ticks.
_CLOSING_TICKS = 0.8
_HUNTING_BELOW = math.log(0.05)  # log units relative to target
# Older than the configured delay by this much: nothing to steer by.
_STALE_S = 1.0
_LONGEST_GAP_S = 5.0
# An abrupt collapse: the rate falls by more than this (log units) beyond what the voltage explains, to below a twentieth.
_COLLAPSE = 2.5
_HOLD_S = 10.0
_CREEP = 0.25  # of max_slew_up, from the end of the hold until the rate is back
_BACK_ABOVE = math.log(0.2)
_KNOWN_SD = 0.7
# S is looked for on the start-up ramp from this part of the target on.
_IDENTIFY_ABOVE = math.log(0.02)
_RAMP_WANDER = 3e-3  # 1/s, variance of the log rate: on the ramp the voltage moves, hardly the specimen
# A movement per window that comes and goes (log units of V): an error of S in it cancels in the next.
_JITTER = 3e-4
_UNDISTURBED = 0.3  # weight of drift, jump and burst up to which S is re-checked
_ENOUGH = 6.0  # counts in a window: with fewer the scatter of a surprise is lopsided
_LOST_WANDER = 2.0  # 1/s, while there are hardly any counts
_GROWTH = 0.6  # log units by which the rate may grow on the ramp before it is seen
_STEEPEST = 250.0  # S for which a rise without counts must still be stoppable
_SURGE_FROM, _SURGE_FULL = 0.1, 0.25  # log units above target between which a surge is feared
_CLIMBING_TICKS = 3.0  # a climbing rate is expected to climb on for so long
_NOISY = 0.2  # log units by which a window of a quiet specimen may be above its target
_FLATTER = 1.5  # standard deviations of S
_FAR_ABOVE = 0.3  # log units above target
_OVERDRIVE = 0.3  # log units of V that the set point may be below the voltage
_MOST_LEAN = 0.03  # log units; wariness lowers more often than it need
_MARGIN = 0.3  # log units below target to which a trip is answered


class Imm:
    """Law `imm`; see the module for the idea. Deterministic, in seconds of virtual time."""

    def __init__(self, settings: ControlSettings) -> None:
        self._limits = Limits(settings)
        self._voltage = VoltageTrack(settings)
        self._ledger = Ledger(settings, most_lean=_MOST_LEAN)
        self._sensitivity = SensitivityBank()
        self._dispersion = Dispersion()
        self._modes = ModeBank(settings.target_rate * settings.pulse_rate_hz)
        self._aim(settings)
        self._log_v = self._limits.lowest
        self.reset(settings.v_min_v, 0.0)

    def reset(self, v_dc_v: float, now_s: float) -> None:
        """Begin from a voltage in V: nothing is known of the specimen there."""
        self._log_v = self._limits.start(v_dc_v)
        self._voltage.reset(self._log_v, now_s)
        self._ledger.reset()
        self._background = Background(self._settings)
        self._sensitivity.forget()
        self._drift_of = self._sensitivity.mean  # S that the models' drift was learned with
        self._dispersion = Dispersion()
        silent_hz = max(0.5 * self._settings.dark_rate_hz, 0.5)
        self._modes.reseed(
            math.log(min(silent_hz / self._settings.pulse_rate_hz, 0.01 * self._settings.target_rate)), 4.0
        )
        self._ahead: tuple[float, Ahead] | None = None
        self._then_s = now_s
        self._seen_s = -math.inf
        self._at_log_v = self._log_v
        self._blind_until_s: float | None = None
        self._goal: float | None = None
        self._starting = True
        self._hold_until_s = -math.inf
        self._creeping = False
        self._levels: deque[tuple[float, float]] = deque()

    def confine(self, v_max_v: float) -> None:
        """Do not go above this voltage in V from now on."""
        self._limits.confine(v_max_v)

    def set_ceilings(self, v_max_v: float, energy_max_pj: float | None = None) -> None:
        """Move the upper end of the range of voltage, in V."""
        del energy_max_pj
        self._limits.set_highest(v_max_v)

    def retarget(self, target_rate: float) -> None:
        """Hold another rate from now on, in hits per live pulse; what is known of the specimen stays, the voltage moves from where it is."""
        self._aim(replace(self._settings, target_rate=target_rate))

    def step(self, observation: RateObservation | None, now_s: float) -> Setpoint:
        """Take in the newest counts and propose the next voltage."""
        now_s = now_s if math.isfinite(now_s) else self._then_s
        dt_s = self._limits.seconds(self._then_s, now_s)
        self._then_s = now_s
        self._voltage.advance(now_s)
        if self._is_blind(now_s):
            self._descend(dt_s)
            return self._setpoint("frozen", now_s)
        counts = usable(observation, self._settings)
        if counts is None or not self._is_new(counts, now_s):
            return self._setpoint("frozen", now_s)
        self._take_in(self._background.expected(counts), now_s)
        return self._setpoint(self._move(dt_s, now_s), now_s)

    def inhibited(self, now_s: float, ratio: float) -> None:
        """Freeze, or go down by what the ratio asks for: the rate was `ratio` times the target at the present voltage."""
        del now_s
        log_ratio = math.log(10.0 if math.isnan(ratio) else min(max(ratio, 1e-3), 1e6))
        self._blind_until_s = math.inf
        self._forget(self._log_target + log_ratio)
        if log_ratio > math.log(2.0):
            self._goal = self._log_v - (log_ratio + _MARGIN) / self._sensitivity.mean

    def resumed(self, now_s: float) -> None:
        """Go on once the counts of the inhibited time have passed through the delay."""
        self._blind_until_s = now_s + self._settings.delay_s + self._settings.tick_s
        self._then_s = now_s
        self._voltage.settle()

    def _aim(self, settings: ControlSettings) -> None:
        self._settings = settings
        self._log_target = math.log(settings.target_rate)
        self._target_hz = settings.target_rate * settings.pulse_rate_hz
        self._lag_s = settings.delay_s + 1.5 * settings.tick_s + settings.hv_tau_up_s
        self._ledger.aim(settings)
        self._modes.expect(self._target_hz)
        self._horizon_s = 4.0 * settings.tick_s
        self._hunting_slew = min(settings.max_slew_up_hunting, _stoppable(self._target_hz, self._lag_s))

    def _is_blind(self, now_s: float) -> bool:
        if self._blind_until_s is None:
            return False
        if now_s < self._blind_until_s:
            return True
        self._blind_until_s = self._goal = None
        return False

    def _is_new(self, counts: Counts, now_s: float) -> bool:
        age_s = now_s - counts.t_s
        if not -self._settings.tick_s <= age_s <= self._settings.delay_s + _STALE_S:
            return False
        if counts.t_s > self._seen_s + 1e-9 or counts.saturated:
            return True
        if self._seen_s > now_s + self._settings.tick_s:  # the clock went back
            self._seen_s = -math.inf
            return True
        return False

    def _forget(self, log_rate: float) -> None:
        self._modes.reseed(log_rate, 0.25)
        self._ahead = None
        self._sensitivity.lose_track()
        self._dispersion.lose_track()
        self._ledger.lose_track()
        self._levels.clear()
        self._at_log_v = self._log_v
        self._seen_s = -math.inf

    def _take_in(self, counts: Counts, now_s: float) -> None:
        gone = counts.fall_short_of(counts.pulses * math.exp(min(self._modes.log_rate(), 3.0)))
        if (fallen := self._voltage.fallen_to(counts.log_v, now_s, ions_gone=gone)) is not None:
            # Others have lowered the voltage: go on from where it is.
            self._log_v = max(fallen, min(self._limits.lowest, self._log_v))
            self._voltage.follow(self._log_v, now_s)
        log_v = self._voltage.take(counts.log_v, counts.middle_s, now_s)
        moved, self._at_log_v = self._voltage.moved, log_v
        self._ledger.relieve(self._sensitivity.mean * self._voltage.reckoned)
        gap_s = counts.dt_s
        if math.isfinite(self._seen_s):
            gap_s = min(max(counts.t_s - self._seen_s, 0.0), _LONGEST_GAP_S)
        self._seen_s = max(self._seen_s, counts.t_s)
        modes, slope = self._modes, self._sensitivity
        if not modes.sound():
            self._forget(math.log(max(counts.hits, 1.0) / counts.pulses))
        lost = modes.log_rate() - self._log_target < _HUNTING_BELOW
        shift, doubt = slope.mean * moved, (slope.sd * max(0.0, abs(moved) - _JITTER)) ** 2
        if not self._starting:
            modes.steeper(slope.mean / self._drift_of)
        self._drift_of = slope.mean
        modes.let_quiet_wander(_quiet_wander(self._target_hz, slope.mean))
        modes.predict(gap_s, shift, doubt, _LOST_WANDER if lost else 0.0)
        if counts.saturated:
            least = max(modes.log_rate(), math.log(counts.hits / counts.pulses))
            self._forget(least)
            self._at_log_v, self._seen_s = log_v, counts.t_s
            return
        expected = counts.pulses * math.exp(min(modes.log_rate(), 3.0)) + counts.background
        self._dispersion.observe(counts.hits, expected, modes.wander_per_s * gap_s)
        self._check(counts, gap_s)
        sd = modes.ahead(0.0).sd
        window = Window(counts.hits, counts.pulses, counts.background, self._dispersion.value)
        modes.update(window)
        self._ahead = None
        self._identify(window, expected, sd, moved, gap_s)
        self._watch_for_collapse(counts.t_s, modes.log_rate(), now_s)

    def _check(self, counts: Counts, gap_s: float) -> None:
        if self._starting or self._creeping or self._voltage.doubtful(self._then_s):
            self._ledger.lose_track()
            return
        self._ledger.count(
            counts.middle_s,
            gap_s,
            hits=counts.hits,
            pulses=counts.pulses,
            background=counts.background,
            dispersion=self._dispersion.value,
        )

    def _identify(self, window: Window, expected: float, sd: float, moved: float, gap_s: float) -> None:
        modes, slope = self._modes, self._sensitivity
        above = modes.log_rate() - self._log_target
        signal = expected - window.background
        # Once the ramp is seen it is followed through a window or two of few window.
        seen = above > _IDENTIFY_ABOVE and signal > 3.0 * window.background and sd < _KNOWN_SD
        if slope.tracking:
            seen = above > _IDENTIFY_ABOVE - 1.0 and signal > 0.5 * window.background
        if not seen or self._voltage.doubtful(self._then_s):
            slope.lose_track()
        elif self._starting:
            slope.observe(
                moved=moved,
                dt_s=gap_s,
                wander_per_s=_RAMP_WANDER,
                log_rate=modes.log_rate(),
                window=window,
            )
        elif modes.disturbed < _UNDISTURBED and signal > _ENOUGH:
            slope.recheck(
                moved=moved,
                dt_s=gap_s,
                surprise=(window.hits - expected) / signal,
                variance=window.dispersion * expected / signal**2 + sd * sd,
                gain=modes.gain,
            )
        else:
            slope.lose_track()

    def _watch_for_collapse(self, t_s: float, log_rate: float, now_s: float) -> None:
        level = log_rate - self._sensitivity.mean * self._at_log_v
        span_s = max(0.6, 12.0 / self._target_hz)
        levels = self._levels
        while levels and levels[0][0] < t_s - span_s:
            levels.popleft()
        above = log_rate - self._log_target
        if levels and above < _HUNTING_BELOW and max(one for _, one in levels) - level > _COLLAPSE:
            if not self._starting:
                self._hold_until_s, self._creeping = now_s + _HOLD_S, True
            levels.clear()
        elif above > _BACK_ABOVE:
            self._creeping, self._hold_until_s = False, -math.inf
        levels.append((t_s, level))

    def _expected(self, now_s: float) -> tuple[float, float]:
        """Log rate relative to target, and its sd, once all that was commanded has arrived."""
        age_s = now_s - self._seen_s if math.isfinite(self._seen_s) else 0.0
        if self._ahead is None or self._ahead[0] != now_s:
            after_s = min(max(age_s, 0.0), 2.0) + self._settings.tick_s
            self._ahead = now_s, self._modes.ahead(after_s, _CLIMBING_TICKS * self._settings.tick_s)
        ahead = self._ahead[1]
        under_way = self._voltage.reached(self._horizon_s) - self._at_log_v
        sd = math.hypot(ahead.sd, self._sensitivity.sd * under_way)
        expected = ahead.log_rate + self._sensitivity.mean * under_way + self._ledger.bias
        return expected - self._log_target, sd

    def _present(self) -> float:
        """Log rate relative to target in the newest window, less what noise alone may be."""
        return self._modes.log_rate() - self._log_target - _NOISY

    def _feared(self, above: float) -> tuple[float, float]:
        """Log rate above target, and S to come down by: in a surge as if S were as flat as it may be, since what is on its way may do less."""
        slope = self._sensitivity
        surging = (max(above, self._present()) - _SURGE_FROM) / (_SURGE_FULL - _SURGE_FROM)
        flattest = max(slope.mean - _FLATTER * min(1.0, max(0.0, surging)) * slope.sd, LOWEST)
        under_way = self._voltage.reached(self._horizon_s) - self._at_log_v
        return above + (flattest - slope.mean) * min(under_way, 0.0), flattest

    def _move(self, dt_s: float, now_s: float) -> str:
        above, sd = self._expected(now_s)
        hunting = above < _HUNTING_BELOW
        slope = self._sensitivity
        if max(above, self._present()) > _SURGE_FROM:
            above, flattest = self._feared(above)
            wanted = min(0.0, -above / flattest)
        elif above < -0.1:
            # Far below: what is not known may be above.
            wanted = max(0.0, -above - 0.5 * max(0.0, sd - 0.1)) / (slope.mean + slope.sd)
        else:
            steep = above <= 0.0 and slope.sd >= 0.3 * slope.mean
            wanted = -above / (slope.mean + slope.sd if steep else slope.mean)
        if self._starting and above > -0.1 and sd < _KNOWN_SD:
            self._starting = False
        mode, slew_up = "track", self._settings.max_slew_up
        if self._voltage.doubtful(now_s):
            mode, slew_up = "doubtful", 0.0
        elif now_s < self._hold_until_s:
            mode, slew_up = "hold", 0.0
        elif self._creeping:
            mode, slew_up = "creep", min(_CREEP * slew_up, self._hunting_slew)
        elif hunting:
            mode, slew_up = "hunting", self._hunting_slew
        elif self._starting:
            # As fast as a few counts can still stop at the steepest S that fits what was seen.
            see_s = self._lag_s + 4.0 / self._target_hz
            slew_up = min(slew_up, _GROWTH / (see_s * (slope.mean + 2.0 * slope.sd)))
        closing = -math.expm1(-dt_s / (_CLOSING_TICKS * self._settings.tick_s))
        # A supply that falls slowly is sent lower than where it is wanted, and called back in time.
        change = closing * wanted / self._voltage.share(self._horizon_s)
        lowest = self._voltage.now - (_OVERDRIVE if above > _FAR_ABOVE else 0.3 * _OVERDRIVE)
        if change < 0.0:
            change = min(0.0, max(change, lowest - self._log_v))
        self._log_v = self._limits.move(self._log_v, change, dt_s, slew_up)
        self._voltage.command(self._log_v)
        return mode

    def _descend(self, dt_s: float) -> None:
        if self._goal is not None and self._goal < self._log_v:
            self._log_v = self._limits.move(self._log_v, self._goal - self._log_v, dt_s, 0.0)
            self._voltage.command(self._log_v)

    def _setpoint(self, mode: str, now_s: float) -> Setpoint:
        above, sd = self._expected(now_s)
        self._ledger.believe(now_s, above)
        return Setpoint(
            v_dc_v=self._limits.volts(self._log_v),
            sensitivity=self._sensitivity.mean,
            log_rate=above + self._log_target,
            log_rate_sd=sd,
            mode=mode,
        )


def _quiet_wander(target_hz: float, sensitivity: float) -> float:
    """Variance per second for which the steady estimate of the quiet model, sqrt(q phi / R), moves V by `_VOLTAGE_NOISE` rms."""
    return float((min(sensitivity, 100.0) * _VOLTAGE_NOISE) ** 4 * target_hz / 1.3)


def _stoppable(target_hz: float, lag_s: float) -> float:
    """Fastest blind rise (1/s) that four counts can still stop at a third of the target where S is the highest.

    The rate grows by g = S slew; four counts have come when it is 4 g, and it grows on by exp(g lag) before the stop arrives.
    """
    low, high = 0.0, 1e3
    for _ in range(60):
        growth = 0.5 * (low + high)
        if 4.0 * growth * math.exp(min(growth * lag_s, 50.0)) < 0.35 * target_hz:
            low = growth
        else:
            high = growth
    return low / _STEEPEST
