"""How well a rate was held: measured over live pulses, from the time the target was reached until the stop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.record.run import RunInfo, Segment
from evapd.report.clock import PulseTimes
from evapd.report.held import RateSummary, summarise_rate
from evapd.report.rates import BIN_S, RateHistory
from evapd.report.targets import Targets

LIVE = 20_000.0
TARGET = 0.01


def history(rates: np.ndarray, live: np.ndarray | float = LIVE, background: float = 0.0) -> RateHistory:
    n = len(rates)
    pulses = np.broadcast_to(np.asarray(live, float), n).copy()
    hits = np.asarray(rates) * pulses + background
    return RateHistory(
        t_s=BIN_S * (np.arange(n) + 0.5), live=pulses, hits=hits, background=np.full(n, background)
    )


def targets(*steps: tuple[float, float]) -> Targets:
    steps = steps or ((-np.inf, TARGET),)
    return Targets(np.array([t_s for t_s, _ in steps]), np.array([rate for _, rate in steps]))


def judge(rates: np.ndarray, stop_s: float = 1e9, together: float = 1.0, **about) -> RateSummary:
    found = summarise_rate(history(rates, **about), targets(), stop_s, together)
    assert found is not None
    return found


def test_the_time_to_target_is_when_the_mean_of_one_second_came_to_ninety_per_cent() -> None:
    found = judge(np.concatenate((np.zeros(50), np.full(100, TARGET))))

    assert found.reached_s == pytest.approx(5.9)
    assert found.at_target_s == pytest.approx(15.0 - 5.9)
    assert found.mean_over_target == pytest.approx(1.0)


def test_a_rate_that_never_comes_near_its_target_is_not_judged() -> None:
    found = judge(np.full(100, 0.8 * TARGET))

    assert found.reached_s is None
    assert np.isnan(found.mean)
    assert found.peak_1s == pytest.approx(0.8)


def test_what_comes_after_the_stop_does_not_count() -> None:
    rates = np.concatenate((np.full(100, TARGET), np.full(50, 7 * TARGET)))

    found = judge(rates, stop_s=10.0)

    assert found.mean_over_target == pytest.approx(1.0)
    assert found.peak_100ms == pytest.approx(1.0)


def test_inhibited_stretches_are_no_low_rate() -> None:
    live = np.where((np.arange(100) >= 40) & (np.arange(100) < 55), 0.0, LIVE)

    found = judge(np.full(100, TARGET), live=live)

    assert found.mean_over_target == pytest.approx(1.0)
    assert found.at_target_s == pytest.approx(9.0 - 1.5)
    assert found.scatter == pytest.approx(0.0, abs=1e-9)


def test_uncorrelated_hits_are_taken_off_and_told() -> None:
    found = judge(np.full(100, TARGET), background=20.0)

    assert found.mean_over_target == pytest.approx(1.0)
    assert found.background == pytest.approx(20.0 / LIVE)


def test_a_short_surge_shows_in_the_peak_of_a_tenth_of_a_second() -> None:
    rates = np.full(100, TARGET)
    rates[60] = 4 * TARGET

    found = judge(rates)

    assert found.peak_100ms == pytest.approx(4.0)
    assert found.peak_1s == pytest.approx(1.3)


def test_the_scatter_is_relative_to_the_target_so_an_offset_counts() -> None:
    assert judge(np.full(100, 1.1 * TARGET)).scatter == pytest.approx(np.log(1.1))


@pytest.mark.parametrize("hits_in_a_pulse", [1, 3])
def test_counting_statistics_are_those_of_pulses_not_of_ions(hits_in_a_pulse: int) -> None:
    rng = np.random.default_rng(1)
    hits = hits_in_a_pulse * rng.binomial(int(LIVE), TARGET / hits_in_a_pulse, 4000)

    found = judge(hits / LIVE, together=float(hits_in_a_pulse))

    assert found.scatter == pytest.approx(found.scatter_counting, rel=0.1)


def test_a_second_without_a_hit_has_a_finite_scatter() -> None:
    rates = np.full(100, TARGET)
    rates[20:60] = 0.0

    assert np.isfinite(judge(rates).scatter)


def test_a_law_that_holds_no_rate_is_not_judged() -> None:
    assert summarise_rate(history(np.full(20, TARGET)), targets((-np.inf, np.nan)), 2.0, 1.0) is None


def test_each_stretch_is_judged_by_the_target_in_force() -> None:
    rates = np.concatenate((np.full(50, TARGET), np.full(50, 2 * TARGET)))

    found = summarise_rate(history(rates), targets((-np.inf, TARGET), (5.0, 2 * TARGET)), 10.0, 1.0)

    assert found is not None
    assert found.target_changed
    assert found.mean_over_target == pytest.approx(1.0)
    assert found.scatter == pytest.approx(0.0, abs=1e-9)


def test_targets_follow_the_segments() -> None:
    def segment(number: int, t_s: int, **settings: object) -> Segment:
        return Segment(number=number, first_pulse=0, t_mono_us=t_s * 1_000_000, t_utc=0, settings=settings)

    info = RunInfo(
        id="r", name="r", t_start_utc=0, t_start_mono_us=0,
        configuration={"control": {"law": "pi-log", "target_rate": 0.01}},
        segments=(segment(0, 0), segment(1, 10, target_rate=0.02), segment(2, 20, law="hold"), segment(3, 30, law="pi-log")),
    )  # fmt: skip

    np.testing.assert_array_equal(Targets.of(info).at([-1, 5, 15, 25, 35]), [0.01, 0.01, 0.02, np.nan, 0.02])


def times(anchors: list[tuple[int, int]], kinds: list[tuple[int, int, int, int]]) -> PulseTimes:
    pulse, t_us = np.array(anchors or np.empty((0, 2)), dtype=np.int64).reshape(-1, 2).T
    blocks = {"anchor_pulse": pulse.astype(np.uint64), "anchor_t_mono": t_us}
    rows = np.array(kinds or np.empty((0, 4)), dtype=np.int64).reshape(-1, 4).T
    runs = dict(zip(("first_pulse", "last_pulse", "kind", "inhibited"), rows, strict=True))
    return PulseTimes(blocks, runs, t_start_us=1_000_000, pulse_rate_hz=1000.0)


def test_pulses_are_evenly_spaced_between_anchors_and_stand_still_where_the_anchors_say_so() -> None:
    clock = times(
        [(0, 1_000_000), (1000, 2_000_000), (1000, 4_000_000), (2000, 5_000_000)], [(0, 1999, 0, 0)]
    )

    np.testing.assert_allclose(clock.pulse_at([0.0, 0.5, 2.0, 3.5]), [0, 500, 1000, 1500])


def test_inhibited_and_lost_pulses_are_not_live() -> None:
    clock = times(
        [(0, 1_000_000)], [(0, 999, 0, 0), (1000, 1999, 1, 1000), (2000, 2999, 2, 400), (3000, 3999, 3, 0)]
    )

    assert clock.live == 1600
    np.testing.assert_allclose(clock.live_before([500, 1500, 2500, 4000]), [500, 1000, 1300, 1600])


def test_without_anchors_pulses_are_laid_out_by_the_configured_rate() -> None:
    clock = times([], [(0, 1999, 0, 0)])

    assert (clock.begin_s, clock.end_s) == (0.0, 2.0)


def test_a_run_without_pulses_has_no_duration() -> None:
    clock = times([], [])

    assert (clock.begin_s, clock.end_s, clock.live) == (0.0, 0.0, 0)


@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(1, 10**15)), max_size=20),
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20),
)
def test_time_never_takes_pulses_back_whatever_the_anchors_are(anchors, t_s) -> None:
    clock = times(anchors, [(0, 10**12, 0, 0)])

    assert np.all(np.diff(clock.pulse_at(np.sort(t_s))) >= 0)
