"""The closed loop of the control benchmark: specimen, delay, readback and limits around one law, in virtual time.

The law is called as the guard calls it: each tick with the counts of one window, `delay_s` after it ended, or with None;
what it proposes is held to the guard's own slew ceiling, and without information it cannot rise. With `guarded` the
guard's own rule `rate-ceiling` watches records of 10 ms, `record_s` late: it stops the pulses for half a second, draws the
voltage down by a quarter with a set point of zero, and tells the law; three times in 10 s end the run.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.control import ControlSettings, RateLaw, RateObservation
from evapd.guard.limits import slew_ceiling
from evapd.guard.movement import TRIP_S
from evapd.guard.rates import Window
from evapd.guard.rules.data import RateCeiling
from support.control_specimen import SUBSTEP_S, Specimen, advance, new_state

_RECORD_S = 0.01
_FLAG_S = 0.1  # age of the pulser's reading
_QUIET = 0.2  # part of the target below which the guard allows the hunting slew


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What a run meets beside the specimen itself."""

    v_start_v: float = 5000.0
    readback_gain: float = 1.0
    readback_step: tuple[float, float] = (np.inf, 0.0)  # from when, by how much
    readback_bit_v: float = 0.25
    flagged: bool = True  # whether lost pulses are noticed by reading the pulser
    silent: tuple[float, float] = (np.inf, np.inf)  # no counts come from here to there
    guarded: bool = False
    record_s: float = 0.03  # from the pulse to the guard's reaction at the pulser
    cut: float = 0.75  # the guard's own: a quarter
    driven_down: bool = True  # with a set point of zero until the voltage is there, as the guard does
    rate_ceiling: float = 10.0
    rate_ceiling_counts: int = 60


@dataclass
class Run:
    """What a run left behind; one row per tick."""

    rows: NDArray[
        np.float64
    ]  # t_s, rate / target (mean of the tick), V_dc, V_dc commanded, hits, sensitivity
    modes: list[str]
    state: Any  # see `control_specimen.STATE`
    trips: int
    held: bool  # the guard ended it
    pulses_off: NDArray[np.bool_]


