"""Every effect of the signals does what its setting says, and nothing when it is off."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from evapd_sim.converter import NO_OWNER, Signals
from evapd_sim.effects import SignalEffects
from evapd_sim.signals import Arrivals, DelayLines
from support.signals import SignalModel, signals_of, simulate

N = 20_000
T_PS = 400_000.0


def effects(**settings: Any) -> SignalEffects:
    return SignalEffects.model_validate(settings)


def plate(n: int = N) -> Arrivals:
    """Lone ions, uniform over a square within the detector, all at one time of flight."""
    x_mm, y_mm = np.random.default_rng(1).uniform(-28, 28, (2, n))
    return Arrivals(np.arange(n), np.full(n, T_PS), x_mm, y_mm)


def signals(kind: str = "quad", **settings: Any) -> Signals:
    """Signals of `plate()` without jitter or independent loss."""
    model = SignalModel(kind=kind, effects=effects(**settings))  # type: ignore[arg-type]  # any kind
    lines = DelayLines(model.anode, jitter_ps=0.0, missing=0.0, noise_hz=0.0, effects=model.effects)
    return lines.signals(np.random.default_rng(2), plate())


def seen(found: Signals, channels: int) -> np.ndarray:
    """Which signals of every ion are there, shape (channels, n)."""
    there = np.zeros((channels, N), bool)
    own = found.owner >= 0
    there[found.channel[own], found.owner[own]] = True
    return there


def time_sums(model: SignalModel, along_mm: np.ndarray) -> np.ndarray:
    """Time sums of ions on the axis of every layer, shape (layers, n), less the anode's."""
    sums = []
    for layer, angle_deg in enumerate(model.angle_deg):
        axis = np.array([np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))])
        times = signals_of(model, np.zeros(len(along_mm)), axis[:, None] * along_mm)
        sums.append(times[1 + 2 * layer] + times[2 + 2 * layer] - model.time_sum_ps[layer])
    return np.stack(sums)


@pytest.mark.parametrize(
    "off",
    [
        {"walk_shape": "wave"},
        {"gap_mm": 6},
        {"reflection_delay_ps": 10_000, "reflection_opposite": 1, "reflection_height": 1},
        {"height_shape": 1, "height_spread": 1},
    ],
)
def test_an_effect_without_its_amplitude_leaves_the_stream_bit_identical(off: dict[str, Any]) -> None:
    plain = simulate(SignalModel(), 20_000, 7).block
    same = simulate(SignalModel(effects=effects(**off)), 20_000, 7).block
    for column in ("pulse", "channel", "time"):
        assert np.array_equal(getattr(plain, column), getattr(same, column))


@pytest.mark.parametrize("shape", ["bowl", "wave"])
@pytest.mark.parametrize("kind", ["quad", "hex"])
def test_walk_reaches_its_amplitude_is_smooth_and_differs_from_layer_to_layer(kind: str, shape: str) -> None:
    model = SignalModel(kind=kind, effects=effects(walk_ps=800, walk_shape=shape))  # type: ignore[arg-type]
    walks = time_sums(model, np.linspace(-40, 40, 801))
    assert np.abs(walks).max(axis=1) == pytest.approx(np.full(len(walks), 800), rel=1e-3)
    assert np.abs(np.diff(walks)).max() < 800 * 0.1 / 10
    assert min(np.abs(a - b).max() for k, a in enumerate(walks) for b in walks[:k]) > 300


def test_a_bend_moves_coordinates_near_the_rim_and_no_time_sum() -> None:
    along_mm = np.linspace(-40, 40, 81)
    model = SignalModel(effects=effects(nonlinearity_um=500))
    times = signals_of(model, np.zeros(81), np.stack([along_mm, np.zeros(81)]))
    moved_mm = 0.8 * (times[1] - times[2]) / 2000 - along_mm
    assert moved_mm[[0, -1]] == pytest.approx([-0.5, 0.5])
    assert np.abs(moved_mm[20:61]).max() < 0.02
    assert np.allclose(time_sums(model, along_mm), 0.0, atol=1e-6)


def test_a_gap_delays_by_up_to_its_delay_and_leaves_the_time_sum() -> None:
    model = SignalModel(kind="hex", effects=effects(gap_mm=8, gap_delay_ps=1500))
    times = signals_of(model, np.zeros(5), np.array([[-10, -4, 0, 4, 10], np.zeros(5)]))
    assert times[1] - times[2] - 2000 * np.array([-10, -4, 0, 4, 10]) / 0.8 == pytest.approx(
        [-1500, -1500, 0, 1500, 1500]
    )
    assert np.allclose(time_sums(model, np.linspace(-20, 20, 41)), 0.0, atol=1e-6)


