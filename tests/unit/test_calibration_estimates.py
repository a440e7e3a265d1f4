"""Each estimate by itself, against numbers that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.calibration.consistency import closing_numbers, fit_plane
from evapd.calibration.deadtime import estimate_dead_time
from evapd.calibration.ellipse import Ellipse
from evapd.calibration.jitter import estimate_jitter
from evapd.calibration.outline import first_guess, fit_outline
from evapd.calibration.robust import clipped_mean_chi2, densest
from evapd.calibration.sumfit import choose_walk, fit_sums
from evapd.calibration.timesums import joint_deviation
from evapd.calibration.walk import BinMeans, Curve, fit_curve
from evapd.errors import StateError
from evapd.matching.gates import chi2_tail

QUAD_AXES = np.array([[1.0, 0.0], [0.0, 1.0]])
HEX_AXES = np.array([[np.cos(a), np.sin(a)] for a in np.radians([0.0, 60.0, 120.0])])


def disc(rng: np.random.Generator, n: int) -> np.ndarray:
    radius, angle = np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def deviations_of(rng: np.random.Generator, n: int, layers: int, mcp_ps: float, line_ps: float) -> np.ndarray:
    mcp = rng.normal(0, mcp_ps, (n, 1))
    return rng.normal(0, line_ps, (n, layers)) + rng.normal(0, line_ps, (n, layers)) - 2 * mcp


@pytest.mark.parametrize("layers", [2, 3])
def test_the_joint_deviation_is_chi_squared(layers: int) -> None:
    joint = joint_deviation(deviations_of(np.random.default_rng(1), 100_000, layers, 1.0, 1.0))
    for limit in (1.0, 4.0, 9.0):
        assert np.mean(joint < limit) == pytest.approx(1.0 - chi2_tail(limit, layers), abs=0.005)


@pytest.mark.parametrize(("limit", "dof"), [(4.0, 2), (12.0, 2), (4.0, 3), (12.0, 3)])
def test_the_mean_of_a_clipped_chi_squared_is_that_of_a_sample(limit: float, dof: int) -> None:
    sample = np.random.default_rng(2).chisquare(dof, 400_000)
    assert clipped_mean_chi2(limit, dof) == pytest.approx(sample[sample < limit].mean(), rel=0.01)


def test_the_densest_interval_is_the_peak_not_the_mean() -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(50, 1, 300), rng.uniform(-1000, 1000, 2000)])
    assert densest(values, 6.0)[0] == pytest.approx(50, abs=1.5)


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("bin_ps", [1.0, 100.0])
def test_jitter_comes_without_the_rounding_and_is_not_moved_by_wrong_hits(layers: int, bin_ps: float) -> None:
    rng = np.random.default_rng(4)
    rounded_ps = np.hypot(100.0, bin_ps / np.sqrt(12.0))
    rest = deviations_of(rng, 40_000, layers, rounded_ps, rounded_ps)
    rest[::25] += rng.normal(0, 5_000, rest[::25].shape)
    jitter, kept = estimate_jitter(rest, bin_ps)
    assert jitter.signal == pytest.approx(100.0, rel=0.02)
    assert kept[::25].mean() < 0.1


def test_jitter_of_mcp_and_lines_are_told_apart() -> None:
    jitter, _ = estimate_jitter(deviations_of(np.random.default_rng(5), 60_000, 2, 40.0, 120.0), 1.0)
    assert jitter.mcp == pytest.approx(40.0, rel=0.1)
    assert jitter.line == pytest.approx(120.0, rel=0.05)


def means_of(shape, error_ps: float = 5.0) -> BinMeans:
    at = np.linspace(-100_000, 100_000, 200)
    noise = np.random.default_rng(6).normal(0, error_ps, len(at))
    return BinMeans(at, shape(at / 100_000) + noise, np.full(len(at), error_ps), np.full(len(at), 500.0))


def test_a_flat_sum_needs_no_table() -> None:
    curve, from_start = choose_walk(means_of(lambda c: 0 * c), None, 250.0)
    assert np.ptp(curve.value) == 0.0
    assert not from_start


def test_a_step_gets_its_points_where_it_is() -> None:
    curve = fit_curve(means_of(lambda c: 1000.0 * (c > 0.2)))
    steep = np.argmax(np.abs(np.diff(curve.value)))
    assert curve.at[steep] == pytest.approx(20_000, abs=3_000)
    assert curve.at[steep + 1] - curve.at[steep] < 5_000


def test_a_smooth_walk_is_met_within_its_noise_by_few_points() -> None:
    means = means_of(lambda c: 900.0 * np.sin(3 * c))
    curve = fit_curve(means)
    assert len(curve.at) <= 25
    assert np.std(curve(means.at) - 900.0 * np.sin(3e-5 * means.at)) < 10.0


def test_the_start_walk_stays_where_the_data_agree_with_it() -> None:
    means = means_of(lambda c: 900.0 * np.sin(3 * c))
    at = np.linspace(-120_000, 120_000, 100)
    start = Curve(at, 900.0 * np.sin(3e-5 * at), np.zeros(100))
    assert choose_walk(means, start, 250.0)[1]


def test_a_start_walk_that_is_wrong_is_replaced() -> None:
    at = np.linspace(-120_000, 120_000, 100)
    start = Curve(at, -900.0 * np.sin(3e-5 * at), np.zeros(100))
    curve, from_start = choose_walk(means_of(lambda c: 900.0 * np.sin(3 * c)), start, 250.0)
    assert not from_start
    assert curve(np.array([50_000.0]))[0] > 700.0


def test_time_sums_are_found_with_half_of_the_width_in_walk() -> None:
    rng = np.random.default_rng(7)
    d = 50_000 * disc(rng, 30_000)
    sums = 110_000 + 1000 * np.sin(d / 20_000)
    times = np.zeros((30_000, 5))
    times[:, 1::2], times[:, 2::2] = (sums + d) / 2, (sums - d) / 2
    fit = fit_sums(times + rng.normal(0, 30, times.shape), 1.0, (None, None))
    assert fit.jitter.signal == pytest.approx(30.0, rel=0.1)
    assert [layer.mean for layer in fit.layers] == pytest.approx(sums.mean(axis=0), abs=10)


@given(st.floats(20, 160), st.floats(20, 160), st.floats(0, 60))
def test_closing_numbers_close_any_three_axes(v_deg: float, w_deg: float, turn_deg: float) -> None:
    axes = np.array(
        [[np.cos(a), np.sin(a)] for a in np.radians([turn_deg, turn_deg + v_deg, turn_deg + w_deg])]
    )
    assert closing_numbers(axes) @ axes == pytest.approx(0.0, abs=1e-12)


def hex_differences(rng: np.random.Generator, n: int, scale: np.ndarray, offset_ps: np.ndarray) -> np.ndarray:
    return 2000 * 40 * (disc(rng, n) @ HEX_AXES.T) / scale + offset_ps + rng.normal(0, 140, (n, 3))


def test_scale_ratios_of_a_hex_anode_come_from_its_own_consistency() -> None:
    rng = np.random.default_rng(8)
    scale, offset_ps = np.array([0.80, 0.83, 0.78]), np.array([300.0, -200.0, 900.0])
    differences = hex_differences(rng, 20_000, scale, offset_ps)
    differences[::20] += rng.normal(0, 20_000, differences[::20].shape)  # wrong hits
    plane = fit_plane(differences, HEX_AXES)
    assert plane.scale == pytest.approx(scale / scale[0], abs=5e-4)
    assert plane.constant == pytest.approx(plane.weights @ offset_ps, abs=10)


def test_exchanged_layers_of_a_hex_anode_are_noticed() -> None:
    differences = hex_differences(np.random.default_rng(9), 5_000, np.array([0.8, 0.8, 0.8]), np.zeros(3))
    with pytest.raises(StateError, match="exchanged"):
        fit_plane(differences[:, [1, 0, 2]], HEX_AXES)


def outline_of(places: np.ndarray):
    d = np.array([500.0, -900.0]) + np.array([100_000.0, 96_000.0]) * places
    d = np.round((d + np.random.default_rng(10).normal(0, 140, d.shape)) / 13) * 13
    middle, reach = first_guess(d)
    guess = Ellipse(middle_ps=middle, reach_ps=reach, axes=QUAD_AXES, one_scale=False)
    return fit_outline(d, guess, blur_ps=140.0, bin_ps=13.0)


@pytest.mark.parametrize(("hits", "within"), [(150_000, 0.001), (10_000, 0.004)])
def test_the_rim_of_a_filled_disc_gives_scale_and_centre(hits: int, within: float) -> None:
    outline = outline_of(disc(np.random.default_rng(11), hits))
    assert not outline.problem
    assert outline.reach_ps == pytest.approx([100_000, 96_000], rel=within)
    assert outline.middle_ps == pytest.approx([500, -900], abs=within * 100_000)
    assert (np.abs(outline.reach_ps / [100_000, 96_000] - 1) < 4.5 * outline.reach_error).all()


POLES = np.array([(0.0, 0.0), (0.6, 0.2), (-0.5, 0.5), (0.1, -0.8), (-0.9, -0.2)])


def thinned(places: np.ndarray, chance: np.ndarray) -> np.ndarray:
    return places[np.random.default_rng(12).random(len(places)) < chance]


def test_dark_poles_and_a_gradient_do_not_move_the_rim() -> None:
    places = disc(np.random.default_rng(13), 150_000)
    near = np.exp(-np.square(places[:, None] - POLES).sum(axis=2) / 0.03).sum(axis=1)
    outline = outline_of(thinned(places, (0.6 + 0.4 * places[:, 0]) * (1 - 0.8 * np.clip(near, 0, 1))))
    assert not outline.problem
    assert outline.reach_ps == pytest.approx([100_000, 96_000], rel=0.003)


IMAGES = {
    "fades out": lambda p: np.exp(-np.square(p).sum(axis=1) / 0.15),
    "has a soft rim": lambda p: 1 / (1 + np.exp((np.hypot(*p.T) - 0.75) / 0.05)),
    "is a square": lambda p: (np.abs(p) < 0.6).all(axis=1).astype(float),
    "is cut off at one side": lambda p: (p[:, 0] > -0.2).astype(float),
}


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_that_is_no_sharp_disc_is_not_taken_for_one(image: str) -> None:
    places = disc(np.random.default_rng(14), 100_000)
    assert outline_of(thinned(places, IMAGES[image](places))).problem


def gaps_of(dead_ps: float, bin_ps: float, pairs: int) -> np.ndarray:
    apart_ps = dead_ps + np.random.default_rng(15).exponential(15_000, pairs)
    return np.bincount((apart_ps / bin_ps).astype(int), minlength=5000)[None, :5000]


@pytest.mark.parametrize("dead_ps", [0.0, 3_000.0, 20_000.0])
def test_the_dead_time_is_the_shortest_distance(dead_ps: float) -> None:
    found = estimate_dead_time(gaps_of(dead_ps, 13.0, 20_000), 13.0)
    assert found.value == pytest.approx(dead_ps, abs=4 * found.error)
    assert found.error < 60.0


def test_a_few_damaged_words_do_not_shorten_the_dead_time() -> None:
    gaps = gaps_of(10_000.0, 13.0, 20_000)
    gaps[0, [3, 50, 400]] += 1
    assert estimate_dead_time(gaps, 13.0).value == pytest.approx(10_000.0, abs=120.0)


def test_too_few_pairs_say_nothing_of_the_dead_time() -> None:
    assert "only" in estimate_dead_time(gaps_of(10_000.0, 13.0, 30), 13.0).problem
