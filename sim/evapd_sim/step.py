"""What one step of a simulated or replayed instrument gives: words for the TDC, and the truth behind them for tests."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evapd_sim.signals import Arrivals

Floats = NDArray[np.float64]


def _no_floats() -> Floats:
    return np.empty(0, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What nature knows and no instrument tells. Arrays have one row per detected ion or dark hit, shapes (n,).

    `pulse` is the pulse (offset in the step) at which the ion left, `tof_ps` its arrival after that pulse, also when
    that is later than the next pulse; `species` a row of the species table, -1 for a dark hit or an unknown ion;
    `pulsed` whether a pulse set it free. Row k is arrival number `first_arrival` + k of the whole experiment.
    """

    first_arrival: int = 0

    pulse: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    tof_ps: Floats = field(default_factory=_no_floats)
    x_mm: Floats = field(default_factory=_no_floats)
    y_mm: Floats = field(default_factory=_no_floats)
    species: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    pulsed: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    evaporated: int = 0  # ions that left the imaged cap
    ions_per_pulse: float = 0.0  # mean at the top of a live pulse, before efficiency
    dc_ions_per_s: float = 0.0  # mean under the standing voltage
    v_dc_v: float = 0.0  # at the middle of the step
    v_p_v: float = 0.0
    radius_nm: float = 0.0

    @property
    def hits(self) -> int:
        """Number of rows."""
        return len(self.pulse)

    @property
    def arrivals(self) -> Arrivals:
        """The rows as what strikes the detector."""
        return Arrivals(self.pulse, self.tof_ps, self.x_mm, self.y_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """Words of one step, as `TdcStreamWire.deliver` takes them.

    `pulse_offsets` counts from the first pulse of the step, ascending; `times` in bins, ascending within a pulse.
    `owners`, which no instrument tells, is the number of the arrival that made a word, -1 where none did.
    """

    pulse_offsets: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    channels: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, dtype=np.uint8))
    times: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    owners: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    pulses: int
    inhibited: int = 0
    t_device_ns: int = 0
    saturated: bool = False
    exhausted: bool = False
    truth: Truth = Truth()
