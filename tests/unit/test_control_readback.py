"""A readback far below what was asked for: a law waits, so that those who watch over the supply see the difference."""

import dataclasses

import numpy as np
import pytest

from evapd.control import ControlSettings, RateObservation, create
from support.control_plant import Plant

SETTINGS = ControlSettings(target_rate=0.01, pulse_rate_hz=2e5, v_min_v=500.0, v_max_v=8000.0)


class ReadsLow(Plant):
    """From 10 s on the readback shows a part of what is there."""

    part = 1.0

    def tick(self) -> RateObservation | None:
        observation = super().tick()
        if observation is None or observation.t_s < 10.0:
            return observation
        return dataclasses.replace(observation, v_dc_v=self.part * observation.v_dc_v)


@pytest.mark.parametrize("name", ["imm", "pi-log"])
@pytest.mark.parametrize("part", [0.95, 0.9, 0.8])
def test_a_readback_that_is_wrong_neither_raises_v_nor_hides_behind_a_falling_set_point(
    name: str, part: float
) -> None:
    plant = ReadsLow(SETTINGS, v_threshold_v=5000.0)
    plant.part = part
    plant.v_v = plant.command_v = 5000.0
    law = create(name, SETTINGS)
    law.reset(5000.0, 0.0)
    plant.run(law, 30.0)
    rows = plant.since(10.0)
    first_s = rows[rows[:, 0] < 11.0]
    assert np.ptp(first_s[:, 2]) < 0.01 * 5000.0  # a guard's grace is 0.5 s
    assert rows[:, 2].max() < 1.005 * 5000.0
    assert rows[:, 2].min() > part * 0.98 * 5000.0  # and it is followed once, not for ever
