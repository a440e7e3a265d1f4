"""From a wrong anode file to one that matches as well as the true one."""

import contextlib
import json
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.blocks import TdcBlock
from evapd.calibration import calibrate
from evapd.calibration.anodefile import anode_text
from evapd.errors import EvapdError, StateError
from evapd.matching import Anode
from evapd.report.calibration_text import calibration_text
from support.anodes import hexanode, quad
from support.calibrations import efficiency, misdescribed, stream, walking
from support.signals import Ion, SignalModel, Truth, ideal_block, part_of

WHEN = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "shape"), [("quad", "wave"), ("quad", "step"), ("hex", "bowl"), ("hex", "step")]
)
@pytest.mark.parametrize(("detection", "multi"), [(0.01, 0.1), (0.05, 0.3)])
def test_a_wrong_anode_is_calibrated_to_match_like_the_true_one(
    kind: str, shape: str, detection: float, multi: float
) -> None:
    true = walking(kind, shape)
    truth = stream(true, 60_000, detection=detection, multi=multi)
    start = misdescribed(true)
    found = calibrate([truth.block], start)
    best = efficiency(truth, true)
    assert efficiency(truth, start) < 0.6 * best
    assert efficiency(truth, found.anode) > 0.99 * best


@pytest.mark.parametrize("kind", ["quad", "hex"])
def test_twenty_thousand_hits_make_a_good_anode_no_worse(kind: str) -> None:
    true = quad() if kind == "quad" else hexanode()
    truth = stream(true, 20_000)
    assert efficiency(truth, calibrate([truth.block], true).anode) > 0.998 * efficiency(truth, true)


def test_other_geometries_bins_and_jitters_are_found_too() -> None:
    true = walking(
        "hex", "wave", radius_mm=24, jitter_ps=40, dead_time_ps=4_000, centre_mm=(0, 0),
        u={"time_sum_ps": 150_000, "mm_per_ns": 0.40, "offset_ps": 700},
        v={"time_sum_ps": 151_000, "mm_per_ns": 0.42}, w={"time_sum_ps": 149_000, "mm_per_ns": 0.41},
    )  # fmt: skip
    truth = stream(true, 60_000, noise_hz=5_000.0, bin_ps=Fraction(50))
    found = calibrate([truth.block], misdescribed(true))
    assert found.anode.jitter_ps == pytest.approx(40.0, rel=0.05)
    assert found.anode.dead_time_ps == pytest.approx(4_000, abs=120)
    for name in "uvw":
        assert found.anode.layers[name].mm_per_ns == pytest.approx(true.layers[name].mm_per_ns, rel=0.003)


def test_a_centre_that_the_start_does_not_know_ends_up_in_the_offsets() -> None:
    true = quad(centre_mm=(3.0, -2.0))
    truth = stream(true, 40_000)
    found = calibrate([truth.block], quad())
    assert found.anode.centre_mm == (0.0, 0.0)
    assert found.anode.layers["x"].offset_ps == pytest.approx(2000 * 3.0 / 0.8, abs=300)
    assert efficiency(truth, found.anode) > 0.99 * efficiency(truth, true)


@pytest.mark.parametrize("kind", ["quad", "hex"])
def test_without_a_start_anode_the_radius_is_enough(kind: str) -> None:
    true = walking(kind)
    truth = stream(true, 40_000)
    found = calibrate([truth.block], radius_mm=40.0)
    assert found.anode.kind == kind
    assert efficiency(truth, found.anode) > 0.99 * efficiency(truth, true)


def test_without_a_start_anode_and_radius_it_says_what_is_needed() -> None:
    with pytest.raises(StateError, match=r"--anode START\.yaml, or --radius-mm"):
        calibrate([stream(quad(), 500).block])


def test_pulses_with_many_hits_are_used_where_lone_ones_are_few() -> None:
    true = walking("quad")
    truth = stream(true, 40_000, multi=0.9)
    found = calibrate([truth.block], misdescribed(true))
    assert found.picked > 5 * found.lone_pulses
    assert efficiency(truth, found.anode) > 0.99 * efficiency(truth, true)


def test_an_image_smaller_than_the_detector_keeps_the_starts_scale_and_says_why() -> None:
    truth = stream(quad(), 40_000, disc_mm=28.0)
    found = calibrate([truth.block], quad())
    assert found.anode.layers["x"].mm_per_ns == 0.8
    assert not found.layers["x"].mm_per_ns.measured
    assert any("--radius-mm" in note for note in found.notes)


@pytest.mark.parametrize("kind", ["quad", "hex"])
@pytest.mark.parametrize("part", [0.92, 0.95, 0.97])
def test_an_aperture_does_not_ruin_a_good_anode(kind: str, part: float) -> None:
    true = walking(kind)
    truth = stream(true, 20_000, disc_mm=part * 40.0)
    found = calibrate([truth.block], true)
    assert efficiency(truth, found.anode) > 0.995 * efficiency(truth, true)
    assert "image is smaller than the detector" in found.notes[0]


