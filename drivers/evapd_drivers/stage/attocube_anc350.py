"""Attocube ANC350 piezo controllers with position sensors, in their binary telegrams over TCP port 2101.

Written from the public headers of the control protocol (ucprotocol.h, anc350.h, and version 4 of it) and the EPICS driver drvAnc350. A telegram is
little-endian 32-bit words: length without itself, opcode, address, index (the axis, from 0), correlation, data; every set and get is acknowledged with the
same correlation and a reason. An acknowledgement of an earlier telegram and an event are passed over; what is no telegram is an error, and the rest of it is dropped.

Confidence: telegrams, addresses and status bits agree in three sources. In doubt: the unit of a position (asked for where the controller tells it, nm where
not, `lsb_nm` where both are wrong), whether 0 in the data ends every motion (the output is switched off where it does not), and which address reads the hardware
number in older versions. The reference mark is told beside the counter, and positions are given from it; resistive sensors have none (`absolute`). **The search is a
continuous motion which this driver ends when a reading finds the mark**, or which ends at the end of travel when nobody reads: allow it (`search`) only on an axis
that may run there. Piezo steppers have no following error.
Nothing here was tried on hardware.
"""

import math
import struct
import time
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, Field

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, same_serial
from evapd.device.protocols import Stage
from evapd.device.readings import AxisReading, Identity, StageReading
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout, LimitError
from evapd_drivers.stage import axes as shared

SET, GET, ACK, EVENT = 0, 1, 3, 4
HARDWARE_ID, STATUS, MARK, TARGET, RUN = 0x0168, 0x0404, 0x0407, 0x0408, 0x040D
FORWARD, BACKWARD, POSITION, UNIT, STOP_AT_END, OUTPUT, REACHED = (
    0x040E,
    0x040F,
    0x0415,
    0x041D,
    0x0450,
    0x3030,
    0x3037,
)
RUNNING, HUMP, SENSOR_ERROR, DISCONNECTED, REFERENCED = 0x1, 0x2, 0x100, 0x400, 0x800
REASONS = {
    1: "no such address or axis", 2: "value out of range", 3: "ignored: output off?", 4: "not verified", 5: "wrong type", 99: "unknown",
}  # fmt: skip
NM_PER_LSB = {0: 1e3, 1: 1.0, 2: 1e-3, 3: 1e-6}  # by unit (mm, um, nm, pm), whose values are scaled by 1000
NM_PER_MM = 1e6
NEAR_NM = (
    100.0  # from a target that this driver has set: reached, also where the controller's own flag stays 0
)
LONGEST = 512
LAST_CORRELATION = 1 << 31
_WORDS = struct.Struct("<5I")


class Acknowledgement(NamedTuple):
    """What came back: reason 0 is done, `value` is what was asked for."""

    address: int
    axis: int
    correlation: int
    reason: int
    value: int | None


def encode(opcode: int, address: int, index: int, correlation: int, *data: int) -> bytes:
    """One telegram, with its length in front."""
    return _WORDS.pack(16 + 4 * len(data), opcode, address, index, correlation) + b"".join(
        struct.pack("<i", value) for value in data
    )


def decode_length(word: bytes) -> int:
    """How many bytes follow."""
    length = int.from_bytes(word, "little")
    if not 16 <= length <= LONGEST or length % 4:
        raise DeviceProtocolError(f"{length} where the length of a telegram is due: the boundary is lost")
    return length


def decode(body: bytes) -> Acknowledgement | None:
    """A telegram without its length; None for an event."""
    opcode, address, index, correlation = struct.unpack_from("<4I", body)
    words = [value for (value,) in struct.iter_unpack("<i", body[16:])]
    if opcode == EVENT:
        return None
    if opcode != ACK or not words or len(words) > 2:
        raise DeviceProtocolError(
            f"a telegram of opcode {opcode} with {len(words)} words is no acknowledgement"
        )
    return Acknowledgement(address, index, correlation, words[0], words[1] if len(words) == 2 else None)


