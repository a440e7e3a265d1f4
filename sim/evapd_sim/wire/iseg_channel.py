"""One channel of an iseg module: set values, ramp, trips, emergency off, and its status and event registers.

Source: channel status and event tables of the NHS and SHR manuals as open clients quote them. Assumed: the output cannot be switched on
while the cause of a switching-off stands (emergency off, inhibit) or a trip is not cleared from the events.
"""

from dataclasses import dataclass, field
from enum import IntFlag

from evapd_sim.plant import SupplyOutput
from evapd_sim.wire.adc import Adc

DISCHARGED = 0.002  # of the nominal voltage: below it the polarity may be turned


class Status(IntFlag):
    """Channel status; the lower bound stands at bit 22 in one client and at bit 23 in another."""

    POSITIVE = 1 << 0
    INPUT_ERROR = 1 << 2
    ON = 1 << 3
    RAMPING = 1 << 4
    EMERGENCY_OFF = 1 << 5
    CONSTANT_CURRENT = 1 << 6
    CONSTANT_VOLTAGE = 1 << 7
    CURRENT_BOUNDS = 1 << 10
    VOLTAGE_BOUNDS = 1 << 11
    INHIBIT = 1 << 12
    TRIP = 1 << 13
    RAMPING_UP = 1 << 19
    RAMPING_DOWN = 1 << 20


# What sets an event bit of the same place when it begins; `on` and `ramping` do when they end.
_BEGINS = (
    Status.INPUT_ERROR | Status.EMERGENCY_OFF | Status.CONSTANT_CURRENT | Status.CONSTANT_VOLTAGE | Status.CURRENT_BOUNDS
    | Status.VOLTAGE_BOUNDS | Status.INHIBIT | Status.TRIP
)  # fmt: skip
_ENDS = Status.ON | Status.RAMPING


