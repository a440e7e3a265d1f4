"""The table on which one check happens: the instrument runs, drivers are made for it, everything is cleared away at the end."""

import inspect
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from evapd.device.conformance.cable import Cable, Fault, SkippingClock
from evapd.device.conformance.instrument import InstrumentUnderTest
from evapd.device.conformance.roles import energise, role_of
from evapd.errors import DeviceError, LimitError

TIMEOUT_S = 2.0  # of every driver here; waits known to be in vain are skipped
PATIENCE_S = 10.0  # real time for what a simulation does by itself
T = TypeVar("T", bound=BaseException)


class Nonconformance(AssertionError):
    """A driver, or its description, is not as the contract says; the message says what, and what is due."""


def must(condition: object, message: str) -> None:
    """Fail with `message` unless the condition holds."""
    if not condition:
        raise Nonconformance(message)


def outcome(call: Callable[[], Any], what: str) -> Any:
    """Give what a call returns, or the `DeviceError` that it raises; any other error is a fault of the driver."""
    try:
        return call()
    except DeviceError as error:
        return error
    except Nonconformance:
        raise
    except Exception as error:
        raise Nonconformance(
            f"{what} raised {error!r}: only errors of evapd.errors.DeviceError are allowed"
        ) from error


def fails(call: Callable[[], Any], what: str, kind: type[T] | tuple[type[T], ...]) -> T:
    """Give the error of `kind` that a call must raise."""
    result = outcome(call, what)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    due = " or ".join(one.__name__ for one in kinds)
    must(isinstance(result, kinds), f"{what} gave {result!r} where {due} is due")
    return result  # type: ignore[no-any-return]  # isinstance above, which must() hides from the checker


class Bench:
    """One instrument under test and the drivers that talk to it."""

    def __init__(self, kind: type[InstrumentUnderTest]) -> None:
        self.kind = kind
        self.role = role_of(kind)
        self.clock = SkippingClock()
        self.cable = Cable(self.clock)
        self.instrument = kind()
        self.speaks_bytes = takes(kind.driver, "transport_factory")
        self._drivers: list[Any] = []
        self._address = ""
        self._folder = Path()

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="evapd-kit-"))  # short: paths of sockets are limited
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            closed = [outcome(driver.close, "close at the end") for driver in self._drivers]
        finally:
            if self._address:
                self.instrument.stop()
            shutil.rmtree(self._folder)
        failed = [result for result in closed if isinstance(result, DeviceError)]
        if error is None and failed:
            raise Nonconformance(
                f"close at the end raised {failed[0]!r}: it never raises because of the instrument"
            )

    @property
    def address(self) -> str:
        """Descriptor of the instrument, which is started when it is first asked for."""
        if not self._address:
            tcp = self.kind.endpoint == "tcp"
            self._address = self.instrument.start("tcp:127.0.0.1:0" if tcp else f"unix:{self._folder}/wire")
        return self._address

    def start_serial(self) -> str:
        """Start the instrument on a pseudo-terminal; give the descriptor with the right baud rate."""
        self._address = self.instrument.start(f"pty:{self._folder}/port")
        return self._address

    def driver(self, **settings: object) -> Any:
        """Make a driver, at the faulty cable where it speaks bytes; closed at the end."""
        config = {"connect": "", "timeout_s": TIMEOUT_S} | dict(self.kind.settings) | settings
        config["connect"] = config["connect"] or self.address
        driver = self.kind.driver(self.kind.driver.Config(**config), **self._keywords())
        self._drivers.append(driver)
        return driver

    def opened(self, **settings: object) -> Any:
        """Make a driver and open it; the cable's memory of what was sent begins anew."""
        driver = self.driver(**settings)
        driver.open()
        self.cable.sent.clear()
        return driver

    def energised(self) -> Any:
        """Make a driver, open it, and energise its instrument."""
        driver = self.opened()
        energise(driver, self.instrument)
        eventually(self.instrument.energised, f"{self.kind.__name__}.energised() after it was energised")
        self.cable.sent.clear()
        return driver

    def timed(self, call: Callable[[], Any], what: str, timeouts: float = 2.0) -> Any:
        """Give the outcome of a call that must end within some of the driver's time-outs."""
        began_s = self.clock()
        result = outcome(call, what)
        took_s = self.clock() - began_s
        limit_s = timeouts * TIMEOUT_S + 0.5
        must(
            took_s <= limit_s,
            f"{what} took {took_s:.2f} s with timeout_s {TIMEOUT_S:g}: one deadline covers the whole call, "
            f"{limit_s:g} s are allowed here",
        )
        return result

    def reopened(self, driver: Any) -> Any:
        """Close and open a driver as the daemon does after a fault: again until it answers; give the healthy driver."""
        self.cable.fault = Fault.NONE
        for _ in range(5):
            driver.close()
            result = outcome(driver.open, "open after the fault was over")
            if not isinstance(result, DeviceError):
                return driver
        raise Nonconformance(f"open fails five times after the fault was over, at last with {result!r}")

    def settings_of(self, driver: Any) -> list[tuple[str, Callable[[], Any]]]:
        """Give one good call of every setting and switch, with its name."""
        calls: list[tuple[str, Callable[[], Any]]] = []
        for setpoint in self.kind.setpoints:
            if setpoint.good:
                method, arguments = getattr(driver, setpoint.method), (*setpoint.lead, setpoint.good[-1])
                text = f"{setpoint.method}({', '.join(map(repr, arguments))})"
                calls.append((text, partial(method, *arguments)))
        switches = [(f"{name}(True)", partial(getattr(driver, name), True)) for name in self.role.switches]
        return [*calls, *switches]

    def do_setting(self, place: int, driver: Any) -> None:
        """Make the call that stands at `place` in `settings_of`."""
        self.settings_of(driver)[place][1]()

    def _keywords(self) -> dict[str, Any]:
        offered = {"transport_factory": self.cable.open, "clock": self.clock}
        return {name: value for name, value in offered.items() if takes(self.kind.driver, name)}


def takes(driver: type[Any], keyword: str) -> bool:
    """Whether a driver's constructor has a keyword."""
    return keyword in inspect.signature(driver).parameters


def eventually(condition: Callable[[], object], what: str, patience_s: float | None = None) -> None:
    """Wait for what a simulation does by itself."""
    patience_s = PATIENCE_S if patience_s is None else patience_s
    deadline_s = time.monotonic() + patience_s
    while not condition():
        must(time.monotonic() < deadline_s, f"waited {patience_s:g} s in vain for: {what}")
        time.sleep(0.002)


def refused(call: Callable[[], Any], what: str) -> None:
    """Require a `LimitError`."""
    fails(call, what, LimitError)
