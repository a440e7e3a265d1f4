"""The states of a run and the moves between them: one table, nothing else moves."""

from collections.abc import Callable
from enum import StrEnum

from evapd.errors import StateError


class RunState(StrEnum):
    """What the acquire process is doing."""

    IDLE = "idle"
    ARMING = "arming"
    RUNNING = "running"
    STOPPING = "stopping"
    FINALISING = "finalising"


class RunEvent(StrEnum):
    """What may happen to a run."""

    START = "start"
    ARMED = "armed"
    FAILED = "failed"
    STOP = "stop"
    CLOSED = "closed"
    FINALISED = "finalised"


_MOVES: dict[tuple[RunState, RunEvent], RunState] = {
    (RunState.IDLE, RunEvent.START): RunState.ARMING,
    (RunState.ARMING, RunEvent.ARMED): RunState.RUNNING,
    # A run that could not be armed is closed like any other: what was opened is closed, energy goes down.
    (RunState.ARMING, RunEvent.FAILED): RunState.STOPPING,
    (RunState.ARMING, RunEvent.STOP): RunState.STOPPING,
    (RunState.RUNNING, RunEvent.STOP): RunState.STOPPING,
    (RunState.RUNNING, RunEvent.FAILED): RunState.STOPPING,
    # Stop always works: a second stop, or a failure while stopping, changes nothing.
    (RunState.STOPPING, RunEvent.STOP): RunState.STOPPING,
    (RunState.STOPPING, RunEvent.FAILED): RunState.STOPPING,
    (RunState.STOPPING, RunEvent.CLOSED): RunState.FINALISING,
    (RunState.FINALISING, RunEvent.STOP): RunState.FINALISING,
    (RunState.FINALISING, RunEvent.FAILED): RunState.IDLE,
    (RunState.FINALISING, RunEvent.FINALISED): RunState.IDLE,
    (RunState.IDLE, RunEvent.STOP): RunState.IDLE,
}


class RunMachine:
    """Present state of the run; `on_change` hears every move."""

    def __init__(self, on_change: Callable[[RunState, RunEvent, RunState], None]) -> None:
        self._on_change = on_change
        self.state = RunState.IDLE

    def may(self, event: RunEvent) -> bool:
        """Whether the event fits the present state."""
        return (self.state, event) in _MOVES

    def move(self, event: RunEvent) -> RunState:
        """Make the move.

        Raises:
            StateError: when the table has no such move; the state stays.
        """
        target = _MOVES.get((self.state, event))
        if target is None:
            raise StateError(
                f"'{event}' does not fit a daemon that is {self.state}; ask `evapd status` and try again"
            )
        before, self.state = self.state, target
        if target is not before:
            self._on_change(before, event, target)
        return target
