"""Property: whatever comes in, the guard's command stays below the law and every limit, and never rises unasked."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.control.types import Setpoint
from evapd.errors import StateError
from evapd.guard.energy import DOWNWARD, EnergyState
from evapd.guard.limits import amplitude, slew_ceiling, v_dc_ceiling
from evapd.guard.types import GuardSettings
from evapd.link import LinkFlag
from support.guard_bench import DIGEST, Bench, make_rig

S = EnergyState
QUIET = {S.INHIBITED, S.HOLDING, S.PAUSED, S.ALIGNING} | DOWNWARD


@dataclass
class WildLaw:
    """Proposes whatever it is told, the most dangerous first."""

    proposals: list
    newest: float = 1e12

    def reset(self, v_dc_v, now_s):
        self.newest = 1e12

    def step(self, observation, now_s):
        self.newest = self.proposals.pop() if self.proposals else 1e9
        return Setpoint(v_dc_v=self.newest)

    def inhibited(self, now_s, ratio):
        pass

    def resumed(self, now_s):
        pass

    def retarget(self, target_rate):
        pass


ACTIONS = st.sampled_from([
    ("stalled", True), ("stalled", False), ("silent_tdc", True), ("silent_tdc", False), ("burst", 50.0), ("burst", 1.0),
    ("temperature_k", 90.0), ("temperature_k", 50.0), ("v_p_scale", 0.5), ("v_p_scale", 1.0), ("enabled", False),
    ("flags", LinkFlag.ARMED), ("flags", LinkFlag.ARMED | LinkFlag.LOSS), ("flags", LinkFlag.ARMED | LinkFlag.COUNTER_JUMP),
    ("follows", False), ("follows", True), ("pressure_pa", None), ("disconnects", 1), ("rate_hz", 10.0),
    ("state_flags", {"tripped": True}), ("unknown", {"cryo"}),
    ("hold", True), ("hold", False), ("pause", None), ("align", None), ("resume", None), ("inhibit", True), ("inhibit", False), ("abort", "x"), ("run_end", "x"),
    ("fraction", 0.05), ("fraction", 0.4), ("wait", 1), ("wait", 10),
])  # fmt: skip


def act(bench, action):
    name, value = action
    try:
        if name in {"hold", "inhibit", "abort", "run_end"}:
            getattr(bench.core, name)(value, bench.now_s)
        elif name in {"pause", "align", "resume"}:
            getattr(bench.core, name)(bench.now_s)
        elif name == "fraction":
            bench.core.set({"pulse_fraction": value}, bench.now_s)
        elif name == "wait":
            return value
        else:
            setattr(bench, name, value)
    except StateError:
        pass  # refused by the state: nothing was changed, which is what is checked below
    return 2


def check(bench, law, before, stood_v, bad_data):
    decision, rig, steering = bench.decision, bench.rig, bench.core.steering
    if decision.v_dc_v is None:
        return
    assert decision.v_dc_v <= min(rig.control.v_max_v, rig.specimen.v_dc_max_v) + 1e-9
    if decision.v_p_v is not None:
        assert decision.v_dc_v + decision.v_p_v <= rig.specimen.v_tot_max_v + 1e-6
    if decision.state is S.EVAPORATING and before.state is S.EVAPORATING:
        slew = rig.control.max_slew_up_hunting
        assert decision.v_dc_v <= slew_ceiling(before.v_dc_v, 0.15, slew) + 1e-9
        # A law that has seen a change of the fraction proposes at its own scale of voltage.
        proposed_v = steering.amplitudes.v_dc_of(law.newest)
        assert decision.v_dc_v <= max(proposed_v, 0.0) + 1e-6 or decision.v_dc_v <= before.v_dc_v
    if decision.state in QUIET and before.v_dc_v is not None and before.state is not S.STANDBY:
        # What is meant never rises; a supply that was drawn down is only called back to it.
        assert decision.v_dc_v <= max(before.v_dc_v, steering.v_set_v) + 1e-9
        assert steering.v_set_v <= stood_v + 1e-9
        assert decision.pulser_enable is False
    if bad_data and before.v_dc_v is not None:
        assert steering.v_set_v <= stood_v + 1e-9


@settings(max_examples=40, deadline=None)
@given(
    st.lists(ACTIONS, max_size=14),
    st.lists(st.sampled_from([1e12, -1e3, 0.0, 1800.0, 3000.0, 1e6]), max_size=40),
)
def test_the_guard_only_ever_lowers(actions, proposals):
    law = WildLaw(proposals)
    rig = make_rig(specimen={"v_tot_max_v": 8000}, guard={"start_ramp_v_per_s": 2000})
    bench = Bench(rig=rig, law=law, threshold_v=1e5).evaporating()
    for action in actions:
        ticks = act(bench, action)
        for _ in range(ticks):
            before, stood_v = bench.decision, bench.core.steering.v_set_v
            stale = bench.now_s - bench.core.observer.rates.newest.t_mono_ns / 1e9 > 0.15
            bench.tick()
            check(bench, law, before, stood_v, stale or bool(bench.flags & LinkFlag.COUNTER_JUMP))


@given(st.floats(0, 0.5), st.floats(0, 2000), st.floats(0, 5000), st.floats(1000, 20000), st.floats(0, 30000))
def test_v_tot_is_limited_whatever_fraction_floor_and_ceiling(fraction, floor_v, span_v, v_tot_max_v, v_dc_v):
    v_tot_max_v = max(v_tot_max_v, floor_v)
    rig = make_rig(
        specimen={"v_tot_max_v": v_tot_max_v, "v_dc_max_v": min(v_tot_max_v, 8000)},
        control={"v_max_v": min(v_tot_max_v, 7000), "v_start_v": 0, "v_min_v": 0},
    )
    guard = GuardSettings(rig=rig, digest=DIGEST, v_p_min_v=floor_v, v_p_max_v=floor_v + span_v)
    allowed_v = min(v_dc_v, v_dc_ceiling(fraction, guard))
    assert allowed_v + amplitude(allowed_v, fraction, guard).v_p_v <= v_tot_max_v * (1 + 1e-9)
