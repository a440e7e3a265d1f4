"""Glassman FR: codec against literal bytes, behaviour against a scripted supply."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evapd.errors import DeviceError, DeviceProtocolError, DeviceRefused, DeviceTimeout, LimitError
from evapd_drivers.hv import glassman as codec
from evapd_drivers.hv.glassman import Glassman
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer

USUAL = {"rated_v": 50000, "rated_a": 0.006, "v_max_v": 15000, "i_max_a": 0.005}
SET_3KV = b"S0F6D540000001"  # 246 of 4095 parts of 50 kV, 3412 of 6 mA, HV off


class Supply:
    """Follows every set while it obeys; `peer.heard` holds packets without SOH and checksum."""

    def __init__(self):
        self.on, self.fault, self.obeys, self.timeout = False, False, True, None
        self.peer = Peer(self.answer)

    def answer(self, packet):
        text = packet.lstrip(b"\x01")[:-2]
        self.peer.heard[-1] = text
        if text in self.peer.faults:
            return self.peer.faults[text]
        said = self.said(text)
        return said + (b"" if said == b"A" else codec.checksum(said[1:])) + b"\r"

    def said(self, text):
        if text == b"Q":
            return b"R0CD0AA000%X00" % (self.fault << 1 | self.on << 2)
        if text == b"V":
            return b"B14"
        if text[:1] == b"C":
            self.timeout = text == b"C0"
        elif self.fault and text[-1:] != b"4":
            return b"E5"
        elif self.obeys:
            self.on, self.fault = text[-1:] == b"2", False
        return b"A"


@pytest.fixture
def supply():
    return Supply()


@pytest.fixture
def make(supply, tmp_path):
    with drivers_at(supply.peer, tmp_path, Glassman, **USUAL) as make_:
        yield make_


def test_the_published_packets_are_what_is_sent_and_understood():
    assert codec.encode(b"Q") == b"\x01Q51\r"
    assert codec.encode_set(0x333, 0, codec.OFF) == b"\x01S3330000000001CD\r"
    assert codec.decode_status(b"R00000000000040") == codec.Status(0, 0, False, False, False)


def test_a_set_keeps_hv_as_it_is_and_carries_the_current(make, supply):
    driver = make()
    driver.set_voltage(3000.0)
    assert supply.peer.heard == [b"Q", SET_3KV]
    driver.output(True)
    driver.set_voltage(6000.0)
    assert supply.on


def test_a_set_point_is_told_only_after_it_was_acknowledged(make, supply):
    driver = make()
    assert driver.read().v_set_v is None
    driver.set_voltage(3000.0)
    assert driver.read().v_set_v == pytest.approx(3003.7, abs=0.1)
    supply.peer.faults[b"S000D540000001"] = b"E434\r"
    with pytest.raises(DeviceRefused, match="illegal control"):
        driver.set_voltage(0.0)
    assert driver.read().v_set_v is None


def test_monitors_are_parts_of_ten_bits(make):
    reading = make().read()
    assert reading.v_meas_v == pytest.approx(50e3 * 0xCD / 0x3FF)
    assert reading.i_meas_a == pytest.approx(6e-3 * 0xAA / 0x3FF)


@pytest.mark.parametrize(("wanted", "own_timeout_s"), [(True, 1.5), (False, None)])
def test_the_dead_man_is_switched_before_hv(make, supply, wanted, own_timeout_s):
    driver = make(host_timeout=wanted)
    assert supply.timeout is None, "opening changes nothing"
    driver.output(True)
    assert (supply.timeout, driver.own_timeout_s) == (wanted, own_timeout_s)
    assert supply.peer.heard.index(b"C0" if wanted else b"C1") < supply.peer.heard.index(b"S000D540000002")


def test_a_fault_is_reset_by_switching_on_and_by_nothing_else(make, supply):
    driver = make()
    supply.fault = True
    with pytest.raises(DeviceRefused, match="set while faulted"):
        driver.set_voltage(3000.0)
    driver.make_safe()
    driver.output(False)
    assert supply.fault
    driver.output(True)
    assert (supply.fault, supply.on) == (False, True)


def test_hv_of_somebody_else_keeps_its_voltage_when_the_current_is_set(make, supply):
    driver = make()
    supply.on = True
    with pytest.raises(DeviceRefused, match="set the voltage first"):
        driver.set_current_limit(1e-3)
    assert supply.peer.heard == [b"Q"]


def test_hv_that_does_not_come_on_is_a_refusal(make, supply):
    driver = make()
    supply.obeys = False
    with pytest.raises(DeviceRefused, match="stays off"):
        driver.output(True)


def test_make_safe_is_one_packet_and_a_check(make, supply):
    driver = make()
    driver.output(True)
    supply.peer.heard.clear()
    driver.make_safe()
    assert supply.peer.heard == [b"S000D540000001", b"Q"]
    assert not supply.on


def test_make_safe_through_silence_says_so(make, supply):
    driver = make()
    supply.peer.faults[b"S000D540000001"] = b""
    with pytest.raises(DeviceTimeout):
        driver.make_safe()


def test_make_safe_that_is_refused_while_hv_is_on_is_a_refusal(make, supply):
    driver = make()
    driver.output(True)
    supply.peer.faults[b"S000D540000001"] = b"E636\r"
    with pytest.raises(DeviceRefused, match="HV stays on"):
        driver.make_safe()


def test_a_negative_unit_takes_and_gives_negative_voltages(make, supply):
    driver = make(polarity="negative")
    driver.set_voltage(-3000.0)
    assert supply.peer.heard[-1] == SET_3KV
    assert driver.read().v_meas_v < 0
    with pytest.raises(LimitError):
        driver.set_voltage(3000.0)


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"serial_number": "1"}, "tells no serial"), ({"v_max_v": 50001}, "must not exceed")],
)
def test_settings_that_cannot_be_are_refused(settings, why):
    with pytest.raises(ValidationError, match=why):
        Glassman.Config(**{"connect": "unix:x", **USUAL, **settings})


@pytest.mark.parametrize(
    "line",
    [b"", b"A", b"R", b"R00000000000041", b"R0000000000040", b"B1465", b"R40000000000044", b"R00000000000G57", b"R0000000000\xff40"],
)  # fmt: skip
def test_what_is_no_status_is_refused(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_status(line)


@given(st.binary(max_size=20))
def test_random_answers_are_statuses_or_device_errors(line):
    with contextlib.suppress(DeviceError):
        assert codec.decode_status(line).voltage <= codec.FULL_MONITOR