def test_a_rim_that_few_hits_tell_is_called_unsure() -> None:
    true = quad()
    few = calibrate([stream(true, 4_000).block], misdescribed(true))
    many = calibrate([stream(true, 60_000).block], misdescribed(true))
    assert [any("mm only" in note for note in found.notes) for found in (few, many)] == [True, False]


def test_a_larger_image_than_the_start_believes_is_its_scale() -> None:
    truth = stream(quad(), 40_000)
    large = quad(x={"mm_per_ns": 0.8 * 1.04}, y={"mm_per_ns": 0.8 * 1.04})
    found = calibrate([truth.block], large)
    assert found.anode.layers["x"].mm_per_ns == pytest.approx(0.8, rel=0.002)


@pytest.mark.parametrize("signs", [(1, -1), (1, 1)])
def test_a_scale_that_changes_is_said_first(signs: tuple[int, int]) -> None:
    content = quad().model_dump()
    for sign, layer in zip(signs, content["layers"].values(), strict=True):
        layer["mm_per_ns"] *= 1.0 - 0.02 * sign
    found = calibrate([stream(quad(), 40_000).block], Anode.model_validate(content))
    assert found.layers["x"].mm_per_ns.value == pytest.approx(0.8, rel=0.002)
    assert found.notes[0].startswith("THE SCALE CHANGES, by x +2.")
    assert "THE SCALE CHANGES" in anode_text(found, source="", start="", made=WHEN, version="1")
    assert "THE SCALE CHANGES" in calibration_text(found)


def lit(truth: Truth, chosen: np.ndarray) -> TdcBlock:
    """The words of the pulses whose ions are chosen."""
    block = truth.block
    keep = np.isin(block.pulse.astype(np.int64), truth.pulse[chosen])
    return TdcBlock(
        first_pulse=block.first_pulse,
        last_pulse=block.last_pulse,
        bin_ps=block.bin_ps,
        pulse=block.pulse[keep],
        channel=block.channel[keep],
        time=block.time[keep],
    )


@pytest.mark.parametrize("kind", ["quad", "hex"])
def test_half_of_a_detector_is_enough_for_a_start_that_is_nearly_right(kind: str) -> None:
    true = quad() if kind == "quad" else hexanode()
    truth = stream(true, 80_000, multi=0.0)
    half = lit(truth, truth.x_mm + 0.4 * truth.y_mm > 0.0)
    found = calibrate([half], misdescribed(true))
    # The dark half is seen by the ions of the test only.
    assert efficiency(truth, found.anode) > 0.95 * efficiency(truth, true)


def test_the_radius_of_a_smaller_image_can_be_given() -> None:
    truth = stream(quad(), 40_000, disc_mm=28.0)
    found = calibrate([truth.block], misdescribed(quad()), radius_mm=28.0)
    assert found.anode.layers["x"].mm_per_ns == pytest.approx(0.8, rel=0.005)
    assert found.anode.radius_mm == 40.0


def test_a_small_image_on_a_hex_anode_still_gives_the_ratios_of_its_scales() -> None:
    truth = stream(hexanode(), 40_000, disc_mm=25.0)
    found = calibrate([truth.block], misdescribed(hexanode())).anode
    ratio = found.layers["v"].mm_per_ns / found.layers["u"].mm_per_ns
    assert ratio == pytest.approx(0.82 / 0.80, rel=1e-3)


def test_uncertainties_cover_the_truth() -> None:
    true = quad()
    pulls = []
    for seed in range(6):
        found = calibrate([stream(true, 20_000, seed=seed).block], misdescribed(true))
        for name in "xy":
            layer = found.layers[name]
            pulls += [
                (layer.time_sum_ps.value - true.layers[name].time_sum_ps) / layer.time_sum_ps.error,
                (layer.mm_per_ns.value - 0.8) / layer.mm_per_ns.error,
                layer.offset_ps.value / layer.offset_ps.error,
            ]
    assert np.sqrt(np.mean(np.square(pulls))) < 2.0
    assert np.max(np.abs(pulls)) < 5.0


def test_a_drift_within_the_run_is_reported() -> None:
    early, late = (
        stream(quad(), 15_000, seed=1).block,
        stream(quad(x={"time_sum_ps": 110_400}), 15_000, seed=2).block,
    )
    moved = part_of(late, 0, late.n, 0, late.last_pulse)
    object.__setattr__(moved, "pulse", late.pulse + np.uint64(early.last_pulse + 1))
    found = calibrate([early, moved], quad())
    assert found.layers["x"].drift_ps == pytest.approx(400, abs=40)
    assert any("layer x drifts" in note for note in found.notes)


def test_a_few_hits_are_refused_with_their_number() -> None:
    with pytest.raises(StateError, match="hits with all their signals among"):
        calibrate([stream(quad(), 250).block], quad())


