"""Words of known ions become the hits they are: geometry, quality codes, ambiguity."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.blocks import HitBlock, TdcBlock
from evapd.matching import Anode, Matcher, MatchSettings, Quality
from support.anodes import hexanode, quad
from support.signals import Ion, SignalModel, ideal_block, part_of, rows, simulate

PS = SignalModel(bin_ps=Fraction(1))


def match(block: TdcBlock, **settings: object) -> HitBlock:
    return Matcher(quad(), MatchSettings(**settings)).match(block)  # type: ignore[arg-type]  # any setting


@settings(deadline=None)
@given(
    tof_ps=st.integers(0, 5_000_000),
    r_mm=st.floats(0, 39.9),
    phi=st.floats(0, 6.3),
    missing=st.sampled_from(range(-1, 5)),
)
def test_an_ion_comes_back_where_it_was_whatever_one_signal_is_missing(
    tof_ps: int, r_mm: float, phi: float, missing: int
) -> None:
    ion = Ion(3, tof_ps, r_mm * np.cos(phi), r_mm * np.sin(phi), missing=(missing,))
    ((pulse, tof, x_um, y_um, quality, multiplicity),) = rows(match(ideal_block([ion], 10, PS)))
    assert (pulse, quality, multiplicity) == (3, missing + 1, 1)
    assert tof == pytest.approx(tof_ps, abs=1)
    assert (x_um, y_um) == pytest.approx((1000 * ion.x_mm, 1000 * ion.y_mm), abs=1.6)


def test_layers_at_any_angle_offsets_and_an_off_centre_detector_are_solved() -> None:
    model = SignalModel(
        bin_ps=Fraction(1), angle_deg=(10, 70), offset_ps=(500, -900), mm_per_ns=(0.7, 0.9), centre_mm=(2, -3)
    )
    anode = quad(
        x={"angle_deg": 10, "offset_ps": 500, "mm_per_ns": 0.7},
        y={"angle_deg": 70, "offset_ps": -900, "mm_per_ns": 0.9},
        centre_mm=(2, -3),
    )
    ions = [Ion(k, 300_000, x, y) for k, (x, y) in enumerate([(0, 0), (20, 5), (-30, 25), (1, -39)])]
    hits = Matcher(anode).match(ideal_block(ions, 9, model))
    assert np.allclose(hits.x_um, [1000 * ion.x_mm for ion in ions], atol=2.5)
    assert np.allclose(hits.y_um, [1000 * ion.y_mm for ion in ions], atol=2.5)


def test_the_time_of_flight_is_the_mcp_time_rounded_exactly() -> None:
    bin_ps = Fraction(5000, 384)
    block = ideal_block([Ion(k, 13.02 * 997 * k + 400_000) for k in range(2000)], 2001)
    mcp = block.time[block.channel == 0]
    exact = [int(Fraction(int(t)) * bin_ps + Fraction(1, 2)) for t in mcp]
    assert match(block).tof_ps.tolist() == exact


def test_an_ion_beyond_the_radius_is_no_hit() -> None:
    assert rows(match(ideal_block([Ion(0, 300_000, 29, 29)], 2))) == []


@pytest.mark.parametrize("missing", [(0, 1), (1, 2), (1, 3), (0, 4), (3, 4)])
def test_three_signals_are_never_a_hit(missing: tuple[int, int]) -> None:
    assert rows(match(ideal_block([Ion(0, 300_000, 5, 5, missing=missing)], 2))) == []


def test_incomplete_hits_can_be_switched_off() -> None:
    ions = [Ion(0, 300_000, missing=(0,)), Ion(1, 300_000, missing=(3,)), Ion(2, 300_000)]
    hits = match(ideal_block(ions, 4), mcp_missing=False, end_missing=False)
    assert hits.quality.tolist() == [Quality.FULL]


def test_two_ions_of_one_pulse_are_told_apart_and_sorted_by_time() -> None:
    hits = match(ideal_block([Ion(7, 400_000, -20, 3), Ion(7, 380_000, 15, -8)], 9, PS))
    assert rows(hits) == [(7, 380_000, 15_000, -8_000, 0, 2), (7, 400_000, -20_000, 3_000, 0, 2)]


def test_two_ions_at_the_same_instant_share_no_signal() -> None:
    hits = match(ideal_block([Ion(0, 400_000, -20, 3), Ion(0, 400_000, 15, -8)], 2, PS))
    assert hits.n == 2
    assert sorted(hits.x_um.tolist()) == [-20_000, 15_000]
    assert sorted(hits.y_um.tolist()) == [-8_000, 3_000]


def test_an_end_is_not_guessed_when_two_signals_could_be_it() -> None:
    ions = [Ion(0, 400_000, 5, 5, missing=(3,)), Ion(0, 420_000, 5, 5, missing=(0, 1, 2, 3))]
    assert rows(match(ideal_block(ions, 2))) == []


def test_an_inconsistent_time_sum_is_no_hit() -> None:
    block = ideal_block([Ion(0, 300_000, 5, 5)], 2, PS)
    time = np.where(block.channel == 1, block.time + 3000, block.time).astype("i4")
    order = np.argsort(time)
    spoiled = TdcBlock(
        first_pulse=0,
        last_pulse=1,
        bin_ps=PS.bin_ps,
        pulse=block.pulse,
        channel=block.channel[order],
        time=time[order],
    )
    assert rows(match(spoiled)) == []


def test_a_wrong_mcp_signal_leaves_a_hit_without_mcp() -> None:
    block = ideal_block([Ion(0, 300_000, 5, 5, missing=(0,)), Ion(0, 330_000, missing=(1, 2, 3, 4))], 2)
    assert match(block).quality.tolist() == [Quality.MCP_MISSING]


@pytest.mark.parametrize(("kind", "anode"), [("quad", quad()), ("hex", hexanode())])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_signal_that_can_belong_to_no_ion_never_changes_the_hits(
    kind: str, anode: Anode, seed: int
) -> None:
    # One ion in each pulse; with another word the pulse takes the way of the crowded ones.
    truth = simulate(SignalModel(kind=kind, detection=0.5, multi=0.0, noise_hz=0.0, dark_hz=0.0), 300, seed)
    block = truth.block
    far_ps = 0.5 * (114_000 + 2000 * 40 / 0.78) + 3000  # no signal comes so late after its ion
    late = np.rint((truth.tof_ps + far_ps) / float(block.bin_ps)).astype("<i4")
    pulse = np.r_[block.pulse, truth.pulse.astype("<u8")]
    time = np.r_[block.time, late]
    order = np.lexsort((time, pulse))
    stray = replace(
        block,
        pulse=pulse[order],
        channel=np.r_[block.channel, np.ones(len(late), "u1")][order],
        time=time[order],
    )
    assert rows(Matcher(anode).match(stray)) == rows(Matcher(anode).match(block))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_hits_are_sorted_on_the_detector_and_use_no_more_signals_than_there_are(seed: int) -> None:
    block = simulate(SignalModel(detection=0.5, multi=0.8), 200, seed).block
    matcher = Matcher(quad())
    hits = matcher.match(block)
    tail = matcher.flush()
    found = rows(hits) + rows(tail)
    assert found == sorted(found, key=lambda row: row[:2])
    assert all(x * x + y * y <= 40_000**2 for _, _, x, y, _, _ in found)
    for pulse in {row[0] for row in found}:
        here = [row for row in found if row[0] == pulse]
        signals = np.bincount(block.channel[block.pulse == pulse], minlength=5)
        used = [sum(quality != channel + 1 for *_, quality, _ in here) for channel in range(5)]
        assert all(used <= signals)
        assert {row[5] for row in here} == {len(here)}


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_no_mcp_signal_is_used_twice(seed: int) -> None:
    block = simulate(
        SignalModel(detection=0.5, multi=0.8, dead_time_ps=0, bin_ps=Fraction(1)), 100, seed
    ).block
    with_mcp = [row[:2] for row in rows(match(block)) if row[4] != Quality.MCP_MISSING]
    stamps = list(
        zip(block.pulse[block.channel == 0].tolist(), block.time[block.channel == 0].tolist(), strict=True)
    )
    for stamp in with_mcp:
        stamps.remove(stamp)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_too_few_words_are_an_empty_block(n: int) -> None:
    block = part_of(ideal_block([Ion(0, 300_000)], 5), 0, n, 0, 4)
    hits = match(block)
    assert (hits.n, hits.first_pulse, hits.last_pulse) == (0, 0, 4)
