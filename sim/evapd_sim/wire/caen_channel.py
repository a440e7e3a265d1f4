"""One channel of a CAEN desktop or NIM supply: set values, ramp, trip, and its status word.

Source: N1470 and N1471 user's manual as open clients quote it; replies of two DT1470ET units (zero padding, `01024` while the enabling switch is off).
Assumed: with a trip pending ON is taken and does nothing; while an OFF ramps down the channel no longer says ON.
"""

from dataclasses import dataclass
from enum import IntFlag

from evapd_sim.plant import SupplyOutput
from evapd_sim.wire.adc import Adc

CONSTANT_CURRENT_S = 1000.0  # a trip time of that much means never


class Status(IntFlag):
    """Channel status."""

    ON = 1 << 0
    RAMPING_UP = 1 << 1
    RAMPING_DOWN = 1 << 2
    OVER_CURRENT = 1 << 3
    MAXIMUM = 1 << 6
    TRIP = 1 << 7
    DISABLED = 1 << 10
    KILL = 1 << 11
    INTERLOCK = 1 << 12


@dataclass(slots=True)
class CaenChannel:
    """A channel that drives one supply of the plant; all values are magnitudes, currents in A.

    Attributes:
        output: the supply.
        rated_v: largest set value in V.
        rated_a: largest current set value in A.
        volts: converter of the voltage reading.
        amperes: of the current reading.
        negative: polarity, a switch at the unit.
        maximum_v: MAXV, the limit that a person has set at the unit.
        power_down: what OFF and a trip do: RAMP or KILL.
        current_range: IMRANGE, HIGH or LOW.
        enabled: the switch at the front.
        killed: the external KILL input.
        in_force_v: set value in force, which follows the ramp.
    """

    output: SupplyOutput
    rated_v: float
    rated_a: float
    volts: Adc
    amperes: Adc
    negative: bool = False
    maximum_v: float = 0.0
    power_down: str = "KILL"
    current_range: str = "HIGH"
    v_set_v: float = 0.0
    i_set_a: float = 0.0
    up_v_per_s: float = 50.0
    down_v_per_s: float = 50.0
    trip_s: float = 10.0
    on: bool = False
    tripped: bool = False
    enabled: bool = True
    killed: bool = False
    in_force_v: float = 0.0
    _limited_s: float = 0.0

    def __post_init__(self) -> None:
        self.maximum_v = self.maximum_v or self.rated_v
        self.i_set_a = self.i_set_a or self.rated_a

    @property
    def limited(self) -> bool:
        """Whether the load would draw more than the current set value."""
        return self.in_force_v > self.i_set_a * self.output.ohm

    @property
    def barred(self) -> bool:
        """Whether it may not be on."""
        return not self.enabled or self.killed or self.output.interlock_open

    def switch(self, *, on: bool) -> None:
        """Switch as told; on does nothing where it may not be on, or after a trip that was not cleared."""
        if on:
            self.on = self.on or not (self.barred or self.tripped)
        elif self.on:
            self._off()

    def trip(self) -> None:
        """Trip."""
        self.tripped = True
        self._off()

    def _off(self) -> None:
        self.on = False
        if self.power_down == "KILL":
            self.in_force_v = 0.0

    def advance(self, dt_s: float, read_v: float) -> None:
        """Follow the ramp, look for trips, write the demand; `read_v` is what the voltmeter sees."""
        if self.barred:
            self.on = False
            self.in_force_v = 0.0
        aim_v = self._aim_v()
        gap_v = aim_v - self.in_force_v
        step_v = (self.up_v_per_s if gap_v > 0 else self.down_v_per_s) * dt_s
        self.in_force_v = (
            aim_v if abs(gap_v) <= step_v else self.in_force_v + (step_v if gap_v > 0 else -step_v)
        )
        self._limited_s = self._limited_s + dt_s if self.limited and self.on else 0.0
        if self.trip_s < CONSTANT_CURRENT_S and self._limited_s > self.trip_s:
            self.trip()
        self.output.demand_v = min(self.in_force_v, self.i_set_a * self.output.ohm)
        self.volts.advance(read_v, dt_s)
        self.amperes.advance(self.output.i_a, dt_s)

    def _aim_v(self) -> float:
        return min(self.v_set_v, self.maximum_v) if self.on else 0.0

    def status(self) -> int:
        """Give the status word."""
        aim_v = self._aim_v()
        bits = {
            Status.ON: self.on,
            Status.RAMPING_UP: self.in_force_v < aim_v,
            Status.RAMPING_DOWN: self.in_force_v > aim_v,
            Status.OVER_CURRENT: self.limited and self.on,
            Status.MAXIMUM: self.on and self.v_set_v > self.maximum_v,
            Status.TRIP: self.tripped,
            Status.DISABLED: not self.enabled,
            Status.KILL: self.killed,
            Status.INTERLOCK: self.output.interlock_open,
        }
        return sum(int(bit) for bit, is_set in bits.items() if is_set)
