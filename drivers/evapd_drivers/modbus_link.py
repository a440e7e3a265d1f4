"""What drivers of Modbus/TCP modules share: questions and answers over evapd's own link, each answer checked to the last byte.

Six functions, encoded and decoded here: 1, 2 and 3 read, 5 and 6 write, 43/14 identifies. The tests hold them against pymodbus'
server and codec; in the guard's process pymodbus itself has no place, because it loads asyncio (docs/decisions/0006).
Source: MODBUS Application Protocol Specification V1.1b3, MODBUS Messaging on TCP/IP Implementation Guide V1.0b.
"""

import struct
from collections.abc import Callable, Iterable
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evapd.device.link import Link
from evapd.device.readings import Identity
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout

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


_HEADER = struct.Struct(">HHHB")  # transaction, protocol 0, bytes that follow the length, unit
_TWO_WORDS = struct.Struct(">HH")
_LONGEST_PDU = 253
_IDENTIFY = bytes([43, 14, 1, 0])  # basic identification as a stream, from object 0 on
READS = {"coil": 1, "discrete": 2, "register": 3}
WRITES = {"coil": 5, "register": 6}


class ModbusClient:
    """Asks one question at a time, each answered within one deadline; it never asks twice and never reconnects by itself."""

    def __init__(
        self, link: Link, name: str, unit: int, timeout_s: float, clock: Callable[[], float]
    ) -> None:
        self._link, self._name, self._timeout_s, self._clock = link, name, timeout_s, clock
        self._unit = unit
        self._transaction = 0
        self._came = b""  # since the question was sent, for messages

    def values(self, kind: str, first: int, count: int = 1) -> list[int]:
        """Read neighbours from address `first` on: kinds `coil` and `discrete` as 0 and 1, `register` as words."""
        data = self._ask(READS[kind], _TWO_WORDS.pack(first, count))
        size = 2 * count if kind == "register" else -(-count // 8)
        if data[:1] != bytes([size]) or len(data) != 1 + size:
            raise self._nonsense(f"{count} values are due")
        if kind == "register":
            return list(struct.unpack(f">{count}H", data[1:]))
        packed = int.from_bytes(data[1:], "little")  # what stands behind the last one is not always zero
        return [packed >> place & 1 for place in range(count)]

    def put(self, kind: str, address: int, value: int, *, blindly: bool = False) -> None:
        """Write a coil or a holding register; it is acknowledged, unless `blindly` sends it without waiting."""
        function = WRITES[kind]
        data = _TWO_WORDS.pack(address, 0xFF00 * bool(value) if kind == "coil" else value)
        if blindly:
            self._send(function, data)
        elif self._ask(function, data) != data:
            raise self._nonsense("the question is due again")

    def identity(self) -> Identity:
        """Ask for vendor, product code and revision: objects 0 to 2 of function 43/14, in one reply."""
        objects = self._objects(self._ask(_IDENTIFY[0], _IDENTIFY[1:]))
        texts = [objects[number] for number in range(3) if number in objects]
        if len(texts) < 3:
            raise DeviceIdentityError(
                f"{self._name}: not vendor, product code and revision answer, but {objects}"
            )
        vendor, model, firmware = (text.decode("ascii", "replace").strip(" \0") for text in texts)
        return Identity(vendor=vendor, model=model, firmware=firmware, raw=f"{vendor}, {model}, {firmware}")

    def _objects(self, data: bytes) -> dict[int, bytes]:
        """Objects by number; data are kind 14, code, conformity, more follows, next object, count, and the objects."""
        if len(data) < 6 or data[0] != _IDENTIFY[1]:
            raise self._nonsense("an identification is due")
        objects: dict[int, bytes] = {}
        rest = data[6:]
        while len(rest) >= 2:
            number, size = rest[0], rest[1]
            objects[number], rest = rest[2 : 2 + size], rest[2 + size :]
            if len(objects[number]) != size:
                raise self._nonsense("an object is longer than the reply")
        if rest or len(objects) != data[5]:
            raise self._nonsense(f"{data[5]} objects are due")
        return objects

    def _ask(self, function: int, data: bytes) -> bytes:
        """Ask, and give what follows the function in the reply to it.

        Raises:
            DeviceRefused: for an exception response.
            DeviceProtocolError: for a reply of another function, or one that says something else than it means.
            DeviceTimeout: no whole reply to this question, from this unit, within the deadline.
            DeviceLost: when the link is gone.
        """
        self._send(function, data)
        reply = self._reply()
        if reply[0] == function | 0x80 and len(reply) == 2:
            what = EXCEPTIONS.get(reply[1], "see the manual")
            raise DeviceRefused(f"{self._name}: exception {reply[1]} ({what}) to function {function}")
        if reply[0] != function:
            raise self._nonsense(f"function {function} was asked")
        return reply[1:]

    def _send(self, function: int, data: bytes) -> None:
        """Drop what came unasked, then write."""
        self._transaction = (self._transaction + 1) & 0xFFFF
        header = _HEADER.pack(self._transaction, 0, 2 + len(data), self._unit)
        self._came = b""
        self._link.send(header + bytes([function]) + data)

    def _reply(self) -> bytes:
        """Give function and data of the reply to this transaction from this unit; others answer older questions."""
        deadline_s = self._clock() + self._timeout_s
        buffer = b""
        while True:
            while len(buffer) >= _HEADER.size:
                transaction, protocol, length, unit = _HEADER.unpack_from(buffer)
                if protocol or not 2 <= length <= _LONGEST_PDU + 1:
                    buffer = buffer[1:]  # no header begins here
                elif len(buffer) < 6 + length:
                    break
                else:
                    pdu, buffer = buffer[_HEADER.size : 6 + length], buffer[6 + length :]
                    if (transaction, unit) == (self._transaction, self._unit):
                        return pdu
            left_s = deadline_s - self._clock()
            if left_s <= 0:
                raise DeviceTimeout(
                    f"{self._name}: no whole answer in {self._timeout_s:g} s, only {self._came[:40].hex(' ')}"
                )
            data = self._link.transport.read_some(512, left_s)
            self._came += data
            buffer += data

    def _nonsense(self, why: str) -> DeviceProtocolError:
        return DeviceProtocolError(f"{self._name}: {self._came[:40].hex(' ')} is no valid reply: {why}")
