"""What the simulated rig really did, step by step: the yardstick that no process under test can bend."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd_sim.twin import Twin
from evapd_sim.wire.tdc_stream import TdcStreamWire

_COLUMNS = ("t_s", "v_v", "demand_v", "live", "evaporated", "first_pulse", "pulses", "words", "arming")


class Step(NamedTuple):
    """One step of the twin; voltages in V at its end, `first_pulse` -1 while the TDC was not armed."""

    t_s: float  # monotonic
    v_v: float
    demand_v: float
    live: bool
    evaporated: int  # ions that left the imaged cap so far
    first_pulse: int
    pulses: int
    words: int  # that the TDC's inputs saw, before anything inside it lost some
    arming: int  # how often the counter has begun anew


@dataclass(frozen=True)
class Truth:
    """Steps between two times as columns, shapes (n,)."""

    columns: dict[str, NDArray[Any]]

    def __getattr__(self, name: str) -> NDArray[Any]:
        try:
            return self.columns[name]
        except KeyError:
            raise AttributeError(name) from None

    def after(self, t_s: float) -> "Truth":
        """The steps that ended after `t_s`."""
        return self._rows(self.t_s > t_s)

    def before(self, t_s: float) -> "Truth":
        """The steps that ended at or before `t_s`."""
        return self._rows(self.t_s <= t_s)

    def armed(self, arming: int) -> "Truth":
        """The steps that one arming of the TDC counted."""
        return self._rows((self.arming == arming) & (self.first_pulse >= 0))

    def _rows(self, chosen: NDArray[np.bool_]) -> "Truth":
        return Truth({name: column[chosen] for name, column in self.columns.items()})


class Witness:
    """Stands between physics and TDC of a twin, passes every delivery on, and writes down what is true."""

    def __init__(self, twin: Twin) -> None:
        (self._tdc,) = [wire for wire in twin.wires.values() if isinstance(wire, TdcStreamWire)]
        self._twin, self.tdc = twin, self._tdc
        self.change: Callable[[tuple[Any, Any, Any]], tuple[Any, Any, Any]] | None = (
            None  # of what the TDC measures
        )
        self._steps: list[Step] = []
        self._arming, self._due = 0, -1
        twin._tdcs[:] = [self]  # type: ignore[list-item]  # all that the twin asks of it is `deliver`

    def deliver(self, offsets: Any, channels: Any, times: Any, *, pulses: int, **rest: Any) -> bool:
        """Take one step's words; called by the twin's physics."""
        plant, physics = self._twin.plant, self._twin.experiment
        if self.change is not None and len(times):
            offsets, channels, times = self.change((offsets, channels, times))
        with plant.lock:
            first = self._tdc.next_pulse
            armed = self._tdc.deliver(offsets, channels, times, pulses=pulses, **rest)
            if armed and first == 0 and self._due != 0:
                self._arming += 1
            self._due = self._tdc.next_pulse if armed else -1
            self._steps.append(
                Step(
                    time.monotonic(), plant.specimen.v_v, plant.specimen.demand_v, plant.trigger.live,
                    physics.evaporated_ions if physics is not None else 0, first if armed else -1, pulses, len(times), self._arming,
                )
            )  # fmt: skip
        return armed

    @property
    def arming(self) -> int:
        """Number of the present arming."""
        return self._arming

    @property
    def newest(self) -> Step:
        """The newest step."""
        return self._steps[-1]

    def since(self, t_s: float) -> Truth:
        """All steps that ended after `t_s`."""
        steps = self._steps[:]
        begin = len(steps)
        while begin and steps[begin - 1].t_s > t_s:
            begin -= 1
        return Truth({name: np.array([getattr(step, name) for step in steps[begin:]]) for name in _COLUMNS})

    def forget(self, t_s: float) -> None:
        """Drop what is older than `t_s`."""
        self._steps = [step for step in self._steps if step.t_s > t_s]