class AttocubeAnc350:
    """An ANC350 with named linear axes; positions in mm."""

    protocol: ClassVar[type] = Stage

    class Axis(shared.Axis):
        """An axis; `search` is the direction in which it may look for its mark, `absolute` a sensor that needs none."""

        search: Literal["forward", "backward"] | None = None
        absolute: bool = False
        lsb_nm: Annotated[float, Field(gt=0, le=1e6)] | None = None  # in place of what the controller tells

    class Config(shared.StageConfig[Axis]):
        """Settings: the axes."""

        connect: Annotated[str, AfterValidator(shared.network_only)]

    def __init__(
        self,
        config: Config,
        *,
        transport_factory: TransportFactory = open_transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._clock = clock
        self._link = Link(config, transport_factory, clock)
        self._correlation = 0
        self._lsb_nm: dict[str, float] = {}
        self._tells_reached = False
        self._searching: set[str] = set()
        self._targets: dict[str, int] = {}  # in counts, as this driver has set them

    binary_port: ClassVar[int] = 2101  # elsewhere its telegrams may mean anything: not probed there

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        link.send(encode(GET, HARDWARE_ID, 0, 1))
        length = decode_length(link.transport.read_exactly(4))
        answer = decode(link.transport.read_exactly(length))
        if answer is None or (answer.address, answer.axis, answer.correlation) != (HARDWARE_ID, 0, 1):
            raise DeviceIdentityError(f"{answer} answers, not an ANC350: check `connect`")
        return _identity(answer.value)

    def open(self) -> Identity:
        """Open, ask for hardware number and units, read once; moves and switches nothing."""
        with self._link.opening():
            identity = _identity(self._ask(HARDWARE_ID, 0))
            same_serial(self._config.serial_number, identity.serial)
            self._lsb_nm = {name: self._unit_nm(name, axis) for name, axis in self._config.axes.items()}
            first = next(iter(self._config.axes.values()))
            self._tells_reached = self._ask(REACHED, first.channel) is not None
            self._searching.clear()
            self._targets.clear()
            self.read()
        return identity

    def close(self) -> None:
        """Close the link; the stage goes on."""
        self._link.close()

    def read(self) -> StageReading:
        """Read status and position (mm) of every axis; a search that has found its mark is ended here."""
        axes = {name: self._read(name, axis) for name, axis in self._config.axes.items()}
        return StageReading(t_mono_s=self._clock(), axes=axes)

    def move(self, axis: str, mm: float) -> None:
        """Start a move to `mm` within the axis' limits, with the output on.

        Raises:
            DeviceRefused: the controller's reason, or an axis that is not referenced.
        """
        one = shared.axis_for(self._config.axes, axis, mm)
        referenced = one.absolute or bool(self._status(axis, one.channel) & REFERENCED)
        shared.must_be_referenced(axis, referenced=referenced, allowed=self._config.unreferenced_moves)
        counter = round(mm * NM_PER_MM / self._lsb_nm[axis]) + self._mark(one, referenced=referenced)
        if not -(2**31) <= counter < 2**31:
            raise LimitError(f"axis {axis} to {mm:g} mm is more than the controller can count")
        self._searching.discard(axis)
        for address, value in ((OUTPUT, 1), (TARGET, counter), (RUN, 1)):
            self._do(one.channel, (address, value))
        self._targets[axis] = counter

    def stop(self) -> None:
        """End every kind of motion of all axes, sent at once; an axis that still runs then has its output switched off.

        Raises:
            DeviceRefused: an axis runs on all the same.
        """
        self._searching.clear()
        self._targets.clear()
        channels = [axis.channel for axis in self._config.axes.values()]
        ends = ((RUN, 0), (FORWARD, 0), (BACKWARD, 0))
        refusals = self._exchange(
            [(SET, address, channel, value) for channel in channels for address, value in ends]
        )
        running = [channel for channel in channels if self._asked(STATUS, channel) & RUNNING]
        for channel in running:
            self._do(channel, (OUTPUT, 0))
        still = [channel for channel in running if self._asked(STATUS, channel) & RUNNING]
        if still:
            reasons = {_words(one.reason) for one in refusals if one.reason}
            raise DeviceRefused(
                f"channel {still} runs on after a stop: {', '.join(reasons) or 'no reason told'}"
            )

    def make_safe(self) -> None:
        """Stop all axes."""
        self.stop()

    def reference(self, axis: str) -> None:
        """Run in the direction of `search` until a reading finds the mark; the end of travel ends it, too. A mark that is known is kept.

        Raises:
            DeviceRefused: the settings allow no search on this axis, or the controller refuses.
        """
        one = shared.axis_named(self._config.axes, axis)
        if one.absolute or self._status(axis, one.channel) & REFERENCED:
            return
        self._targets.pop(axis, None)
        if one.search is None:
            raise DeviceRefused(
                f"axis {axis} has no search in the settings: say in which direction it may run"
            )
        direction = FORWARD if one.search == "forward" else BACKWARD
        for address in (STOP_AT_END, OUTPUT, direction):
            self._do(one.channel, (address, 1))
        self._searching.add(axis)

    def _read(self, name: str, axis: Axis) -> AxisReading:
        status = self._status(name, axis.channel)
        referenced = axis.absolute or bool(status & REFERENCED)
        if name in self._searching and (referenced or not status & RUNNING):
            self._do(axis.channel, *((address, 0) for address in (FORWARD, BACKWARD)))
            self._searching.discard(name)
            status = self._status(name, axis.channel)
        moving = bool(status & RUNNING)
        at = self._asked(POSITION, axis.channel)
        near = abs(self._targets.get(name, math.inf) - at) * self._lsb_nm[name] <= NEAR_NM
        reached = near or not self._tells_reached or bool(self._asked(REACHED, axis.channel))
        counter = at - self._mark(axis, referenced=referenced)
        return AxisReading(
            position_mm=counter * self._lsb_nm[name] / NM_PER_MM,
            referenced=referenced,
            moving=moving,
            in_position=reached and not moving and not status & HUMP,
        )

    def _status(self, name: str, channel: int) -> int:
        status = self._asked(STATUS, channel)
        if status & (SENSOR_ERROR | DISCONNECTED):
            what = "is not connected" if status & DISCONNECTED else "reports an error"
            raise DeviceRefused(f"the sensor of axis {name} {what}: it has no position")
        return status

    def _mark(self, axis: Axis, *, referenced: bool) -> int:
        return self._asked(MARK, axis.channel) if referenced and not axis.absolute else 0

    def _unit_nm(self, name: str, axis: Axis) -> float:
        if axis.lsb_nm is not None:
            return axis.lsb_nm
        unit = self._ask(UNIT, axis.channel)
        if unit is not None and unit not in NM_PER_LSB:
            raise DeviceIdentityError(f"axis {name} has unit {unit}: it is no linear axis")
        return 1.0 if unit is None else NM_PER_LSB[unit]

    def _ask(self, address: int, channel: int) -> int | None:
        """Get a value; None where the controller has no such address."""
        (answer,) = self._exchange([(GET, address, channel)])
        if answer.reason == 0 and answer.value is not None:
            return answer.value
        if answer.reason != 1:
            raise DeviceRefused(f"address {address:#06x} of channel {channel}: {_words(answer.reason)}")
        return None

    def _asked(self, address: int, channel: int) -> int:
        value = self._ask(address, channel)
        if value is None:
            raise DeviceRefused(f"address {address:#06x} of channel {channel}: {REASONS[1]}")
        return value

    def _do(self, channel: int, *settings: tuple[int, int]) -> None:
        for answer in self._exchange([(SET, address, channel, value) for address, value in settings]):
            if answer.reason:
                raise DeviceRefused(
                    f"address {answer.address:#06x} of channel {channel}: {_words(answer.reason)}"
                )

    def _exchange(self, telegrams: list[tuple[int, ...]]) -> list[Acknowledgement]:
        """Send telegrams at once, and give the acknowledgement of each, all within one deadline."""
        first = self._correlation % LAST_CORRELATION + 1
        self._correlation = first + len(telegrams)
        sent = [
            encode(opcode, address, index, first + place, *data)
            for place, (opcode, address, index, *data) in enumerate(telegrams)
        ]
        self._link.send(b"".join(sent))
        deadline_s = self._clock() + self._config.timeout_s
        found: list[Acknowledgement] = []
        for place, (_, address, index, *_) in enumerate(telegrams):
            answer = self._acknowledgement(first + place, deadline_s)
            if (answer.address, answer.axis) != (address, index):
                raise DeviceProtocolError(f"{answer} where address {address:#06x}, index {index} is due")
            found.append(answer)
        return found

    def _acknowledgement(self, correlation: int, deadline_s: float) -> Acknowledgement:
        while True:
            left_s = deadline_s - self._clock()
            if left_s <= 0:
                raise DeviceTimeout(
                    f"{self._config.connect}: telegram {correlation} was not acknowledged in time"
                )
            length = decode_length(self._link.transport.read_exactly(4, left_s))
            answer = decode(self._link.transport.read_exactly(length, max(0.0, deadline_s - self._clock())))
            if answer is not None and answer.correlation == correlation:
                return answer
            if answer is not None and answer.correlation > correlation:
                raise DeviceProtocolError(f"{answer} where telegram {correlation} is due")


def _identity(hardware_id: int | None) -> Identity:
    """Who answers, by the number that its owner has given it; -1 is none."""
    serial = "" if hardware_id in (None, -1) else str(hardware_id)
    return Identity(vendor="attocube", model="ANC350", serial=serial, raw=str(hardware_id))


def _words(reason: int) -> str:
    return f"refused with reason {reason} ({REASONS.get(reason, 'unknown')})"
