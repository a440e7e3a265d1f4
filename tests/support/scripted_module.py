"""A scripted Modbus/TCP module of digital inputs and outputs, and drivers at its cable."""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evapd_drivers.modbus_dio import ModbusDio
from support.scripted_drivers import drivers_at

INPUTS = {
    "door": {"kind": "discrete", "address": 0},
    "water": {"kind": "discrete", "address": 1, "invert": True},
    "ups": {"kind": "register", "address": 5, "bit": 3},
}
OUTPUTS = {
    "heartbeat": {"kind": "coil", "address": 0, "safe": False},
    "crowbar": {"kind": "coil", "address": 2, "invert": True, "safe": True},
    "valve": {"kind": "register", "address": 6, "bit": 9, "safe": False},
}


class ScriptedModule:
    """Inputs 0 and 1, coils 0 to 2, registers 5 and 6; function 43 tells a name. `faults[function]` is put in place of a reply's PDU."""

    def __init__(self) -> None:
        self.inputs, self.coils, self.registers = [1, 0], [0, 0, 0], {5: 0b1000, 6: 0xFFFF, 211: 0x6050}
        self.name = [b"Maker", b"DIO-8", b"1.2"]
        self.faults: dict[int, bytes] = {}
        self.written: list[tuple[int, int, int]] = []
        self.asked: list[int] = []
        self.heard: list[bytes] = []
        self.spoil: Callable[[bytes], bytes] = lambda frame: frame
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take what came, give what is due."""
        self._rest += data
        reply = b""
        while len(self._rest) >= 8:
            transaction, _, length, unit = struct.unpack(">HHHB", self._rest[:7])
            pdu, self._rest = self._rest[7 : 6 + length], self._rest[6 + length :]
            self.asked.append(pdu[0])
            self.heard.append(pdu)
            answer = self.faults.get(pdu[0]) or self.answer(pdu[0], pdu[1:])
            reply += self.spoil(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)
        return reply

    def answer(self, function: int, data: bytes) -> bytes:
        """Do what a function says, and give the reply's PDU."""
        first, count = struct.unpack(">HH", data[:4]) if function != 43 else (0, 0)
        if function in {1, 2}:
            bits = (self.coils if function == 1 else self.inputs)[first : first + count]
            return bytes([function, 1, sum(bit << place for place, bit in enumerate(bits))])
        if function == 3:
            return struct.pack(
                f">BB{count}H", 3, 2 * count, *[self.registers[first + n] for n in range(count)]
            )
        if function == 43:
            objects = b"".join(bytes([n, len(text)]) + text for n, text in enumerate(self.name))
            return bytes([43, 14, 1, 0x81, 0, 0, len(self.name)]) + objects
        self.written.append((function, first, count))
        if function == 5:
            self.coils[first] = int(count == 0xFF00)
        else:
            self.registers[first] = count
        return bytes([function]) + data[:4]


@contextmanager
def modules_at(module: ScriptedModule, folder: Path) -> Iterator[Callable[..., Any]]:
    """Drivers at the module, with all of its inputs and outputs."""
    with drivers_at(module, folder, ModbusDio, inputs=INPUTS, outputs=OUTPUTS) as make:
        yield make
