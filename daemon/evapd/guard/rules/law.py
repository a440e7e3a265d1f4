"""Rules on the law: what the limits take from its proposals, a rise without data, a sensitivity or gain that cannot be."""

import math
import operator
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from evapd.control.by_energy import RATIO
from evapd.guard.energy import EnergyState
from evapd.guard.explosive import total_latency_s
from evapd.guard.pilot import FALLBACK
from evapd.guard.rules.base import Effect, Finding, Grace, Measured, View

_EVAPORATING = frozenset({EnergyState.EVAPORATING})
_STEP = 0.003  # largest relative rise in one step
_CLAMP_GRACE_S = 0.5
_S_MIN, _S_MAX, _S_UNKNOWN = 20.0, 400.0, 250.0
_S_GRACE_S, _STANDING_S = 1.0, 5.0
_AGAIN_S = 60.0
_BLIND_TICKS = 2.0
_GAIN, _SPAN_S, _MEAN_S, _HITS = 0.8, 4.0, 0.25, 8
_RMS, _SWINGS, _SWING = 0.5, 4, 0.3


class Clamp(Measured):
    """The limits take from what the law proposes."""

    name = "clamp"
    trigger = "the law proposes 0.3 % more than slew and limits allow, for 0.5 s"
    effect = Effect.NOTE
    release = "by itself"
    advice = "at the ceiling of V or of V_tot: end the run or raise the limit; else the law is faster than its slew"
    keys = ("control.max_slew_up", "control.v_max_v")
    watches = _EVAPORATING

    def __init__(self) -> None:
        self._grace = Grace()

    def load(self, view: View) -> float | None:
        """What is proposed above what was set, over one step."""
        proposal = view.proposal
        if proposal is None or view.frozen or not math.isfinite(proposal.v_dc_v):
            self._grace.reset()
            return None
        above_v = max(0.0, proposal.v_dc_v - view.v_set_v)
        return self._grace.load(above_v / max(_STEP * view.v_set_v, 0.1), view.now_s, _CLAMP_GRACE_S)

    def found(self, view: View) -> Finding:
        """Say how much."""
        wished_v = view.proposal.v_dc_v if view.proposal else math.nan
        return Finding(f"the law asks for {wished_v:.0f} V, the limits allow {view.v_set_v:.0f} V")

    def forget(self) -> None:
        """Begin anew."""
        self._grace.reset()


class BlindRise(Measured):
    """The voltage has risen without counts that would justify it."""

    name = "blind-rise"
    trigger = "V raised by ln 3 / S since the last pulses were counted (S 250 where it is not known)"
    effect = Effect.FREEZE
    release = "by itself, with the next counts"
    advice = "the rate could have tripled unseen: look why no pulses are counted"
    watches = _EVAPORATING

    def __init__(self) -> None:
        self._informed_v: float | None = None

    def load(self, view: View) -> float | None:
        """Rise since the last counts, as a power of the rate, over ln 3."""
        age_s, tick_s = view.rates.record_age_s(view.now_s), view.settings.rig.control.tick_s
        recent = view.rates.recent(_BLIND_TICKS * tick_s)
        informed = age_s <= _BLIND_TICKS * tick_s and recent is not None and recent.pulses > 0
        if informed or self._informed_v is None:
            self._informed_v = view.v_set_v
        if self._informed_v <= 0.0 or view.v_set_v <= 0.0:
            return 0.0
        s = (view.proposal.sensitivity if view.proposal else None) or _S_UNKNOWN
        return max(0.0, s * math.log(view.v_set_v / self._informed_v)) / math.log(3.0)

    def found(self, view: View) -> Finding:
        """Say how far."""
        return Finding(
            f"raised from {self._informed_v or 0.0:.0f} V to {view.v_set_v:.0f} V with no pulse counted meanwhile"
        )

    def forget(self) -> None:
        """Begin anew."""
        self._informed_v = None


