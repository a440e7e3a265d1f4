"""The C interface of cronologic's library for TimeTagger4 and xTDC4, as far as it is used; both boards have the same structures.

Source: the maker's public headers TDC4_interface.h, TimeTagger4_interface.h, xTDC4_interface.h and crono_interface.h (API version 1).
"""

import ctypes
from ctypes import (
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_int,
    c_int64,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
)

from evapd_drivers.tdc.vendor import Signature

CHANNELS, LOW_CHANNELS, TIGERS, TRIGGERS = 4, 3, 5, 16
API_VERSION = 1
GROUPED = 0
READ_OK, READ_NO_DATA = 0, 1
TIMESTAMP_ONLY = 0x80  # packets of a type with this bit have no data


class InitParameters(Structure):
    """tdc4_init_parameters."""

    _fields_ = (
        ("version", c_int),
        ("card_index", c_int),
        ("board_id", c_int),
        ("buffer_size", c_int64 * 8),
        ("buffer_type", c_int),
        ("buffer_address", c_uint64),
        ("variant", c_int),
        ("device_type", c_int),
        ("dma_read_delay", c_int),
        ("use_ext_clock", c_int),
        ("rclk_sel", c_int),
    )


class StaticInfo(Structure):
    """tdc4_static_info."""

    _fields_ = (
        ("size", c_int),
        ("version", c_int),
        ("board_id", c_int),
        ("driver_revision", c_int),
        ("driver_build_revision", c_int),
        ("firmware_revision", c_int),
        ("board_revision", c_int),
        ("board_configuration", c_int),
        ("subversion_revision", c_int),
        ("chip_id", c_int),
        ("board_serial", c_int),
        ("flash_serial_low", c_uint32),
        ("flash_serial_high", c_uint32),
        ("flash_valid", c_int),
        ("calibration_date", ctypes.c_char * 20),
        ("bitstream_date", ctypes.c_char * 20),
        ("delay_bin_size", c_double),
        ("auto_trigger_ref_clock", c_double),
        ("rollover_period", c_uint32),
    )


class ParamInfo(Structure):
    """tdc4_param_info."""

    _fields_ = (
        ("size", c_int),
        ("version", c_int),
        ("binsize", c_double),
        ("board_id", c_int),
        ("channels", c_int),
        ("channel_mask", c_int),
        ("total_buffer", c_int64),
        ("packet_binsize", c_double),
    )


class Trigger(Structure):
    """tdc4_trigger."""

    _fields_ = (("falling", c_uint8), ("rising", c_uint8))


class TigerBlock(Structure):
    """tdc4_tiger_block."""

    _fields_ = (
        ("enable", c_uint8),
        ("negate", c_uint8),
        ("retrigger", c_uint8),
        ("extend", c_uint8),
        ("enable_lemo_output", c_uint8),
        ("start", c_uint32),
        ("stop", c_uint32),
        ("sources", c_int),
    )


class Channel(Structure):
    """tdc4_channel."""

    _fields_ = (
        ("enabled", c_uint8),
        ("rising", c_uint8),
        ("cc_enable", c_uint8),
        ("cc_same_edge", c_uint8),
        ("ths788_disable", c_uint8),
        ("start", c_uint32),
        ("stop", c_uint32),
    )


class LowChannel(Structure):
    """tdc4_lowres_channel."""

    _fields_ = (("enabled", c_uint8), ("start", c_uint32), ("stop", c_uint32))


class Configuration(Structure):
    """tdc4_configuration."""

    _fields_ = (
        ("size", c_int),
        ("version", c_int),
        ("tdc_mode", c_int),
        ("start_rising", c_uint8),
        ("dc_offset", c_double * (CHANNELS + 1)),
        ("trigger", Trigger * TRIGGERS),
        ("tiger_block", TigerBlock * TIGERS),
        ("channel", Channel * CHANNELS),
        ("lowres_channel", LowChannel * LOW_CHANNELS),
        ("auto_trigger_period", c_uint32),
        ("auto_trigger_random_exponent", c_uint32),
        ("delay_config", c_uint32 * (CHANNELS + 1)),
    )


class LaterConfiguration(Structure):
    """The same of TimeTagger4 libraries from 2023 on, which can leave out packets without hits."""

    _fields_ = (*Configuration._fields_, ("ignore_empty_packets", c_uint32))


class ReadIn(Structure):
    """tdc4_read_in."""

    _fields_ = (("acknowledge_last_read", c_uint8),)


class ReadOut(Structure):
    """tdc4_read_out."""

    _fields_ = (
        ("first_packet", c_void_p),
        ("last_packet", c_void_p),
        ("error_code", c_int),
        ("error_message", c_char_p),
    )


_ERROR = (POINTER(c_int), POINTER(c_char_p))
_SIGNATURES: dict[str, Signature] = {
    "count_devices": (c_int, *_ERROR),
    "get_default_init_parameters": (c_int, POINTER(InitParameters)),
    "init": (c_void_p, POINTER(InitParameters), *_ERROR),
    "close": (c_int, c_void_p),
    "get_static_info": (c_int, c_void_p, c_void_p),
    "get_param_info": (c_int, c_void_p, c_void_p),
    "get_default_configuration": (c_int, c_void_p, c_void_p),
    "configure": (c_int, c_void_p, c_void_p),
    "start_capture": (c_int, c_void_p),
    "stop_capture": (c_int, c_void_p),
    "read": (c_int, c_void_p, POINTER(ReadIn), POINTER(ReadOut)),
    "acknowledge": (c_int, c_void_p, c_void_p),
    "get_last_error_message": (c_char_p, c_void_p),
    "get_driver_revision_str": (c_char_p,),
}


def signatures(prefix: str) -> dict[str, Signature]:
    """Functions of one kind of board, such as `timetagger4`."""
    return {f"{prefix}_{name}": signature for name, signature in _SIGNATURES.items()}
