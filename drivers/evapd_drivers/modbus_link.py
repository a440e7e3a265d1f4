"""What drivers of Modbus/TCP modules share: pymodbus over evapd's own link, and checked replies.

pymodbus encodes, decodes and matches transaction and unit; the connection, its lock and its one deadline per exchange are evapd's.
Source: MODBUS Application Protocol Specification V1.1b3, MODBUS Messaging on TCP/IP Implementation Guide V1.0b.
"""

import struct
from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from evapd.device.readings import Identity
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers.link import Link

EXCEPTIONS = {
    1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "device failure", 5: "accepted, not done yet",
    6: "device busy", 8: "memory parity error", 10: "gateway path unavailable", 11: "the gateway's target does not answer",
}  # fmt: skip


Address = Annotated[int, Field(ge=0, le=0xFFFF)]
Place = tuple[str, int]  # kind and address
_LONGEST_RUN = 125  # registers in one request; bits could be more


class Point(BaseModel):
    """Where a level is found: a discrete input, a coil, or a bit (0 is the lowest) of a holding register."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["discrete", "coil", "register"]
    address: Address
    bit: Annotated[int, Field(ge=0, le=15)] = 0
    invert: bool = False  # the name is true where the module says 0

    @model_validator(mode="after")
    def _bit_of_register(self) -> Self:
        if self.bit and self.kind != "register":
            raise ValueError(f"a {self.kind} has no bit, only a register has")
        return self


def runs(places: Iterable[Place]) -> list[tuple[str, int, int]]:
    """Put neighbours into one request (kind, first address, count); what nobody named is never asked for."""
    found: list[tuple[str, int, int]] = []
    for kind, address in sorted(set(places)):
        if found and found[-1][0] == kind and sum(found[-1][1:]) == address and found[-1][2] < _LONGEST_RUN:
            found[-1] = (kind, found[-1][1], found[-1][2] + 1)
        else:
            found.append((kind, address, 1))
    return found


class ModbusClient(ModbusTcpClient):
    """A client whose questions are asked once and answered within one deadline; it never reconnects by itself."""

    def __init__(
        self, link: Link, name: str, unit: int, timeout_s: float, clock: Callable[[], float]
    ) -> None:
        # The library's own deadline is later and never governs: a module that dribbles could double it.
        super().__init__("", timeout=10 * timeout_s, retries=0)
        self._link, self._name, self._timeout_s, self._clock = link, name, timeout_s, clock
        self._unit = unit
        self._deadline_s = 0.0
        self._came = b""  # since the question was sent

    def connect(self) -> bool:
        """Say that the link is open; one that is not raises `DeviceLost` when it is used."""
        return True

    def send(self, request: bytes, addr: tuple[str, int] | None = None) -> int:  # type: ignore[override,unused-ignore] # noqa: ARG002 - the library's signature
        """Drop what came unasked, then write."""
        self._deadline_s, self._came = self._clock() + self._timeout_s, b""
        self._link.send(request)
        return len(request)

    def recv(self, size: int | None) -> bytes:  # noqa: ARG002 - the library's signature
        """Give what has come, at least one byte."""
        left_s = self._deadline_s - self._clock()
        if left_s <= 0:
            raise DeviceTimeout(
                f"{self._name}: no whole answer in {self._timeout_s:g} s, only {self._came[:40].hex(' ')}"
            )
        data = self._link.transport.read_some(512, left_s)
        self._came += data
        return data

    def checked(self, function: int, call: Callable[[], ModbusPDU]) -> ModbusPDU:
        """Ask, and give the reply to this function.

        Args:
            function: code of the function that is asked.
            call: asks, by one of the client's own methods.

        Raises:
            DeviceRefused: for an exception response.
            DeviceProtocolError: for a reply of another function, or one that says something else than it means.
            DeviceTimeout: no whole reply to this question, from this unit, within the deadline.
            DeviceLost: when the link is gone.
        """
        try:
            reply = call()
        # Which of these leaves the library for a reply that breaks off depends on its version.
        except (ModbusException, struct.error, ValueError, IndexError) as error:
            raise DeviceProtocolError(f"{self._name}: {error}; it sent {self._came[:40].hex(' ')}") from error
        # The library passes over lengths and values that contradict each other: written again, a reply must be what came. Only its
        # device identification (function 43) counts objects anew when written.
        if function != 43 and not self._came.endswith(self.framer.buildFrame(reply)):
            raise DeviceProtocolError(f"{self._name}: {self._came[:40].hex(' ')} is no valid reply")
        if isinstance(reply, ExceptionResponse) and reply.function_code == function | 0x80:
            what = EXCEPTIONS.get(reply.exception_code, "see the manual")
            raise DeviceRefused(
                f"{self._name}: exception {reply.exception_code} ({what}) to function {function}"
            )
        if reply.function_code != function:
            raise DeviceProtocolError(
                f"{self._name}: a reply to function {reply.function_code} where {function} was asked"
            )
        return reply

    def values(self, kind: str, first: int, count: int = 1) -> list[int]:
        """Read neighbours from address `first` on: kinds `coil` and `discrete` as 0 and 1, `register` as words."""
        function, method = {
            "coil": (1, self.read_coils),
            "discrete": (2, self.read_discrete_inputs),
            "register": (3, self.read_holding_registers),
        }[kind]
        reply = self.checked(function, lambda: method(first, count=count, device_id=self._unit))
        found, due = (reply.registers, count) if kind == "register" else (reply.bits, -(-count // 8) * 8)
        if len(found) != due:
            raise DeviceProtocolError(f"{self._name}: {len(found)} values where {due} are due")
        return [int(value) for value in found[:count]]

    def put(self, kind: str, address: int, value: int, *, blindly: bool = False) -> None:
        """Write a coil or a holding register; it is acknowledged, unless `blindly` sends it without waiting."""
        if kind == "coil":
            function, call = 5, partial(self.write_coil, address, bool(value))
        else:
            function, call = 6, partial(self.write_register, address, value)
        if blindly:
            call(device_id=self._unit, no_response_expected=True)
        else:
            self.checked(function, lambda: call(device_id=self._unit))

    def identity(self) -> Identity:
        """Ask for vendor, product code and revision: objects 0 to 2 of function 43/14, in one reply."""
        reply = self.checked(43, lambda: self.read_device_information(read_code=1, device_id=self._unit))
        objects = reply.information if isinstance(reply, ReadDeviceInformationResponse) else {}
        texts = [objects[number] for number in range(3) if isinstance(objects.get(number), bytes)]
        if len(texts) < 3 or len(objects) != getattr(reply, "number_of_objects", 0):
            raise DeviceIdentityError(
                f"{self._name}: not vendor, product code and revision answer, but {objects}"
            )
        vendor, model, firmware = (text.decode("ascii", "replace").strip(" \0") for text in texts)
        return Identity(vendor=vendor, model=model, firmware=firmware, raw=f"{vendor}, {model}, {firmware}")
