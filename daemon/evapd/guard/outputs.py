"""The digital outputs that the guard drives itself: the pulser's inhibit, the crowbar, the heartbeat."""

from collections.abc import Callable, Mapping
from typing import Any

from evapd.config.wiring import Contacts
from evapd.device import DeviceState, DeviceWorker
from evapd.device.readings import DigitalReading
from evapd.guard.sending import Sender

_LATE = 0.8  # a beat that waited for this part of the relay's time is no sign of life any more


class Outputs:
    """Writes named outputs of the `io` devices. What is asked for again and again is sent when it changes or does not hold."""

    def __init__(
        self,
        config: Contacts,
        names: list[str],
        drivers: Mapping[str, Any],
        workers: Mapping[str, DeviceWorker],
        clock: Callable[[], float],
    ) -> None:
        """Take the devices of role io by name."""
        self._config, self._names = config, names
        self._drivers, self._workers, self._clock = drivers, workers, clock
        self._sender = Sender(workers)
        self._beat: bool | None = None
        self.holds_crowbar = False  # told to close it, and not yet to open it

    def inhibit(self, on: bool | None, now_s: float) -> None:  # noqa: FBT001 - the output's level
        """Drive the pulser's inhibit; on is repeated until it is read back, off is sent once."""
        self._drive(self._config.inhibit, on, now_s, insist=bool(on))

    def crowbar(self, on: bool | None, now_s: float) -> None:  # noqa: FBT001 - the output's level
        """Close the crowbar or open it, each repeated until it is read back, or leave it as it is."""
        crowbar = self._config.crowbar
        self.holds_crowbar = bool(on) and crowbar is not None
        self._drive(None if crowbar is None else crowbar.output, on, now_s, insist=True)

    def heartbeat(self, level: bool | None) -> None:  # noqa: FBT001 - the output's level
        """Write the next level of the heartbeat. One that waits is replaced by a newer one and not sent when it is old."""
        if level is None or level is self._beat:
            return
        self._beat = level
        name = self._config.heartbeat
        found = None if name is None else self._find(name)
        if name is None or found is None:
            return
        driver, asked_s = self._drivers[found[0]], self._clock()
        late_s = _LATE * self._config.relay_s

        def write() -> None:
            if self._clock() - asked_s < late_s:
                driver.write(name, level)

        self._workers[found[0]].command("heartbeat", write)

    def _drive(
        self,
        name: str | None,
        on: bool | None,  # noqa: FBT001 - the output's level
        now_s: float,
        *,
        insist: bool,
    ) -> None:
        if name is None:
            return
        found = self._find(name)
        if found is None:
            return  # not read yet, or UNKNOWN: it comes again with the next decision
        device, level = found
        driver = self._drivers[device]
        contradicted = insist and on is not None and level is not on
        value = None if on is None else float(on)
        self._sender.send(
            device,
            f"write {name}",
            value,
            lambda: driver.write(name, bool(on)),
            now_s,
            contradicted=contradicted,
        )

    def _find(self, name: str) -> tuple[str, bool] | None:
        """The device that has an output of that name, and its level as read."""
        for device in self._names:
            snapshot = self._workers[device].latest()
            reading = snapshot.reading
            if snapshot.state is DeviceState.UNKNOWN or not isinstance(reading, DigitalReading):
                continue
            if name in reading.levels:
                return device, reading.levels[name]
        return None
