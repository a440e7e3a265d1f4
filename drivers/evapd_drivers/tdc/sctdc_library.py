"""The C interface of Surface Concept's scTDC library, as far as it is used: structures, functions, and one open device.

Source: the maker's public headers scTDC.h, scTDC_types.h and scTDC_error_codes.h (versions 1.3010 to 1.3017) and its Python wrapper.
"""

import ctypes
import threading
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_bool,
    c_char_p,
    c_double,
    c_int,
    c_size_t,
    c_ubyte,
    c_uint,
    c_ulonglong,
    c_void_p,
    sizeof,
)  # fmt: skip
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evapd.errors import DeviceError, DeviceLost, DeviceRefused
from evapd_drivers.tdc.inbox import Inbox
from evapd_drivers.tdc.vendor import Signature, load_library, records, same_size, text

USER_CALLBACKS, BUFFERED_DATA_CALLBACKS = 10, 12
NOT_READY = -11
COMPLETE, INTERRUPTED, BUFFER_FULL, HW_IDLE = 1, 2, 3, 4
MEASURING = 0  # of sc_tdc_get_status2
_MESSAGE_BYTES = 4096  # the header wants ERRSTRLEN, which is less

DLD_EVENT = np.dtype(
    [
        ("start_counter", "<u8"), ("time_tag", "<u8"), ("subdevice", "<u4"), ("channel", "<u4"), ("sum", "<u8"), ("dif1", "<u2"),
        ("dif2", "<u2"), ("master_rst_counter", "<u4"), ("adc", "<u2"), ("signal1bit", "<u2"), ("padding", "<u4"),
    ]
)  # fmt: skip
TDC_EVENT = np.dtype(
    [
        ("subdevice", "<u4"), ("channel", "<u4"), ("start_counter", "<u8"), ("time_tag", "<u8"), ("time_data", "<u8"),
        ("sign_counter", "<u8"),
    ]
)  # fmt: skip
_FIELDS = {"subdevice": 1, "channel": 2, "start_counter": 4, "dif1": 0x10, "dif2": 0x20, "time": 0x40}


class BufferedArgs(Structure):
    """sc_pipe_buf_callback_args."""

    _fields_ = (
        ("event_index", c_ulonglong),
        ("som_indices", c_void_p),
        ("ms_indices", c_void_p),
        ("subdevice", POINTER(c_uint)),
        ("channel", POINTER(c_uint)),
        ("start_counter", POINTER(c_ulonglong)),
        ("time_tag", c_void_p),
        ("dif1", POINTER(c_uint)),
        ("dif2", POINTER(c_uint)),
        ("time", POINTER(c_ulonglong)),
        ("master_rst_counter", c_void_p),
        ("adc", c_void_p),
        ("signal1bit", c_void_p),
        ("som_indices_len", c_uint),
        ("ms_indices_len", c_uint),
        ("data_len", c_uint),
        ("reserved", c_ubyte * 12),
    )


class Statistics(Structure):
    """statistics_t."""

    _fields_ = (
        ("counts_read", c_uint * 64),
        ("counts_received", c_uint * 64),
        ("events_found", c_uint * 4),
        ("events_in_roi", c_uint * 4),
        ("events_received", c_uint * 4),
        ("counters", c_uint * 64),
        ("reserved", c_uint * 52),
    )


_NOTICE = CFUNCTYPE(None, c_void_p)
_STATISTICS = CFUNCTYPE(None, c_void_p, POINTER(Statistics))
_EVENTS = CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)
_DATA = CFUNCTYPE(None, c_void_p, POINTER(BufferedArgs))
_END = CFUNCTYPE(c_bool, c_void_p)
_DONE = CFUNCTYPE(None, c_void_p, c_int)


class Callbacks(Structure):
    """sc_pipe_callbacks."""

    _fields_ = (
        ("priv", c_void_p),
        ("start_of_measure", _NOTICE),
        ("end_of_measure", _NOTICE),
        ("millisecond_countup", _NOTICE),
        ("statistics", _STATISTICS),
        ("tdc_event", _EVENTS),
        ("dld_event", _EVENTS),
    )


class CallbackParameters(Structure):
    """sc_pipe_callback_params_t."""

    _fields_ = (("callbacks", POINTER(Callbacks)),)


class BufferedParameters(Structure):
    """sc_pipe_buf_callbacks_params_t."""

    _fields_ = (
        ("priv", c_void_p),
        ("data", _DATA),
        ("end_of_measurement", _END),
        ("data_field_selection", c_uint),
        ("max_buffered_data_len", c_uint),
        ("dld_events", c_int),
        ("version", c_int),
        ("reserved", c_ubyte * 24),
    )


