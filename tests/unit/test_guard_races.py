"""Two clients at once: whatever order their commands come in, an abort is the last word until somebody asks anew."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.errors import EvapdError, StateError
from evapd.guard.energy import DOWNWARD
from evapd.guard.energy import EnergyState as S
from support.guard_bench import DIGEST, Bench


def standing_by() -> Bench:
    bench = Bench(threshold_v=1600.0)
    bench.until(S.STANDBY, 2.0)
    return bench


def test_a_run_that_was_asked_for_before_an_abort_does_not_begin_after_it():
    bench = standing_by()
    asked_s = bench.now_s  # acquire begins to record, which takes a second
    bench.run_s(0.3)
    bench.core.abort("another client", bench.now_s)
    bench.until(S.SAFE, 2.0)
    with pytest.raises(StateError, match="an abort came after this run was asked for"):
        bench.core.run_begin("run-1", DIGEST, bench.now_s, asked_s)
    bench.run_s(1.0)
    assert bench.state is S.SAFE
    bench.core.run_begin("run-1", DIGEST, bench.now_s, bench.now_s)
    assert bench.state is S.RAMPING


CLIENT = st.sampled_from(
    ["start", "begin", "stop", "abort", "hold", "unhold", "inhibit", "uninhibit", "pause", "align", "resume", "acknowledge",
     "target", "fraction", "rate", "law"]
)  # fmt: skip
CHANGES = {
    "target": {"target_rate": 0.005},
    "fraction": {"pulse_fraction": 0.25},
    "rate": {"pulse_rate_hz": 100e3},
    "law": {"law": "imm"},
}


class Racing:
    """The guard's socket and acquire's, whose start reaches the guard only with a later `begin`."""

    def __init__(self):
        self.bench = standing_by()
        self.asked_s = self.aborted_s = None

    def do(self, command: str) -> None:
        core, now_s = self.bench.core, self.bench.now_s
        calls = {
            "begin": lambda: (
                self.asked_s is not None and core.run_begin("run-1", DIGEST, now_s, self.asked_s)
            ),
            "stop": lambda: core.run_end("stop", now_s),
            "abort": lambda: core.abort("abort", now_s),
            "hold": lambda: core.hold(True, now_s),
            "unhold": lambda: core.hold(False, now_s),
            "inhibit": lambda: core.inhibit(True, now_s),
            "uninhibit": lambda: core.inhibit(False, now_s),
            "pause": lambda: core.pause(now_s),
            "align": lambda: core.align(now_s),
            "resume": lambda: core.resume(now_s),
            "acknowledge": lambda: core.acknowledge(now_s),
        }
        if command == "start":
            self.asked_s = now_s
        elif command == "abort":
            self.aborted_s = now_s
        with suppress(EvapdError):  # refused; what must not have happened is checked below
            calls[command]() if command in calls else command in CHANGES and core.set(CHANGES[command], now_s)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CLIENT, st.integers(0, 6)), max_size=24))
def test_after_an_abort_nothing_energises_until_somebody_asks_anew(commands):
    racing = Racing()
    bench = racing.bench
    for command, ticks in commands:
        racing.do(command)
        for _ in range(ticks):
            bench.tick()
        asked_since = racing.asked_s is not None and (
            racing.aborted_s is None or racing.asked_s > racing.aborted_s
        )
        if racing.aborted_s is not None and not asked_since:
            assert bench.state in DOWNWARD | {S.SAFE, S.STANDBY}
            assert not bench.decision.pulser_enable or ticks == 0
    racing.do("abort")
    bench.until(S.SAFE, 10.0) if bench.state is not S.SAFE else None
    assert bench.v_v < 50.0
