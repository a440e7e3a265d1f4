"""One device of Surface Concept's scTDC library, opened: its pipe of events fills an inbox from the library's own thread."""

import ctypes
import threading
from ctypes import byref, c_double, c_int, c_uint, sizeof
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evapd.errors import DeviceError, DeviceLost, DeviceRefused
from evapd_drivers.tdc import sctdc_structs as s
from evapd_drivers.tdc.inbox import Inbox
from evapd_drivers.tdc.vendor import load_library, records, same_size, text

_MESSAGE_BYTES = 4096  # the header wants ERRSTRLEN, which is less


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
        self._library = load_library(path, s.SIGNATURES)
        self._inbox, self._dtype, self._trigger = inbox, dtype, -1
        self._device = self._pipe = -1
        self._kept: list[Any] = []  # the library calls back into them: they must live as long as the pipe
        self.ended = threading.Event()  # the measurement is over
        self.overrun = False  # because a buffer of the library was full
        self._device = self.sound(self._library.sc_tdc_init_inifile(ini.encode()), f"initialising with {ini}")
        try:
            sizes = s.Properties3()
            self.properties(3, sizes)
            same_size("sc_DldEvent", sizes.dld_event, s.DLD_EVENT.itemsize)
            same_size("sc_TdcEvent", sizes.tdc_event, s.TDC_EVENT.itemsize)
            same_size("sc_pipe_callbacks", sizes.callbacks, sizeof(s.Callbacks))
            done = s.DONE(self._done)
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

    def properties(self, number: int, into: ctypes.Structure) -> None:
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
        wanted, unwanted = s.EVENTS(self._events), s.EVENTS(0)
        dld = self._dtype is s.DLD_EVENT
        if dld and trigger is not None:
            self._trigger, unwanted = trigger, s.EVENTS(self._triggers)
        callbacks = s.Callbacks(
            None, s.NOTICE(0), s.NOTICE(0), s.NOTICE(self._tick), s.STATISTICS(self._statistics),
            unwanted if dld else wanted, wanted if dld else unwanted,
        )  # fmt: skip
        parameters = s.CallbackParameters(ctypes.pointer(callbacks))
        self._open_pipe(s.USER_CALLBACKS, parameters, callbacks, wanted, unwanted)

    def open_buffered_pipe(self, events: int) -> None:
        """Let events come when so many have gathered, and at the end of a measurement."""
        dld = self._dtype is s.DLD_EVENT
        names = (
            ("start_counter", "dif1", "dif2", "time")
            if dld
            else ("subdevice", "channel", "start_counter", "time")
        )
        parameters = s.BufferedParameters(
            data=s.DATA(self._data), end_of_measurement=s.END(self._end_of_buffered), max_buffered_data_len=events,
            data_field_selection=sum(s.FIELDS[name] for name in names), dld_events=int(dld), version=0,
        )  # fmt: skip
        self._open_pipe(s.BUFFERED_DATA_CALLBACKS, parameters)

    def measure(self, exposure_ms: int) -> bool:
        """Start a measurement; False while the device is not ready for one."""
        before = self.ended.is_set(), self.overrun
        self.ended.clear()  # before the start: the new measurement may end at once
        self.overrun = False
        code = self._library.sc_tdc_start_measure2(self._device, exposure_ms)
        if code == s.NOT_READY:
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
        return status.value == s.MEASURING

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

    def _open_pipe(self, kind: int, parameters: ctypes.Structure, *kept: Any) -> None:
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
            events = records(address, n, s.TDC_EVENT)
            ours = events["subdevice"] * np.uint32(16) + events["channel"] == self._trigger
            if ours.any():
                self._inbox.reached = int(events["start_counter"][ours][-1])
        except BaseException as error:  # noqa: BLE001 - see Inbox
            self._inbox.fail(error)

    def _data(self, _: object, args: Any) -> None:
        try:
            data = args.contents
            gathered = np.zeros(data.data_len, self._dtype)
            for name in s.FIELDS:
                pointer = getattr(data, name)
                if pointer:
                    column = {"time": "sum" if self._dtype is s.DLD_EVENT else "time_data"}.get(name, name)
                    gathered[column] = np.ctypeslib.as_array(pointer, (data.data_len,))
            self._inbox.put(gathered)
        except BaseException as error:  # noqa: BLE001 - see Inbox
            self._inbox.fail(error)

    def _tick(self, _: object) -> None:
        self._inbox.ticks += 1

    def _statistics(self, _: object, statistics: Any) -> None:
        try:
            told = statistics.contents
            dld = self._dtype is s.DLD_EVENT
            seen: NDArray[Any] = np.array(told.events_in_roi if dld else told.counts_read, np.int64)
            came: NDArray[Any] = np.array(told.events_received if dld else told.counts_received, np.int64)
            self._inbox.lose(int(np.maximum(seen - came, 0).sum()))
        except BaseException as error:  # noqa: BLE001 - see Inbox
            self._inbox.fail(error)

    def _end_of_buffered(self, _: object) -> bool:
        return True  # hand out what has gathered

    _ENDS: ClassVar[frozenset[int]] = frozenset({s.COMPLETE, s.INTERRUPTED, s.BUFFER_FULL})

    def _done(self, _: object, reason: int) -> None:
        if reason in self._ENDS:
            self.overrun |= reason == s.BUFFER_FULL
            self.ended.set()
