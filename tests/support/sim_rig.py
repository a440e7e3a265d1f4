"""A simulated atom probe in virtual time, with its plant set as a test wants it."""

from typing import Any

from evapd.config.model import Rig
from evapd_sim.anode import AnodeFile
from evapd_sim.experiment import Experiment
from evapd_sim.plant import Plant
from evapd_sim.settings import AtomProbeTwin

ANODE = AnodeFile.model_validate(
    {
        "kind": "quad",
        "radius_mm": 40,
        "dead_time_ps": 10_000,
        "jitter_ps": 100,
        "layers": {
            "x": {"time_sum_ps": 110_000, "mm_per_ns": 0.8},
            "y": {"time_sum_ps": 112_000, "mm_per_ns": 0.8},
        },
    }
)
QUIET = {"dark_rate_hz": 0, "noise_hz": 0, "missing": 0}  # a detector that sees ions and nothing else
PULSER_GAIN = 21.875


def rig(**pulse: Any) -> Rig:
    """The smallest rig that the physics needs: 110 mm, t0 38 ns, alpha 1.015, beta 0.7."""
    return Rig.model_validate(
        {
            "name": "test",
            "devices": {},
            "anode": "anode.yaml",
            "instrument": {"flight_path_mm": 110, "t0_ps": 38_000, "alpha": 1.015, "beta": 0.7},
            "specimen": {"name": "tip", "v_dc_max_v": 15_000, "v_tot_max_v": 20_000},
            "pulse": {"rate_hz": 200_000, "fraction": 0.2, **pulse},
            "control": {"law": "hold", "v_max_v": 15_000},
        }
    )


def experiment(*, mode: str = "voltage", energy_pj: float | None = None, **settings: Any) -> Experiment:
    """An experiment whose pulser runs at 200 kHz and whose supplies stand at 0."""
    plant = Plant()
    plant.trigger.rate_hz, plant.trigger.running = 200_000.0, True
    twin = AtomProbeTwin.model_validate({"seed": 1, **settings})
    return Experiment(rig(mode=mode, energy_pj=energy_pj), twin, ANODE, plant)


def energise(experiment: Experiment, v_dc_v: float, fraction: float = 0.2) -> None:
    """Put both supplies at their voltages at once."""
    plant = experiment.plant
    plant.specimen.v_v = plant.specimen.demand_v = v_dc_v
    plant.pulse.v_v = plant.pulse.demand_v = fraction * v_dc_v / PULSER_GAIN


def threshold_v(experiment: Experiment, fraction: float = 0.2) -> float:
    """V_dc at which the reference rate is detected."""
    return experiment.specimen.threshold_v_tot() / (1.0 + fraction)
