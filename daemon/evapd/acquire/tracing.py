"""Bytes of the TDC as events of the run; those of every other device are the guard's."""

import time
from typing import Any, Protocol

from evapd.acquire.bus import Bus
from evapd.device.tracing import KIND, Traces

_TELL_S = 1.0


class AsksGuard(Protocol):
    """What is needed of the guard."""

    def ask(self, cmd: str, **args: Any) -> dict[str, Any]:
        """Give a command to the guard."""
        ...


class Tracing:
    """Switches traces here or in the guard, and writes what came here once a second."""

    def __init__(self, traces: Traces, guard: AsksGuard, bus: Bus) -> None:
        self._traces, self._guard, self._bus = traces, guard, bus
        self._told_s = 0.0

    def switch(self, device: str, *, on: bool) -> dict[str, Any]:
        """Begin, or end, keeping the bytes of a device."""
        if self._traces.has(device):
            return {"accepted": True, "traced": self._traces.switch(device, on=on)}
        return self._guard.ask("trace", device=device, on=on)

    def tick(self) -> None:
        """Write what came, once a second."""
        now_s = time.monotonic()
        if now_s - self._told_s >= _TELL_S:
            self._told_s = now_s
            for what, details in self._traces.take():
                self._bus.event(KIND, "info", what, **details)
