"""Where the voltage was: no history of set points and readbacks leaves a standing difference, and no step of a readback is movement."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.control import ControlSettings
from evapd.control.voltage import VoltageTrack

SETTINGS = ControlSettings(target_rate=0.01, pulse_rate_hz=2e5, v_min_v=500.0, v_max_v=8000.0)
TICK_S = SETTINGS.tick_s
LOG_V = math.log(5000.0)

# Pieces of history: for so many ticks the set point moves by so much per tick, the readback is off by so much more, and late.
piece = st.tuples(
    st.integers(1, 40),
    st.one_of(st.floats(-0.015, 0.002), st.floats(-2e-4, 2e-4), st.just(0.0)),
    st.one_of(st.floats(-0.029, 0.029), st.just(0.0)),
    st.floats(0.0, 0.3),
)


def rest(track: VoltageTrack, log_v: float, read: float, begin_s: float, seconds: float) -> float:
    """Constant set point, constant readback: gives what was told last."""
    told = math.nan
    for k in range(1, round(seconds / TICK_S) + 1):
        now_s = begin_s + k * TICK_S
        track.advance(now_s)
        told = track.take(read, now_s, now_s)
        track.command(log_v)
    return told


@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(piece, max_size=12), last_read=st.floats(-0.029, 0.029), jitter=st.booleans())
def test_at_rest_the_models_voltage_is_told_whatever_was_before(
    pieces: list[tuple[int, float, float, float]], last_read: float, jitter: bool
) -> None:
    track = VoltageTrack(SETTINGS)
    track.reset(LOG_V, 0.0)
    log_v, lagging, now_s = LOG_V, LOG_V, 0.0
    for ticks, per_tick, off, late in pieces:
        for k in range(ticks):
            now_s += TICK_S
            track.advance(now_s)
            lagging += (log_v - lagging) * (1.0 - late)
            track.take(lagging + off, now_s, now_s)
            log_v += per_tick * (math.cos(3.0 * k) if jitter else 1.0)
            track.command(log_v)
    told = rest(track, log_v, log_v + last_read, now_s, 6.0)
    # A supply that was seen to fall slowly still has a little way to go.
    assert told == pytest.approx(track.now, abs=4e-4)
    assert rest(track, log_v, log_v + last_read, now_s + 6.0, 10.0) == pytest.approx(track.now, abs=5e-5)


@given(step=st.floats(-0.025, 0.025), jitter=st.floats(0.0, 2e-4))
@settings(max_examples=60, deadline=None)
def test_a_step_of_the_readback_while_the_set_point_jitters_moves_nothing(step: float, jitter: float) -> None:
    track = VoltageTrack(SETTINGS)
    track.reset(LOG_V, 0.0)
    moved = 0.0
    for k in range(1, 400):
        now_s = k * TICK_S
        log_v = LOG_V + jitter * math.sin(k)
        track.advance(now_s)
        track.take(track.now + (step if k > 200 else 0.0), now_s - 0.1, now_s)
        moved += track.moved if k > 200 else 0.0
        track.command(log_v)
    assert abs(moved) < 6e-4 + 3.0 * jitter


@pytest.mark.parametrize("step", [-0.01, -0.002, 0.002, 0.01])
def test_a_step_of_the_readback_makes_the_voltage_doubtful_for_a_while(step: float) -> None:
    track = VoltageTrack(SETTINGS)
    track.reset(LOG_V, 0.0)
    rest(track, LOG_V, LOG_V, 0.0, 5.0)
    assert not track.doubtful(5.0)
    rest(track, LOG_V, LOG_V + step, 5.0, 0.05)
    assert track.doubtful(5.1)
    rest(track, LOG_V, LOG_V + step, 5.05, 3.0)
    assert not track.doubtful(8.05)


def test_a_supply_that_follows_more_slowly_than_it_should_is_told_by_its_readback() -> None:
    track = VoltageTrack(SETTINGS)
    track.reset(LOG_V, 0.0)
    rest(track, LOG_V, LOG_V, 0.0, 5.0)
    real, errors = LOG_V, []
    for k in range(1, 60):
        now_s = 5.0 + k * TICK_S
        real += (LOG_V - 0.05 - real) * -math.expm1(-TICK_S / 2.0)
        track.advance(now_s)
        errors.append(track.take(real, now_s, now_s) - real)
        track.command(LOG_V - 0.05)
    assert max(map(abs, errors)) < 0.01


def test_coarse_readback_does_not_keep_the_voltage_in_doubt_for_ever() -> None:
    track = VoltageTrack(SETTINGS)
    track.reset(LOG_V, 0.0)
    doubtful = []
    for k in range(1, 1200):
        now_s, log_v = k * TICK_S, LOG_V + 6e-4 * k
        track.advance(now_s)
        coarse = math.log(10.0 * round(math.exp(log_v) / 10.0))  # 10 V, 0.2 %
        track.take(coarse, now_s, now_s)
        track.command(log_v)
        doubtful.append(track.doubtful(now_s))
    assert not any(doubtful[400:])
