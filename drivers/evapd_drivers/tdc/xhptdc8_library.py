"""The C interface of cronologic's xHPTDC8 library, as far as it is used: structures and functions.

Source: the maker's public header xHPTDC8_interface.h (API version 1, one manager for all boards) and user guide.
"""

import ctypes
from ctypes import (
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_int,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
)

import numpy as np

from evapd_drivers.tdc.vendor import Signature

CHANNELS, BOARDS, TRIGGERS, GATES, TIGERS = 8, 6, 16, 8, 9
STATE_CAPTURING = 3
API_VERSION = 1
HIT = np.dtype([("time", "<i8"), ("channel", "u1"), ("type", "u1"), ("bin", "<u2"), ("reserved", "<u4")])


class InitParameters(Structure):
    """xhptdc8_manager_init_parameters."""

    _fields_ = (
        ("version", c_int),
        ("buffer_size", c_int64),
        ("variant", c_int),
        ("device_type", c_int),
        ("dma_read_delay", c_int),
        ("multiboard", c_uint8),
        ("use_ext_clock", c_uint8),
        ("ignore_calibration", c_uint8),
    )


class StaticInfo(Structure):
    """xhptdc8_static_info."""

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
        ("chip_id", c_int * 2),
        ("board_serial", c_int),
        ("flash_serial_high", c_uint32),
        ("flash_serial_low", c_uint32),
        ("flash_valid", c_uint8),
        ("calibration_date", ctypes.c_char * 20),
    )


class FastInfo(Structure):
    """xhptdc8_fast_info."""

    _fields_ = (
        ("size", c_int),
        ("version", c_int),
        ("fpga_rpm", c_int),
        ("alerts", c_int),
        ("pcie_pwr_mgmt", c_int),
        ("pcie_link_width", c_int),
        ("pcie_max_payload", c_int),
        ("state", c_int),
    )


class Trigger(Structure):
    """xhptdc8_trigger."""

    _fields_ = (("falling", c_uint8), ("rising", c_uint8))


class TigerBlock(Structure):
    """xhptdc8_tiger_block."""

    _fields_ = (
        ("mode", c_int),
        ("negate", c_uint8),
        ("retrigger", c_uint8),
        ("extend", c_uint8),
        ("start", c_int),
        ("stop", c_int),
        ("sources", c_int),
    )


class Channel(Structure):
    """xhptdc8_channel."""

    _fields_ = (("enable", c_uint8), ("rising", c_uint8))


class AdcChannel(Structure):
    """xhptdc8_adc_channel."""

    _fields_ = (
        ("enable", c_uint8),
        ("watchdog_readout", c_uint8),
        ("watchdog_interval", c_int),
        ("trigger_threshold", c_double),
    )


class DeviceConfiguration(Structure):
    """xhptdc8_device_configuration."""

    _fields_ = (
        ("size", c_int),
        ("version", c_int),
        ("auto_trigger_period", c_int),
        ("auto_trigger_random_exponent", c_int),
        ("trigger_threshold", c_double * CHANNELS),
        ("trigger", Trigger * TRIGGERS),
        ("gating_block", TigerBlock * GATES),
        ("tiger_block", TigerBlock * TIGERS),
        ("channel", Channel * CHANNELS),
        ("adc_channel", AdcChannel),
        ("skip_alignment", c_uint8),
        ("alignment_source", c_int),
        ("alignment_off_state", c_int),
    )


class Grouping(Structure):
    """xhptdc8_grouping_configuration."""

    _fields_ = (
        ("enabled", c_uint8),
        ("trigger_channel", c_int),
        ("trigger_channel_bitmask", c_uint64),
        ("range_start", c_int64),
        ("range_stop", c_int64),
        ("trigger_deadtime", c_int64),
        ("zero_channel", c_int),
        ("zero_channel_offset", c_int64),
        ("window_hit_channels", c_uint64),
        ("window_start", c_int64),
        ("window_stop", c_int64),
        ("veto_mode", c_int),
        ("veto_start", c_int64),
        ("veto_stop", c_int64),
        ("veto_active_channels", c_uint64),
        ("veto_relative_to_zero", c_uint8),
        ("ignore_empty_events", c_uint8),
        ("overlap", c_uint8),
    )


class Configuration(Structure):
    """xhptdc8_manager_configuration."""

    _fields_ = (
        ("size", c_int),
        ("version", c_int),
        ("device_configs", DeviceConfiguration * BOARDS),
        ("grouping", Grouping),
        ("bin_to_ps", c_void_p),
    )


_ERROR = (POINTER(c_int), POINTER(c_char_p))
SIGNATURES: dict[str, Signature] = {
    "xhptdc8_count_devices": (c_int, *_ERROR),
    "xhptdc8_get_default_init_parameters": (c_int, POINTER(InitParameters)),
    "xhptdc8_init": (c_int, POINTER(InitParameters)),
    "xhptdc8_close": (c_int,),
    "xhptdc8_get_static_info": (c_int, c_int, POINTER(StaticInfo)),
    "xhptdc8_get_fast_info": (c_int, c_int, POINTER(FastInfo)),
    "xhptdc8_get_default_configuration": (c_int, c_void_p),
    "xhptdc8_configure": (c_int, c_void_p),
    "xhptdc8_start_capture": (c_int,),
    "xhptdc8_stop_capture": (c_int,),
    "xhptdc8_read_hits": (c_int, c_void_p, c_size_t),
    "xhptdc8_get_last_error_message": (c_char_p, c_int),
    "xhptdc8_get_driver_revision_str": (c_char_p,),
    # Not called: drivers of the first generation, whose functions want a handle more, do not have it.
    "xhptdc8_software_trigger": (c_int, c_int),
}
