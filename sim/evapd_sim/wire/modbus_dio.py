"""A digital I/O module on Modbus/TCP, as its cable shows it, with the interlock contacts and the heartbeat relay of a rig behind it.

Written from the MODBUS Application Protocol Specification V1.1b3 (functions 1 to 6, 15, 16, 23 and 43/14, state diagrams for the
exceptions) and the MODBUS Messaging on TCP/IP Implementation Guide V1.0b (header). What a guide leaves to the maker is chosen as
common modules do it: input registers are the holding registers, another unit than its own, 0 and 255 is not answered, and half a request is dropped after half a second.
"""

import struct
from collections.abc import Callable
from typing import ClassVar

from evapd_sim.plant import Plant
from evapd_sim.wire.base import Wire
from evapd_sim.wire.relay import HeartbeatRelay

_HEADER = struct.Struct(">HHHB")  # transaction, protocol 0, length of what follows it, unit
_LONGEST_PDU = 253
_HALF_REQUEST_S = 0.5
_ANY_UNIT = {0, 255}  # of a module that is addressed by its IP number
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3
INPUT_WORD, OUTPUT_WORD, MODULE_CODE, WATCHDOG = 0, 1, 16, 17  # registers


class _ExceptionReply(Exception):
    """The module refuses with a code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ModbusDioWire(Wire):
    """A module with inputs, coils and holding registers; addresses from 0.

    Register 0 shows inputs 0 to 15 as bits, register 1 coils 0 to 15 and sets them, 16 is the module's code, 17 the time of its
    own watchdog in 0.1 s (0 = off): without any request for that long, every coil is off. Others are plain memory.

    Attributes:
        unit: number that it answers to.
        exception: code with which every request is refused, 0 = none.
        discrete: inputs, below those that the plant drives.
        coils: outputs.
        registers: plain memory.
        relay: the relay behind the heartbeat coil.

    Args:
        plant: the physical quantities.
        unit: see above.
        vendor: object 0 of the identification.
        product: object 1.
        revision: object 2.
        identification: whether function 43/14 is offered.
        module_code: value of register 16.
        watchdog: value of register 17 at power-on, in 0.1 s.
        inputs: names of the plant's interlock contacts on inputs 0, 1, and so on, separated by commas; `relay` is the relay's own contact.
        open: which of those contacts stand open at power-on, separated by commas.
        discretes: how many inputs there are.
        coils: how many coils.
        registers: how many holding registers.
        heartbeat: the coil that feeds the relay.
        relay_s: time in s without a change of that coil after which the relay drops out.
        relay_latches: whether the relay then waits for its reset button.
        relay_cuts: what its contact is wired to: `nothing`, `pulser`, `supply` or `both`.
    """

    tick_s: ClassVar[float] = 0.01

    def __init__(
        self,
        plant: Plant,
        *,
        unit: int = 1,
        vendor: str = "evapd",
        product: str = "SIM-DIO",
        revision: str = "1.0",
        identification: bool = True,
        module_code: int = 0x6050,
        watchdog: int = 0,
        inputs: str = "door,valve,water,ups,relay",
        open: str = "",  # noqa: A002 - the word that a person writes: --set open=door
        discretes: int = 16,
        coils: int = 16,
        registers: int = 32,
        heartbeat: int = 0,
        relay_s: float = 0.5,
        relay_latches: bool = False,
        relay_cuts: str = "nothing",
    ) -> None:
        super().__init__(plant)
        self.unit = unit
        self.exception = 0
        self._objects = [text.encode("latin-1") for text in (vendor, product, revision)]
        self._identification = identification
        self._inputs = [name for name in inputs.split(",") if name]
        if not (len(self._inputs) <= discretes <= 65536 and 0 <= heartbeat < coils <= 65536):
            raise ValueError(f"{len(self._inputs)} inputs or coil {heartbeat} are more than the module has")
        if not WATCHDOG < registers <= 65536:
            raise ValueError(f"registers {registers}, wanted are {WATCHDOG + 1} to 65536")
        self.discrete = [False] * discretes
        self.coils = [False] * coils
        self.registers = [0] * registers
        self.registers[MODULE_CODE], self.registers[WATCHDOG] = module_code, watchdog
        for name in filter(None, open.split(",")):
            if name not in self._inputs or name == "relay":
                raise ValueError(f"no contact '{name}', there are {inputs}")
            plant.interlock[name] = False
        self._heartbeat = heartbeat
        self.relay = HeartbeatRelay(plant, limit_s=relay_s, latches=relay_latches, cuts=relay_cuts)
        self._buffer = b""
        self._heard_s = 0.0
        self._functions: dict[int, Callable[[bytes], bytes]] = {
            1: lambda data: self._read_bits(data, self.coils),
            2: lambda data: self._read_bits(data, self._inputs_now()),
            3: self._read_registers,
            4: self._read_registers,
            5: self._write_coil,
            6: self._write_register,
            15: self._write_coils,
            16: self._write_registers,
            23: self._write_and_read,
            43: self._identify,
        }

    def _forget(self) -> None:
        self._buffer = b""

    def _advanced(self, dt_s: float) -> None:  # noqa: ARG002 - the base's signature
        if self._buffer and self.now_s - self._heard_s > _HALF_REQUEST_S:
            self._buffer = b""
        limit_s = self.registers[WATCHDOG] / 10
        if limit_s and self.now_s - self._heard_s > limit_s:
            self.coils[:] = [False] * len(self.coils)
        self.relay.follow(self.coils[self._heartbeat], self.now_s)

    def _received(self, data: bytes) -> bytes:
        self._heard_s = self.now_s
        self._buffer += data
        reply = b""
        while len(self._buffer) >= _HEADER.size:
            transaction, protocol, length, unit = _HEADER.unpack_from(self._buffer)
            if protocol or not 2 <= length <= _LONGEST_PDU + 1:
                self._buffer = self._buffer[1:]  # no header begins here
            elif len(self._buffer) < 6 + length:
                break
            else:
                pdu, self._buffer = self._buffer[_HEADER.size : 6 + length], self._buffer[6 + length :]
                if unit == self.unit or unit in _ANY_UNIT:
                    answer = self._answer(pdu)
                    reply += _HEADER.pack(transaction, 0, 1 + len(answer), unit) + answer
                    self.relay.follow(self.coils[self._heartbeat], self.now_s)
        return reply

    def _answer(self, pdu: bytes) -> bytes:
        function, data = pdu[0], pdu[1:]
        try:
            _check(not self.exception, self.exception)
            _check(function in self._functions, _ILLEGAL_FUNCTION)
            return bytes([function]) + self._functions[function](data)
        except _ExceptionReply as refusal:
            return bytes([function | 0x80, refusal.code])

    def _inputs_now(self) -> list[bool]:
        contacts = [
            self.relay.closed if name == "relay" else self.plant.interlock.get(name, True)
            for name in self._inputs
        ]
        return contacts + self.discrete[len(contacts) :]

    def _read_bits(self, data: bytes, bits: list[bool]) -> bytes:
        first, count = _two_words(data)
        _check(1 <= count <= 2000, _ILLEGAL_VALUE)
        _check(first + count <= len(bits), _ILLEGAL_ADDRESS)
        packed = _packed(bits[first : first + count])
        return bytes([len(packed)]) + packed

    def _read_registers(self, data: bytes) -> bytes:
        first, count = _two_words(data)
        _check(1 <= count <= 125, _ILLEGAL_VALUE)
        _check(first + count <= len(self.registers), _ILLEGAL_ADDRESS)
        words = list(self.registers)
        words[INPUT_WORD], words[OUTPUT_WORD] = _word(self._inputs_now()), _word(self.coils)
        return struct.pack(f">B{count}H", 2 * count, *words[first : first + count])

    def _write_coil(self, data: bytes) -> bytes:
        address, value = _two_words(data)
        _check(value in {0x0000, 0xFF00}, _ILLEGAL_VALUE)
        _check(address < len(self.coils), _ILLEGAL_ADDRESS)
        self.coils[address] = bool(value)
        return data

    def _write_register(self, data: bytes) -> bytes:
        address, value = _two_words(data)
        _check(address < len(self.registers) and address not in {INPUT_WORD, MODULE_CODE}, _ILLEGAL_ADDRESS)
        self.registers[address] = value
        if address == OUTPUT_WORD:
            low = self.coils[:16]
            self.coils[: len(low)] = [bool(value >> bit & 1) for bit in range(len(low))]
        return data

    def _write_registers(self, data: bytes) -> bytes:
        _check(len(data) > 5, _ILLEGAL_VALUE)
        first, count = _two_words(data[:4])
        _check(1 <= count <= 123 and data[4] == len(data) - 5 == 2 * count, _ILLEGAL_VALUE)
        refused = {INPUT_WORD, MODULE_CODE} & set(range(first, first + count))
        _check(first + count <= len(self.registers) and not refused, _ILLEGAL_ADDRESS)
        for offset in range(count):
            self._write_register(struct.pack(">H", first + offset) + data[5 + 2 * offset : 7 + 2 * offset])
        return data[:4]

    def _write_and_read(self, data: bytes) -> bytes:
        """Read/Write Multiple Registers: the write is carried out before the read."""
        _check(len(data) > 9, _ILLEGAL_VALUE)
        first, count = _two_words(data[:4])
        _check(1 <= count <= 125, _ILLEGAL_VALUE)
        _check(first + count <= len(self.registers), _ILLEGAL_ADDRESS)
        self._write_registers(data[4:])
        return self._read_registers(data[:4])

    def _write_coils(self, data: bytes) -> bytes:
        _check(len(data) > 5, _ILLEGAL_VALUE)
        first, count = _two_words(data[:4])
        packed = data[5:]
        _check(1 <= count <= 0x7B0 and data[4] == len(packed) == -(-count // 8), _ILLEGAL_VALUE)
        _check(first + count <= len(self.coils), _ILLEGAL_ADDRESS)
        for offset in range(count):
            self.coils[first + offset] = bool(packed[offset // 8] >> offset % 8 & 1)
        return data[:4]

    def _identify(self, data: bytes) -> bytes:
        """Read Device Identification: basic objects as a stream (1) or one of them (4)."""
        _check(self._identification and data[:1] == b"\x0e", _ILLEGAL_FUNCTION)
        _check(len(data) == 3 and data[1] in {1, 4}, _ILLEGAL_VALUE)
        code, first = data[1], data[2]
        if first >= len(self._objects):
            _check(code == 1, _ILLEGAL_ADDRESS)
            first = 0  # an unknown object restarts the stream
        told = [first] if code == 4 else list(range(first, len(self._objects)))
        objects = b"".join(
            bytes([number, len(self._objects[number])]) + self._objects[number] for number in told
        )
        conformity = 0x81  # basic, as a stream and one by one
        return bytes([0x0E, code, conformity, 0, 0, len(told)]) + objects


def _two_words(data: bytes) -> tuple[int, int]:
    _check(len(data) == 4, _ILLEGAL_VALUE)
    first, second = struct.unpack(">HH", data)
    return first, second


def _check(fine: bool, code: int) -> None:  # noqa: FBT001 - a condition
    if not fine:
        raise _ExceptionReply(code)


def _packed(bits: list[bool]) -> bytes:
    """Pack bits, the first one lowest in the first byte."""
    number = sum(bit << place for place, bit in enumerate(bits))
    return number.to_bytes(-(-len(bits) // 8), "little")


def _word(bits: list[bool]) -> int:
    return sum(bit << place for place, bit in enumerate(bits[:16]))
