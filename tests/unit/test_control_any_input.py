"""Closed-loop laws are fed with anything at all: they never raise, leave the range, or climb faster than they may."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.control import ControlSettings, RateObservation, create

SETTINGS = ControlSettings(target_rate=0.01, pulse_rate_hz=2e5, v_min_v=500.0, v_max_v=6000.0)
wild = st.one_of(
    st.floats(), st.floats(-10, 10), st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1.0, 0.0])
)
# Python does not hold callers to the annotations: a count may arrive as any number.
counts = st.one_of(st.integers(0, 20_000), st.integers(-(10**30), 10**30), wild)
observations = st.one_of(
    st.none(),
    st.builds(
        RateObservation,
        t_s=st.one_of(st.floats(0, 20), wild),
        pulses=counts,  # type: ignore[arg-type]
        hits=counts,  # type: ignore[arg-type]
        v_dc_v=st.one_of(st.floats(400, 7000), wild),
        valid=st.booleans(),
        pulser_ok=st.booleans(),
        saturated=st.booleans(),
        background=st.one_of(st.floats(0, 100), wild),
    ),
)
steps = st.tuples(
    st.sampled_from(["step"] * 12 + ["inhibited", "resumed"]),
    observations,
    st.one_of(st.floats(0, 0.3), wild),
    st.one_of(st.floats(0, 100), wild),
)


@pytest.mark.parametrize("name", ["imm", "pi-log"])
@settings(max_examples=120, deadline=None)
@given(calls=st.lists(steps, max_size=40), start_v=st.one_of(st.floats(500, 6000), wild))
def test_any_calls_keep_the_set_point_in_range_and_within_the_slew(
    name: str, calls: list[tuple[str, RateObservation | None, float, float]], start_v: float
) -> None:
    law, now_s = create(name, SETTINGS), 1.0
    law.reset(start_v, now_s)
    before_v = law.step(None, now_s).v_dc_v
    for what, observation, dt_s, ratio in calls:
        then_s, now_s = now_s, now_s + dt_s if math.isfinite(now_s + dt_s) else now_s
        if what == "inhibited":
            law.inhibited(now_s, ratio)
        elif what == "resumed":
            law.resumed(now_s)
        after_v = law.step(observation, now_s).v_dc_v
        passed_s = max(0.0, now_s - then_s)
        rise = SETTINGS.max_slew_up_hunting * passed_s if observation is not None else 0.0
        assert after_v <= before_v * (1.0 + rise) * (1.0 + 1e-9)
        assert after_v <= SETTINGS.v_max_v
        assert after_v >= min(before_v, SETTINGS.v_min_v)
        before_v = after_v


@pytest.mark.parametrize("name", ["imm", "pi-log"])
@given(now_s=wild)
@settings(max_examples=40, deadline=None)
def test_a_clock_that_is_no_clock_raises_nothing(name: str, now_s: float) -> None:
    law = create(name, SETTINGS)
    law.reset(3000.0, 0.0)
    seen = RateObservation(
        t_s=0.1, pulses=10_000, hits=0, v_dc_v=3000.0, valid=True, pulser_ok=True, saturated=False
    )
    law.step(seen, 0.15)
    law.step(seen, now_s)
    assert law.step(None, 0.2).v_dc_v <= 3000.0 * (1.0 + 0.03 * 0.4)
