"""The tip: field at the apex, Arrhenius rate over a linear barrier, and the apex that blunts as it evaporates.

F = V / (k_f R); Q = C (1 - F/F0), never below 0; ions per pulse = N nu tau exp(-Q / kT); between pulses the standing
voltage evaporates with the same barrier and a duty of 1. R grows along a cone: d(R^3) = 3 g volume / (pi sin^2 theta)
per evaporated atom of the imaged cap, g = sin(alpha) / (1 - sin(alpha)). Equations and sources: docs/twin.md.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.units import BOLTZMANN_EV_PER_K
from evapd_sim.elements import Species
from evapd_sim.settings import SpecimenTwin


@dataclass(frozen=True, slots=True)
class EvaporationRate:
    """Mean numbers of evaporated ions of the imaged cap, by element (float64, in the order of the species).

    `per_pulse` comes at the top of one live pulse, `per_s` between pulses.
    """

    per_pulse: NDArray[np.float64]
    per_s: NDArray[np.float64]


class Specimen:
    """A conical tip with a spherical cap.

    Attributes:
        radius_nm: present radius of the apex; may be set (a fracture).
        field_factor: multiplies every evaporation field; may be set (a layer).
        barrier_ev: C of the linear barrier.
    """

    def __init__(
        self, settings: SpecimenTwin, species: Species, *, efficiency: float, pulse_temperature_k: float
    ) -> None:
        """Derive the barrier from the wanted sensitivity where it is not given.

        At the reference rate S = (C/kT)(F/F0) and C/kT (1 - F/F0) = ln(N nu tau / ions per pulse), hence
        C/kT = S + ln(...). `pulse_temperature_k` is the apex temperature at the pulse, K.
        """
        self._settings = settings
        self._fraction = species.fraction
        self._log_fraction = np.log(species.fraction)
        mean_field = float(species.fraction @ species.field_v_per_nm)
        alloy_field = settings.field_v_per_nm or mean_field
        own = species.field_v_per_nm / mean_field
        self._field_v_per_nm = alloy_field * (1.0 + settings.preferential * (own - 1.0))
        self._sites_hz = settings.kink_sites * settings.attempt_hz
        self._log_per_ion = math.log(
            self._sites_hz * settings.pulse_top_s * efficiency / settings.sensitivity_rate
        )
        reference_ev = BOLTZMANN_EV_PER_K * pulse_temperature_k
        self.barrier_ev = settings.barrier_ev or reference_ev * (settings.sensitivity + self._log_per_ion)
        self._element_barrier_ev = self.barrier_ev * np.array(
            [settings.barrier_factor.get(symbol, 1.0) for symbol in species.elements]
        )
        self._reference_ev = reference_ev
        self.alloy_field_v_per_nm = alloy_field
        self.radius_nm = settings.radius_nm
        self.field_factor = settings.field_factor
        sin_shank = math.sin(math.radians(settings.shank_angle_deg))
        sin_view = math.sin(math.radians(settings.view_angle_deg))
        self._nm3_per_ion = (
            3.0 * sin_shank / (1.0 - sin_shank) * species.volume_nm3 / (math.pi * sin_view * sin_view)
        )

    def field_v_per_nm(self, v_v: float) -> float:
        """Field at the apex in V/nm under `v_v` volts."""
        return max(v_v, 0.0) / (self._settings.field_reduction * self.radius_nm)

    @property
    def reference_field_ratio(self) -> float:
        """F/F0 at which the reference rate is detected, one element or a common field."""
        return 1.0 - self._log_per_ion * self._reference_ev / self.barrier_ev

    def threshold_v_tot(self) -> float:
        """V_tot at which the reference rate is detected with the present radius and field factor."""
        field = self.alloy_field_v_per_nm * self.field_factor * self.reference_field_ratio
        return field * self._settings.field_reduction * self.radius_nm

    def rate(
        self,
        v_dc_v: float,
        v_tot_v: float,
        *,
        rate_hz: float,
        temperature_k: float,
        pulse_temperature_k: float,
    ) -> EvaporationRate:
        """Mean evaporation under a standing voltage and pulses.

        What leaves in the long run has the composition of the bulk: an element that leaves more easily is rarer at the
        surface. The surface fractions are those for which pulses and standing voltage together keep that balance.

        Args:
            v_dc_v: standing voltage.
            v_tot_v: voltage at the top of the pulse.
            rate_hz: live pulses per second; 0 when none come.
            temperature_k: of the apex between pulses.
            pulse_temperature_k: of the apex at the pulse.
        """
        log_pulse = math.log(self._sites_hz * self._settings.pulse_top_s) - self._barrier_over_kt(
            v_tot_v, pulse_temperature_k
        )
        log_dc = math.log(self._sites_hz) - self._barrier_over_kt(v_dc_v, temperature_k)
        if len(self._fraction) == 1:
            surface = self._fraction
        else:
            total = np.logaddexp(log_pulse + math.log(rate_hz), log_dc) if rate_hz > 0.0 else log_dc
            weight = self._log_fraction - total
            surface = np.exp(weight - weight.max())
            surface /= surface.sum()
        return EvaporationRate(per_pulse=surface * np.exp(log_pulse), per_s=surface * np.exp(log_dc))

    def blunt(self, ions: float) -> None:
        """Let the apex recede by `ions` evaporated atoms of the imaged cap."""
        self.radius_nm = float(np.cbrt(self.radius_nm**3 + self._nm3_per_ion * ions))

    def _barrier_over_kt(self, v_v: float, temperature_k: float) -> NDArray[np.float64]:
        ratio = self.field_v_per_nm(v_v) / (self._field_v_per_nm * self.field_factor)
        return np.maximum(1.0 - ratio, 0.0) * (
            self._element_barrier_ev / (BOLTZMANN_EV_PER_K * temperature_k)
        )
