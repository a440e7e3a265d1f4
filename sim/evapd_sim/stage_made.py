"""The stage of a twin, from its settings."""

import numpy as np

from evapd_sim.settings import StageTwin
from evapd_sim.stage import Stage, StageAxis

_AXES = 3
_STREAM = 0x57A6E  # of random numbers, apart from those of the ions


def make_stage(settings: StageTwin, seed: int) -> Stage:
    """Make three axes that are alike, each with random numbers of its own."""
    low_mm, high_mm = settings.travel_mm
    return Stage(
        axes=[
            StageAxis(
                low_mm=low_mm,
                high_mm=high_mm,
                velocity_mm_per_s=settings.velocity_mm_per_s,
                backlash_mm=settings.backlash_mm,
                drift_mm_per_h=settings.drift_mm_per_h,
                scatter_mm=settings.scatter_mm,
                rng=np.random.default_rng([seed, _STREAM, number]),
            )
            for number in range(_AXES)
        ]
    )
