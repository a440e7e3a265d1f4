"""Time of flight: t = t0 + delay + l / sqrt(2 n e alpha (V_dc + beta V_p) (1 - deficit) / m), l^2 = L^2 + x^2 + y^2.

In voltage mode an ion that leaves off the top of the pulse, or flies while the pulse falls, lacks energy: a half-normal
deficit with an exponential tail. In laser mode it leaves late: a Gaussian with an exponential tail, and no V_p.
"""

import math

import numpy as np
from numpy.typing import NDArray

from evapd.config.model import Instrument
from evapd.units import DALTON_KG, ELEMENTARY_CHARGE_C
from evapd_sim.settings import FlightTwin

Floats = NDArray[np.float64]

# l [mm] sqrt(m [Da] / (2 n e V [V])) in ps
_PS_PER_MM = 1e9 * math.sqrt(DALTON_KG / (2.0 * ELEMENTARY_CHARGE_C))


def flight_time_ps(
    mass_to_charge_da: Floats, v_v: Floats | float, x_mm: Floats, y_mm: Floats, path_mm: float
) -> Floats:
    """Time in ps over a straight path of ions accelerated by `v_v` volts."""
    length2 = path_mm * path_mm + x_mm * x_mm + y_mm * y_mm
    times: Floats = _PS_PER_MM * np.sqrt(length2 * mass_to_charge_da / v_v)
    return times


class Flight:
    """Flight times of a straight instrument, with what blurs them."""

    def __init__(self, instrument: Instrument, settings: FlightTwin, *, laser: bool) -> None:
        self._instrument = instrument
        self._settings = settings
        self._laser = laser

    def arrival_ps(
        self,
        rng: np.random.Generator,
        mass_to_charge_da: Floats,
        x_mm: Floats,
        y_mm: Floats,
        *,
        v_dc_v: float,
        v_p_v: float,
        pulsed: NDArray[np.bool_],
    ) -> Floats:
        """Arrival in ps after departure (plus t0) of each ion; shapes (n,).

        Ions that are not `pulsed` left under the standing voltage and have neither V_p nor blur.
        """
        settings, instrument = self._settings, self._instrument
        n = len(mass_to_charge_da)
        late: Floats | float = 0.0
        if self._laser:
            v_flight: Floats | float = max(instrument.alpha * v_dc_v, 1.0)
            delay = rng.normal(0.0, settings.laser_delay_ps, n)
            tail = rng.random(n) < settings.laser_tail_fraction
            delay += tail * rng.exponential(settings.laser_tail_ps, n)
            late = pulsed * delay
        else:
            deficit = np.abs(rng.normal(0.0, settings.deficit_sigma, n))
            tail = rng.random(n) < settings.deficit_tail_fraction
            deficit += tail * rng.exponential(settings.deficit_tail, n)
            kick = pulsed * (instrument.beta * v_p_v)
            v_flight = np.maximum(
                instrument.alpha * (v_dc_v + kick) * (1.0 - pulsed * np.minimum(deficit, 0.5)), 1.0
            )
        times = flight_time_ps(mass_to_charge_da, v_flight, x_mm, y_mm, instrument.flight_path_mm)
        return times + (instrument.t0_ps + late)
