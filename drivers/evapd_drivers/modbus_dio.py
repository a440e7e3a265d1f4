"""Digital inputs and outputs by Modbus/TCP: interlock contacts, inhibit, heartbeat relay, crowbar. Any make of module.

Source: MODBUS Application Protocol Specification V1.1b3, functions 1, 2, 3, 5, 6 and 43/14. Addresses count from 0, as on the wire:
what a manual calls coil 1 or 00001 is mostly 0 here.

Nothing is written at `open`, not even the time of the module's own watchdog: that belongs into the module, where it survives a power
cut; `expect` checks at every open that it is still there. Confidence: functions and exceptions are the specification's; what a module
does with its outputs when nobody talks to it is its maker's. Nothing here was tried on hardware.
"""

import time
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory
from evapd.device.protocols import DigitalIo, DriverConfig
from evapd.device.readings import DigitalReading, Identity
from evapd.errors import (
    DeviceError,
    DeviceIdentityError,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    LimitError,
)
from evapd_drivers.modbus_link import Address, ModbusClient, Place, Point, runs


class Output(Point):
    """A level that can be driven. `safe` is what `make_safe` writes, in the sense of the name, after `invert`."""

    kind: Literal["coil", "register"]
    safe: bool


class ModbusDio:
    """A Modbus/TCP module with digital inputs and outputs."""

    protocol: ClassVar[type] = DigitalIo

    class Config(DriverConfig):
        """Settings; `connect` is `tcp:HOST:502`. `make_safe` drives outputs in the order in which they stand here."""

        unit: Annotated[int, Field(ge=0, le=255)] = 1
        inputs: dict[str, Point] = Field(default_factory=dict)
        outputs: dict[str, Output] = Field(default_factory=dict)
        identification: bool = True  # asked by function 43/14; many modules do not offer it
        # Holding registers by address, checked at every open.
        expect: dict[Address, Address] = Field(default_factory=dict)

        @model_validator(mode="after")
        def _consistent(self) -> Self:
            if not self.connect.startswith(("tcp:", "unix:")):
                raise ValueError("Modbus/TCP needs connect: tcp:HOST:502")
            if self.serial_number is not None:
                raise ValueError(
                    "the protocol tells no serial number: name registers that identify it in expect"
                )
            if not self.identification and not self.expect:
                raise ValueError("without identification, name registers that identify the module in expect")
            points = [*self.inputs.values(), *self.outputs.values()]
            if not points or self.inputs.keys() & self.outputs.keys():
                raise ValueError("wanted are inputs or outputs, each with a name of its own")
            driven = [(output.kind, output.address, output.bit) for output in self.outputs.values()]
            if len(set(driven)) < len(driven):
                raise ValueError("two outputs have the same address")
            return self

    def __init__(
        self, config: Config, *, transport_factory: TransportFactory = open_transport, clock: Callable[[], float] = time.monotonic
    ) -> None:  # fmt: skip
        self._config, self._clock = config, clock
        self._link = Link(config, transport_factory, clock)
        self._client = ModbusClient(self._link, config.connect, config.unit, config.timeout_s, clock)
        self._points: dict[str, Point] = {**config.inputs, **config.outputs}
        self._runs = runs((point.kind, point.address) for point in self._points.values())

    binary_port: ClassVar[int] = 502  # elsewhere its frames may mean anything: not probed there

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there: function 43/14 of unit 1; changes nothing."""
        return ModbusClient(link, "the module", 1, link.timeout_s, link.clock).identity()

    def open(self) -> Identity:
        """Open, check identification and expected registers, read every level; writes nothing."""
        with self._link.opening():
            identity = self._identify()
            for register, wanted in self._config.expect.items():
                if (found := self._client.values("register", register)[0]) != wanted:
                    raise DeviceIdentityError(
                        f"register {register} reads {found}, the configuration expects {wanted}: "
                        "another module answers, or its own settings were lost"
                    )
            self.read()
        return identity

    def close(self) -> None:
        """Close the link; outputs stay as they are, unless the module's own watchdog acts."""
        self._link.close()

    def read(self) -> DigitalReading:
        """Read every input, and every output back; the time is that of the first reply, so that no level is younger than said."""
        raw: dict[Place, int] = {}
        t_mono_s = float("inf")
        for kind, first, count in self._runs:
            values = self._client.values(kind, first, count)
            t_mono_s = min(t_mono_s, self._clock())
            raw |= {(kind, first + offset): value for offset, value in enumerate(values)}
        levels = {
            name: bool(raw[point.kind, point.address] >> point.bit & 1) != point.invert
            for name, point in self._points.items()
        }
        return DigitalReading(t_mono_s=t_mono_s, levels=levels)

    def write(self, name: str, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Drive a named output; acknowledged and read back. Other bits of its register are written as they were read."""
        if name not in self._config.outputs:
            raise LimitError(
                f"no output '{name}', there are {', '.join(self._config.outputs) or 'none'}; nothing was sent"
            )
        self._put(name, on=on)

    def make_safe(self) -> None:
        """Drive every output to its safe level and read it back, each also when one before it failed.

        After silence, coils are written without waiting for an answer, so that the last is not late.

        Raises:
            DeviceError: the first failure, when all was tried.
        """
        failures: list[DeviceError] = []
        for name, output in self._config.outputs.items():
            silent = any(isinstance(failure, DeviceTimeout) for failure in failures)
            try:
                self._put(name, on=output.safe, blindly=silent and output.kind == "coil")
            except DeviceLost:
                raise
            except DeviceError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def _put(self, name: str, *, on: bool, blindly: bool = False) -> None:
        output = self._config.outputs[name]
        place, level = (output.kind, output.address), on != output.invert
        others = self._client.values(*place)[0] & ~(1 << output.bit) if output.kind == "register" else 0
        self._client.put(*place, others | level << output.bit, blindly=blindly)
        if not blindly and bool(self._client.values(*place)[0] >> output.bit & 1) != level:
            raise DeviceRefused(
                f"output '{name}' ({output.kind} {output.address}) does not read {int(level)} after that was written: "
                "is it forced, or did the module's own watchdog act?"
            )

    def _identify(self) -> Identity:
        expected = self._config.expect
        if not self._config.identification:
            words = ", ".join(f"{register}={value}" for register, value in expected.items())
            return Identity(vendor="Modbus", model=f"registers {words}")
        try:
            return self._client.identity()
        except DeviceRefused as error:
            raise DeviceIdentityError(
                f"{error}: set identification: false and name registers that identify the module in expect"
            ) from error
