"""Mass-to-charge ratios and their histogram."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.config.model import Instrument
from evapd.report.spectrum import CHUNK, Spectrum, mass_to_charge_da
from evapd.units import DALTON_KG, ELEMENTARY_CHARGE_C

STRAIGHT = Instrument(flight_path_mm=110, t0_ps=38_000, alpha=1.015, beta=0.7)


def flight_time_ps(mass_da: float, v: float, path_m: float, t0_ps: float) -> float:
    """Time of an ion that falls through `v` and then flies `path_m`: m v^2 / 2 = e V, in SI units."""
    speed_m_s = math.sqrt(2 * ELEMENTARY_CHARGE_C * v / (mass_da * DALTON_KG))
    return t0_ps + path_m / speed_m_s * 1e12


def test_an_ion_flies_as_long_as_its_mass_says() -> None:
    path_m = math.hypot(0.110, 0.020, 0.015)
    t_ps = flight_time_ps(26.98, 1.015 * (5000 + 0.7 * 1000), path_m, 38_000)
    mass = mass_to_charge_da([t_ps], [20_000], [-15_000], 5000, 1000, STRAIGHT)
    assert mass[0] == pytest.approx(26.98, rel=1e-9)


def test_the_flight_time_of_aluminium_is_that_of_the_textbook() -> None:
    plain = Instrument(flight_path_mm=110)
    assert mass_to_charge_da([531_000], [0], [0], 6000, None, plain)[0] == pytest.approx(26.98, abs=0.05)


def test_in_laser_mode_the_standing_voltage_alone_accelerates() -> None:
    laser = mass_to_charge_da([500_000], [0], [0], 5000, None, STRAIGHT)
    assert laser == mass_to_charge_da([500_000], [0], [0], 5000, 0.0, STRAIGHT)


def test_a_hit_before_t0_has_no_mass() -> None:
    assert np.isnan(mass_to_charge_da([37_999, 38_000], [0, 0], [0, 0], 5000, 0, STRAIGHT)).all()


def test_through_a_reflectron_the_position_does_not_count() -> None:
    reflectron = Instrument(flight_path_mm=400, flight_path_kind="reflectron")
    centre, rim = mass_to_charge_da([900_000] * 2, [0, 30_000], [0, 0], 5000, None, reflectron)
    assert centre == rim


def test_columns_of_a_hit_block_and_voltages_per_hit_are_taken_in_chunks() -> None:
    n = CHUNK + 10
    tof = np.arange(100_000, 100_000 + n, dtype=np.int32)
    x = np.full(n, 39_999, np.int32)
    volts = np.linspace(4000, 5000, n)
    whole = mass_to_charge_da(tof, x, x, volts, 0.2 * volts, STRAIGHT)
    last = mass_to_charge_da(tof[-5:], x[-5:], x[-5:], volts[-5:], 0.2 * volts[-5:], STRAIGHT)
    assert whole.shape == (n,)
    assert (whole[-5:] == last).all()


def test_no_hits_have_no_masses() -> None:
    assert mass_to_charge_da([], [], [], 5000, None, STRAIGHT).shape == (0,)


@given(masses=st.lists(st.floats(allow_nan=True, allow_infinity=True)))
def test_every_hit_is_counted_inside_or_outside(masses: list[float]) -> None:
    spectrum = Spectrum.empty(1.0, 50.0, 0.5)
    spectrum.add(masses)
    assert spectrum.n + spectrum.outside == len(masses)


def test_a_spectrum_made_in_blocks_is_that_of_the_whole() -> None:
    masses = np.random.default_rng(1).uniform(-5, 205, 2 * CHUNK + 7)
    whole, parts = Spectrum.empty(), Spectrum.empty()
    whole.add(masses)
    for part in np.array_split(masses, 13):
        parts.add(part)
    assert (whole.counts == parts.counts).all()
    assert whole.outside == parts.outside


def test_a_hit_lies_in_the_bin_of_its_mass() -> None:
    spectrum = Spectrum.empty(0, 100, 0.1)
    spectrum.add([26.98])
    k = int(np.flatnonzero(spectrum.counts)[0])
    assert spectrum.edges[k] <= 26.98 < spectrum.edges[k + 1]
    assert spectrum.centres[k] == pytest.approx(26.95)


def test_a_range_without_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="no bins"):
        Spectrum.empty(10, 10)
