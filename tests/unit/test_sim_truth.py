"""The truth beside a stream: it says which signals the words have, and how much can be found at all."""

from typing import Any

import numpy as np
import pytest

from evapd_sim.effects import SignalEffects
from support.signals import SignalModel, Truth, signals_of, simulate
from support.sim_rig import energise, experiment, threshold_v

KINDS = pytest.mark.parametrize("kind", ["quad", "hex"])
EVERYTHING = SignalEffects(
    walk_ps=500, nonlinearity_um=300, reflections=0.05, threshold=0.1, gap_mm=4, gap_loss=0.3
)
BIN_PS = 5000 / 384


def words_of(truth: Truth) -> set[tuple[int, int, int]]:
    block = truth.block
    return set(zip(block.pulse.tolist(), block.channel.tolist(), block.time.tolist(), strict=True))


@KINDS
def test_every_living_signal_is_a_word_at_its_time(kind: Any) -> None:
    model = SignalModel(kind=kind, detection=0.3, multi=0.5, jitter_ps=0.0, effects=EVERYTHING)
    truth = simulate(model, 3000, 5)
    times = signals_of(model, truth.tof_ps, np.stack([truth.x_mm, truth.y_mm]))
    words = words_of(truth)
    alive = 0
    for channel in range(model.channels):
        for hit in np.flatnonzero(truth.alive_mask >> channel & 1):
            word = (int(truth.pulse[hit]), channel, round(times[channel, hit] / BIN_PS))
            assert word in words
            alive += 1
    assert alive == truth.alive.sum() > 1000


@KINDS
def test_the_dead_are_those_that_came_too_soon_after_a_word(kind: Any) -> None:
    quiet = {"missing": 0.0, "noise_hz": 0.0, "dark_hz": 0.0, "jitter_ps": 0.0}
    model = SignalModel(kind=kind, detection=0.3, multi=0.7, dead_time_ps=8000.0, **quiet)
    truth = simulate(model, 2000, 6)
    times = signals_of(model, truth.tof_ps, np.stack([truth.x_mm, truth.y_mm]))
    expected = np.zeros_like(truth.alive_mask)
    for pulse in np.unique(truth.pulse):
        hits = np.flatnonzero(truth.pulse == pulse)
        for channel in range(model.channels):
            blind_until_ps = -np.inf
            for hit in hits[np.argsort(times[channel, hits])]:
                if times[channel, hit] >= blind_until_ps:
                    expected[hit] |= 1 << channel
                    blind_until_ps = times[channel, hit] + 8000.0
    assert np.array_equal(truth.alive_mask, expected)
    assert 0 < (truth.alive < model.channels).mean() < 0.9


@KINDS
def test_four_signals_make_a_hit_recoverable(kind: Any) -> None:
    truth = simulate(SignalModel(kind=kind, missing=0.3), 50_000, 2)
    counts = np.array([mask.bit_count() for mask in truth.alive_mask.tolist()])
    assert np.array_equal(truth.alive, counts)
    assert np.array_equal(truth.recoverable, counts >= 4)
    assert truth.ceiling == pytest.approx((counts >= 4).mean())


@pytest.mark.parametrize(("kind", "ceiling"), [("quad", 0.97741), ("hex", 0.99981)])
def test_lone_ions_are_recoverable_as_often_as_the_binomial_says(kind: Any, ceiling: float) -> None:
    # At 5 % loss: 0.95^5 + 5 * 0.05 * 0.95^4 of five signals; at most three of seven lost.
    model = SignalModel(kind=kind, multi=0.0, dead_time_ps=0.0, dark_hz=0.0)
    assert simulate(model, 1_000_000, 3).ceiling == pytest.approx(ceiling, abs=0.002)


def test_multiplicity_counts_the_true_hits_of_a_pulse() -> None:
    truth = simulate(SignalModel(detection=0.5, multi=0.6), 2000, 4)
    per_pulse = np.bincount(truth.pulse)
    assert np.array_equal(truth.multiplicity, per_pulse[truth.pulse])
    assert truth.multiplicity.max() > 4


@pytest.mark.parametrize(
    ("kind", "ceiling", "of_pairs"), [("quad", 0.821, 0.707), ("hex", 0.942, 0.915)], ids=["quad", "hex"]
)
def test_a_third_layer_wins_back_what_ten_nanoseconds_of_dead_time_cost(
    kind: Any, ceiling: float, of_pairs: float
) -> None:
    # Figures of an independent program for the same events: 5 % detection, 30 % multiple hits, 5 % missing.
    truth = simulate(SignalModel(kind=kind), 600_000, 8)
    assert truth.ceiling == pytest.approx(ceiling, abs=0.015)
    assert truth.recoverable[truth.multiplicity == 2].mean() == pytest.approx(of_pairs, abs=0.03)


@KINDS
def test_ceilings_fall_with_dead_time(kind: Any) -> None:
    ceilings = [
        simulate(SignalModel(kind=kind, dead_time_ps=1000.0 * ns), 200_000, 9).ceiling
        for ns in (0, 3, 10, 20)
    ]
    assert ceilings == sorted(ceilings, reverse=True)
    assert ceilings[0] > ceilings[-1] + (0.15 if kind == "quad" else 0.06)


def test_the_same_seed_gives_the_same_stream_and_another_one_another() -> None:
    first, again, other = (words_of(simulate(SignalModel(effects=EVERYTHING), 5000, s)) for s in (1, 1, 2))
    assert first == again != other


def test_words_of_the_twin_name_the_arrival_that_made_them_also_in_a_later_step() -> None:
    # Slow ions: most words come several pulses, and some a step, after their ion left.
    tip = {"composition": {"W": 1.0}, "field_v_per_nm": 3.0, "radius_nm": 10.0}
    source = experiment(specimen=tip, detector={"jitter_ps": 0, "reflections": 0.1, "walk_ps": 400})
    energise(source, threshold_v(source))
    results = [source.step(0.0005) for _ in range(1000)]
    first_pulses = np.cumsum([0, *(result.pulses for result in results)])
    arrivals_ps = np.concatenate(
        [
            (first + result.truth.pulse) * 5e6 + result.truth.tof_ps
            for first, result in zip(first_pulses, results, strict=False)
        ]
    )
    later = 0
    for first, result in zip(first_pulses, results, strict=False):
        mcp = (result.channels == 0) & (result.owners >= 0)
        word_ps = (first + result.pulse_offsets[mcp]) * 5e6 + result.times[mcp] * BIN_PS
        assert np.abs(word_ps - arrivals_ps[result.owners[mcp]]).max(initial=0.0) <= 0.51 * BIN_PS
        later += np.count_nonzero(result.owners[mcp] < result.truth.first_arrival)
    assert later > 5
