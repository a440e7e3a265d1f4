"""Pfeiffer TPG: codec against literal bytes, behaviour against a scripted controller."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused
from evapd_drivers.gauge import pfeiffer_tpg26x as codec
from evapd_drivers.gauge.pfeiffer_tpg26x import PfeifferTpg26x
from support.scripted_drivers import drivers_at
from support.scripted_peer import LINES_AND_ENQ, Peer


class Controller:
    """Acknowledges a mnemonic it knows, gives its answer at ENQ; ETX drops what was typed before it."""

    def __init__(self):
        self.answers = {
            b"PNR": b"BG509737",
            b"UNI": b"0",
            b"PR1": b"0,+3.0000E-11",
            b"PR2": b"5,+2.0000E-02",
            b"ERR": b"0001",
        }
        self.asked = b""
        self.peer = Peer(self.answer, LINES_AND_ENQ)

    def answer(self, command):
        if command == codec.ENQ:
            return self.answers[self.asked] + b"\r\n"
        self.asked = command.rpartition(codec.ETX)[2]
        return (codec.ACK if self.asked in self.answers else codec.NAK) + b"\r\n"


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def make(controller, tmp_path):
    with drivers_at(controller.peer, tmp_path, PfeifferTpg26x, gauges={"analysis": 1, "buffer": 2}) as make_:
        yield make_


def test_a_mnemonic_ends_in_cr_lf():
    assert codec.encode("PR1") == b"PR1\r\n"


def test_only_ack_and_nak_acknowledge():
    assert codec.decode_ack(b"\x06")
    assert not codec.decode_ack(b"\x15")
    for line in (b"", b"0,+3.0000E-11", b"\x06\x06", b"\x05"):
        with pytest.raises(DeviceProtocolError):
            codec.decode_ack(line)


@pytest.mark.parametrize(("line", "pa"), [(b"0", 100.0), (b"1", 133.322368), (b"2", 1.0)])
def test_the_display_unit_becomes_pascal(line, pa):
    assert codec.decode_unit(line) == pytest.approx(pa)


def test_a_unit_that_is_not_known_is_refused_not_guessed():
    with pytest.raises(DeviceProtocolError, match="mbar, Torr or Pa"):
        codec.decode_unit(b"3")


@pytest.mark.parametrize(
    ("line", "status", "pressure_pa"),
    [
        (b"0,+3.0000E-11", 0, 3e-9),
        (b"1,+5.0000E-11", 1, 5e-9),
        (b"5,+2.0000E-02", 5, 2.0),
        (b"2, 1.0000E+03", 2, 1e5),
    ],
)
def test_a_pressure_has_a_status_and_a_value(line, status, pressure_pa):
    code, value_pa = codec.decode_pressure(line, 100.0)
    assert code == status
    assert value_pa == pytest.approx(pressure_pa)


@pytest.mark.parametrize(
    "line", [b"0,0.0000E+00", b"0,-1.0000E-09", b"8,+1.0E-9", b"0", b"0,", b"0,+1E-9,0,+1E-9", b"\x15"]
)
def test_what_is_no_pressure_is_an_error(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_pressure(line, 100.0)


@given(st.binary(max_size=40))
def test_random_replies_are_pressures_in_range_or_device_errors(line):
    def pressure(text):
        status, value_pa = codec.decode_pressure(text, 100.0)
        return status > 0 or 0 < value_pa <= codec.MAX_PA

    for decode in (pressure, lambda text: pressure(b"0," + text), codec.decode_unit, codec.decode_firmware):
        with contextlib.suppress(DeviceError):
            assert decode(line)


def test_a_serial_number_cannot_be_asked_for():
    with pytest.raises(ValidationError, match="tells no serial number"):
        PfeifferTpg26x.Config(connect="unix:x", gauges={"a": 1}, serial_number="1")


def test_a_gauge_that_is_not_there_gives_a_status_and_no_pressure(make):
    reading = make().read()
    assert reading.pressure_pa["analysis"] == pytest.approx(3e-9)
    assert reading.pressure_pa["buffer"] is None
    assert reading.status == {"analysis": "ok", "buffer": "no sensor"}


@pytest.mark.parametrize("unit", [b"1", b"2"])
def test_the_unit_is_asked_for_at_every_read(make, controller, unit):
    driver = make()
    controller.answers[b"UNI"] = unit
    assert driver.read().pressure_pa["analysis"] == pytest.approx(3e-11 * codec.decode_unit(unit))


@pytest.mark.parametrize(("good", "pressure_pa"), [(False, None), (True, 5e-9)])
def test_under_range_counts_as_a_pressure_only_where_configured(make, controller, good, pressure_pa):
    driver = make(under_range_is_good=good)
    controller.answers[b"PR1"] = b"1,+5.0000E-11"
    reading = driver.read()
    assert reading.pressure_pa["analysis"] == (None if pressure_pa is None else pytest.approx(pressure_pa))
    assert reading.status["analysis"] == "under range"


def test_opening_stops_a_stream_of_readings(make, controller):
    stream = b"0,+3.0000E-11,5,+2.0000E-02\r\n"
    controller.peer.faults[codec.ETX + b"PNR"] = b"000E-02\r\n" + stream * 2 + codec.ACK + b"\r\n"
    controller.asked = b"PNR"
    assert make(opened=False).open().firmware == "BG509737"


def test_what_an_earlier_client_left_half_said_costs_no_more_than_one_nak(make, controller):
    controller.peer.feed(b"PR")
    controller.peer.faults[b"PR\x03PNR"] = codec.NAK + b"\r\n"
    assert make(opened=False).open().firmware == "BG509737"


def test_a_stream_in_the_middle_of_work_is_an_error(make, controller):
    driver = make()
    controller.peer.faults[b"UNI"] = b"0,+3.0000E-11,5,+2.0000E-02\r\n"
    with pytest.raises(DeviceProtocolError):
        driver.read()


def test_a_nak_is_a_refusal_with_the_controllers_reason(make, controller):
    driver = make()
    del controller.answers[b"PR2"]
    with pytest.raises(DeviceRefused, match="NAK to PR2: syntax error"):
        driver.read()


def test_a_nak_to_the_question_for_the_reason_ends_there(make, controller):
    driver = make()
    controller.answers = {}
    with pytest.raises(DeviceRefused):
        driver.read()


@pytest.mark.parametrize(
    ("command", "reply", "error"),
    [
        (b"PR1", b"?\r\n", DeviceProtocolError),
        (codec.ENQ, b"\x06\r\n", DeviceProtocolError),
    ],
)
def test_a_bad_reply_is_never_a_reading(make, controller, command, reply, error):
    driver = make()
    controller.peer.faults[command] = reply
    with pytest.raises(error):
        driver.read()


def test_another_instrument_is_refused(make, controller):
    controller.answers[b"PNR"] = b"*"
    with pytest.raises(DeviceIdentityError):
        make()


def test_making_safe_sends_nothing(make, controller):
    driver = make()
    driver.make_safe()
    assert controller.peer.heard == []


def test_a_controller_that_does_not_tell_its_firmware_is_used_without_it(make, controller):
    del controller.answers[b"PNR"], controller.answers[b"ERR"]
    driver = make(opened=False)
    assert driver.open().firmware == ""
    assert driver.read().pressure_pa["analysis"] == pytest.approx(3e-9)


def test_a_controller_that_is_silent_to_its_firmware_is_used_without_it(make, controller):
    controller.peer.faults[codec.ETX + b"PNR"] = b""
    driver = make(opened=False)
    assert driver.open().model == "TPG 26x"
    assert driver.read().status["analysis"] == "ok"
