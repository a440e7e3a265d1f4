import numpy as np
import pytest
from scipy.stats import skew

from evapd.config.model import Instrument
from evapd.units import DALTON_KG, ELEMENTARY_CHARGE_C
from evapd_sim.flight import Flight, flight_time_ps
from evapd_sim.settings import FlightTwin

INSTRUMENT = Instrument(flight_path_mm=110.0, t0_ps=38_000.0, alpha=1.015, beta=0.7)
N = 40_000


def arrivals(
    *, laser: bool = False, pulsed: bool = True, v_p_v: float = 1000.0, **settings: float
) -> np.ndarray:
    flight = Flight(INSTRUMENT, FlightTwin(**settings), laser=laser)
    nought = np.zeros(N)
    return flight.arrival_ps(
        np.random.default_rng(7),
        np.full(N, 26.98),
        nought,
        nought,
        v_dc_v=5000.0,
        v_p_v=v_p_v,
        pulsed=np.full(N, pulsed),
    )


@pytest.mark.parametrize(
    ("mass_to_charge_da", "tof_ns"),
    [(1.008, 102.6), (26.982, 531.0), (55.935 / 2, 541.0), (183.951 / 3, 801.0)],
)
def test_flight_times_of_the_published_example(mass_to_charge_da: float, tof_ns: float) -> None:
    nought = np.zeros(1)
    time_ps = flight_time_ps(np.array([mass_to_charge_da]), 6000.0, nought, nought, 110.0)
    assert time_ps[0] / 1000 == pytest.approx(tof_ns, abs=0.7)


def test_a_hit_off_the_axis_flies_the_longer_straight_path() -> None:
    m = np.array([26.98])
    axis = flight_time_ps(m, 6000.0, np.zeros(1), np.zeros(1), 110.0)
    edge = flight_time_ps(m, 6000.0, np.array([30.0]), np.array([20.0]), 110.0)
    assert edge / axis == pytest.approx(np.sqrt(110**2 + 30**2 + 20**2) / 110)


def test_the_mass_formula_of_voltage_mode_inverts_the_flight() -> None:
    t_ps = arrivals(deficit_sigma=0.0, deficit_tail_fraction=0.0)[0]
    v_v = 1.015 * (5000.0 + 0.7 * 1000.0)
    seconds, metres = (t_ps - 38_000.0) * 1e-12, 0.110
    mass_da = 2 * ELEMENTARY_CHARGE_C * v_v * seconds**2 / metres**2 / DALTON_KG
    assert mass_da == pytest.approx(26.98, rel=1e-9)


def test_ions_under_the_standing_voltage_lack_the_pulse_and_its_blur() -> None:
    late = arrivals(pulsed=False)
    assert np.ptp(late) == 0.0
    assert late[0] > arrivals().mean()


def test_a_voltage_pulse_skews_a_peak_to_the_right_more_than_a_laser_core() -> None:
    voltage = skew(arrivals())
    core = skew(arrivals(laser=True, laser_tail_fraction=0.0))
    assert voltage > 1.0
    assert abs(core) < 0.1


def test_laser_ions_do_not_feel_the_pulse_supply() -> None:
    with_supply = arrivals(laser=True, v_p_v=1000.0)
    without = arrivals(laser=True, v_p_v=0.0)
    assert with_supply == pytest.approx(without)


def test_a_voltage_pulsed_peak_of_aluminium_resolves_a_few_hundred() -> None:
    t = arrivals() - 38_000.0 + np.random.default_rng(1).normal(0, 100.0, N)
    counts, edges = np.histogram(t, bins=200, range=tuple(np.percentile(t, [0, 98])))
    above = np.flatnonzero(counts > counts.max() / 2)
    fwhm = edges[above[-1] + 1] - edges[above[0]]
    assert 250 < np.median(t) / (2 * fwhm) < 800
