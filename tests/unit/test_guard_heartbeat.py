"""The heartbeat: alternates while the guard is well and its ticks come, and never begins again by itself."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.guard.heartbeat import Heartbeat

TICKS = st.lists(st.floats(0.001, 0.06), min_size=1, max_size=200)


def run(heart, gaps_s, start_s=100.0, healthy=True):
    """Tick after each gap; gives (time, level) of each tick."""
    now_s, seen = start_s, []
    for gap_s in gaps_s:
        now_s += gap_s
        seen.append((now_s, heart.step(now_s, healthy=healthy)))
    return seen


def changes(seen, level=False):
    """Times at which the level changed, from `level` on."""
    found = []
    for now_s, now in seen:
        if now != level:
            found.append(now_s)
        level = now
    return found


def started(at_s=100.0, **times):
    heart = Heartbeat(**times)
    heart.restart(at_s)
    return heart


def test_it_alternates_once_per_half_period_at_twenty_ticks_a_second():
    edges = changes(run(started(), [0.05] * 200))
    assert len(edges) == pytest.approx(100, abs=1)
    assert max(b - a for a, b in pairwise(edges)) < 0.1 + 0.051


def test_ticks_just_before_their_time_do_not_slow_it_down():
    edges = changes(run(started(), [0.0499, 0.0501] * 100))
    assert len(edges) == pytest.approx(100, abs=2)


@given(TICKS)
def test_the_level_changes_within_half_a_period_and_a_tick(gaps_s):
    edges = changes(run(started(), gaps_s))
    assert all(b - a <= 0.1 + 0.06 + 1e-9 for a, b in zip([100.0, *edges], edges, strict=False))


@given(st.lists(st.floats(0.0, 0.4), max_size=200))
def test_late_changes_are_never_made_up_for(gaps_s):
    edges = changes(run(started(), gaps_s))
    assert len(edges) <= 1 + sum(gaps_s) / 0.1 + 1e-6


def test_before_it_is_started_it_stays_low():
    heart = Heartbeat()
    assert changes(run(heart, [0.05] * 50)) == []
    assert heart.why == "not started"


def test_a_tick_that_is_not_well_ends_it_at_the_level_it_had():
    heart = started()
    last = run(heart, [0.05] * 7)[-1][1]
    assert heart.step(100.4, healthy=False) is last
    assert (heart.beating, heart.why) == (False, "the guard is not well")


@given(TICKS)
def test_after_one_bad_tick_it_never_changes_again_by_itself(gaps_s):
    heart = started()
    heart.step(100.01, healthy=False)
    assert changes(run(heart, gaps_s, start_s=100.01), heart.level) == []


@given(st.floats(0.4001, 1e6), TICKS)
def test_after_missing_ticks_it_never_changes_again_by_itself(gap_s, gaps_s):
    heart = started()
    run(heart, [0.05] * 5)
    level = heart.level
    assert changes(run(heart, [gap_s, *gaps_s], start_s=100.25), level) == []
    assert "between two ticks" in heart.why


@pytest.mark.parametrize("now_s", [99.0, -math.inf, math.nan])
def test_a_clock_that_makes_no_sense_ends_it(now_s):
    heart = started()
    level = heart.step(100.05, healthy=True)
    assert heart.step(now_s, healthy=True) is level
    assert not heart.beating


def test_it_beats_again_when_somebody_restarts_it():
    heart = started()
    heart.stop("abort")
    heart.restart(200.0)
    assert len(changes(run(heart, [0.05] * 20, start_s=200.0), heart.level)) >= 9


def test_a_restart_while_it_beats_changes_nothing():
    beating, other = started(), started()
    seen = []
    for tick in range(1, 40):
        other.restart(100.0 + 0.05 * tick)
        seen.append(
            (beating.step(100.0 + 0.05 * tick, healthy=True), other.step(100.0 + 0.05 * tick, healthy=True))
        )
    assert all(a == b for a, b in seen)


def test_ticks_that_stop_leave_the_level_standing():
    heart = started()
    run(heart, [0.05] * 9)
    assert len({heart.level for _ in range(1000)}) == 1


@pytest.mark.parametrize("times", [(0.0, 0.4), (-1.0, 0.4), (0.5, 0.4), (math.nan, 0.4), (0.1, math.nan)])
def test_times_that_cannot_be_are_refused(times):
    with pytest.raises(ValueError, match="wanted is 0 < half period <= gap"):
        Heartbeat(*times)
