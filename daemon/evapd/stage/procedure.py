"""Out and back, again and again: the stage is moved by the guard, which judges every single move."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evapd.errors import StateError
from evapd.stage.series import NM_PER_MM

_POLL_S = 0.1
_NEAR_MM = 0.05
Axes = Mapping[str, Mapping[str, Any]]


class Stages(Protocol):
    """What the procedure needs of the guard."""

    def axes(self) -> Axes:
        """Give every axis as read last: `position_mm`, `referenced`, `moving`, `in_position`, `age_s`."""
        ...

    def move(self, axis: str, mm: float) -> None:
        """Ask for an absolute move in mm; raises with the reason where it is refused."""
        ...


@dataclass(frozen=True, slots=True)
class Series:
    """What was measured: positions after each return, and when.

    Attributes:
        axes: names.
        position_nm: shape (n, axes), nm, by the encoders.
        t_s: shape (n,), monotonic s.
    """

    axes: tuple[str, ...]
    position_nm: NDArray[np.float64]
    t_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done.

    Attributes:
        away_mm: by axis, how far it goes out; signed.
        returns: how often it comes back and is read; the first is the reference.
        settle_s: how long it must rest in position before it is read.
        patience_s: of one move.
    """

    away_mm: Mapping[str, float]
    returns: int = 8
    settle_s: float = 0.5
    patience_s: float = 120.0


class Procedure:
    """Goes out and comes back until `plan.returns` positions are read; the stage is left where it began."""

    def __init__(
        self, stage: Stages, plan: Plan, *, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._stage, self._plan, self._clock, self._sleep = stage, plan, clock, sleep

    def run(self, tell: Callable[[str], None]) -> Series:
        """Do it, with a line for each return.

        Raises:
            StateError: for a plan that is none, an axis that is not known or not referenced, a move that does not arrive.
            EvapdError: of the guard, with its reason against a move.
        """
        start = self._stage.axes()
        _check(self._plan, start)
        home_mm = {axis: float(start[axis]["position_mm"]) for axis in self._plan.away_mm}
        rows: list[list[float]] = []
        times_s: list[float] = []
        for number in range(1, self._plan.returns + 1):
            if number > 1:
                self._out_and_back(home_mm)
            read = self._rest()
            rows.append([NM_PER_MM * float(read[axis]["position_mm"]) for axis in start])
            times_s.append(self._clock())
            where = ", ".join(f"{axis} {read[axis]['position_mm']:.6f} mm" for axis in start)
            tell(f"{number} of {self._plan.returns}: {where}")
        return Series(tuple(start), np.array(rows), np.array(times_s))

    def _out_and_back(self, home_mm: Mapping[str, float]) -> None:
        for axis, away_mm in self._plan.away_mm.items():
            self._go(axis, home_mm[axis] + away_mm)
        for axis in reversed(list(self._plan.away_mm)):
            self._go(axis, home_mm[axis])

    def _go(self, axis: str, mm: float) -> None:
        self._stage.move(axis, mm)
        self._rest((axis, mm))

    def _rest(self, towards: tuple[str, float] | None = None) -> Axes:
        """Wait until every axis has rested for `settle_s`, and the one that was sent is in position, in readings made since the wait began."""
        began_s = self._clock()
        rested_s: float | None = None
        while True:
            read = self._stage.axes()
            now_s = self._clock()
            fresh = all(now_s - float(one["age_s"]) > began_s for one in read.values())
            # Some controllers tell "in position" only behind a move: it is asked of the axis that was sent, and of no other.
            sent = towards is None or read[towards[0]]["in_position"]
            still = fresh and sent and not any(one["moving"] for one in read.values())
            rested_s = None if not still else now_s if rested_s is None else rested_s
            if rested_s is not None and now_s - rested_s >= self._plan.settle_s and _there(read, towards):
                return read
            if now_s - began_s > self._plan.patience_s:
                where = f"{towards[0]} to {towards[1]:g} mm" if towards else "the stage"
                raise StateError(
                    f"{where} has not come to rest in position within {self._plan.patience_s:g} s"
                )
            self._sleep(_POLL_S)


def _check(plan: Plan, axes: Axes) -> None:
    if plan.returns < 3 or not plan.away_mm or any(mm == 0.0 for mm in plan.away_mm.values()):
        raise StateError("a series wants three returns or more, and a way out for at least one axis")
    for axis in plan.away_mm:
        if axis not in axes:
            raise StateError(f"no axis '{axis}', there are {', '.join(axes) or 'none'}")
        if not axes[axis]["referenced"]:
            raise StateError(f"axis {axis} is not referenced: `evapd stage reference {axis}` first")


def _there(read: Axes, towards: tuple[str, float] | None) -> bool:
    """Whether an axis is near where it was sent: one that has not begun to move rests in position, too."""
    return towards is None or abs(float(read[towards[0]]["position_mm"]) - towards[1]) < _NEAR_MM
