"""Hits of known ions as the twin's flight model gives them, with an instrument that the record may be wrong about."""

from collections.abc import Sequence

import numpy as np

from evapd.config.model import Instrument
from evapd.spectrometry.align import KnownPeak
from evapd.spectrometry.masses import MassScale
from evapd.spectrometry.sample import Hits
from evapd_sim.flight import Flight
from evapd_sim.settings import FlightTwin

TRUE = Instrument(flight_path_mm=110.0, t0_ps=38_000.0, alpha=1.015, beta=0.7)
H, AL, FE2, FE = (
    KnownPeak("1H+", 1.00728), KnownPeak("27Al+", 26.98099), KnownPeak("56Fe2+", 27.96692), KnownPeak("56Fe+", 55.93439)
)  # fmt: skip
KNOWN = (H, AL, FE2, FE)
SHARES = (0.04, 0.46, 0.4, 0.1)
RADIUS_MM = 38.0


def flown(
    n: int,
    *,
    seed: int = 1,
    peaks: Sequence[KnownPeak] = KNOWN,
    shares: Sequence[float] = SHARES,
    fraction: tuple[float, float] = (0.2, 0.2),
    bowl: float = 0.0,
    sag: float = 0.0,
    background: float = 0.03,
    laser: bool = False,
) -> Hits:
    """Fly ions while V_dc rises from 3000 to 5000 V.

    `bowl` is the relative excess of the flight time on the rim, `sag` that at the highest voltage, `fraction` V_p / V_dc
    at the start and at the end, `background` the share of hits at any time.
    """
    rng = np.random.default_rng(seed)
    mass = rng.choice([peak.mass_da for peak in peaks], n, p=np.array(shares) / np.sum(shares))
    radius, angle = RADIUS_MM * np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    x_mm, y_mm = radius * np.cos(angle), radius * np.sin(angle)
    along = np.arange(n) / n
    v_dc_v = 3000.0 + 2000.0 * along
    v_p_v = v_dc_v * (fraction[0] + (fraction[1] - fraction[0]) * along) * (not laser)
    flight, tof_ps = Flight(TRUE, FlightTwin(), laser=laser), np.empty(n)
    for begin in range(0, n, 200):
        rows = slice(begin, begin + 200)
        tof_ps[rows] = flight.arrival_ps(
            rng, mass[rows], x_mm[rows], y_mm[rows], v_dc_v=v_dc_v[begin], v_p_v=v_p_v[begin],
            pulsed=np.ones(len(mass[rows]), bool),
        )  # fmt: skip
        v_dc_v[rows], v_p_v[rows] = v_dc_v[begin], v_p_v[begin]
    flight_ps = (tof_ps - TRUE.t0_ps) * (
        1.0 + bowl * (radius / RADIUS_MM) ** 2 + 0.5 * bowl * x_mm / RADIUS_MM
    )
    tof_ps = TRUE.t0_ps + flight_ps * (1.0 + sag * along**2) + rng.normal(0.0, 120.0, n)
    stray = rng.random(n) < background
    tof_ps[stray] = rng.uniform(60e3, 4e6, int(stray.sum()))
    return Hits(np.round(tof_ps), np.round(1e3 * x_mm), np.round(1e3 * y_mm), v_dc_v, v_p_v)


def believed(*, laser: bool = False, **wrong: float) -> MassScale:
    """The scale that a record would begin with: the true constants, but for those given."""
    return MassScale.of(TRUE.model_copy(update=wrong), voltage_mode=not laser)
