"""Hits against the truth: what counts as found, as a ghost, and of what."""

import numpy as np
import pytest

from evapd_sim.score import Found, Hits, score
from evapd_sim.true_hits import TrueHits

# (pulse, tof_ps, x_mm, y_mm, signals alive)
TRUE = [
    (3, 300_000.0, 0.0, 0.0, 0b11111),
    (5, 400_000.0, 10.0, 0.0, 0b11111),
    (5, 410_000.0, 10.0, 5.0, 0b00111),  # not recoverable
    (9, 500_000.0, -20.0, 3.0, 0b11110),
]


def truth(rows: list[tuple[int, float, float, float, int]] = TRUE) -> TrueHits:
    pulse, tof, x, y, alive = (np.array(column) for column in zip(*rows, strict=True))
    return TrueHits(pulse.astype(np.int64), tof, x, y, alive.astype(np.uint8))


def hits(*rows: tuple[int, float, float, float, int]) -> Hits:
    table = np.array(rows, float).reshape(-1, 5)
    return Hits(table[:, 0].astype(np.int64), *table[:, 1:4].T, table[:, 4].astype(np.uint8))


PERFECT = [(pulse, tof, x, y, 0) for pulse, tof, x, y, _ in TRUE]


def test_all_found_is_more_than_the_ceiling() -> None:
    result = score(truth(), hits(*PERFECT))
    assert (result.efficiency, result.ceiling, result.ghosts) == (1.0, 0.75, 0.0)
    assert result.of_recoverable == pytest.approx(4 / 3)
    assert (result.hits, result.true_hits) == (4, 4)


def test_efficiency_and_ceiling_are_told_by_the_true_multiplicity() -> None:
    result = score(truth(), hits(PERFECT[0], PERFECT[1]))
    assert result.by_multiplicity == {1: Found(2, 0.5, 1.0), 2: Found(2, 0.5, 0.5)}


@pytest.mark.parametrize(
    ("dtof_ps", "dx_mm", "found"),
    [(1000, 0.0, 1), (1001, 0.0, 0), (-1000, 0.2, 1), (0, 0.299, 1), (0, -0.301, 0)],
)
def test_a_hit_is_right_within_both_tolerances(dtof_ps: float, dx_mm: float, found: int) -> None:
    result = score(truth(TRUE[:1]), hits((3, 300_000 + dtof_ps, dx_mm, 0.0, 0)))
    assert (result.efficiency, result.ghosts) == (found, 1 - found)


def test_a_hit_of_another_pulse_is_a_ghost() -> None:
    assert score(truth(), hits((4, 300_000, 0.0, 0.0, 0))).ghosts == 1.0


def test_ghosts_and_shares_are_told_by_quality_code() -> None:
    found = hits(PERFECT[0], (5, 100.0, 0.0, 0.0, 0), (9, *PERFECT[3][1:4], 129), (9, 0.0, 0.0, 0.0, 1))
    result = score(truth(), found)
    assert result.share_by_quality == {0: 0.5, 1: 0.25, 129: 0.25}
    assert result.ghosts_by_quality == {0: 0.5, 1: 1.0, 129: 0.0}


def test_two_hits_of_one_pulse_may_stand_in_any_order() -> None:
    result = score(truth(), hits(PERFECT[2], PERFECT[1], PERFECT[3], PERFECT[0]))
    assert (result.efficiency, result.ghosts) == (1.0, 0.0)


def test_nothing_found_and_nothing_to_find_are_no_trouble() -> None:
    assert score(truth(), hits()).efficiency == 0.0
    nothing = TrueHits(np.zeros(0, np.int64), *np.zeros((3, 0)), np.zeros(0, np.uint8))
    result = score(nothing, hits(PERFECT[0]))
    assert (result.efficiency, result.ceiling, result.of_recoverable, result.ghosts) == (0.0, 0.0, 0.0, 1.0)
