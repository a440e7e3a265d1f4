"""A hex anode: three layers of which two would be enough, and what that gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.blocks import HitBlock, TdcBlock
from evapd.matching import Matcher, MatchSettings
from evapd_sim.effects import SignalEffects
from support.anodes import hexanode, quad
from support.signals import Ion, SignalModel, ideal_block, rows, score, simulate

HEX = SignalModel(kind="hex")


def match(block: TdcBlock, **settings: object) -> HitBlock:
    return Matcher(hexanode(), MatchSettings(**settings)).match(block)  # type: ignore[arg-type]  # any setting


@settings(deadline=None)
@given(
    tof_ps=st.integers(200_000, 5_000_000),
    r_mm=st.floats(0, 39.8),
    phi=st.floats(0, 6.3),
    missing=st.sets(st.integers(0, 6), max_size=3),
)
def test_an_ion_comes_back_from_any_four_signals_and_its_code_names_the_others(
    tof_ps: int, r_mm: float, phi: float, missing: set[int]
) -> None:
    ion = Ion(3, tof_ps, r_mm * np.cos(phi), r_mm * np.sin(phi), missing=tuple(missing))
    ((pulse, tof, x_um, y_um, quality, multiplicity),) = rows(match(ideal_block([ion], 10, HEX)))
    mask = sum(1 << c for c in missing)
    assert (pulse, quality, multiplicity) == (3, 128 + mask if mask else 0, 1)
    assert tof == pytest.approx(tof_ps, abs=30)  # bins of 13 ps
    assert (x_um, y_um) == pytest.approx((1000 * ion.x_mm, 1000 * ion.y_mm), abs=35)


def test_three_signals_are_a_hit_only_where_that_risk_is_taken() -> None:
    block = ideal_block([Ion(0, 300_000, 5, 5, missing=(1, 4, 5, 6))], 2, HEX)
    assert rows(match(block)) == []
    ((_, _, x_um, y_um, quality, _),) = rows(match(block, risky=True))
    assert quality == 128 + 0b1110010
    assert (x_um, y_um) == pytest.approx((5000, 5000), abs=60)


def test_a_layer_that_disagrees_is_left_out_and_named() -> None:
    block = ideal_block([Ion(0, 300_000, 5, -7)], 2, HEX)
    time = block.time.copy()
    time[block.channel == 5] += 300  # w1 late by 4 ns, w2 early: its sum holds, its place does not
    time[block.channel == 6] -= 300
    order = np.argsort(time, kind="stable")
    bent = TdcBlock(
        first_pulse=0,
        last_pulse=1,
        bin_ps=block.bin_ps,
        pulse=block.pulse[order],
        channel=block.channel[order],
        time=time[order],
    )
    ((_, _, x_um, y_um, quality, _),) = rows(match(bent))
    assert quality == 128 + 0b1100000
    assert (x_um, y_um) == pytest.approx((5000, -7000), abs=35)


def test_layers_at_any_angle_offsets_and_an_off_centre_detector_are_solved() -> None:
    anode = hexanode(
        u={"angle_deg": 10, "offset_ps": 500, "mm_per_ns": 0.7},
        v={"angle_deg": 75, "offset_ps": -900},
        w={"angle_deg": 128, "offset_ps": 1900},
        centre_mm=(2, -3),
    )
    ions = [Ion(k, 300_000, x, y) for k, (x, y) in enumerate([(0, 0), (20, 5), (-30, 25), (1, -39)])]
    hits = Matcher(anode).match(ideal_block(ions, 9, SignalModel.of(anode)))
    assert hits.quality.tolist() == [0] * 4
    assert np.allclose(hits.x_um, [1000 * ion.x_mm for ion in ions], atol=20)
    assert np.allclose(hits.y_um, [1000 * ion.y_mm for ion in ions], atol=20)


def test_incomplete_hits_can_be_switched_off() -> None:
    ions = [Ion(0, 300_000, missing=(0,)), Ion(1, 300_000, missing=(3, 5)), Ion(2, 300_000)]
    hits = match(ideal_block(ions, 4, HEX), mcp_missing=False, end_missing=False)
    assert rows(hits)[0][0] == 2
    assert hits.n == 1


def test_near_a_line_end_the_other_two_layers_tell_the_place() -> None:
    bent = SignalModel(kind="hex", effects=SignalEffects(nonlinearity_um=500.0))
    truth = simulate(bent, 60_000, 4)
    all_layers, best_pair = (score(truth, match(truth.block, line_end=end)) for end in (1.0, 0.85))
    assert best_pair.of_recoverable > all_layers.of_recoverable + 0.02
    assert best_pair.ghosts < 0.5 * all_layers.ghosts


@pytest.mark.parametrize(("multi", "goal"), [(0.1, 0.98), (0.3, 0.95), (0.9, 0.9)])
def test_nearly_all_that_is_recoverable_is_found(multi: float, goal: float) -> None:
    truth = simulate(SignalModel(kind="hex", multi=multi), 60_000, 21)
    result = score(truth, match(truth.block))
    assert result.of_recoverable >= goal
    assert result.ghosts_by_quality[0] < 0.003


def test_a_third_layer_finds_clearly_more_of_the_same_ions() -> None:
    two, three = (simulate(SignalModel(kind=kind), 100_000, 5) for kind in ("quad", "hex"))
    assert np.array_equal(two.tof_ps, three.tof_ps)
    found = [
        score(truth, Matcher(anode).match(truth.block)).efficiency
        for truth, anode in ((two, quad()), (three, hexanode()))
    ]
    assert found[1] > found[0] + 0.1
