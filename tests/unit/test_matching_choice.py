"""Pulses resolved as a whole: the best set of hits, and hits that are only one of two equal stories."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.matching import Matcher, MatchSettings
from evapd.matching.choice import choose
from evapd.matching.gates import chi2_gate, chi2_tail
from evapd.matching.quality import is_risky, known_codes, meaning, missing_mask, signals_table
from evapd.matching.workspace import make_scratch
from support.anodes import quad
from support.signals import Ion, SignalModel, ideal_block, rows, score, simulate

WORTH = 40.0


def candidates(rows_: list[tuple[float, tuple[int, ...]]]) -> np.record:
    scratch: np.record = make_scratch(5)[0]
    scratch.filled[:] = 8
    for k, (cost, signals) in enumerate(rows_):
        scratch.cost[k] = cost
        scratch.chosen[k] = signals
    return scratch


def gain(rows_: list[tuple[float, tuple[int, ...]]], taken: tuple[int, ...]) -> float:
    return sum(WORTH - rows_[k][0] for k in taken)


def apart(rows_: list[tuple[float, tuple[int, ...]]], taken: tuple[int, ...]) -> bool:
    return not any(
        a >= 0 and a == b
        for k, j in combinations(taken, 2)
        for a, b in zip(rows_[k][1], rows_[j][1], strict=True)
    )


def test_two_good_hits_are_preferred_to_the_best_one_alone() -> None:
    rows_ = [(0.1, (0, 0, 0, 1, 1)), (0.5, (1, 0, 1, 0, 0)), (0.6, (2, 1, 2, 1, 2))]
    scratch = candidates(rows_)
    taken = choose(scratch, 3, WORTH, 2)
    assert sorted(scratch.taken[:taken].tolist()) == [1, 2]


@settings(deadline=None)
@given(st.data())
def test_no_set_of_candidates_is_better_than_the_chosen_one(data: st.DataObject) -> None:
    one = st.tuples(st.floats(0, 20), st.tuples(*[st.integers(-1, 3)] * 5))
    rows_ = data.draw(st.lists(one, min_size=1, max_size=9))
    scratch = candidates(rows_)
    taken = tuple(scratch.taken[: choose(scratch, len(rows_), WORTH, len(rows_))].tolist())
    assert apart(rows_, taken)
    best = max(
        gain(rows_, some)
        for size in range(1, len(rows_) + 1)
        for some in combinations(range(len(rows_)), size)
        if apart(rows_, some)
    )
    assert gain(rows_, taken) == pytest.approx(best, abs=1e-6)


def test_of_two_stories_that_are_equally_good_none_is_told() -> None:
    # The second ion came in the MCP's dead time; either x end may belong to either ion, and nothing tells which.
    first = Ion(0, 300_000, 10, 5, missing=(1,))
    second = Ion(0, 301_000, 4, -12, missing=(0, 2))
    assert rows(Matcher(quad()).match(ideal_block([first, second], 2))) == []


def test_a_story_that_explains_the_other_signals_too_is_told() -> None:
    # As before, but the second ion has both x ends: with the first ion's only end it would make no time.
    first = Ion(0, 300_000, 10, 5, missing=(1,))
    second = Ion(0, 304_000, 2, -12, missing=(0, 3, 4))
    ((_, tof_ps, x_um, y_um, quality, _),) = rows(Matcher(quad()).match(ideal_block([first, second], 2)))
    assert quality == 2
    assert tof_ps == pytest.approx(300_000, abs=20)
    assert (x_um, y_um) == pytest.approx((10_000, 5_000), abs=30)


def test_a_complete_hit_says_so_when_its_signals_fit_another_place_nearly_as_well() -> None:
    # At one instant no time sum tells which x ends go with which y ends.
    ions = [
        Ion(0, 300_000, 10, 5),
        Ion(0, 300_000, -12, -9),
        Ion(1, 300_000, 10, 5),
        Ion(1, 340_000, -12, -9),
    ]
    hits = Matcher(quad(dead_time_ps=0)).match(ideal_block(ions, 3))
    assert hits.quality.tolist() == [6, 6, 0, 0]


def test_a_margin_far_below_zero_tells_one_of_the_stories_and_brings_ghosts() -> None:
    truth = simulate(SignalModel(), 100_000, 8)
    careful, bold = (
        score(truth, Matcher(quad(), MatchSettings(margin=margin)).match(truth.block))
        for margin in (0.5, -100.0)
    )
    assert bold.efficiency > careful.efficiency + 0.01
    assert bold.ghosts > careful.ghosts + 0.01


def test_three_signals_are_a_hit_only_where_that_risk_is_taken() -> None:
    for missing in [(1, 3), (2, 4), (0, 2), (0, 3)]:
        block = ideal_block([Ion(0, 300_000, 5, 5, missing=missing)], 2)
        assert rows(Matcher(quad()).match(block)) == []
        ((_, _, x_um, y_um, quality, _),) = rows(Matcher(quad(), MatchSettings(risky=True)).match(block))
        assert quality == 32 + sum(1 << c for c in missing)
        assert (x_um, y_um) == pytest.approx((5000, 5000), abs=60)


def test_risky_methods_are_named_for_the_metadata() -> None:
    assert MatchSettings().risky_methods == ()
    assert MatchSettings(risky=True).risky_methods == ("three-signals",)


@pytest.mark.parametrize(
    ("freedom", "chi2"), [(1, 3.8415), (2, 5.9915), (3, 7.8147), (4, 9.4877), (5, 11.0705)]
)
def test_gates_are_those_of_the_chi_squared_distribution(freedom: int, chi2: float) -> None:
    assert chi2_tail(chi2, freedom) == pytest.approx(0.05, rel=1e-3)
    assert chi2_gate(0.05, freedom) == pytest.approx(chi2, rel=1e-4)


def test_every_code_says_what_is_missing_and_only_risky_ones_have_no_check() -> None:
    assert known_codes(5) == (0, 1, 2, 3, 4, 5, 6)
    assert len(known_codes(7)) == 2 + 7 + 21 + 35
    for channels in (5, 7):
        for code in known_codes(channels, risky=True):
            signals = channels - missing_mask(code).bit_count()
            assert is_risky(code) == (signals < 4)
            assert signals_table(channels)[code] == signals
    assert meaning(128 + 0b1000001) == "MCP, w2 missing"
    assert meaning(32 + 0b00110) == "x1, x2 missing (risky)"
    assert meaning(77) == "unknown code"
