"""A specimen under a laser: the rate depends on the voltage and, through the temperature of the apex, on the pulse energy."""

import dataclasses
import math
from dataclasses import dataclass

from evapd.control import RateLaw, RateObservation
from support.control_plant import Plant


@dataclass
class LaserPlant(Plant):
    """Arrhenius: ln(rate / target) = Q_0 / kT_0 - Q(V) / kT(E), T = T_base + k E, Q falls in proportion to V.

    At threshold and `energy_0_pj` the rate is the target, d ln(rate) / d ln(V) is `sensitivity`, and d ln(rate) / d ln(E) is
    `barrier` times the part of the temperature that the laser makes.
    """

    barrier: float = 17.0  # Q / kT at the target
    t_base_k: float = 50.0
    heating_k: float = 100.0  # at energy_0_pj
    energy_0_pj: float = 50.0
    energy_pj: float = 50.0
    told_energy: bool = True

    def ratio(self) -> float:
        field = max(self.v_v, 1.0) / (self.v_threshold_v * self.field_factor)
        hot = (self.t_base_k + self.heating_k) / (
            self.t_base_k + self.heating_k * self.energy_pj / self.energy_0_pj
        )
        barrier = max(0.0, self.barrier - self.sensitivity * (field - 1.0)) * hot
        log = self.barrier - barrier + self.noise - self.drift_per_s * self.t_s
        return min(math.exp(min(log, 20.0)), 2000.0)

    def tick(self) -> RateObservation | None:
        energy_pj = self.energy_pj
        seen = super().tick()
        if self.told_energy and self._queue:
            self._queue[-1] = dataclasses.replace(self._queue[-1], pulse_energy_pj=energy_pj)
        return seen

    def run(self, law: RateLaw, seconds: float) -> None:
        for _ in range(round(seconds / self.settings.tick_s)):
            proposal = law.step(self.tick(), self.t_s)
            self.command_v = proposal.v_dc_v
            assert proposal.pulse_energy_pj is not None
            self.energy_pj = proposal.pulse_energy_pj
            self.moves.append((self.t_s, self.ratio(), self.command_v, self.energy_pj))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.moves: list[tuple[float, float, float, float]] = []  # t, rate / target, V asked for, energy
