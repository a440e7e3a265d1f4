"""SmarAct MCS2 controllers through the maker's SmarActCTL library (version 1.3), over USB or Ethernet.

Written from the maker's public headers SmarActControl.h and SmarActControlConstants.h and from how open clients use the library. It is not shipped: `connect` is
`library:PATH` of `libsmaractctl.so` as the maker's installer has put it. `locator` says which controller: `network:192.168.1.200`, `network:sn:MCS2-00000412`,
`usb:sn:MCS2-00000412`. Lengths are pm, channels count from 0. Calls block within the library's own deadlines, which cannot be set.

Confidence: functions, property keys, state bits and result codes are the headers'. In doubt: how long a call blocks when the cable is pulled. The scale is the
controller's own: after power-up it begins at 0 wherever the stage stands, until the reference mark is found.
Nothing here was tried on hardware.
"""

import time
from collections.abc import Callable
from ctypes import (
    POINTER,
    byref,
    c_char_p,
    c_int8,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    create_string_buffer,
)
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field

from evapd.device.link import same_serial
from evapd.device.protocols import Stage
from evapd.device.readings import AxisReading, Identity, StageReading
from evapd.errors import DeviceError, DeviceIdentityError, DeviceLost, DeviceRefused, DeviceTimeout
from evapd_drivers.stage import axes as shared
from evapd_drivers.tdc.vendor import LibraryConfig, Signature, load_library, text

PM_PER_MM = 1_000_000_000
HOLD_FOR_EVER, ABSOLUTE, METRE = -1, 0, 2
# Property keys.
NUMBER_OF_CHANNELS, SERIAL_NUMBER, STATE, MODE, POSITION, TARGET, HOLD, FOLLOWING_ERROR, REFERENCING, BASE_UNIT = (
    0x020F0017, 0x020F005E, 0x0305000F, 0x03050087, 0x0305001D, 0x0305001E, 0x03050028, 0x03020055, 0x0307005D, 0x03090042,
)  # fmt: skip
# Bits of the channel state.
MOVING, CALIBRATING, SEEKING, SENSOR, REFERENCED, IN_POSITION = (
    1 << 0,
    1 << 2,
    1 << 3,
    1 << 5,
    1 << 7,
    1 << 19,
)
TIMEOUT = 0x0004
# Results after which the handle is of no use any more: communication, handle, device not found and their like.
LOST = {0xF001, 0xF002, 0xF003, 0xF004, 0xF007, 0xF010, 0xF013, 0xF018, 0xF01A}
ROOM = 64  # of a string, with its end
_RESULT, _HANDLE, _INDEX, _KEY = c_uint32, c_uint32, c_int8, c_uint32
FUNCTIONS: dict[str, Signature] = {
    "SA_CTL_GetResultInfo": (c_char_p, _RESULT),
    "SA_CTL_Open": (_RESULT, POINTER(_HANDLE), c_char_p, c_char_p),
    "SA_CTL_Close": (_RESULT, _HANDLE),
    "SA_CTL_GetProperty_i32": (_RESULT, _HANDLE, _INDEX, _KEY, POINTER(c_int32), POINTER(c_size_t)),
    "SA_CTL_SetProperty_i32": (_RESULT, _HANDLE, _INDEX, _KEY, c_int32),
    "SA_CTL_GetProperty_i64": (_RESULT, _HANDLE, _INDEX, _KEY, POINTER(c_int64), POINTER(c_size_t)),
    "SA_CTL_GetProperty_s": (_RESULT, _HANDLE, _INDEX, _KEY, c_char_p, POINTER(c_size_t)),
    "SA_CTL_Move": (_RESULT, _HANDLE, _INDEX, c_int64, c_uint32),
    "SA_CTL_Stop": (_RESULT, _HANDLE, _INDEX, c_uint32),
    "SA_CTL_Reference": (_RESULT, _HANDLE, _INDEX, c_uint32),
}


