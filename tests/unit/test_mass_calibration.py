"""A calibration puts known peaks where they belong, never widens them, and says what it could not tell."""

import numpy as np
import pytest

from evapd.errors import ConfigError, StateError
from evapd.spectrometry.align import KnownPeak
from evapd.spectrometry.calibrate import Calibrated, calibrate
from evapd.spectrometry.masses import BowlCorrection, MassScale, VoltageCorrection, load_scale
from support.flown_hits import AL, FE, FE2, KNOWN, H, believed, flown

GOAL_DA = 0.02


def worst_da(done: Calibrated) -> float:
    return max(abs(row.error_da) if row.error_da is not None else np.inf for row in done.peaks)


@pytest.mark.parametrize(
    ("wrong", "distorted"),
    [
        ({}, {}),
        ({"flight_path_mm": 108.0, "t0_ps": 39_500.0, "alpha": 1.045}, {}),
        ({"t0_ps": 32_000.0, "alpha": 1.0}, {}),
        ({}, {"bowl": 0.004}),
        ({"alpha": 0.98}, {"sag": 0.004}),
        ({"t0_ps": 37_000.0}, {"bowl": -0.003, "sag": 0.003}),
    ],
)
def test_peaks_come_to_within_20_mda_of_the_truth_and_become_no_wider(wrong, distorted):
    done = calibrate(flown(30_000, **distorted), KNOWN, believed(**wrong))
    assert len(done.peaks) == len(KNOWN)
    assert worst_da(done) < GOAL_DA
    assert done.gain > 0.99


def test_a_distorted_scale_is_mended_by_the_correction_for_what_distorts_it():
    tilted = calibrate(flown(30_000, bowl=0.004), KNOWN, believed())
    sagging = calibrate(flown(30_000, sag=0.004), KNOWN, believed())
    assert tilted.scale.bowl is not None
    assert tilted.gain > 2.0
    assert sagging.scale.voltage is not None
    assert sagging.gain > 1.3


def test_an_undistorted_scale_gets_no_corrections_and_the_true_constants():
    done = calibrate(flown(30_000), KNOWN, believed(flight_path_mm=109.0, t0_ps=38_800.0))
    assert done.scale.voltage is None
    assert done.scale.bowl is None
    assert done.scale.flight_path_mm == pytest.approx(110.0, abs=0.2)
    assert done.scale.t0_ps == pytest.approx(38_000.0, abs=200.0)


def test_beta_is_held_while_the_pulse_fraction_stands_and_fitted_when_it_moves():
    still = calibrate(flown(25_000), KNOWN, believed(beta=0.9))
    moving = calibrate(flown(25_000, fraction=(0.12, 0.25)), KNOWN, believed(beta=0.9))
    assert "beta" in still.held
    assert "alpha" in still.held["beta"]
    assert moving.scale.beta == pytest.approx(0.7, abs=0.02)
    assert moving.fitted["beta"] < 0.02


def test_one_peak_alone_tells_no_t0():
    done = calibrate(flown(20_000, peaks=(AL,), shares=(1.0,)), (AL,), believed(alpha=1.03))
    assert "t0_ps" in done.held
    assert done.scale.t0_ps == 38_000.0
    assert worst_da(done) < GOAL_DA


def test_in_laser_mode_no_pulse_voltage_enters():
    done = calibrate(flown(25_000, laser=True), KNOWN, believed(laser=True, t0_ps=38_700.0))
    assert "laser" in done.held["beta"]
    assert worst_da(done) < GOAL_DA


def test_a_peak_that_is_not_there_is_named_and_moves_nothing():
    ghost = KnownPeak("40Ca+", 39.96204)
    done = calibrate(flown(25_000), (*KNOWN, ghost), believed(t0_ps=38_700.0))
    assert done.absent == (ghost,)
    assert worst_da(done) < GOAL_DA


def test_a_run_without_any_of_the_peaks_is_refused_with_what_to_do():
    with pytest.raises(StateError, match="--flight-path-mm"):
        calibrate(flown(5_000, background=1.0), (FE, FE2), believed())


def test_too_few_hits_are_refused():
    with pytest.raises(StateError, match="too few"):
        calibrate(flown(500), KNOWN, believed())


def test_the_same_hits_give_the_same_scale():
    hits = flown(20_000)
    assert calibrate(hits, KNOWN, believed()).scale == calibrate(hits, KNOWN, believed()).scale


def test_a_scale_read_back_from_its_file_gives_the_same_masses(tmp_path):
    scale = believed().model_copy(
        update={
            "voltage": VoltageCorrection(v_v=(3000.0, 5000.0), ln_m=(-1e-3, 2e-3)),
            "bowl": BowlCorrection(radius_mm=38.0, terms=((2, 0, 1e-3), (0, 1, -2e-3))),
        }
    )
    path = tmp_path / "mass.yaml"
    path.write_text(scale.text())
    hits = flown(1_000)
    assert np.array_equal(
        load_scale(path).mass_da(*hits.columns), scale.mass_da(*hits.columns), equal_nan=True
    )


def test_corrections_stay_level_beyond_what_they_were_fitted_to():
    curve = VoltageCorrection(v_v=(3000.0, 5000.0), ln_m=(1e-3, 3e-3))
    bowl = BowlCorrection(radius_mm=10.0, terms=((1, 0, 1e-3),))
    assert curve.at([1000.0, 9000.0]).tolist() == [1e-3, 3e-3]
    assert bowl.at([10_000.0], [0.0]) == pytest.approx(bowl.at([90_000.0], [0.0]))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "not YAML"),
        ("alpha: 1\n", "evapd_mass_calibration is missing"),
        ("- 1\n", "evapd_mass_calibration is missing"),
        ("evapd_mass_calibration: 1\nflight_path_mm: 110\nt0_ps: 0\nalpha: -1\nbeta: 0\nvoltage_mode: true\n", "alpha"),
        ("evapd_mass_calibration: 2\nflight_path_mm: 110\nt0_ps: 0\nalpha: 1\nbeta: 0\nvoltage_mode: true\n", "evapd_mass_calibration"),
        ("evapd_mass_calibration: 1\nflight_path_mm: 110\nt0_ps: .nan\nalpha: 1\nbeta: 0\nvoltage_mode: true\n", "t0_ps"),
        (
            "evapd_mass_calibration: 1\nflight_path_mm: 110\nt0_ps: 0\nalpha: 1\nbeta: 0\nvoltage_mode: true\nvoltage: {v_v: [2, 1], ln_m: [0, 0]}\n",
            "ascend",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_calibration_is_refused_with_its_problem(tmp_path, text, what):
    path = tmp_path / "mass.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=what):
        load_scale(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match="calibrate-mass"):
        load_scale(tmp_path / "none.yaml")


def test_unknown_voltages_give_unknown_masses():
    scale: MassScale = believed()
    assert np.isnan(scale.mass_da([400_000.0], [0.0], [0.0], [np.nan], [0.0])).all()
    assert H.mass_da < 2.0
