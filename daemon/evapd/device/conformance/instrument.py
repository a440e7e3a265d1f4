"""What a driver's author describes, so that the kit can test it: the instrument at the other end, and what a person can do to it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Setpoint:
    """One setting of a driver, called as `driver.method(*lead, value)`.

    Attributes:
        method: its name.
        good: values that the settings of the description allow, at least two where the method sets anything, all of them different.
        bad: values that must be refused; nan and the infinities are added by the kit where `good` or `bad` are real numbers.
        lead: what stands before the value, such as the name of an axis or output.
        tolerance: by how much a reading may differ from what was set, in the unit of the value.
    """

    method: str
    good: tuple[float | bool, ...] = ()
    bad: tuple[float | bool, ...] = ()
    lead: tuple[str, ...] = ()
    tolerance: float = 1e-6


class InstrumentUnderTest(ABC):
    """A driver, its settings, and its simulated instrument. The kit makes one of these for every single check.

    What an instrument cannot do is left as it is: a check that needs it then wants a reason in the driver's `conformance_skips`.

    Attributes:
        driver: the class under test.
        settings: of its `Config`, without `connect` and `timeout_s`; the kit gives those.
        setpoints: of every setting that the Protocol has.
        serial: the serial number that the simulated instrument tells; None where the protocol has none.
        named: settings that name exactly this unit, where something else than `serial_number` does.
        misnamed: the same for another unit.
        endpoint: what the kit asks `start` to listen on, `unix` or `tcp`.
        serial_port: whether the instrument can also be had on a pseudo-terminal, where the baud rate matters.
        echoes: whether the instrument sends back what it is sent, so that the driver must check it.
    """

    driver: ClassVar[type[Any]]
    settings: ClassVar[Mapping[str, object]] = {}
    setpoints: ClassVar[tuple[Setpoint, ...]] = ()
    serial: ClassVar[str | None] = None
    named: ClassVar[Mapping[str, object]] = {}
    misnamed: ClassVar[Mapping[str, object]] = {}
    endpoint: ClassVar[str] = "unix"
    serial_port: ClassVar[bool] = False
    echoes: ClassVar[bool] = False

    @abstractmethod
    def start(self, endpoint: str) -> str:
        """Begin to listen and give the descriptor by which a driver connects.

        It shall stand as an instrument does that somebody else left behind: not energised, with odd set points.

        Args:
            endpoint: `unix:PATH`, `tcp:127.0.0.1:0`, or `pty:PATH` where `serial_port` is set.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop, and leave neither thread nor file descriptor behind."""

    # -- what is true, asked of the simulation and never of the driver ------------------------------------------------

    def energised(self) -> bool:
        """Whether it now feeds energy to the specimen, or moves: what `make_safe` ends. For the classes that do either."""
        raise NotImplementedError

    def alter(self) -> Callable[[Any], bool]:
        """Change what is measured, or what the front panel shows, and give the test that every true reading passes from then on."""
        raise NotImplementedError

    # -- what a person or a fault can do to it ------------------------------------------------------------------------

    def energise(self, driver: Any) -> None:
        """Energise it through the driver, where the Protocol's usual way is not enough."""
        raise NotImplementedError

    def refuse(self) -> None:
        """Let it refuse from now on what it is asked for: NAK, error code, exception, or a set that changes nothing."""
        raise NotImplementedError

    def local(self) -> None:
        """Turn the switch at its front panel to LOCAL."""
        raise NotImplementedError

    def trip(self) -> None:
        """Let its protection switch it off."""
        raise NotImplementedError

    def renumber(self) -> None:
        """Put another unit of the same type, with another serial number, in its place."""
        raise NotImplementedError


def offers(instrument: type[InstrumentUnderTest], method: str) -> bool:
    """Whether a description has a method of its own."""
    return getattr(instrument, method) is not getattr(InstrumentUnderTest, method)
