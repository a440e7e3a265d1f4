"""One fault under way: when it came, what was true then, and what follows."""

import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from support.faults_account import Account, account
from support.faults_table import Row
from support.faults_truth import Step, Truth
from support.wait import wait_for

if TYPE_CHECKING:
    from support.faults_rig import FaultRig

_FELL = 0.99  # of the highest demand since the fault: the voltage is on its way down
_CUT = (
    0.97  # of the true voltage before the fault: something took it away without asking the supply's regulator
)


class Fault:
    """The fault under way: when it came, what was true then, and what follows."""

    def __init__(self, rig: "FaultRig", row: Row) -> None:
        self.rig, self.row = rig, row
        self.run_id, self.arming = rig.run_id, rig.witness.arming
        self.since_s = time.monotonic()
        self.before: Step = rig.witness.newest
        self._inhibit_s: float | None = None
        self._descent_s: float | None = None
        self._ends_s: float | None = None  # where the rise stops being the fault's

    def do(self, event: str, /, **values: Any) -> None:
        """Let an event of the twin come; its first is the fault's beginning."""
        self.now(lambda: self.rig.twin.do({"do": event, **values}))

    def also(self, event: str, /, **values: Any) -> None:
        """Let a further event come, such as the cable being put back."""
        self.rig.twin.do({"do": event, **values})

    def now(self, inject: Callable[[], object]) -> None:
        """Let anything come."""
        self.before, self.since_s = self.rig.witness.newest, time.monotonic()
        inject()

    def kill(self, name: str, signum: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one of the processes."""
        self.now(lambda: os.kill(self.rig.daemon.processes[name].pid, signum))

    def truth(self) -> Truth:
        """What was true since the fault."""
        return self.rig.witness.since(self.since_s)

    def inhibited_within(self, goal_s: float) -> None:
        """Wait until pulses are off; fails when that took longer than the goal."""
        wait_for(
            lambda: not self.rig.witness.newest.live,
            lambda: f"pulses off\n{self.rig.daemon.logs()}",
            goal_s + 20.0,
        )
        truth = self.truth()
        self._inhibit_s = float(truth.t_s[~truth.live][0]) - self.since_s
        self._tell_reaction()
        assert self._inhibit_s < goal_s, (
            f"pulses off after {1e3 * self._inhibit_s:.0f} ms, wanted {1e3 * goal_s:.0f} ms"
        )

    def descends_within(self, goal_s: float) -> None:
        """Wait until the supply is told to come down; fails when that took longer than the goal."""
        wait_for(
            lambda: self._fell() is not None,
            lambda: f"the voltage to be told down\n{self.rig.daemon.logs()}",
            goal_s + 20.0,
        )
        self._descent_s = self._fell()
        self._tell_reaction()
        assert self._descent_s is not None
        assert self._descent_s < goal_s, (
            f"descent after {1e3 * self._descent_s:.0f} ms, wanted {1e3 * goal_s:.0f} ms"
        )

    def goes_on(self, seconds: float) -> None:
        """Watch for a time; the run must still be under way after it."""
        self.waits(seconds)
        assert self.runs(), "the run did not go on"

    def waits(self, seconds: float) -> None:
        """Let the fault have its time, whatever comes of it."""
        self.rig.wait(self.since_s + seconds - time.monotonic())

    def runs(self) -> bool:
        """Whether the run is still under way."""
        return (self.rig.daemon.status() or {}).get("run_state") == "running"

    def peak(self, over_s: float = 0.25) -> float:
        """Highest true rate of evaporation since the fault, averaged over `over_s`, in units of that before it."""
        truth = self.rig.witness.since(self.since_s - 2.0)
        t_s, ions = truth.t_s, truth.evaporated
        before = t_s <= self.since_s
        usual = (ions[before][-1] - ions[before][0]) / (t_s[before][-1] - t_s[before][0])
        grid = np.arange(self.since_s, t_s[-1], over_s)
        rates = np.diff(np.interp(grid, t_s, ions)) / over_s
        return float(rates.max(initial=0.0) / usual)

    def ions_until_inhibited(self) -> int:
        """True ions that left from the fault until pulses were off; what follows leaves under the standing voltage."""
        truth = self.truth()
        off = ~truth.live
        return int(truth.evaporated[off][0] - self.before.evaporated) if off.any() else 0

    def ions_above(self, times: float, over_s: float = 0.05) -> int:
        """True ions that left while the rate, averaged over `over_s`, was above `times` the target."""
        control, efficiency = self.rig.daemon.loaded.rig.control, 0.6
        truth = self.truth()
        grid = np.arange(self.since_s, truth.t_s[-1], over_s)
        ions = np.diff(np.interp(grid, truth.t_s, truth.evaporated))
        limit = times * control.target_rate * self.rig.rate_hz / efficiency * over_s
        return int(ions[ions > limit].sum())

    def few_ions_above(self, times: float, limit: int) -> None:
        """Fail when more ions than that left above `times` the target."""
        ions = self.ions_above(times)
        self.row.reaction = f"{self.row.reaction}; {ions} ions above {times:g} x".removeprefix("-; ")
        assert ions <= limit, f"{ions} ions above {times:g} times the target, wanted at most {limit}"

    def alarms(self) -> list[str]:
        """What an operator reads now."""
        return [str(alarm) for alarm in (self.rig.daemon.status() or {"alarms": []})["alarms"]]

    def told_by_hand(self, device: str) -> bool:
        """Whether an alarm names the device and what to do by hand."""
        return any(device in alarm and "by hand" in alarm for alarm in self.alarms())

    def complained(self, told: Account, *rules: str) -> None:
        """Fail when none of these rules complained after the fault."""
        seen = told.rules(self.since_s)
        assert set(rules) & set(seen), f"rules that complained: {seen}, wanted {rules}"

    def rate_below(self, limit: float) -> None:
        """Fail when the true rate, over a quarter of a second, was above `limit` times the usual."""
        peak = self.peak()
        self.row.reaction = f"{self.row.reaction}; peak {peak:.1f} x".removeprefix("-; ")
        assert peak < limit, f"peak of {peak:.1f} times the usual rate, wanted {limit:g}"

    def closed(self, *conditions: str) -> Account:
        """Wait until the run is closed; fails when its flags are not those, or when anything recorded is missing."""
        self.rig.await_run("idle", 90.0)
        return self.accounted(*conditions)

    def accounted(self, *conditions: str) -> Account:
        """Read the record back as it is now."""
        truth = self.rig.witness.since(0.0).armed(self.arming)
        told = account(self.rig.store(self.run_id), truth)
        self.row.condition, self.row.lost = told.conditions, told.lost(self.rig.rate_hz)
        if told.info.state == "running":
            self.row.condition = "run goes on"
        assert set(conditions) <= set(told.conditions.split()), (
            f"flags {told.conditions}, wanted {conditions}"
        )
        return told

    def nothing_lost(self, told: Account, tail_s: float = 0.0) -> None:
        """Fail when recorded data is missing, or when the end is missing by more than `tail_s`."""
        assert told.whole, f"lost: {told.lost(self.rig.rate_hz)}; {told.acquire.problems[:3]}"
        assert told.tail_pulses <= tail_s * self.rig.rate_hz + 1, f"lost: {told.lost(self.rig.rate_hz)}"

    def drained(self, goal_s: float, tail_s: float = 0.5) -> Account:
        """Wait until what the TDC saw during the fault has come through the pipeline to the record; gives the record."""
        due = self.rig.witness.newest.first_pulse
        told = self.accounted()

        def through() -> bool:
            nonlocal told
            told = self.accounted()
            return told.last_pulse >= due

        since_s = time.monotonic()
        wait_for(
            through, lambda: f"the pipeline to be drained; {told.lost(self.rig.rate_hz)}", goal_s, every_s=0.5
        )
        self.row.reaction = (
            f"{self.row.reaction}; drained within {time.monotonic() - since_s:.1f} s".removeprefix("-; ")
        )
        self.nothing_lost(told, tail_s)
        return told

    def rises_at_most(self, goal_v: float) -> None:
        """Fail when the specimen's true voltage rose by more since the fault."""
        self.measure()
        assert self.row.rise_v is not None
        assert self.row.rise_v <= goal_v, f"rose by {self.row.rise_v:.1f} V, wanted {goal_v:g} V"

    def stays_down(self, seconds: float = 1.0) -> None:
        """Watch that nothing rises again by itself."""
        from_s = time.monotonic()
        self.rig.wait(seconds)
        later = self.rig.witness.since(from_s)
        assert not later.live.any(), "pulses came back by themselves"
        assert (later.demand_v <= later.demand_v[0] + 1.0).all(), "voltage was asked for again by itself"

    def is_over(self, after_s: float = 0.0) -> None:
        """What rises from here on is the run's own business."""
        self._ends_s = time.monotonic() + after_s

    @property
    def descent_s(self) -> float:
        """How long it took until the supply was told down, NaN when it was not awaited."""
        return np.nan if self._descent_s is None else self._descent_s

    def measure(self) -> None:
        """Write the rise into the row."""
        truth = self.truth()
        if self._ends_s is not None:
            truth = truth.before(self._ends_s)
        if len(truth.t_s):
            self.row.rise_v = max(0.0, float(truth.v_v.max()) - self.before.v_v)

    def _fell(self) -> float | None:
        truth = self.truth()
        if not len(truth.t_s):
            return None
        highest_v = max(self.before.demand_v, float(truth.demand_v.max()))
        low = (truth.demand_v < _FELL * highest_v) | (truth.v_v < _CUT * self.before.v_v)
        return float(truth.t_s[low][0]) - self.since_s if low.any() else None

    def _tell_reaction(self) -> None:
        parts = []
        if self._inhibit_s is not None:
            parts.append(f"pulses off {1e3 * self._inhibit_s:.0f} ms")
        if self._descent_s is not None:
            parts.append(f"V falls {1e3 * self._descent_s:.0f} ms")
        self.row.reaction = ", ".join(parts)
