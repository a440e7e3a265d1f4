"""The guard's bench with other clocks: any tick, a specimen supply behind a slow line, counts as they really scatter."""

from dataclasses import dataclass, field

import numpy as np

from evapd.guard.types import Decision
from support.guard_bench import RECORD_S, TICK_S, Bench


@dataclass
class SlowBench(Bench):
    """`reads_s`: time of one reading on the line, `takes_s`: until a command has arrived; a line does one thing after the other."""

    reads_s: float = 0.0
    takes_s: float = 0.0
    seed: int | None = None  # of the counts; None: no scatter
    shown: tuple = ()
    pending: list = field(default_factory=list)
    rates: list = field(default_factory=list)  # (t_s, hits per s without scatter)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._rng = None if self.seed is None else np.random.default_rng(self.seed)
        self._reading_s = self.now_s

    def devices(self) -> dict:
        devices = super().devices()
        if not self.reads_s:
            return devices
        # What was asked of the line at `_reading_s` is answered `reads_s` later; only then the next one is asked.
        fresh = devices["hv"]
        if not self.shown:
            self.shown = (fresh, fresh)
        elif self.now_s - self._reading_s >= self.reads_s:
            self._reading_s, self.shown = self.now_s, (self.shown[1], fresh)
        return devices | {"hv": self.shown[0]}

    def advance(self, dt_s: float) -> None:
        due = [one for one in self.pending if one[0] <= self.now_s]
        self.pending = [one for one in self.pending if one[0] > self.now_s]
        for _, name, value in due:
            setattr(self, name, value)
        hits = self.hits
        super().advance(dt_s)
        self.rates.append((self.now_s, (self.hits - hits) / dt_s))
        if self._rng is not None and self.hits > hits:
            self.hits = hits + self._rng.poisson(self.hits - hits)

    def carry_out(self, decision: Decision) -> None:
        before = self.v_set_v, self.output_on
        super().carry_out(decision)
        if self.takes_s:
            after = self.v_set_v, self.output_on
            self.v_set_v, self.output_on = before
            asked = dict(zip(("v_set_v", "output_on"), after, strict=True))
            for name, value in asked.items():
                newest = next(
                    (one[2] for one in reversed(self.pending) if one[1] == name), getattr(self, name)
                )
                if value != newest:
                    # A command that waits is replaced by a newer one, as the worker of a device does.
                    waiting = [one for one in self.pending if one[1] == name]
                    due_s = waiting[-1][0] if waiting else self.now_s + self.takes_s
                    self.pending = [one for one in self.pending if one[1] != name]
                    self.pending.append((due_s, name, value))

    def tick(self) -> Decision:
        tick_s = self.rig.control.tick_s
        for _ in range(round(tick_s / RECORD_S)):
            self.advance(RECORD_S)
            if self.connected and not self.stalled:
                self.carry_out(self.core.react(self.inputs([self.record()]), self.now_s))
        self.carry_out(self.core.tick(self.inputs(), self.now_s))
        return self.decision

    def run_s(self, duration_s: float) -> None:
        for _ in range(round(duration_s / self.rig.control.tick_s)):
            self.tick()

    def highest_hz(self, since_s: float) -> float:
        """Highest rate without scatter since a time, in hits per s."""
        return max(rate for t_s, rate in self.rates if t_s > since_s)

    def rules(self) -> set[str]:
        """Names of the rules that spoke."""
        return {event.details["rule"] for event in self.events if "rule" in event.details}


__all__ = ["TICK_S", "SlowBench"]
