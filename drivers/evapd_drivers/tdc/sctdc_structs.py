"""The C interface of Surface Concept's scTDC library, as far as it is used: structures and functions.

Source: the maker's public headers scTDC.h, scTDC_types.h and scTDC_error_codes.h (versions 1.3010 to 1.3017) and its Python wrapper.
"""

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_bool,
    c_char_p,
    c_double,
    c_int,
    c_size_t,
    c_ubyte,
    c_uint,
    c_ulonglong,
    c_void_p,
)  # fmt: skip

import numpy as np

from evapd_drivers.tdc.vendor import Signature

USER_CALLBACKS, BUFFERED_DATA_CALLBACKS = 10, 12
NOT_READY = -11
COMPLETE, INTERRUPTED, BUFFER_FULL, HW_IDLE = 1, 2, 3, 4
MEASURING = 0  # of sc_tdc_get_status2

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
FIELDS = {"subdevice": 1, "channel": 2, "start_counter": 4, "dif1": 0x10, "dif2": 0x20, "time": 0x40}


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


NOTICE = CFUNCTYPE(None, c_void_p)
STATISTICS = CFUNCTYPE(None, c_void_p, POINTER(Statistics))
EVENTS = CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)
DATA = CFUNCTYPE(None, c_void_p, POINTER(BufferedArgs))
END = CFUNCTYPE(c_bool, c_void_p)
DONE = CFUNCTYPE(None, c_void_p, c_int)


class Callbacks(Structure):
    """sc_pipe_callbacks."""

    _fields_ = (
        ("priv", c_void_p),
        ("start_of_measure", NOTICE),
        ("end_of_measure", NOTICE),
        ("millisecond_countup", NOTICE),
        ("statistics", STATISTICS),
        ("tdc_event", EVENTS),
        ("dld_event", EVENTS),
    )


class CallbackParameters(Structure):
    """sc_pipe_callback_params_t."""

    _fields_ = (("callbacks", POINTER(Callbacks)),)


class BufferedParameters(Structure):
    """sc_pipe_buf_callbacks_params_t."""

    _fields_ = (
        ("priv", c_void_p),
        ("data", DATA),
        ("end_of_measurement", END),
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
    "sc_tdc_set_complete_callback2": (c_int, c_int, c_void_p, DONE),
    "sc_tdc_start_measure2": (c_int, c_int, c_int),
    "sc_tdc_interrupt2": (c_int, c_int),
    "sc_pipe_open2": (c_int, c_int, c_int, c_void_p),
    "sc_pipe_close2": (c_int, c_int, c_int),
}