def test_a_layer_loses_both_ends_of_what_strikes_its_gap_and_nothing_else() -> None:
    there = seen(signals("hex", gap_mm=6, gap_loss=0.4), 7)
    in_gap = np.abs(plate().x_mm) < 3  # of u
    assert there[1, in_gap].mean() == pytest.approx(0.6, abs=0.04)
    assert there[1, ~in_gap].all()
    assert np.array_equal(there[1::2], there[2::2])
    assert there[0].all()


def test_reflections_follow_with_their_probability_delay_and_spread() -> None:
    found = signals(reflections=0.1, reflection_delay_ps=25_000, reflection_spread_ps=300)
    copies = found.take(found.owner == NO_OWNER)
    assert len(copies.pulse) == pytest.approx(0.1 * 5 * N, rel=0.05)
    times = signals_of(SignalModel(), plate().t_ps, np.stack([plate().x_mm, plate().y_mm]))
    delay_ps = copies.t_ps - times[copies.channel, copies.pulse]
    assert delay_ps.mean() == pytest.approx(25_000, abs=20)
    assert delay_ps.std() == pytest.approx(300, rel=0.05)


def test_some_reflections_come_out_of_the_other_end_of_their_line() -> None:
    found = signals(reflections=0.2, reflection_opposite=0.25, reflection_spread_ps=0)
    copies = found.take(found.owner == NO_OWNER)
    times = signals_of(SignalModel(), plate().t_ps, np.stack([plate().x_mm, plate().y_mm]))
    same_end = np.isclose(copies.t_ps - times[copies.channel, copies.pulse], 30_000)
    other_end = np.array([0, 2, 1, 4, 3])[copies.channel]
    assert np.isclose(copies.t_ps - times[other_end, copies.pulse], 30_000)[~same_end].all()
    assert (~same_end)[copies.channel > 0].mean() == pytest.approx(0.25, abs=0.02)
    assert same_end[copies.channel == 0].all()


def test_a_reflection_is_no_signal_of_its_ion() -> None:
    quiet = {"missing": 0.0, "multi": 0.0, "noise_hz": 0.0, "dark_hz": 0.0}
    truth = simulate(SignalModel(**quiet, effects=effects(reflections=1.0)), 20_000, 1)
    assert (truth.alive == 5).all()
    assert truth.block.n == 10 * len(truth.pulse)


@pytest.mark.parametrize("threshold", [0.1, 0.5])
def test_an_exponential_height_passes_a_threshold_as_often_as_it_must(threshold: float) -> None:
    there = seen(signals(threshold=threshold, height_shape=1, height_spread=0), 5)
    assert there.mean() == pytest.approx(np.exp(-threshold), abs=0.01)
    assert (there.all(axis=0) | ~there.any(axis=0)).all()


def test_losses_of_one_ion_go_together() -> None:
    there = seen(signals("hex", threshold=0.3), 7)
    lost = 1.0 - there.mean()
    assert 0.08 < lost < 0.25
    assert (~there).all(axis=0).mean() > 1000 * lost**7
    # Both ends of a layer share its part of the charge, so they fail together more often than ends of two layers.
    both_ends = (~there[1] & ~there[2]).mean()
    assert both_ends > (~there[1] & ~there[3]).mean() + 0.005


def test_a_small_signal_is_found_late_but_never_later_than_one_at_the_threshold() -> None:
    found = signals(threshold=0.2, height_shape=2, height_spread=0, slew_ps=200)
    late_ps = found.t_ps[found.channel == 0] - T_PS
    assert late_ps.min() > 0
    assert late_ps.max() <= 200
    # Gamma of shape 2, mean 1: 6.2 % lie below the threshold; the median of the others is a height of 0.889.
    assert np.median(late_ps) == pytest.approx(200 * 0.2 / 0.889, rel=0.03)


def test_a_reflection_of_a_small_signal_is_not_seen() -> None:
    few = signals(reflections=1.0, threshold=0.2, height_shape=1, height_spread=0, reflection_height=0.5)
    own = np.count_nonzero(few.owner >= 0)
    assert np.count_nonzero(few.owner == NO_OWNER) / own == pytest.approx(
        np.exp(-0.4) / np.exp(-0.2), abs=0.01
    )


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"gap_loss": 0.5}, "gap_mm"),
        ({"slew_ps": 50}, "threshold"),
        ({"reflections": 1.5}, "reflections"),
        ({"walk_ps": -1}, "walk_ps"),
        ({"walk_ps": float("nan")}, "walk_ps"),
        ({"walk_shape": "zigzag"}, "walk_shape"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        effects(**settings)