class SmarActCtl:
    """An MCS2 behind the maker's library, with named linear axes; positions in mm."""

    protocol: ClassVar[type] = Stage

    class Axis(shared.Axis):
        """An axis; `reference_options` are the bits of SA_CTL_PKEY_REFERENCING_OPTIONS, None leaves the controller's."""

        channel: Annotated[int, Field(ge=0, le=127)]
        reference_options: Annotated[int, Field(ge=0, le=63)] | None = None

    class Config(LibraryConfig, shared.StageConfig[Axis]):
        """Settings: which controller, and its axes."""

        locator: Annotated[str, Field(pattern=r"^(network|usb):[!-~]{1,200}$")]
        hold: bool = True

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._library: Any = None
        self._handle: int | None = None

    def open(self) -> Identity:
        """Load the library, open the controller, check serial number, channels and units, read once; moves nothing."""
        self.close()
        self._library = load_library(self._config.library, FUNCTIONS)
        handle = c_uint32()
        self._check("Open", self._library.SA_CTL_Open(byref(handle), self._config.locator.encode(), b""))
        self._handle = handle.value
        try:
            serial = self._serial()
            same_serial(self._config.serial_number, serial)
            self._check_axes()
            self.read()
        except BaseException:
            self.close()
            raise
        return Identity(vendor="SmarAct", model="MCS2", serial=serial, raw=self._config.locator)

    def close(self) -> None:
        """Close the controller; the stage goes on."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._library.SA_CTL_Close(handle)  # what it answers helps nobody any more

    def read(self) -> StageReading:
        """Read state, position and following error (mm) of every axis."""
        axes = {name: self._axis(name, axis.channel) for name, axis in self._config.axes.items()}
        return StageReading(t_mono_s=self._clock(), axes=axes)

    def move(self, axis: str, mm: float) -> None:
        """Start a move to `mm` within the axis' limits; the target is read back, a wrong one stopped.

        Raises:
            DeviceRefused: the library's result, another target, or an axis that is not referenced.
        """
        channel = shared.axis_for(self._config.axes, axis, mm).channel
        referenced = bool(self._state(axis, channel) & REFERENCED)
        shared.must_be_referenced(axis, referenced=referenced, allowed=self._config.unreferenced_moves)
        self._set(channel, MODE, ABSOLUTE)
        if self._config.hold:
            self._set(channel, HOLD, HOLD_FOR_EVER)
        self._call("Move", channel, round(mm * PM_PER_MM), 0)
        found_mm = self._mm(channel, TARGET)
        if abs(found_mm - mm) > 1e-6:
            self._call("Stop", channel, 0)
            raise DeviceRefused(
                f"axis {axis} has target {found_mm:g} mm after {mm:g} mm was set; it was stopped"
            )

    def stop(self) -> None:
        """Stop all axes: every one is tried, whatever the library says of the one before."""
        shared.each([partial(self._call, "Stop", axis.channel, 0) for axis in self._config.axes.values()])

    def make_safe(self) -> None:
        """Stop all axes."""
        self.stop()

    def reference(self, axis: str) -> None:
        """Start the search for the reference mark, in the direction that options and controller say."""
        one = shared.axis_named(self._config.axes, axis)
        if one.reference_options is not None:
            self._set(one.channel, REFERENCING, one.reference_options)
        self._call("Reference", one.channel, 0)

    def _check_axes(self) -> None:
        channels = self._get(0, NUMBER_OF_CHANNELS)
        for name, axis in self._config.axes.items():
            if axis.channel >= channels:
                raise DeviceIdentityError(
                    f"axis {name} is channel {axis.channel}, there are {channels} from 0"
                )
            if (unit := self._get(axis.channel, BASE_UNIT)) != METRE:
                raise DeviceIdentityError(f"axis {name} has base unit {unit}: it is no linear axis")

    def _axis(self, name: str, channel: int) -> AxisReading:
        state = self._state(name, channel)
        moving = bool(state & (MOVING | CALIBRATING | SEEKING))
        return AxisReading(
            following_error_mm=self._mm(channel, FOLLOWING_ERROR),
            position_mm=self._mm(channel, POSITION),
            referenced=bool(state & REFERENCED),
            moving=moving,
            in_position=bool(state & IN_POSITION) and not moving,
        )

    def _state(self, name: str, channel: int) -> int:
        state = self._get(channel, STATE)
        if not state & SENSOR:
            raise DeviceRefused(f"channel {channel} (axis {name}) has no positioner: look at its cable")
        return state

    def _serial(self) -> str:
        buffer, size = create_string_buffer(ROOM), c_size_t(ROOM)
        self._call("GetProperty_s", 0, SERIAL_NUMBER, buffer, byref(size))
        return text(buffer.value)

    def _get(self, channel: int, key: int) -> int:
        value = c_int32()
        self._call("GetProperty_i32", channel, key, byref(value), None)
        return value.value

    def _mm(self, channel: int, key: int) -> float:
        value = c_int64()
        self._call("GetProperty_i64", channel, key, byref(value), None)
        return value.value / PM_PER_MM

    def _set(self, channel: int, key: int, value: int) -> None:
        self._call("SetProperty_i32", channel, key, value)

    def _call(self, name: str, channel: int, *arguments: Any) -> None:
        """Call a function of the open controller on one channel."""
        if self._handle is None:
            raise DeviceLost(f"{self._config.locator} is not open")
        function = getattr(self._library, f"SA_CTL_{name}")
        self._check(f"{name} of channel {channel}", function(self._handle, channel, *arguments))

    def _check(self, what: str, result: int) -> None:
        """Raise what a result other than 0 means."""
        if result == 0:
            return
        kind: type[DeviceError] = DeviceRefused
        if result == TIMEOUT:
            kind = DeviceTimeout
        elif result in LOST:
            kind = DeviceLost
        words = text(self._library.SA_CTL_GetResultInfo(result))
        raise kind(f"{self._config.locator}: {what}: result {result:#06x} ({words or 'no words'})")
