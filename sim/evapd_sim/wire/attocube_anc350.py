"""Attocube ANC350 piezo controller, as its cable shows it (binary telegrams over TCP port 2101 or USB).

Source: the public headers of the control protocol (ucprotocol.h, anc350.h and its version 4), the EPICS driver drvAnc350 and a beam line's
emulator. By practice only: what is refused with which reason, how it finds back after noise, how often it sends events.

A telegram is little-endian 32-bit words: length in bytes without itself, opcode, address, index (the axis), correlation, and data; an
acknowledgement has the reason before its data. The reference mark does not zero the counter: its position is told beside it.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from evapd_sim.plant import Plant
from evapd_sim.stage import StageAxis
from evapd_sim.wire.base import Wire

_SET, _GET, _ACK, _TELL = 0, 1, 3, 4
_OK, _ADDRESS, _RANGE, _IGNORED = 0, 1, 2, 3
_HEADER = struct.Struct("<5I")
_LONGEST = 512
_HALF_TELEGRAM_S = 0.5
_EVENTS_S = 0.1
_NM_PER_MM = 1_000_000
_RUNNING, _HUMP, _SENSOR_ERROR, _DISCONNECTED, _REFERENCED, _ENABLED = 0x1, 0x2, 0x100, 0x400, 0x800, 0x1000

_SYNC, _EVENTS, _VERSION, _HARDWARE_ID, _SET_HARDWARE_ID, _FIRMWARE = (
    0x000A,
    0x0145,
    0x0111,
    0x0168,
    0x016A,
    0x016C,
)
_AMPLITUDE, _FREQUENCY, _STATUS, _MARK, _TARGET, _RUN = 0x0400, 0x0401, 0x0404, 0x0407, 0x0408, 0x040D
_FORWARD, _BACKWARD, _STEP_FORWARD, _STEP_BACKWARD, _POSITION, _RELATIVE, _UNIT, _TO_MARK = (
    0x040E, 0x040F, 0x0410, 0x0411, 0x0415, 0x0418, 0x041D, 0x0444,
)  # fmt: skip
_STOP_AT_END, _OUTPUT, _RANGE_NM, _REACHED, _MOVING, _CONNECTED = (
    0x0450,
    0x3030,
    0x3036,
    0x3037,
    0x302E,
    0x3002,
)
_EOT_FORWARD, _EOT_BACKWARD, _SENSOR_ERROR_ID = 0x3039, 0x303A, 0x3031
_LEGACY_FIRMWARE = 0x3038
_MICROMETRES = 1
_STEP_MM = 2e-4
# Parameters of a positioner that are kept, and of no effect here: relay, capacitance, DC level, reference voltage, speeds, control, limits, averaging.
_MEMORY = {
    0x0447: 1, 0x044B: 100, 0x0514: 0, 0x051E: 0, 0x0526: 2000, 0x0542: 0, 0x0549: 0, 0x054A: 1, 0x054F: 60_000, 0x0555: 100, 0x0558: 1, 0x0569: 1000,
    0x3034: 0, 0x3035: 0, 0x3042: 0, 0x3044: 0, 0x0451: 0,
}  # fmt: skip


class _Refused(Exception):
    """The controller acknowledges with a reason."""

    def __init__(self, reason: int) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class _Axis:
    """What the controller keeps of one axis."""

    axis: StageAxis
    output: bool = False
    target_nm: int = 0
    sensor_error: bool = False
    connected: bool = True
    memory: dict[int, int] = field(
        default_factory=lambda: (
            {_AMPLITUDE: 30_000, _FREQUENCY: 1000, _STOP_AT_END: 0, _RANGE_NM: 100} | _MEMORY
        )
    )

    @property
    def position_nm(self) -> int:
        return round(self.axis.encoder_mm * _NM_PER_MM)


class AttocubeAnc350Wire(Wire):
    """An ANC350; axis n drives axis n of the plant's stage.

    Attributes:
        axes: what it keeps of each axis.
        ignores: it acknowledges every start of a motion with reason 3 (ignored).

    Args:
        plant: the physical quantities.
        hardware_id: the number that its owner has given it, -1 = none.
        axes: how many there are.
        version: `v2` tells a unit (micrometres, scaled by 1000) and that an output is on, `v4` counts nm and tells whether the target is reached.
    """

    tick_s: ClassVar[float] = 0.02
    tells_serial = True

    def __init__(
        self, plant: Plant, *, hardware_id: int = 4711, axes: int = 3, version: Literal["v2", "v4"] = "v2"
    ) -> None:
        super().__init__(plant)
        if not 1 <= axes <= len(plant.stage.axes):
            raise ValueError(f"{axes} axes, the stage has {len(plant.stage.axes)}")
        self.axes = [_Axis(axis) for axis in plant.stage.axes[:axes]]
        self.ignores = False
        self._version = version
        self._hardware_id = hardware_id
        self._events = False
        self._next_event_s = 0.0
        self._pending = b""  # events that a command has caused
        self._buffer = b""
        self._heard_s = 0.0
        self._gets = self._make_gets()
        self._sets = self._make_sets()

    def renumber(self, serial: str) -> None:
        """Become the unit with the hardware number `serial`."""
        self._hardware_id = int(serial)

    def _forget(self) -> None:
        self._buffer = b""
        self._events = False

    def _advanced(self, dt_s: float) -> None:  # noqa: ARG002 - the stage keeps its own time
        before_mm = [each.axis.drive_mm for each in self.axes]
        self.plant.stage.advance_to(self.now_s)
        for each, old_mm in zip(self.axes, before_mm, strict=True):
            axis = each.axis
            if min(old_mm, axis.drive_mm) < 0.0 <= max(old_mm, axis.drive_mm):  # over the mark
                axis.referenced = True
            if axis.at_stop and each.memory[_STOP_AT_END]:
                each.output = False

    # -- telegrams --------------------------------------------------------------------------------------------------

    def _received(self, data: bytes) -> bytes:
        if self.now_s - self._heard_s > _HALF_TELEGRAM_S:
            self._buffer = b""
        if data:
            self._heard_s = self.now_s
        self._buffer += data
        reply = b""
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "little")
            if not _plausible(self._buffer, length):
                self._buffer = self._buffer[1:]  # the boundary is lost: look for the next one
                continue
            if len(self._buffer) < 4 + length:
                break
            telegram, self._buffer = self._buffer[: 4 + length], self._buffer[4 + length :]
            reply += self._answer(telegram)
        events, self._pending = self._pending, b""
        return reply + events

    def _polled(self) -> bytes:
        if not self._events or self.now_s < self._next_event_s:
            return b""
        self._next_event_s = self.now_s + _EVENTS_S
        return b"".join(
            _telegram(_TELL, address, place, 0, self._gets[address](each))
            for place, each in enumerate(self.axes)
            for address in (_STATUS, _POSITION)
        )

    def _answer(self, telegram: bytes) -> bytes:
        _, opcode, address, index, correlation = _HEADER.unpack_from(telegram)
        data = [value for (value,) in struct.iter_unpack("<i", telegram[_HEADER.size :])]
        try:
            values = self._get(address, index) if opcode == _GET else self._set(address, index, data)
            reason = _OK
        except _Refused as refusal:
            values, reason = [], refusal.reason
        if opcode == _SET and correlation == 0:
            return b""  # nobody waits for it
        return _telegram(_ACK, address, index, correlation, reason, *values)

    def _axis(self, index: int) -> _Axis:
        if index >= len(self.axes):
            raise _Refused(_ADDRESS)
        return self.axes[index]

    def _get(self, address: int, index: int) -> list[int]:
        if address in (_HARDWARE_ID, _LEGACY_FIRMWARE):
            return [self._hardware_id if address == _HARDWARE_ID else 20_104]
        axis = self._axis(index)
        if address in axis.memory:
            return [axis.memory[address]]
        if address not in self._gets:
            raise _Refused(_ADDRESS)
        return [self._gets[address](axis)]

    def _set(self, address: int, index: int, data: list[int]) -> list[int]:
        if not data:
            raise _Refused(_RANGE)
        if address in (_SYNC, _EVENTS, _FIRMWARE, _SET_HARDWARE_ID):
            self._of_device(address, data[0])
            return []
        axis = self._axis(index)
        if address in axis.memory:
            if not 0 <= data[0] <= 1_000_000:
                raise _Refused(_RANGE)
            axis.memory[address] = data[0]
        elif address in self._sets:
            self._sets[address](axis, data[0])
        else:
            raise _Refused(_ADDRESS)
        return []

    def _of_device(self, address: int, value: int) -> None:
        if address == _EVENTS:
            self._events = bool(value)
        elif address == _SET_HARDWARE_ID:
            self._hardware_id = value
        elif address == _FIRMWARE:
            text = b"2.1.4   "
            for place in range(0, len(text), 4):
                fragment = int.from_bytes(text[place : place + 4], "big")
                self._pending += _telegram(_TELL, _VERSION, place // 4, 0, fragment)

    # -- what an axis tells -----------------------------------------------------------------------------------------

    def _make_gets(self) -> dict[int, Callable[[_Axis], int]]:
        gets: dict[int, Callable[[_Axis], int]] = {
            _STATUS: self._status,
            _POSITION: lambda each: each.position_nm,
            _MARK: lambda each: -round(each.axis.origin_mm * _NM_PER_MM) if each.axis.referenced else 0,
            _TARGET: lambda each: each.target_nm,
            _OUTPUT: lambda each: int(each.output),
        }
        if self._version == "v2":
            return gets | {_UNIT: lambda _: _MICROMETRES}
        return gets | {
            _REACHED: lambda each: int(
                not each.axis.moving and abs(each.position_nm - each.target_nm) <= each.memory[_RANGE_NM]
            ),
            _MOVING: lambda each: int(each.axis.moving),
            _CONNECTED: lambda each: int(each.connected),
            _SENSOR_ERROR_ID: lambda each: int(each.sensor_error),
            _EOT_FORWARD: lambda each: int(each.axis.at_stop > 0),
            _EOT_BACKWARD: lambda each: int(each.axis.at_stop < 0),
        }

    def _status(self, each: _Axis) -> int:
        axis = each.axis
        bits = {
            _RUNNING: axis.moving, _HUMP: axis.at_stop != 0, _SENSOR_ERROR: each.sensor_error, _DISCONNECTED: not each.connected,
            _REFERENCED: axis.referenced, _ENABLED: each.output and self._version == "v2",
        }  # fmt: skip
        return sum(bit for bit, on in bits.items() if on)

    # -- what it does -----------------------------------------------------------------------------------------------

    def _make_sets(self) -> dict[int, Callable[[_Axis, int], None]]:
        def motion(goal_mm: Callable[[_Axis], float]) -> Callable[[_Axis, int], None]:
            return lambda each, on: self._run(each, goal_mm(each)) if on else each.axis.halt()

        far_mm = 1e4
        return {
            _TARGET: lambda each, nm: setattr(each, "target_nm", nm),
            _OUTPUT: self._switch,
            _RUN: motion(lambda each: each.target_nm / _NM_PER_MM),
            _RELATIVE: motion(lambda each: (each.position_nm + each.target_nm) / _NM_PER_MM),
            _TO_MARK: motion(lambda each: -each.axis.origin_mm),
            _FORWARD: motion(lambda _: far_mm),
            _BACKWARD: motion(lambda _: -far_mm),
            _STEP_FORWARD: motion(lambda each: each.axis.encoder_mm + _STEP_MM),
            _STEP_BACKWARD: motion(lambda each: each.axis.encoder_mm - _STEP_MM),
        }

    def _switch(self, each: _Axis, on: int) -> None:
        each.output = bool(on)
        if not on:
            each.axis.halt()

    def _run(self, each: _Axis, goal_mm: float) -> None:
        if self.ignores or not each.output:
            raise _Refused(_IGNORED)
        each.axis.move(goal_mm)


def _plausible(buffer: bytes, length: int) -> bool:
    """Whether a telegram may begin here, as far as it has come."""
    if not 16 <= length <= _LONGEST or length % 4:
        return False
    if len(buffer) >= 8 and int.from_bytes(buffer[4:8], "little") not in (_SET, _GET):
        return False
    return len(buffer) < 12 or int.from_bytes(buffer[8:12], "little") < 0x10000


def _telegram(opcode: int, address: int, index: int, correlation: int, *values: int) -> bytes:
    data = b"".join(struct.pack("<I", value & 0xFFFFFFFF) for value in values)
    return _HEADER.pack(16 + len(data), opcode, address, index, correlation) + data
