"""The specimen's energy state: one table, and a machine that follows it.

Only a person's or a run's command (`ENERGISING`) leads out of a state in which nothing is meant to evaporate; what
leads to safety is legal in every state.
"""

from enum import IntEnum, StrEnum

from evapd.errors import StateError


class EnergyState(IntEnum):
    """Where the specimen's energy stands; the numbers are those of the column `energy_state`."""

    OFF = 0  # nothing commanded yet; the supplies have not been read
    STANDBY = 1  # read: discharged, pulses inhibited
    RAMPING = 2  # on the way to the voltage at which the law begins
    EVAPORATING = 3  # the law steers
    HOLDING = 4  # pulses stopped, voltage lowered once and kept, waiting for a person
    PAUSED = 5  # stopped by a person for a while, voltage lowered
    ALIGNING = 6  # beam or stage is being aligned: voltage capped, the law not asked
    INHIBITED = 7  # pulses stopped, voltage not rising
    RAMPING_DOWN = 8  # pulses stopped, specimen on its way to zero, not yet verified
    SAFE = 9  # pulses inhibited, output off, discharged: verified by readings
    FAULT_LATCHED = 10  # made safe because of a fault; stays until a person acknowledges

    @property
    def label(self) -> str:
        """Name in messages and JSON."""
        return self.name.lower()


class EnergyEvent(StrEnum):
    """What moves the state."""

    FOUND_DOWN = "found_down"  # at start: everything read, discharged
    FOUND_ENERGISED = "found_energised"  # voltage that this guard did not command
    FOUND_ATTENDED = "found_attended"  # the same at a restart, where people are present
    RUN_BEGIN = "run_begin"
    START_REACHED = "start_reached"
    OBSERVE = "observe"  # law `monitor`: a run that is only watched begins
    OBSERVE_END = "observe_end"
    INHIBIT = "inhibit"
    RELEASED = "released"  # the rule that inhibited is content again; the run goes on where it was
    HOLD = "hold"
    PAUSE = "pause"
    ALIGN = "align"
    RESUME = "resume"
    RAMP_DOWN = "ramp_down"
    VERIFIED_DOWN = "verified_down"
    FAULT = "fault"
    ACKNOWLEDGE = "acknowledge"


S, E = EnergyState, EnergyEvent

ENERGISING = frozenset({E.RUN_BEGIN, E.RESUME})
"""Commands of a person or a run. Besides them only RELEASED leads to RAMPING, and only out of INHIBITED by a rule."""

STEERED = frozenset({S.RAMPING, S.EVAPORATING})
"""States in which the voltage may rise: the start ramp, or the law."""

PULSING = STEERED | {S.ALIGNING}
"""States in which pulses may be let through; while aligning only those of a laser."""

ENERGISED = frozenset({S.RAMPING, S.EVAPORATING, S.HOLDING, S.PAUSED, S.ALIGNING, S.INHIBITED})
"""States in which a voltage is meant to stand."""

DOWNWARD = frozenset({S.RAMPING_DOWN, S.FAULT_LATCHED})
"""States on the way down, or down after a fault."""

_TABLE: dict[tuple[EnergyState, EnergyEvent], EnergyState] = {
    (S.OFF, E.FOUND_DOWN): S.STANDBY,
    (S.OFF, E.FOUND_ENERGISED): S.RAMPING_DOWN,
    (S.OFF, E.FOUND_ATTENDED): S.HOLDING,
    (S.STANDBY, E.FOUND_ENERGISED): S.RAMPING_DOWN,
    (S.SAFE, E.FOUND_ENERGISED): S.RAMPING_DOWN,
    (S.STANDBY, E.RUN_BEGIN): S.RAMPING,
    (S.SAFE, E.RUN_BEGIN): S.RAMPING,
    (S.RAMPING, E.START_REACHED): S.EVAPORATING,
    # Watching commands nothing, so it needs no reading first and leaves no duty behind.
    (S.OFF, E.OBSERVE): S.EVAPORATING,
    (S.STANDBY, E.OBSERVE): S.EVAPORATING,
    (S.SAFE, E.OBSERVE): S.EVAPORATING,
    (S.EVAPORATING, E.OBSERVE_END): S.OFF,
    (S.INHIBITED, E.RELEASED): S.RAMPING,
    (S.INHIBITED, E.RESUME): S.RAMPING,
    (S.HOLDING, E.RESUME): S.RAMPING,
    (S.PAUSED, E.RESUME): S.RAMPING,
    (S.ALIGNING, E.RESUME): S.RAMPING,
    (S.HOLDING, E.ALIGN): S.ALIGNING,
    (S.PAUSED, E.ALIGN): S.ALIGNING,
    (S.ALIGNING, E.ALIGN): S.ALIGNING,
    (S.RAMPING_DOWN, E.VERIFIED_DOWN): S.SAFE,
    (S.FAULT_LATCHED, E.ACKNOWLEDGE): S.SAFE,
    (S.SAFE, E.ACKNOWLEDGE): S.STANDBY,
}
for _state in sorted(ENERGISED):
    _TABLE[_state, E.HOLD] = S.HOLDING
    _TABLE[_state, E.PAUSE] = S.PAUSED
for _state in S:
    # Legal in every state, and never a way out of a latched fault.
    _TABLE[_state, E.FAULT] = S.FAULT_LATCHED
    _TABLE[_state, E.RAMP_DOWN] = S.FAULT_LATCHED if _state is S.FAULT_LATCHED else S.RAMPING_DOWN
    # A person's hold outlasts an inhibit: both stop pulses, the hold also waits.
    _TABLE[_state, E.INHIBIT] = S.INHIBITED if _state in STEERED else _state
# From INHIBITED a run goes on by itself; an alignment does not, it would end at the voltage of the run.
_TABLE[S.ALIGNING, E.INHIBIT] = S.PAUSED

TABLE = _TABLE


class EnergyMachine:
    """Holds the present state and moves it by the table."""

    def __init__(self) -> None:
        self.state = S.OFF

    def allows(self, event: EnergyEvent) -> bool:
        """Whether the event is legal now."""
        return (self.state, event) in TABLE

    def move(self, event: EnergyEvent) -> bool:
        """Follow the event; True when the state changed.

        Raises:
            StateError: when the event does not fit the present state; nothing was changed.
        """
        target = TABLE.get((self.state, event))
        if target is None:
            raise StateError(
                f"'{event}' is not possible while the energy state is '{self.state.label}'; {_advice(self.state)}"
            )
        changed = target is not self.state
        self.state = target
        return changed


def _advice(state: EnergyState) -> str:
    if state is S.FAULT_LATCHED:
        return "look at the alarms, then acknowledge"
    if state is S.OFF:
        return "the supplies have not been read yet: see the devices in status"
    if state is S.RAMPING_DOWN:
        return "wait until it is safe"
    return "nothing was changed"
