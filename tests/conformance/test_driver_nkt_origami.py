"""NKT ORIGAMI: codec against literal bytes, settings that mean something."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evapd.errors import DeviceError, DeviceProtocolError
from evapd_drivers.laser import nkt_origami as codec
from evapd_drivers.laser.nkt_origami import NktOrigami

# The codec.


def test_a_set_is_name_equals_number():
    assert codec.encode("e_power", 1600) == b"e_power=1600\n"
    assert codec.encode("ly_oxp2_standby") == b"ly_oxp2_standby\n"


@pytest.mark.parametrize(
    "line", [b"e_power 1600", b"e_power: 1600", b"Setted laser power in relative unit: 1600"]
)
def test_a_number_is_read_in_every_wording(line):
    assert codec.decode_number("e_power", line, 4000) == 1600


@pytest.mark.parametrize("line", [b"e_power=1600", b"e_div 2", b"1600", b"OK", b"", b"e_powers 3"])
def test_an_echo_of_a_set_or_another_subject_is_no_value(line):
    assert codec.decode_number("e_power", line, 4000) is None


@pytest.mark.parametrize("line", [b"e_power 4001", b"e_power -1", b"e_power nan", b"e_power x"])
def test_an_impossible_number_is_an_error(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_number("e_power", line, 4000)


@pytest.mark.parametrize(
    ("bits", "emission", "ready"),
    [(9, False, False), (17, False, False), (33, False, True), (65, True, True), (129, True, True), (32, False, False), (131, True, True)],
)  # fmt: skip
def test_status_bits_tell_emission_and_readiness(bits, emission, ready):
    status = codec.decode_status(f"ly_oxp2_dev_status {bits}".encode())
    assert (status.emission, status.ready) == (emission, ready)


@pytest.mark.parametrize("bits", ["0", "1", "3", "255", "999", "33.5", "48", "-1"])
def test_a_status_that_names_no_single_state_is_an_error(bits):
    with pytest.raises(DeviceProtocolError):
        codec.decode_status(f"ly_oxp2_dev_status {bits}".encode())


@pytest.mark.parametrize(
    ("line", "pj"),
    [(b"12300 nJ", 12.3e6), (b"e_mlp 4.9 W", 24.5e6), (b"4900mW", 24.5e6), (b"12.3 uJ", 12.3e6),
     (b"NKT FHG Output power=0.53W", 2.65e6)],
)  # fmt: skip
def test_the_monitor_is_read_in_its_own_unit(line, pj):
    assert codec.decode_optical(line, 200_000.0) == pytest.approx(pj)


@pytest.mark.parametrize("line", [b"12300", b"e_mlp 12300", b"123 m", b"e_mlp?", b"nJ"])
def test_a_monitor_without_a_unit_tells_nothing(line):
    assert codec.decode_optical(line, 200_000.0) is None


@given(st.binary(max_size=40))
def test_random_replies_are_a_value_in_range_nothing_or_a_device_error(line):
    for decode in (lambda text: (codec.decode_number("e_power", b"e_power " + text, 4000) or 0.0) <= 4000,
                   lambda text: codec.decode_open(b"ly_oxp2_output " + text) in {True, False, None},
                   lambda text: codec.decode_status(b"ly_oxp2_dev_status " + text) is None or True,
                   lambda text: (codec.decode_optical(text, 2e5) or 0.0) >= 0.0,
                   lambda text: all(hz >= 1.0 for hz in codec.decode_rates([text]).values())):  # fmt: skip
        with contextlib.suppress(DeviceError):
            assert decode(line)


# Settings.


@pytest.mark.parametrize(
    "settings",
    [
        {"pj_per_unit": 0.02, "calibration": ((0, 0.0), (4000, 100.0))},
        {},
        {"calibration": ((0, 0.0),)},
        {"calibration": ((0, 5.0), (100, 4.0))},
        {"calibration": ((0, 0.0), (5000, 4.0))},
        {"pj_per_unit": 0.02, "energy_max_pj": math.nan},
    ],
)
def test_a_calibration_that_means_nothing_is_refused(settings):
    with pytest.raises(ValidationError):
        NktOrigami.Config(**{"connect": "unix:x", "energy_max_pj": 50.0} | settings)
