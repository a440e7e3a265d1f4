"""A law takes over while the supply is still coming up: the readback lags first and is exact afterwards."""

import dataclasses

import numpy as np
import pytest

from evapd.control import ControlSettings, RateObservation, create
from support.control_plant import Plant

SETTINGS = ControlSettings(target_rate=0.01, pulse_rate_hz=2e5, v_min_v=500.0, v_max_v=8000.0)


class Lagging(Plant):
    """Readings are low by a share that dies away after half a second."""

    lag = 0.01

    def tick(self) -> RateObservation | None:
        observation = super().tick()
        if observation is None:
            return None
        low = self.lag * max(0.0, 1.0 - observation.t_s / 0.5)
        return dataclasses.replace(observation, v_dc_v=observation.v_dc_v * (1.0 - low))


def held(name: str, lag: float, noise_sd: float, seed: int) -> float:
    """Mean rate / target from 20 s after the law was there."""
    plant = Lagging(SETTINGS, v_threshold_v=2700.0, noise_sd=noise_sd, drift_per_s=5e-4, seed=seed)
    plant.lag = lag
    plant.v_v = plant.command_v = 2500.0
    law = create(name, SETTINGS)
    law.reset(2500.0, 0.0)
    plant.run(law, 60.0)
    return float(np.mean(plant.since(25.0)[:, 1]))


@pytest.mark.parametrize(("name", "most"), [("imm", 0.01), ("pi-log", 0.02)])
@pytest.mark.parametrize("lag", [0.003, 0.006, 0.01, 0.015])
def test_a_start_ramp_that_was_read_late_leaves_no_standing_error(name: str, most: float, lag: float) -> None:
    assert np.mean([held(name, lag, 0.0, seed) for seed in range(3)]) == pytest.approx(1.0, abs=most)


@pytest.mark.parametrize("name", ["imm", "pi-log"])
def test_nor_in_the_usual_noise(name: str) -> None:
    # One run of 35 s scatters by 0.03 in this noise.
    assert np.mean([held(name, 0.012, 0.1, seed) for seed in range(3)]) == pytest.approx(1.0, abs=0.03)