@dataclass(slots=True)
class IsegChannel:
    """A channel that drives one supply of the plant; all values are magnitudes.

    Attributes:
        output: the supply.
        nominal_v: largest set value in V.
        nominal_a: largest current set value in A.
        volts: converter of the voltage reading.
        amperes: of the current reading.
        negative: polarity.
        reversible: whether it can be turned.
        trip_action: 0 flag only, 1 off with ramp, 2 off without, 3 whole module off, 4 no delayed trip.
        inhibit_action: 0 flag only, 1 off with ramp, 2 off without, 3 whole module off.
        in_force_v: set value in force, which follows the ramp.
    """

    output: SupplyOutput
    nominal_v: float
    nominal_a: float
    volts: Adc
    amperes: Adc
    negative: bool = False
    reversible: bool = True
    trip_action: int = 4
    trip_ms: int = 100
    inhibit_action: int = 2
    v_set_v: float = 0.0
    i_set_a: float = 0.0
    v_bounds_v: float = 0.0
    i_bounds_a: float = 0.0
    up_v_per_s: float = 0.0
    down_v_per_s: float = 0.0
    ramp_a_per_s: float = 0.0
    on: bool = False
    emergency: bool = False
    inhibited: bool = False
    tripped: bool = False
    input_error: bool = False
    events: int = 0
    event_mask: int = 0
    in_force_v: float = 0.0
    shuts_module: bool = False  # asked for by a trip or inhibit action 3
    _limited_s: float = 0.0
    _status: Status = field(default=Status(0))

    def __post_init__(self) -> None:
        self.i_set_a = self.i_set_a or self.nominal_a
        self.up_v_per_s = self.up_v_per_s or 0.2 * self.nominal_v
        self.down_v_per_s = self.down_v_per_s or 0.2 * self.nominal_v
        self.ramp_a_per_s = self.ramp_a_per_s or 0.5 * self.nominal_a
        self._status = self.status()

    @property
    def sign(self) -> float:
        """Sign of readings and set values."""
        return -1.0 if self.negative else 1.0

    @property
    def limited(self) -> bool:
        """Whether the load would draw more than the current set value."""
        return self.in_force_v > self.i_set_a * self.output.ohm

    def switch_on(self) -> bool:
        """Begin the ramp up; False where it is not allowed."""
        if self.emergency or self.inhibited or self.events & Status.TRIP or self.output.interlock_open:
            return False
        self.on = True
        return True

    def switch_off(self) -> bool:
        """Begin the ramp down."""
        self.on = False
        return True

    def shut_down(self) -> None:
        """Off without ramp."""
        self.on = False
        self.in_force_v = 0.0

    def emergency_off(self) -> bool:
        """Off without ramp, until it is cleared."""
        self.emergency = True
        self.shut_down()
        return True

    def emergency_clear(self) -> bool:
        """Leave the emergency off; the channel is off then."""
        self.emergency = False
        return True

    def trip(self, action: int) -> None:
        """Trip, with one of the actions."""
        self.tripped = True
        if action == 1:
            self.switch_off()
        elif action >= 2:
            self.shut_down()
            self.shuts_module |= action == 3

    def clear(self, bits: int) -> None:
        """Clear event bits, and what they latch."""
        self.events &= ~bits
        self.tripped &= not bits & Status.TRIP
        self.input_error &= not bits & Status.INPUT_ERROR
        self._status = self.status()

    def turn(self, *, negative: bool) -> bool:
        """Turn the polarity; False, and nothing is turned, while it is on, charged, or cannot."""
        if negative == self.negative:
            return True
        if self.on or not self.reversible or self.output.v_v > DISCHARGED * self.nominal_v:
            return False
        self.negative = negative
        return True

    def advance(self, dt_s: float, read_v: float, *, kill: bool) -> None:
        """Follow the ramp, look for trips, write the demand; `read_v` is what the voltmeter sees."""
        if self.inhibited and self.inhibit_action:
            (self.switch_off if self.inhibit_action == 1 else self.shut_down)()
            self.shuts_module |= self.inhibit_action == 3
        if self.output.interlock_open:
            self.shut_down()
        aim_v = self.v_set_v if self.on else 0.0
        gap_v = aim_v - self.in_force_v
        step_v = (self.up_v_per_s if gap_v > 0 else self.down_v_per_s) * dt_s
        self.in_force_v = (
            aim_v if abs(gap_v) <= step_v else self.in_force_v + (step_v if gap_v > 0 else -step_v)
        )
        self._limited_s = self._limited_s + dt_s if self.limited else 0.0
        if self.on and self.limited and kill:
            self.trip(2)
        elif self.on and self.trip_action < 4 and self._limited_s > 1e-3 * self.trip_ms:
            self.trip(self.trip_action)
        self.output.demand_v = min(self.in_force_v, self.i_set_a * self.output.ohm)
        self.volts.advance(self.sign * read_v, dt_s)
        self.amperes.advance(self.sign * self.output.i_a, dt_s)
        self.note()

    def note(self) -> None:
        """Latch what has begun or ended since in the events."""
        now = self.status()
        self.events |= int(now & ~self._status & _BEGINS) | int(self._status & ~now & _ENDS)
        self._status = now

    def status(self) -> Status:
        """Give the status register."""
        aim_v = self.v_set_v if self.on else 0.0
        off_v = abs(abs(self.volts.value) - self.v_set_v)
        bits = {
            Status.POSITIVE: not self.negative,
            Status.INPUT_ERROR: self.input_error,
            Status.ON: self.on,
            Status.RAMPING: self.in_force_v != aim_v,
            Status.EMERGENCY_OFF: self.emergency,
            Status.CONSTANT_CURRENT: self.on and self.limited,
            Status.CONSTANT_VOLTAGE: self.on and not self.limited,
            Status.CURRENT_BOUNDS: bool(self.i_bounds_a) and abs(self.amperes.value) > self.i_bounds_a,
            Status.VOLTAGE_BOUNDS: self.on and bool(self.v_bounds_v) and off_v > self.v_bounds_v,
            Status.INHIBIT: self.inhibited,
            Status.TRIP: self.tripped,
            Status.RAMPING_UP: self.in_force_v < aim_v,
            Status.RAMPING_DOWN: self.in_force_v > aim_v,
        }
        word = Status(0)
        for bit, is_set in bits.items():
            word |= bit if is_set else Status(0)
        return word
