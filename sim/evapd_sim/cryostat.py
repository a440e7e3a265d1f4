"""Stage and tip temperatures: the stage follows the controller's set point, the tip follows the stage."""

import math

from evapd_sim.plant import Plant
from evapd_sim.settings import CryostatTwin


class Cryostat:
    """Two lags in a row. A temperature that somebody sets in the plant decays back to where it belongs.

    Attributes:
        heat_k_per_s: a leak of heat into the stage.
        warm: temperature (K) and time constant (s) of a stage without cooler; None while it works.
    """

    def __init__(self, settings: CryostatTwin, plant: Plant, *, tip_k: float) -> None:
        """Begin in balance, with the tip at `tip_k`."""
        self._settings = settings
        self._plant = plant
        self.heat_k_per_s = 0.0
        self.warm: tuple[float, float] | None = None
        plant.temperature_setpoint_k = tip_k - settings.tip_above_stage_k
        plant.temperature_k[settings.stage_sensor] = plant.temperature_setpoint_k
        plant.temperature_k[settings.tip_sensor] = tip_k

    def advance(self, dt_s: float) -> float:
        """Let `dt_s` pass and give the temperature of the tip in K; the caller holds the plant's lock."""
        settings, kelvin = self._settings, self._plant.temperature_k
        stage_k, tip_k = kelvin[settings.stage_sensor], kelvin[settings.tip_sensor]
        goal_k, tau_s = self.warm or (self._plant.temperature_setpoint_k, settings.stage_tau_s)
        stage_k += (goal_k - stage_k) * -math.expm1(-dt_s / tau_s) + self.heat_k_per_s * dt_s
        tip_k += (stage_k + settings.tip_above_stage_k - tip_k) * -math.expm1(-dt_s / settings.tip_tau_s)
        kelvin[settings.stage_sensor], kelvin[settings.tip_sensor] = stage_k, tip_k
        return tip_k
