"""From time of flight to mass-to-charge ratio."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evapd.mass import mass_to_charge_da
from evapd.units import DALTON_KG, ELEMENTARY_CHARGE_C


def mass(
    tof_ps: Any, x_um: Any = 0, y_um: Any = 0, v_dc_v: Any = 5000, v_p_v: Any = 0, **changes: Any
) -> NDArray[np.float64]:
    settings = {
        "flight_path_mm": 110,
        "t0_ps": 38_000,
        "alpha": 1.015,
        "beta": 0.7,
        "voltage_mode": True,
    } | changes
    return mass_to_charge_da(tof_ps, x_um, y_um, v_dc_v, v_p_v, **settings)


def test_an_ion_flies_as_long_as_its_mass_says() -> None:
    path_m = math.hypot(0.110, 0.020, 0.015)
    speed_m_s = math.sqrt(2 * ELEMENTARY_CHARGE_C * 1.015 * (5000 + 0.7 * 1000) / (26.98 * DALTON_KG))
    t_ps = 38_000 + path_m / speed_m_s * 1e12
    assert mass([t_ps], [20_000], [-15_000], 5000, 1000)[0] == pytest.approx(26.98, rel=1e-9)


def test_the_flight_time_of_aluminium_is_that_of_the_textbook() -> None:
    plain = mass([531_000], v_dc_v=6000, t0_ps=0, alpha=1, voltage_mode=False)
    assert plain[0] == pytest.approx(26.98, abs=0.05)


def test_in_laser_mode_the_standing_voltage_alone_accelerates() -> None:
    assert mass([500_000], v_p_v=1000, voltage_mode=False) == mass([500_000], v_p_v=0)


def test_a_hit_before_t0_has_no_mass() -> None:
    assert np.isnan(mass([37_999, 38_000])).all()


def test_an_unknown_voltage_gives_no_mass() -> None:
    assert np.isnan(mass([500_000], v_dc_v=[np.nan])).all()


def test_no_hits_have_no_masses() -> None:
    assert mass([], [], []).shape == (0,)
