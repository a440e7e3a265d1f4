"""A decision as commands to the laser: rate, energy, shutter, emission, in this order."""

from collections.abc import Mapping
from typing import Any

from evapd.device import DeviceState, DeviceWorker
from evapd.device.readings import LaserReading
from evapd.guard.sending import Sender
from evapd.guard.types import Decision

_FINER = 1e-3  # a rise of the energy by less than this part waits for the next


class LaserOrders:
    """Tells the laser what is asked of it. Closing and lowering are repeated until they are read, nothing that brings light is."""

    def __init__(
        self,
        names: list[str],
        drivers: Mapping[str, Any],
        workers: Mapping[str, DeviceWorker],
        tolerance: float,
    ) -> None:
        """Take the devices of role laser by name, and the part by which an energy may read too high."""
        self._names, self._drivers, self._workers = names, drivers, workers
        self._tolerance = tolerance
        self._sender = Sender(workers)

    def apply(self, decision: Decision, now_s: float) -> None:
        """Send what is due; a laser of which nothing is asked gets no command at all."""
        for name in self._names:
            reading = self._reading(name)
            self._set_rate(name, decision, now_s)
            self._set_energy(name, decision.pulse_energy_pj, reading, now_s)
            self._set_shutter(name, decision.shutter, reading, now_s)
            self._emit(name, decision, now_s)

    def _set_rate(self, name: str, decision: Decision, now_s: float) -> None:
        driver = self._drivers[name]
        rate_hz = None if decision.pulse_energy_pj is None else decision.pulser_rate_hz
        self._sender.send(name, "set_rate", rate_hz, lambda: driver.set_rate(rate_hz), now_s)

    def _emit(self, name: str, decision: Decision, now_s: float) -> None:
        driver = self._drivers[name]
        on = 1.0 if decision.emission else None  # off is `make_safe`
        self._sender.send(name, "emission", on, lambda: driver.emission(True), now_s)

    def _set_energy(
        self, name: str, energy_pj: float | None, reading: LaserReading | None, now_s: float
    ) -> None:
        driver = self._drivers[name]
        before_pj = self._sender.accepted(name, "set_energy")
        if (
            energy_pj is not None
            and before_pj is not None
            and before_pj <= energy_pj < before_pj * (1 + _FINER)
        ):
            energy_pj = before_pj
        shown_pj = None if reading is None else reading.energy_set_pj
        high = energy_pj is not None and shown_pj is not None and shown_pj > energy_pj * (1 + self._tolerance)
        value = energy_pj
        self._sender.send(
            name, "set_energy", value, lambda: driver.set_energy(value), now_s, contradicted=high
        )

    def _set_shutter(
        self,
        name: str,
        is_open: bool | None,  # noqa: FBT001 - the shutter's state
        reading: LaserReading | None,
        now_s: float,
    ) -> None:
        driver = self._drivers[name]
        still_open = is_open is False and reading is not None and reading.shutter_open is not False
        value = None if is_open is None else float(is_open)
        self._sender.send(
            name, "shutter", value, lambda: driver.shutter(bool(is_open)), now_s, contradicted=still_open
        )

    def _reading(self, name: str) -> LaserReading | None:
        snapshot = self._workers[name].latest()
        known = snapshot.state is not DeviceState.UNKNOWN
        return snapshot.reading if known and isinstance(snapshot.reading, LaserReading) else None