def test_noise_alone_is_refused() -> None:
    truth = stream(quad(), 30, detection=0.0001, noise_hz=40_000.0, dark_hz=0.0)
    with pytest.raises(StateError):
        calibrate([truth.block], quad())


def test_exchanged_cables_are_noticed() -> None:
    block = stream(quad(), 5_000).block
    exchanged = part_of(block, 0, block.n, 0, block.last_pulse)
    object.__setattr__(exchanged, "channel", np.array([0, 1, 3, 2, 4], np.uint8)[block.channel])
    with pytest.raises(StateError, match="cables are exchanged"):
        calibrate([exchanged], quad())


def test_the_written_file_holds_exactly_the_anode(tmp_path: Path) -> None:
    true = walking("hex")
    found = calibrate([stream(true, 20_000).block], misdescribed(true))
    path = tmp_path / "anode.yaml"
    text = anode_text(found, source="runs/a\nb", start="old.yaml", made=WHEN, version="1")
    path.write_text(text)
    assert Anode.load(path) == found.anode
    assert "2026-11-21 00:30:00 UTC" in text
    assert text.startswith(f"# Anode {found.anode.calibration_id}, calibrated by evapd 1 on")


def test_the_report_is_json_without_nan() -> None:
    found = calibrate([stream(quad(), 5_000, disc_mm=25.0).block], quad())
    assert "NaN" not in json.dumps(found.as_dict(), allow_nan=False)


def _words(times: list[int], pulses: int) -> TdcBlock:
    """Every pulse with the same words."""
    return TdcBlock(
        first_pulse=0,
        last_pulse=pulses - 1,
        bin_ps=Fraction(13),
        pulse=np.repeat(np.arange(pulses, dtype=np.uint64), len(times)),
        channel=np.tile(np.arange(len(times), dtype=np.uint8), pulses),
        time=np.tile(np.array(times, np.int32), pulses),
    )


def test_hits_that_all_fall_on_one_place_give_a_time_sum_and_nothing_else() -> None:
    found = calibrate([_words([0, 5000, 3000, 4000, 4100], 2_000)], quad())
    assert found.anode.layers["x"].time_sum_ps == 8000 * 13
    assert found.anode.layers["x"].mm_per_ns == 0.8
    assert found.anode.layers["x"].walk is None


def test_a_small_spot_on_a_hex_anode_keeps_the_start() -> None:
    found = calibrate([stream(hexanode(), 3_000, disc_mm=0.2).block], hexanode())
    assert found.anode.layers["v"].mm_per_ns == 0.82
    assert any("too small a part" in note for note in found.notes)


def test_time_sums_that_no_delay_line_has_are_refused() -> None:
    with pytest.raises(StateError, match="crowd at"):
        calibrate([_words([9000, 5000, 3000, 4000, 4100], 2_000)], quad())


def test_signals_without_any_jitter_are_calibrated() -> None:
    rng = np.random.default_rng(3)
    radius, angle = 40 * np.sqrt(rng.random(6_000)), 2 * np.pi * rng.random(6_000)
    ions = [
        Ion(k, 400_000, r * np.cos(a), r * np.sin(a))
        for k, (r, a) in enumerate(zip(radius, angle, strict=True))
    ]
    found = calibrate([ideal_block(ions, 6_000, SignalModel(bin_ps=Fraction(1)))], misdescribed(quad()))
    assert found.layers["x"].mm_per_ns.value == pytest.approx(0.8, rel=0.005)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2_000), st.sampled_from([quad(), hexanode(), None]))
def test_any_words_whatsoever_are_calibrated_or_refused_with_a_reason(
    seed: int, n: int, start: Anode | None
) -> None:
    rng = np.random.default_rng(seed)
    block = TdcBlock(
        first_pulse=0,
        last_pulse=100,
        bin_ps=Fraction(13),
        pulse=rng.integers(0, 100, n).astype(np.uint64),
        channel=rng.integers(0, int(rng.integers(1, 9)), n).astype(np.uint8),
        time=rng.integers(-(2**31), 2**31 - 1, n).astype(np.int32) // int(rng.integers(1, 10**6)),
    )
    with contextlib.suppress(EvapdError):
        calibrate([block], start, radius_mm=40.0)


def test_some_damaged_words_do_no_harm() -> None:
    truth = stream(quad(), 20_000)
    rng = np.random.default_rng(4)
    broken = part_of(truth.block, 0, truth.block.n, 0, truth.block.last_pulse)
    time = np.where(rng.random(broken.n) < 0.05, rng.integers(-(2**31), 2**31 - 1, broken.n), broken.time)
    object.__setattr__(broken, "time", time.astype(np.int32))
    found = calibrate([broken], misdescribed(quad()))
    assert efficiency(truth, found.anode) > 0.995 * efficiency(truth, quad())