class Sensitivity(Measured):
    """The identified sensitivity is one that no specimen has."""

    name = "sensitivity"
    trigger = "identified S outside 20 to 400 (of a laser's energy alone: 2 to 40) for 1 s"
    effect = Effect.NO_RISE
    action = "no rise for 5 s; the second time within a minute pi-log, which assumes S, takes over in a new segment"
    release = "by itself; pi-log stays until a person sets another law"
    advice = "look at the counts' quality and the mass spectrum; set the law again when they are good, or go on with pi-log"
    watches = _EVAPORATING

    def __init__(self) -> None:
        self._grace = Grace()
        self._until_s = 0.0
        self._triggers_s: deque[float] = deque(maxlen=2)
        self._wrong = math.nan  # what was identified

    def load(self, view: View) -> float | None:
        """How far S is beyond either end; where a law moves the pulse energy alone, S is that of the energy, a tenth."""
        s = view.proposal.sensitivity if view.proposal else None
        if view.now_s < self._until_s or view.now_s in self._triggers_s:
            return 1.0
        if s is None or view.frozen:
            self._grace.reset()  # frozen, the law cannot change its mind
            return None
        scaled = s * RATIO if view.settings.rig.pulse.actuator == "energy" else s
        beyond = math.inf if not math.isfinite(s) or s <= 0.0 else max(scaled / _S_MAX, _S_MIN / scaled)
        load = self._grace.load(beyond, view.now_s, _S_GRACE_S)
        if load >= 1.0:
            self._triggers_s.append(view.now_s)
            self._until_s = view.now_s + (0.0 if self._again and view.run.law != FALLBACK else _STANDING_S)
            self._wrong = s
            self._grace.reset()
        return load

    def found(self, view: View) -> Finding:
        """Say what it is, and what is done about it."""
        what = f"the law has identified S = {self._wrong:.0f}, which no specimen has"
        if view.run.law == FALLBACK:
            return Finding(f"{what}: look at the counts; law hold keeps the voltage meanwhile")
        if not self._again:
            return Finding(
                f"{what}: nothing rises for {_STANDING_S:.0f} s; if it stays so {FALLBACK} takes over"
            )
        again = f"{what}, twice within a minute: {FALLBACK} takes over; look at the counts before another law is set"
        return Finding(again, law_fails=True)

    @property
    def _again(self) -> bool:
        return len(self._triggers_s) == 2 and self._triggers_s[1] - self._triggers_s[0] <= _AGAIN_S

    def forget(self) -> None:
        """Begin anew; how often it was lately is still known, since a trip may come of it."""
        self._grace.reset()
        self._until_s = 0.0


class _Step(NamedTuple):
    t_s: float
    log_v: float
    error: float


class LoopGain(Measured):
    """The loop swings: its gain is too high for its delay."""

    name = "loop-gain"
    trigger = "loop gain above 0.8 / L_tot over 4 s, while the rate swings four times or more by 0.5 rms in its logarithm"
    effect = Effect.NO_RISE
    action = "no rise for 5 s"
    release = "by itself"
    advice = "S is higher than the law believes, or the delay is longer: change to pi-log, check delay_s"
    keys = ("control.delay_s", "hv_tau_up_s")
    watches = _EVAPORATING

    def __init__(self) -> None:
        self._steps: deque[_Step] = deque()
        self._until_s = 0.0
        self._load: float | None = None

    def load(self, view: View) -> float | None:
        """The least of gain, scatter and number of swings, each over its limit."""
        if view.now_s < self._until_s:
            return 1.0
        tick_s = view.settings.rig.control.tick_s
        if not self._steps or view.now_s - self._steps[-1].t_s >= 0.9 * tick_s:
            self._load = self._judge(view)
            if self._load is not None and self._load >= 1.0:
                self._until_s = view.now_s + _STANDING_S
                self._steps.clear()
        return self._load

    def found(self, view: View) -> Finding:
        """Say it."""
        s = view.proposal.sensitivity if view.proposal else None
        return Finding(f"the rate swings under the law's own hand (S = {s or _S_UNKNOWN:.0f} in use)")

    def forget(self) -> None:
        """Begin anew."""
        self._steps.clear()
        self._until_s, self._load = 0.0, None

    def _judge(self, view: View) -> float | None:
        recent = view.rates.recent(_MEAN_S)
        s = view.proposal.sensitivity if view.proposal else None
        if view.frozen or s is None or recent is None or recent.hits < _HITS or view.v_set_v <= 0.0:
            self._steps.clear()
            return None
        error = math.log(recent.hits / (recent.pulses * view.run.target_rate)) if recent.pulses else 0.0
        self._steps.append(_Step(view.now_s, math.log(view.v_set_v), error))
        while view.now_s - self._steps[0].t_s > _SPAN_S:
            self._steps.popleft()
        times, logs, errors = zip(*self._steps, strict=True)
        span_s = view.now_s - times[0]
        if span_s < 0.5 * _SPAN_S:
            return None
        mean = math.fsum(map(abs, errors)) / len(errors)
        moved = math.fsum(map(abs, map(operator.sub, logs[1:], logs[:-1])))
        gain = s * moved / (mean * span_s) if mean > 0.0 else 0.0
        rms = math.hypot(*errors) / math.sqrt(len(errors))
        rig = view.settings.rig
        latency_s = total_latency_s(rig, rig.guard.hv_tau_up_s)
        return min(gain * latency_s / _GAIN, rms / _RMS, _swings(errors) / _SWINGS)


def _swings(errors: Iterable[float]) -> int:
    side, swings = 0, 0
    for error in errors:
        if abs(error) >= _SWING and (now := 1 if error > 0 else -1) != side:
            swings += side != 0
            side = now
    return swings


LAW_RULES = (Clamp, BlindRise, Sensitivity, LoopGain)
