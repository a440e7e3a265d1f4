"""The detector supplies' own state: one table. Only a person's command leads upwards; what leads down is legal in every state."""

from enum import StrEnum

from evapd.errors import StateError


class DetectorState(StrEnum):
    """Where the detector's supplies stand."""

    UNKNOWN = "unknown"  # not all of them have been read yet; never to be taken for off
    OFF = "off"  # read: no voltage, outputs off
    RAMPING = "ramping"  # upwards, step by step
    ON = "on"  # all at their voltages
    RAMPING_DOWN = "ramping_down"  # downwards, step by step, not yet verified
    FAULT = "fault"  # down by the quickest way; stays until a person acknowledges


class DetectorEvent(StrEnum):
    """What moves it."""

    FOUND_OFF = "found_off"
    FOUND_ON = "found_on"  # at start: all stand where the configuration wants them
    FOUND_ENERGISED = "found_energised"  # a voltage that nobody here asked for
    TURN_ON = "turn_on"
    REACHED = "reached"
    TURN_OFF = "turn_off"
    VERIFIED_DOWN = "verified_down"
    FAULT = "fault"
    ACKNOWLEDGE = "acknowledge"


S, E = DetectorState, DetectorEvent
TABLE: dict[tuple[DetectorState, DetectorEvent], DetectorState] = {
    (S.UNKNOWN, E.FOUND_OFF): S.OFF,
    (S.UNKNOWN, E.FOUND_ON): S.ON,
    (S.UNKNOWN, E.FOUND_ENERGISED): S.RAMPING_DOWN,
    (S.OFF, E.FOUND_ENERGISED): S.RAMPING_DOWN,
    (S.OFF, E.TURN_ON): S.RAMPING,
    (S.RAMPING, E.REACHED): S.ON,
    (S.RAMPING_DOWN, E.VERIFIED_DOWN): S.OFF,
    (S.FAULT, E.ACKNOWLEDGE): S.OFF,
}
for _state in S:
    TABLE[_state, E.FAULT] = S.FAULT
    # Off stays off, and a fault is left by a person alone.
    TABLE[_state, E.TURN_OFF] = _state if _state in (S.OFF, S.FAULT) else S.RAMPING_DOWN


class DetectorMachine:
    """Holds the present state and moves it by the table."""

    def __init__(self) -> None:
        self.state = S.UNKNOWN

    def allows(self, event: DetectorEvent) -> bool:
        """Whether the event is legal now."""
        return (self.state, event) in TABLE

    def move(self, event: DetectorEvent) -> bool:
        """Follow the event; True when the state changed.

        Raises:
            StateError: when the event does not fit the present state; nothing was changed.
        """
        target = TABLE.get((self.state, event))
        if target is None:
            raise StateError(f"'{event}' is not possible while the detector is '{self.state}'")
        changed = target is not self.state
        self.state = target
        return changed
