"""TDK-Lambda Genesys as pulse amplitude: codec against literal bytes, behaviour against a scripted supply."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers.pulser import tdk_genesys as codec
from evapd_drivers.pulser.tdk_genesys import TdkGenesys
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer

SUPPLY = {"gain": 20.0, "supply_min_v": 15, "supply_max_v": 150}


class Supply:
    """Address 6, nobody in control, 20 V set, output off."""

    def __init__(self):
        self.mode, self.values, self.on, self.locked = "LOC", {"PV": "20.000", "PC": "0.0000"}, False, False
        self.peer = Peer(self.answer)

    def answer(self, command):
        name, _, value = command.decode().partition(" ")
        said = {
            "IDN?": "LAMBDA,GEN150-10", "SN?": "07A123-0001", "RMT?": self.mode, "OUT?": "ON" if self.on else "OFF",
            "MV?": self.values["PV"] if self.on else "0.0000", "PV?": self.values["PV"], "PC?": self.values["PC"],
        }.get(name)  # fmt: skip
        if name == "ADR" and value != "6":
            return b""
        if name == "RMT" and not self.locked:
            self.mode = "REM"
        elif name in self.values and self.mode == "REM":
            self.values[name] = value
        elif name == "OUT" and self.mode == "REM":
            self.on = value == "1"
        return f"{said or 'OK'}\r".encode()


@pytest.fixture
def supply():
    return Supply()


@pytest.fixture
def make(supply, tmp_path):
    with drivers_at(supply.peer, tmp_path, TdkGenesys, **SUPPLY) as make_:
        yield make_


def test_the_type_tells_the_rating():
    identity, rated_v = codec.decode_identity(b"LAMBDA,GEN12.5-60")
    assert (identity.vendor, identity.model, rated_v) == ("LAMBDA", "GEN12.5-60", 12.5)
    with pytest.raises(DeviceIdentityError):
        codec.decode_identity(b"FUG HCP 14 - 20 000")


def test_the_successor_of_the_same_language_tells_its_type_with_fewer_letters():
    identity, rated_v = codec.decode_identity(b"TDK-LAMBDA,G150-11.2,S/N 1,REV 1")
    assert (identity.vendor, identity.model, rated_v) == ("TDK-LAMBDA", "G150-11.2", 150.0)


@pytest.mark.parametrize("line", [b"C01", b"E07", b"E1"])
def test_an_error_code_is_a_refusal_of_whatever_was_asked(line):
    for decode in (codec.decode_ok, codec.decode_value, codec.decode_on, codec.decode_remote):
        with pytest.raises(DeviceRefused, match=line.decode()):
            decode(line)


def test_words_are_what_they_are_and_nothing_else():
    assert [codec.decode_remote(line) for line in (b"REM", b"LLO", b"LOC")] == [True, True, False]
    assert [codec.decode_on(line) for line in (b"ON", b"OFF")] == [True, False]
    for decode in (codec.decode_ok, codec.decode_on, codec.decode_remote, codec.decode_value):
        with pytest.raises(DeviceProtocolError):
            decode(b"MAYBE")


def test_opening_addresses_and_asks_and_changes_nothing(make, supply):
    driver = make(opened=False)
    identity = driver.open()
    assert (identity.model, identity.serial) == ("GEN150-10", "07A123-0001")
    assert supply.peer.heard == [b"ADR 6", b"IDN?", b"SN?", b"OUT?", b"MV?"]
    assert (supply.mode, supply.values["PV"], supply.on) == ("LOC", "20.000", False)


def test_a_unit_that_is_not_at_its_address_is_silence(make):
    with pytest.raises(DeviceTimeout):
        make(address=7)


def test_a_range_beyond_the_rating_is_another_unit(make):
    with pytest.raises(DeviceIdentityError, match="supply_max_v"):
        make(supply_max_v=160)


def test_a_model_without_a_serial_number_opens_unless_one_is_named(make, supply):
    supply.peer.faults[b"SN?"] = b"C01\r"
    driver = make(opened=False)
    assert driver.open().serial == ""
    driver.close()
    with pytest.raises(DeviceRefused, match="C01"):
        make(serial_number="07A123-0001")


def test_an_amplitude_takes_remote_control_then_sets_then_switches_on(make, supply):
    make(current_a=5).set_amplitude(2000.0)
    assert supply.peer.heard == [
        b"RMT?", b"RMT 1", b"RMT?", b"PV 100.000", b"PV?", b"OUT?", b"PC 5.000", b"PC?", b"OUT 1", b"OUT?",
    ]  # fmt: skip


def test_the_reading_is_the_measured_supply_times_the_gain(make):
    driver = make()
    assert driver.read().in_range is False
    driver.set_amplitude(2000.0)
    reading = driver.read()
    assert (reading.v_p_v, reading.in_range, reading.output_on) == (2000.0, True, True)


@pytest.mark.parametrize("v_p_v", [300.0, 3000.0])
def test_at_floor_and_ceiling_the_amplitude_is_not_in_range(make, v_p_v):
    driver = make()
    driver.set_amplitude(v_p_v)
    assert driver.read().in_range is False


def test_local_mode_refuses_and_nothing_is_set(make, supply):
    driver = make()
    supply.locked = True
    with pytest.raises(DeviceRefused, match="LOCAL"):
        driver.set_amplitude(2000.0)
    assert not any(command.startswith((b"PV ", b"OUT ")) for command in supply.peer.heard)


def test_a_set_point_that_reads_otherwise_is_a_refusal_and_the_output_stays_off(make, supply):
    driver = make()
    supply.peer.faults[b"PV 100.000"] = b"OK\r"
    with pytest.raises(DeviceRefused, match="PV reads 20 after"):
        driver.set_amplitude(2000.0)
    assert not supply.on


def test_an_output_that_does_not_come_on_is_a_refusal(make, supply):
    driver = make()
    supply.peer.faults[b"OUT 1"] = b"OK\r"
    with pytest.raises(DeviceRefused, match="does not come on"):
        driver.set_amplitude(2000.0)


def test_making_safe_is_set_point_zero_then_output_off(make, supply):
    driver = make()
    driver.set_amplitude(2000.0)
    supply.peer.heard.clear()
    driver.make_safe()
    assert supply.peer.heard == [b"RMT 1", b"PV 0.000", b"OUT 0", b"OUT?"]
    assert not supply.on


def test_a_set_point_of_zero_that_is_refused_does_not_keep_the_output_on(make, supply):
    driver = make()
    driver.set_amplitude(2000.0)
    supply.peer.faults[b"PV 0.000"] = b"E02\r"
    driver.make_safe()
    assert not supply.on


def test_making_safe_that_finds_it_still_on_is_a_refusal(make, supply):
    driver = make()
    driver.set_amplitude(2000.0)
    supply.mode, supply.locked = "LOC", True
    with pytest.raises(DeviceRefused, match="stays on at 100 V"):
        driver.make_safe()


def test_making_safe_through_silence_sends_everything(make, supply):
    driver = make()
    driver.set_amplitude(2000.0)
    supply.peer.faults[b"RMT 1"] = b""
    with pytest.raises(DeviceTimeout):
        driver.make_safe()
    driver.open()
    assert not supply.on


def test_floor_must_lie_below_ceiling():
    with pytest.raises(ValidationError, match="supply_min_v must be less"):
        TdkGenesys.Config(connect="unix:x", gain=20, supply_min_v=150, supply_max_v=150)


@given(st.binary(max_size=40))
def test_random_replies_are_values_in_range_or_device_errors(line):
    for decode in (lambda text: -10 <= codec.decode_value(text) <= codec.MAX_V,
                   lambda text: codec.decode_on(text) in {True, False},
                   lambda text: codec.decode_identity(text)[1] >= 0):  # fmt: skip
        with contextlib.suppress(DeviceError):
            assert decode(line)
