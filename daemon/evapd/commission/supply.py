"""How a supply follows its set point, and how true its readings are: a step up, a step down, and the rest between them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.device import HighVoltageSupply
from evapd.errors import StateError

SETTLED = 2e-3  # of the step: a reading within this of the last ones counts as settled
REST_S = 1.0  # readings of this long are averaged
LONGEST_S = 60.0  # of one step
_FEWEST = 4  # readings on the way, from which a time constant can be told

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the output.

    Attributes:
        tau_s: time constant by the time from a tenth to nine tenths, (t90 - t10) / ln 9; an upper bound where `bound`.
        delay_s: from the beginning of the command to the beginning of that exponential; not below 0.
        slew_v_per_s: mean slope between a tenth and nine tenths.
        bound: too few readings fall on the way: it is faster than can be seen.
    """

    tau_s: float
    delay_s: float
    slew_v_per_s: float
    bound: bool


@dataclass(frozen=True, slots=True)
class SupplyFigures:
    """What was measured of a supply; voltages in V.

    Attributes:
        up: the step from `low_v` to `high_v`.
        down: the step back.
        low_v: lower voltage that was set.
        high_v: upper voltage that was set.
        error_low_v: mean reading minus what was set, at rest at `low_v`.
        error_high_v: the same at `high_v`.
        noise_v: standard deviation of readings at rest at `high_v`.
        reading_s: mean time between two readings.
    """

    up: Step
    down: Step
    low_v: float
    high_v: float
    error_low_v: float
    error_high_v: float
    noise_v: float
    reading_s: float

    @property
    def relative_error(self) -> float:
        """The larger error as part of the upper voltage."""
        return max(abs(self.error_low_v), abs(self.error_high_v)) / abs(self.high_v)


def measure_supply(
    supply: HighVoltageSupply,
    low_v: float,
    high_v: float,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> SupplyFigures:
    """Step a supply whose output may carry `high_v`; it is left at `low_v`, on.

    Raises:
        StateError: when it does not come to rest near what was set.
        DeviceError: of the supply. The caller makes it safe, whatever happens here.
    """
    supply.set_voltage(low_v)
    supply.output(True)
    _, low = _follow(supply, low_v, abs(high_v - low_v), clock, sleep)
    up, high = _follow(supply, high_v, abs(high_v - low_v), clock, sleep)
    down, _ = _follow(supply, low_v, abs(high_v - low_v), clock, sleep)
    return SupplyFigures(
        up=_step(up, low_v, high_v),
        down=_step(down, high_v, low_v),
        low_v=low_v,
        high_v=high_v,
        error_low_v=float(np.mean(low)) - low_v,
        error_high_v=float(np.mean(high)) - high_v,
        noise_v=float(np.std(high, ddof=1)),
        reading_s=float(np.mean(np.diff(up[:, 0]))),
    )


def _follow(
    supply: HighVoltageSupply,
    v_v: float,
    step_v: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> tuple[Floats, Floats]:
    """Set, then read until it rests; gives (time since the command, V) of all readings, and the readings at rest."""
    began_s = clock()
    first = supply.read()
    rows = [(first.t_mono_s - began_s, first.v_meas_v)]
    ordered_s = clock()
    supply.set_voltage(v_v)
    while clock() - ordered_s < LONGEST_S:
        reading = supply.read()
        rows.append((reading.t_mono_s - ordered_s, reading.v_meas_v))
        sleep(0.0)
        table = np.array(rows[1:])
        rest = table[table[:, 0] >= table[-1, 0] - REST_S]
        if (
            table[-1, 0] > REST_S
            and len(rest) >= 2
            and np.ptp(rest[:, 1]) <= SETTLED * step_v + _digits(rest)
        ):
            rows[0] = (0.0, rows[0][1])
            return np.array(rows), rest[:, 1]
    raise StateError(f"the supply has not come to rest at {v_v:g} V within {LONGEST_S:g} s")


def _digits(rest: Floats) -> float:
    """Noise and digits of the readings: what the second half of them scatters by is no movement."""
    late = rest[len(rest) // 2 :, 1]
    return float(np.ptp(late)) if len(late) > 2 else 0.0


def _step(rows: Floats, from_v: float, to_v: float) -> Step:
    """Give the figures of one step from its readings, the first of them from before the command."""
    part = (rows[:, 1] - from_v) / (to_v - from_v)
    t10_s, t50_s, t90_s = (_crossing(rows[:, 0], part, level) for level in (0.1, 0.5, 0.9))
    rise_s = max(t90_s - t10_s, 1e-9)
    between = int(np.count_nonzero((part > 0.1) & (part < 0.9)))
    tau_s = rise_s / math.log(9.0)
    return Step(
        tau_s=tau_s,
        delay_s=max(0.0, t50_s - tau_s * math.log(2.0)),
        slew_v_per_s=0.8 * abs(to_v - from_v) / rise_s,
        bound=between < _FEWEST,
    )


def _crossing(t_s: Floats, part: Floats, level: float) -> float:
    """Give the time at which the part passes a level first, between two readings."""
    behind = int(np.argmax(part >= level))
    if part[behind] < level:
        raise StateError(f"the output never came to {level:.0%} of the step")
    if behind == 0:
        return float(t_s[0])
    before = behind - 1
    share = (level - part[before]) / (part[behind] - part[before])
    return float(t_s[before] + share * (t_s[behind] - t_s[before]))
