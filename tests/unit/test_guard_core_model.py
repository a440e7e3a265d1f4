"""Model check of the real core: random commands, faults and repairs in virtual time; what must never happen, never does.

The states that the core goes through are compared with a second account of them, kept here from what was commanded.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from evapd.errors import StateError
from evapd.guard.energy import DOWNWARD, ENERGISED, PULSING, STEERED, TABLE, EnergyEvent
from evapd.guard.energy import EnergyState as S
from evapd.guard.limits import v_dc_ceiling
from evapd.link import LinkFlag
from support.guard_bench import DIGEST, Bench, make_rig

COMMANDS = (
    "pause",
    "align",
    "resume",
    "hold",
    "unhold",
    "inhibit",
    "uninhibit",
    "run_end",
    "acknowledge",
    "abort",
)
FAULTS = (
    ("stalled", True), ("silent_tdc", True), ("burst", 60.0), ("burst", 0.0), ("temperature_k", 90.0), ("v_p_scale", 0.5),
    ("enabled", False), ("rate_hz", 10.0), ("flags", LinkFlag.ARMED | LinkFlag.LOSS), ("flags", LinkFlag.ARMED | LinkFlag.COUNTER_JUMP),
    ("follows", False), ("obeys", False), ("pressure_pa", None), ("pressure_pa", 1.0), ("disconnects", 1), ("connected", False),
    ("state_flags", {"tripped": True}), ("unknown", {"cryo"}), ("unknown", {"hv"}), ("unknown", {"trigger"}), ("tau_down_s", 3.0),
)  # fmt: skip
HEALTHY = {
    "stalled": False, "silent_tdc": False, "burst": 1.0, "temperature_k": 50.0, "v_p_scale": 1.0,
    "flags": LinkFlag.ARMED | LinkFlag.RUN_ACTIVE, "follows": True, "obeys": True, "pressure_pa": 1e-8, "connected": True,
    "state_flags": {}, "unknown": frozenset(), "tau_down_s": 0.5,
}  # fmt: skip
UPWARDS = {"resume", "unhold", "uninhibit", "run_begin"}


class GuardMachine(RuleBasedStateMachine):
    """Commands, faults and time in any order."""

    @initialize(
        attended=st.booleans(),
        found_v=st.sampled_from([0.0, 0.0, 2500.0]),
        threshold_v=st.sampled_from([1900.0, 2400.0]),
    )
    def start(self, attended, found_v, threshold_v):
        rig = make_rig(
            control={"v_start_v": 1800, "resume_s": 4.0},
            guard={"attended": attended, "start_ramp_v_per_s": 2000},
        )
        self.bench = Bench(
            rig=rig, threshold_v=threshold_v, v_v=found_v, v_set_v=found_v, output_on=found_v > 0
        )
        self.wanted = False  # a person or a run wants it up, and nothing has spoken against it since
        self.run_s(0.5)

    @rule()
    def run_begin(self):
        self.command("run_begin")

    @rule()
    def run_under_way(self):
        self.repair(1.5)
        self.command("acknowledge")
        self.command("run_begin")
        self.run_s(2.0)

    @rule()
    def stopped_by_a_person(self):
        self.command("pause")
        self.command("align")

    @rule(command=st.sampled_from(COMMANDS))
    def command_of_a_person(self, command):
        self.command(command)

    @rule(
        change=st.sampled_from(
            [
                {"pulse_fraction": 0.1},
                {"pulse_fraction": 0.3},
                {"target_rate": 0.02},
                {"law": "hold"},
                {"law": "pi-log"},
            ]
        )
    )
    def change(self, change):
        self.bench.core.set(change, self.bench.now_s)
        self.run_s(0.1)

    @rule(fault=st.sampled_from(FAULTS), duration_s=st.sampled_from([0.05, 0.3, 2.2]))
    def fault(self, fault, duration_s):
        setattr(self.bench, *fault)
        self.run_s(duration_s)

    @rule(duration_s=st.sampled_from([0.1, 1.5]))
    def repair(self, duration_s):
        for name, value in HEALTHY.items():
            setattr(self.bench, name, value)
        self.run_s(duration_s)

    @rule(duration_s=st.sampled_from([0.2, 1.0]))
    def wait(self, duration_s):
        self.run_s(duration_s)

    def command(self, name):
        core, now_s, before = self.bench.core, self.bench.now_s, self.account()
        calls = {
            "run_begin": lambda: core.run_begin("run-1", DIGEST, now_s),
            "hold": lambda: core.hold(True, now_s),
            "unhold": lambda: core.hold(False, now_s),
            "inhibit": lambda: core.inhibit(True, now_s),
            "uninhibit": lambda: core.inhibit(False, now_s),
            "run_end": lambda: core.run_end("enough", now_s),
            "abort": lambda: core.abort("stop", now_s),
        }
        try:
            calls.get(name, lambda: getattr(core, name)(now_s))()
        except StateError:
            assert self.account() == before, "a refused command changed something"
            assert name not in {"abort", "hold", "inhibit", "run_end"} or core.state not in STEERED
            return
        if name in UPWARDS and core.state is not before[0]:
            self.wanted = True
        self.run_s(0.1)

    def account(self):
        steering = self.bench.core.steering
        return self.bench.state, steering.v_set_v, steering.command_v, self.bench.core.run

    def run_s(self, duration_s):
        for _ in range(max(1, round(duration_s / 0.05))):
            before, v_v = self.bench.state, self.bench.core.steering.v_set_v
            self.stood_v = self.bench.v_v
            count = len(self.bench.events)
            self.bench.tick()
            self.look(before, v_v, self.bench.events[count:])

    def look(self, before, v_v, events):
        bench, steering, state = self.bench, self.bench.core.steering, self.bench.state
        moves = [event for event in events if event.kind == "energy"]
        for move in moves:
            ways = {target.label for (one, _), target in TABLE.items() if one.label == move.details["before"]}
            assert move.details["after"] in ways
        if state not in ENERGISED or state in (S.HOLDING, S.PAUSED, S.ALIGNING):
            self.wanted = False
        decision = bench.decision
        if decision.pulser_enable:
            assert state in STEERED, "pulses outside of the states that pulse"
        if state not in STEERED and before not in STEERED | {S.OFF}:
            assert steering.v_set_v <= v_v + 1e-9, "the voltage rose while nothing evaporates"
            assert (decision.v_dc_v or 0.0) <= max(v_v, steering.v_set_v, self.stood_v) + 1e-9
        if before not in STEERED | {S.INHIBITED}:
            assert state not in STEERED or self.wanted, "it energised by itself"
        if decision.output:
            assert state is S.RAMPING, "an output was switched on outside the beginning of a run"
        if decision.v_dc_v is not None:
            assert (
                decision.v_dc_v
                <= max(v_dc_ceiling(steering.amplitudes.fraction, bench.core.settings), self.stood_v) + 1e-6
            )

    @invariant()
    def pulses_only_where_they_may(self):
        if hasattr(self, "bench") and self.bench.state not in PULSING:
            assert not self.bench.decision.pulser_enable

    def teardown(self):
        """From wherever it is: repaired and aborted, it ends safe and stays there until somebody begins anew."""
        if not hasattr(self, "bench"):
            return
        self.wanted = False
        for name, value in HEALTHY.items():
            setattr(self.bench, name, value)
        self.bench.core.abort("the end", self.bench.now_s)
        self.run_s(4.0)
        if self.bench.state is S.FAULT_LATCHED:
            self.bench.core.acknowledge(self.bench.now_s)
        assert self.bench.state in (S.SAFE, S.STANDBY), self.bench.state.label
        assert self.bench.v_v < 50
        self.run_s(1.0)
        assert self.bench.state in {S.SAFE, S.STANDBY} | DOWNWARD
        assert not self.bench.enabled


def test_no_sequence_of_commands_and_faults_breaks_what_must_hold():
    run_state_machine_as_test(
        GuardMachine, settings=settings(max_examples=15, stateful_step_count=15, deadline=None)
    )


def test_an_abort_leads_from_every_state_to_safe_by_the_table():
    for state in S:
        below = TABLE[state, EnergyEvent.RAMP_DOWN]
        way = EnergyEvent.ACKNOWLEDGE if below is S.FAULT_LATCHED else EnergyEvent.VERIFIED_DOWN
        assert TABLE[below, way] is S.SAFE
