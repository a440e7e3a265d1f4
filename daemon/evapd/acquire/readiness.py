"""What must be there before a run is opened: a guard of the same configuration, and a TDC."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from evapd.errors import StateError

READY_S = 5.0  # a guard or a TDC that has only just been started may take as long to be heard of
_LOOK_S = 0.05


class _Guard(Protocol):
    status: dict[str, Any] | None


class _Readout(Protocol):
    @property
    def online(self) -> bool: ...

    @property
    def last_error(self) -> str: ...

    @property
    def name(self) -> str: ...


def check_ready(
    guard: _Guard, readout: _Readout, digest: str, *, stopped: Callable[[], bool], alive: Callable[[], None]
) -> None:
    """Wait for guard and TDC, each for some seconds; return early when `stopped`.

    Args:
        guard: its status is None while it does not answer.
        readout: of the TDC.
        digest: of the configuration that this process was started with.
        stopped: whether the run is no longer wanted.
        alive: called while waiting, for the service manager's watchdog.

    Raises:
        StateError: when one is not there, or the guard was started with another configuration.
    """
    _wait(lambda: guard.status is not None, stopped, alive)
    if stopped():
        return
    status = guard.status
    if status is None:
        raise StateError("the guard does not answer; nothing may be energised without it")
    if status["digest"] != digest:
        raise StateError(
            "guard and acquire were started with different configurations; restart both with one file"
        )
    _wait(lambda: readout.online, stopped, alive)
    if not (readout.online or stopped()):
        why = readout.last_error or "no answer yet"
        raise StateError(f"the TDC '{readout.name}' is not there: {why}; look at its power and cable")


def _wait(there: Callable[[], bool], stopped: Callable[[], bool], alive: Callable[[], None]) -> None:
    deadline_s = time.monotonic() + READY_S
    while not (there() or stopped()) and time.monotonic() < deadline_s:
        alive()
        time.sleep(_LOOK_S)
