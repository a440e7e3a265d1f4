"""How a walk ends: everything that carries energy is made safe, whoever hangs, fails or is impatient meanwhile."""

import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from types import FrameType
from typing import Any, Self

from evapd.errors import DeviceTimeout

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ATTEMPTS, _PAUSE_S = 3, 0.5
HANGS_S = 15.0  # a driver that has not come back by then is left behind: the next device waits for its turn


class Interrupts:
    """The first signal to end interrupts the walk, whichever it is; any that follow, or come while it closes, change nothing.

    Without it SIGTERM, and SIGHUP of a terminal that is closed, would end the process with the supply on.
    """

    def __init__(self) -> None:
        self.closing = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if (
            threading.current_thread() is threading.main_thread()
        ):  # nowhere else signals arrive, or can be taken
            self._before = {one: signal.signal(one, self._asked_to_end) for one in _ENDING}
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _asked_to_end(self, _signum: int, _frame: FrameType | None) -> None:
        if not self.closing:
            self.closing = True
            raise KeyboardInterrupt


def make_all_safe(
    devices: Mapping[str, Any],
    names: Iterable[str],
    sleep: Callable[[float], None],
    *,
    hangs_s: float = HANGS_S,
) -> list[Exception]:
    """Make devices safe in this order, each several times if need be, on a link that is opened afresh; nothing ends it early.

    Returns:
        The failures, each with a note that says what to do by hand.
    """
    failures: list[Exception] = []
    for name in names:
        if (error := _make_safe(name, devices[name], sleep, hangs_s)) is not None:
            error.add_note(f"{name} may still be on: SWITCH IT OFF BY HAND")
            failures.append(error)
    return failures


def _make_safe(name: str, driver: Any, sleep: Callable[[float], None], hangs_s: float) -> Exception | None:
    errors: list[Exception] = [DeviceTimeout(f"{name}: its driver hangs")]

    def attempts() -> None:
        for attempt in range(_ATTEMPTS):
            try:
                if attempt:
                    sleep(_PAUSE_S)
                    driver.close()
                    driver.open()
                driver.make_safe()
            except Exception as error:  # noqa: BLE001 - whatever a driver raises, the other devices must have their turn
                errors.append(error)
            else:
                errors.clear()
                return

    thread = threading.Thread(target=attempts, name=f"commission-safe-{name}", daemon=True)
    thread.start()
    thread.join(hangs_s)
    if thread.is_alive():
        return errors[0]
    return errors[1] if errors else None