class Properties1(Structure):
    """sc_DeviceProperties1: size in pixels, size of a pixel in mm and ns."""

    _fields_ = (
        ("size_x", c_uint),
        ("size_y", c_uint),
        ("size_t", c_ulonglong),
        ("pixel_x_mm", c_double),
        ("pixel_y_mm", c_double),
        ("pixel_t_ns", c_double),
    )


class Properties3(Structure):
    """sc_DeviceProperties3: sizes of structures in bytes."""

    _fields_ = (("dld_event", c_size_t), ("tdc_event", c_size_t), ("callbacks", c_size_t))


SIGNATURES: dict[str, Signature] = {
    "sc_tdc_init_inifile": (c_int, c_char_p),
    "sc_tdc_deinit2": (c_int, c_int),
    "sc_get_err_msg": (None, c_int, c_char_p),
    "sc_tdc_config_get_library_version": (None, c_uint * 3),
    "sc_tdc_get_device_properties": (c_int, c_int, c_int, c_void_p),
    "sc_tdc_get_binsize2": (c_int, c_int, POINTER(c_double)),
    "sc_tdc_get_status2": (c_int, c_int, POINTER(c_int)),
    "sc_tdc_set_complete_callback2": (c_int, c_int, c_void_p, _DONE),
    "sc_tdc_start_measure2": (c_int, c_int, c_int),
    "sc_tdc_interrupt2": (c_int, c_int),
    "sc_pipe_open2": (c_int, c_int, c_int, c_void_p),
    "sc_pipe_close2": (c_int, c_int, c_int),
}