@dataclass
class Loop:
    """One run. Deterministic for a seed."""

    settings: ControlSettings
    specimen: Specimen
    circumstances: Circumstances
    law: Any  # a RateLaw of evapd, or one of the plain laws that know no limits but their own
    seed: int
    plain: bool = False  # a plain law: neither slew ceiling nor flags nor trips are known to it
    _windows: deque[tuple[Window, float]] = field(default_factory=deque)
    _waiting: deque[RateObservation] = field(default_factory=deque)
    _seen: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=20))
    _rule: RateCeiling = field(default_factory=RateCeiling)
    _trips_s: list[float] = field(default_factory=list)
    _off_until_s: float = -1.0
    _informed: bool = False

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._state = new_state(self.circumstances.v_start_v)
        self._command_v = self.circumstances.v_start_v
        self._recent: deque[Window] = deque(maxlen=64)
        self._held = False

    def run(self, seconds: float) -> Run:
        """Let the law work for so many seconds."""
        tick_s = self.settings.tick_s
        self.law.reset(self._command_v, 0.0)
        rows, modes, off = [], [], []
        for _ in range(round(seconds / tick_s)):
            off.append(self._off())
            hits, pulses, background, lossy, v_v, ions = self._pass_tick()
            now_s = float(self._state[0]["t_s"])
            self._observe(now_s, hits, pulses, background, lossy, v_v)
            sensitivity = np.nan
            if not self._off():
                proposal = self.law.step(self._newest(now_s), now_s)
                self._take(proposal.v_dc_v)
                sensitivity = proposal.sensitivity or np.nan
                modes.append(proposal.mode)
            else:
                modes.append("held" if self._held else "inhibited")
            ratio = ions / (self.specimen.target_hz * tick_s)
            rows.append((now_s, ratio, v_v, self._command_v, hits, sensitivity))
        return Run(
            np.array(rows), modes, self._state[0], len(self._trips_s), self._held, np.array(off, dtype=bool)
        )

    def _pass_tick(self) -> tuple[int, int, int, bool, float, float]:
        tick_s = self.settings.tick_s
        slice_s = _RECORD_S if self.circumstances.guarded else tick_s
        steps = round(slice_s / SUBSTEP_S)
        hits = pulses = background = 0
        lossy, v_sum, ions, slices = False, 0.0, 0.0, round(tick_s / slice_s)
        for _ in range(slices):
            s = self._state[0]
            command_v = self._command_v
            if self.circumstances.driven_down and self._off() and float(s["v_v"]) > command_v:
                command_v = 0.0
            advance(self.specimen, self._state, self._rng, command_v, steps, not self._off())
            hits, pulses, background = (
                hits + int(s["hits"]),
                pulses + int(s["pulses"]),
                background + int(s["background"]),
            )
            lossy, v_sum, ions = (
                lossy or bool(s["lossy"]),
                v_sum + float(s["v_sum"]),
                ions + float(s["ions_now"]),
            )
            if self.circumstances.guarded:
                self._watch(s)
        return hits, pulses, background, lossy, v_sum / (slices * steps), ions

    def _observe(self, t_s: float, hits: int, pulses: int, background: int, lossy: bool, v_v: float) -> None:
        c = self.circumstances
        if pulses <= 0 or c.silent[0] < t_s <= c.silent[1]:
            return
        gain = c.readback_gain + (c.readback_step[1] if t_s > c.readback_step[0] else 0.0)
        self._waiting.append(
            RateObservation(
                t_s=t_s,
                pulses=pulses,
                hits=hits,
                v_dc_v=round(v_v * gain / c.readback_bit_v) * c.readback_bit_v,
                valid=True,
                pulser_ok=True,
                saturated=lossy,
                background=float(background),
            )
        )

    def _newest(self, now_s: float) -> RateObservation | None:
        if not self._waiting or self._waiting[0].t_s + self.settings.delay_s > now_s + 1e-6:
            return None
        seen = self._waiting.popleft()
        self._seen.append((seen.pulses, seen.hits, int(seen.background)))
        p = self.specimen
        dead = p.dead_from_s + _FLAG_S < now_s <= p.dead_to_s + _FLAG_S
        if dead and self.circumstances.flagged:
            seen = replace(seen, pulser_ok=False)  # what the pulser's reading says now
        self._informed = seen.pulser_ok
        return seen

    def _take(self, wanted_v: float) -> None:
        if not np.isfinite(wanted_v):
            wanted_v = self._command_v
        if self.plain:
            self._command_v = min(max(wanted_v, 0.0), self.settings.v_max_v)
            return
        self._command_v = max(0.0, min(wanted_v, self._ceiling_v(), self.settings.v_max_v))

    def _ceiling_v(self) -> float:
        if not self._informed:
            return self._command_v
        self._informed = False
        pulses = sum(seen[0] for seen in self._seen)
        net = sum(seen[1] - seen[2] for seen in self._seen)
        quiet = net < _QUIET * self.settings.target_rate * pulses
        settings = self.settings
        slew = max(settings.max_slew_up, settings.max_slew_up_hunting) if quiet else settings.max_slew_up
        return slew_ceiling(self._command_v, settings.tick_s, slew)

    # The guard's fast way.

    def _off(self) -> bool:
        return self._held or float(self._state[0]["t_s"]) < self._off_until_s

    def _watch(self, s: Any) -> None:
        now_s = float(s["t_s"])
        if self._off_until_s > 0.0 and now_s >= self._off_until_s and not self._held:
            self._off_until_s = -1.0
            self._recent.clear()
            self._windows.clear()
            self._waiting.clear()
            self._seen.clear()
            self._state["tripped"] = 0
            self.law.resumed(now_s)
        window = Window(
            now_s, _RECORD_S, int(s["pulses"]), int(s["hits"]), float(s["background"]), bool(s["lossy"])
        )
        self._windows.append((window, now_s + self.circumstances.record_s - _RECORD_S))
        while self._windows and self._windows[0][1] <= now_s + 1e-6:
            self._recent.append(self._windows.popleft()[0])
        if self._off():
            return
        found = self._rule.check(self._view())  # type: ignore[arg-type]  # the four fields that the rule looks at
        if s["tripped"]:
            self._trip(now_s, self.specimen.inhibit_above)
        elif found is not None:
            self._trip(now_s, found.ratio)

    def _trip(self, now_s: float, ratio: float) -> None:
        self._trips_s.append(now_s)
        self.law.inhibited(now_s, ratio)
        self._command_v *= self.circumstances.cut
        self._off_until_s = now_s + TRIP_S
        if len(self._trips_s) >= 3 and now_s - self._trips_s[-3] <= 10.0:
            self._held = True
            self._command_v *= self.circumstances.cut

    def _view(self) -> SimpleNamespace:
        c = self.circumstances
        return SimpleNamespace(
            rates=SimpleNamespace(newest_first=lambda: reversed(self._recent)),
            guard=SimpleNamespace(rate_ceiling=c.rate_ceiling, rate_ceiling_counts=c.rate_ceiling_counts),
            run=SimpleNamespace(
                target_rate=self.settings.target_rate, pulse_rate_hz=self.settings.pulse_rate_hz
            ),
        )


def run_loop(
    law: RateLaw, settings: ControlSettings, specimen: Specimen, circumstances: Circumstances, seed: int, seconds: float, plain: bool = False,
) -> Run:  # fmt: skip
    """Close the loop around a law."""
    return Loop(settings, specimen, circumstances, law, seed, plain).run(seconds)
