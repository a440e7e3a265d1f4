"""What a person may ask of the stages: moves and searches that are judged first, and a stop that always goes through."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evapd.config.stage import StageSection
from evapd.device import DeviceWorker
from evapd.device.readings import AxisReading, StageReading
from evapd.device.snapshot import DeviceState
from evapd.errors import DeviceRefused, StateError
from evapd.guard.energy import EnergyState
from evapd.guard.stage_moves import refusal_of_move, refusal_of_reference

_LATEST_S = 2.5  # an order that waited longer is not carried out any more: a run may have begun
_PENDING_S = 5.0  # one that was not even begun by then was dropped with its link


@dataclass(slots=True)
class _Ordered:
    """The newest order to one stage: readings from before its end say nothing of where it will be."""

    at_s: float = -math.inf
    begun: bool = False
    ended_s: float | None = -math.inf


class StageOrders:
    """Moves, searches and stops of every device with the role stage; names of axes are those of the whole rig."""

    def __init__(
        self,
        section: StageSection,
        drivers: Mapping[str, Any],
        workers: Mapping[str, DeviceWorker],
        clock: Callable[[], float],
    ) -> None:
        """Take the stages by name."""
        self._section, self._drivers, self._workers, self._clock = section, drivers, workers, clock
        self._ordered = {name: _Ordered() for name in drivers}

    @property
    def moving(self) -> list[str]:
        """Axes that move, or of which nothing certain is known though they may: for who wants to energise."""
        found = [name for name in self._drivers if self._unsettled(name)]
        for name in self._drivers:
            reading = self._workers[name].latest().reading
            if isinstance(reading, StageReading):
                found += [axis for axis, one in reading.axes.items() if one.moving]
        return found

    def move(self, axis: str, mm: float, state: EnergyState) -> None:
        """Start a move to `mm`, absolute.

        Raises:
            StateError: with the reason against it; nothing was sent.
        """
        name, axes = self._stage_of(axis)
        if reason := refusal_of_move(axes, axis, mm, state, self._section):
            raise StateError(f"the stage does not move: {reason}")
        self._order(name, f"move-{axis}", lambda: self._drivers[name].move(axis, mm))

    def reference(self, axis: str, state: EnergyState, *, clear: bool) -> None:
        """Start the search for the reference mark; `clear`: a person has looked.

        Raises:
            StateError: with the reason against it; nothing was sent.
        """
        name, axes = self._stage_of(axis)
        if reason := refusal_of_reference(axes, axis, state, self._section, seen=clear):
            raise StateError(f"the stage does not search: {reason}")
        self._order(name, f"reference-{axis}", lambda: self._drivers[name].reference(axis))

    def stop(self) -> None:
        """Stop every axis of every stage, whatever the state; retried until it has gone through."""
        for worker in self._workers.values():
            worker.safe()

    def _stage_of(self, axis: str) -> tuple[str, dict[str, AxisReading]]:
        """Give the device of an axis, and all axes of the rig as read since the newest order."""
        every: dict[str, AxisReading] = {}
        owner: dict[str, str] = {}
        for name, worker in self._workers.items():
            snapshot = worker.latest()
            if snapshot.state is not DeviceState.ONLINE or not isinstance(snapshot.reading, StageReading):
                raise StateError(
                    f"the stage does not move: {name} is {snapshot.state}: {snapshot.last_error}"
                )
            if self._unsettled(name):
                raise StateError(
                    f"the stage does not move: {name} was just told to; wait for its next reading"
                )
            for one, reading in snapshot.reading.axes.items():
                if one in owner:
                    raise StateError(
                        f"the stage does not move: '{one}' is an axis of {owner[one]} and of {name}"
                    )
                owner[one], every[one] = name, reading
        if axis not in owner:
            raise StateError(
                f"no axis '{axis}', there are {', '.join(owner) or 'none: no device has the role stage'}"
            )
        return owner[axis], every

    def _unsettled(self, name: str) -> bool:
        order, snapshot = self._ordered[name], self._workers[name].latest()
        if order.ended_s is None:
            return order.begun or self._clock() - order.at_s < _PENDING_S
        return snapshot.reading is not None and snapshot.reading.t_mono_s < order.ended_s

    def _order(self, name: str, key: str, call: Callable[[], None]) -> None:
        order = _Ordered(at_s=self._clock(), ended_s=None)

        def carry_out() -> None:
            order.begun = True  # first: whoever asks meanwhile sees an order that is under way
            try:
                waited_s = self._clock() - order.at_s
                if waited_s > _LATEST_S:
                    raise DeviceRefused(
                        f"the order has waited {waited_s:.1f} s for {name}: not sent, ask again"
                    )
                call()
            finally:
                order.ended_s = self._clock()

        self._ordered[name] = order
        if not self._workers[name].command(key, carry_out):
            order.ended_s = -math.inf  # nothing was sent, and nothing waits
            raise StateError(f"the stage does not move: {name} does not answer")