class ScTdc:
    """One initialised device and the pipe that fills an inbox; `close` gives both back.

    Args:
        path: of the library.
        ini: of the maker's settings of this detector.
        inbox: where the library's thread puts events, all of `dtype`.
        dtype: `DLD_EVENT` or `TDC_EVENT`.

    Raises:
        DeviceError: the library or the device cannot be opened, with the library's own words.
    """

    def __init__(self, path: str, ini: str, inbox: Inbox, dtype: np.dtype[Any]) -> None:
        self._library = load_library(path, SIGNATURES)
        self._inbox, self._dtype, self._trigger = inbox, dtype, -1
        self._device = self._pipe = -1
        self._kept: list[Any] = []  # the library calls back into them: they must live as long as the pipe
        self.ended = threading.Event()  # the measurement is over
        self.overrun = False  # because a buffer of the library was full
        self._device = self.sound(self._library.sc_tdc_init_inifile(ini.encode()), f"initialising with {ini}")
        try:
            sizes = Properties3()
            self.properties(3, sizes)
            same_size("sc_DldEvent", sizes.dld_event, DLD_EVENT.itemsize)
            same_size("sc_TdcEvent", sizes.tdc_event, TDC_EVENT.itemsize)
            same_size("sc_pipe_callbacks", sizes.callbacks, sizeof(Callbacks))
            done = _DONE(self._done)
            self._kept.append(done)
            self.sound(
                self._library.sc_tdc_set_complete_callback2(self._device, None, done), "its end's callback"
            )
        except BaseException:
            self.close()
            raise

    @property
    def version(self) -> str:
        """Of the library."""
        found = (c_uint * 3)()
        self._library.sc_tdc_config_get_library_version(found)
        return ".".join(map(str, found))

    @property
    def bin_ns(self) -> float:
        """Width of a time bin."""
        found = c_double()
        self.sound(self._library.sc_tdc_get_binsize2(self._device, byref(found)), "bin width")
        return found.value

    def properties(self, number: int, into: Structure) -> None:
        """Fill one of the structures of properties."""
        self.sound(
            self._library.sc_tdc_get_device_properties(self._device, number, byref(into)),
            f"properties {number}",
        )

    def open_user_pipe(self, trigger: int | None = None) -> None:
        """Let events come as the hardware's stream is decoded.

        Args:
            trigger: beside hits, note the newest start that a TDC channel tells, 16 channels for each subdevice.
        """
        wanted, unwanted = _EVENTS(self._events), _EVENTS(0)
        dld = self._dtype is DLD_EVENT
        if dld and trigger is not None:
            self._trigger, unwanted = trigger, _EVENTS(self._triggers)
        callbacks = Callbacks(
            None, _NOTICE(0), _NOTICE(0), _NOTICE(self._tick), _STATISTICS(self._statistics),
            unwanted if dld else wanted, wanted if dld else unwanted,
        )  # fmt: skip
        parameters = CallbackParameters(ctypes.pointer(callbacks))
        self._open_pipe(USER_CALLBACKS, parameters, callbacks, wanted, unwanted)

    def open_buffered_pipe(self, events: int) -> None:
        """Let events come when so many have gathered, and at the end of a measurement."""
        dld = self._dtype is DLD_EVENT
        names = (
            ("start_counter", "dif1", "dif2", "time")
            if dld
            else ("subdevice", "channel", "start_counter", "time")
        )
        parameters = BufferedParameters(
            data=_DATA(self._data), end_of_measurement=_END(self._end_of_buffered), max_buffered_data_len=events,
            data_field_selection=sum(_FIELDS[name] for name in names), dld_events=int(dld), version=0,
        )  # fmt: skip
        self._open_pipe(BUFFERED_DATA_CALLBACKS, parameters)

    def measure(self, exposure_ms: int) -> bool:
        """Start a measurement; False while the device is not ready for one."""
        before = self.ended.is_set(), self.overrun
        self.ended.clear()  # before the start: the new measurement may end at once
        self.overrun = False
        code = self._library.sc_tdc_start_measure2(self._device, exposure_ms)
        if code == NOT_READY:
            if before[0]:
                self.ended.set()
            self.overrun = before[1]
            return False
        self.sound(code, "start of the measurement", DeviceRefused)
        return True

    def interrupt(self) -> None:
        """Ask the measurement to end; `ended` tells when it has."""
        self.sound(self._library.sc_tdc_interrupt2(self._device), "end of the measurement")

    def measuring(self) -> bool:
        """Whether a measurement runs, as the device says."""
        status = c_int(1)
        self.sound(self._library.sc_tdc_get_status2(self._device, byref(status)), "status")
        return status.value == MEASURING

    def close(self) -> None:
        """Close pipe and device; never raises."""
        if self._device >= 0:
            if self._pipe >= 0:
                self._library.sc_tdc_interrupt2(self._device)
                self._library.sc_pipe_close2(self._device, self._pipe)
            self._library.sc_tdc_deinit2(self._device)
        self._device = self._pipe = -1

    def sound(self, code: int, what: str, error: type[DeviceError] = DeviceLost) -> int:
        """Give a result back that is no error code; raise `error` with the library's words otherwise."""
        if code >= 0:
            return code
        message = ctypes.create_string_buffer(_MESSAGE_BYTES)
        self._library.sc_get_err_msg(code, message)
        raise error(f"scTDC, {what}: error {code}, {text(message.value)}")

    def _open_pipe(self, kind: int, parameters: Structure, *kept: Any) -> None:
        self._kept += [parameters, *kept]
        self._pipe = self.sound(
            self._library.sc_pipe_open2(self._device, kind, byref(parameters)), "pipe of events"
        )

    # -- called by the library's own thread: short, and never with an exception -----------------------------------------

    def _events(self, _: object, address: int, n: int) -> None:
        try:
            self._inbox.put(records(address, n, self._dtype))
        except BaseException as error:  # noqa: BLE001 - see Inbox
            self._inbox.fail(error)

    def _triggers(self, _: object, address: int, n: int) -> None:
        try:
            events = records(address, n, TDC_EVENT)
            ours = events["subdevice"] * np.uint32(16) + events["channel"] == self._trigger
            if ours.any():
                self._inbox.reached = int(events["start_counter"][ours][-1])
        except BaseException as error:  # noqa: BLE001 - see Inbox
            self._inbox.fail(error)

    def _data(self, _: object, args: Any) -> None:
        try:
            data = args.contents
            gathered = np.zeros(data.data_len, self._dtype)
            for name in _FIELDS:
                pointer = getattr(data, name)
                if pointer:
                    column = {"time": "sum" if self._dtype is DLD_EVENT else "time_data"}.get(name, name)
                    gathered[column] = np.ctypeslib.as_array(pointer, (data.data_len,))
            self._inbox.put(gathered)
        except BaseException as error:  # noqa: BLE001 - see Inbox
            self._inbox.fail(error)

    def _tick(self, _: object) -> None:
        self._inbox.ticks += 1

    def _statistics(self, _: object, statistics: Any) -> None:
        try:
            told = statistics.contents
            dld = self._dtype is DLD_EVENT
            seen: NDArray[Any] = np.array(told.events_in_roi if dld else told.counts_read, np.int64)
            came: NDArray[Any] = np.array(told.events_received if dld else told.counts_received, np.int64)
            self._inbox.lose(int(np.maximum(seen - came, 0).sum()))
        except BaseException as error:  # noqa: BLE001 - see Inbox
            self._inbox.fail(error)

    def _end_of_buffered(self, _: object) -> bool:
        return True  # hand out what has gathered

    _ENDS: ClassVar[frozenset[int]] = frozenset({COMPLETE, INTERRUPTED, BUFFER_FULL})

    def _done(self, _: object, reason: int) -> None:
        if reason in self._ENDS:
            self.overrun |= reason == BUFFER_FULL
            self.ended.set()
