"""Ions that leave one spot together, beside those that leave by the barrier alone."""

import math

import numpy as np

from evapd_sim.disturb.influence import Cluster
from evapd_sim.evaporation import Evaporation, Ions
from evapd_sim.specimen import EvaporationRate

_EDGE = math.sqrt(2.0)  # Lambert coordinate of the sphere's equator


def outburst(
    rng: np.random.Generator,
    evaporation: Evaporation,
    rate: EvaporationRate,
    cluster: Cluster,
    ions: Ions,
    *,
    pulses: int,
    period_ps: float | None,
    radius_nm: float,
    seen: float,
) -> Ions:
    """Add the ions of `cluster` to `ions`, each in any of the `pulses` pulses and kept with the probability `seen`.

    With a `period_ps` they leave at any time of it, under the standing voltage; without one they leave with the pulse.
    """
    n = int(rng.binomial(cluster.ions, seen))
    spread = cluster.spread_nm / radius_nm
    a = cluster.a * evaporation.disc + spread * rng.standard_normal(n)
    b = cluster.b * evaporation.disc + spread * rng.standard_normal(n)
    reach = np.maximum(np.hypot(a, b) / _EDGE, 1.0)
    pulsed = np.full(n, period_ps is None)
    return Ions(
        pulse=np.concatenate((ions.pulse, rng.integers(0, pulses, n))),
        wait_ps=np.concatenate((ions.wait_ps, rng.random(n) * (period_ps or 0.0))),
        a=np.concatenate((ions.a, a / reach)),
        b=np.concatenate((ions.b, b / reach)),
        species=np.concatenate((ions.species, evaporation.choose(rng, rate, pulsed))),
        pulsed=np.concatenate((ions.pulsed, pulsed)),
    )
