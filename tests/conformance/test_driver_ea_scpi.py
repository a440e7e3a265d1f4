"""EA supply as pulse amplitude: codec against literal bytes, behaviour against a scripted supply."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evapd.errors import (
    DeviceError,
    DeviceIdentityError,
    DeviceProtocolError,
    DeviceRefused,
)
from evapd_drivers.pulser import ea_scpi as codec
from evapd_drivers.pulser.ea_scpi import EaScpi
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer


class Supply:
    """A supply that nobody controls, 20 V set, output off; ignores sets unless locked to remote."""

    def __init__(self):
        self.owner, self.volts, self.on = "NONE", 20.0, False
        self.peer = Peer(self.answer)

    def answer(self, command):
        queries = {
            b"*IDN?": "EA Elektro-Automatik GmbH & Co. KG,PSI 9200-15,1234560001,V2.05",
            b"SYST:LOCK:OWN?": self.owner,
            b"VOLT?": f"{self.volts:.2f} V",
            b"MEAS:VOLT?": f"{self.volts if self.on else 0.0:.2f} V",
            b"OUTP?": "ON" if self.on else "OFF",
        }
        if command in queries:
            return queries[command].encode() + b"\n"
        if command == b"SYST:LOCK ON":
            self.owner = "LOCAL" if self.owner == "LOCAL" else "REMOTE"
        elif self.owner == "REMOTE" and command.startswith(b"VOLT "):
            self.volts = float(command[5:])
        elif self.owner == "REMOTE":
            self.on = command == b"OUTP ON"
        return b""


@pytest.fixture
def supply():
    return Supply()


SUPPLY = {"gain": 20.0, "supply_min_v": 15, "supply_max_v": 150}


@pytest.fixture
def make(supply, tmp_path):
    with drivers_at(supply.peer, tmp_path, EaScpi, **SUPPLY) as make_:
        yield make_


@pytest.mark.parametrize("line", [b"48.00V", b"48.00 V", b"48.0", b"+4.8E+01"])
def test_volts_are_read_with_and_without_their_unit(line):
    assert codec.decode_volts(line) == 48.0
    assert codec.encode_volts(48.0) == b"VOLT 48.000\n"


@pytest.mark.parametrize("line", [b"48.00 A", b"48.00 mV", b"", b"V", b"nan", b"-20.0 V", b"ON"])
def test_anything_else_is_no_voltage(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_volts(line)


def test_output_and_owner_are_words():
    assert [codec.decode_on(line) for line in (b"ON", b"OFF", b"1", b"0")] == [True, False, True, False]
    assert [codec.decode_remote(line) for line in (b"REMOTE", b"NONE", b"LOCAL")] == [True, False, False]
    for decode in (codec.decode_on, codec.decode_remote):
        with pytest.raises(DeviceProtocolError):
            decode(b"MAYBE")


def test_identity_is_an_ea_supply_or_refused():
    identity = codec.decode_identity(b"EA Elektro-Automatik GmbH & Co. KG,PSI 9200-15,1234560001,V2.05")
    assert (identity.model, identity.serial, identity.firmware) == ("PSI 9200-15", "1234560001", "V2.05")
    with pytest.raises(DeviceIdentityError):
        codec.decode_identity(b"FUG HCP 14 - 20 000 MOD 17022-01-01")


@given(st.binary(max_size=40))
def test_random_replies_are_values_in_range_or_device_errors(line):
    for decode in (lambda text: -10 <= codec.decode_volts(text) <= codec.MAX_V,
                   lambda text: codec.decode_on(text) in {True, False},
                   lambda text: codec.decode_remote(text) in {True, False},
                   lambda text: codec.decode_identity(text).vendor.upper().startswith("EA")):  # fmt: skip
        with contextlib.suppress(DeviceError):
            assert decode(line)


def test_floor_must_lie_below_ceiling():
    with pytest.raises(ValidationError, match="supply_min_v must be less"):
        EaScpi.Config(connect="unix:x", gain=20, supply_min_v=150, supply_max_v=150)


def test_opening_neither_locks_nor_switches(make, supply):
    driver = make(opened=False)
    assert supply.peer.heard == []
    driver.open()
    assert (supply.owner, supply.volts, supply.on) == ("NONE", 20.0, False)


def test_floor_and_ceiling_are_those_of_the_supply_times_the_gain(make):
    driver = make()
    assert (driver.v_p_min_v, driver.v_p_max_v) == (300.0, 3000.0)


def test_an_amplitude_takes_remote_control_then_sets_then_switches_on(make, supply):
    make().set_amplitude(2000.0)
    assert supply.peer.heard == [
        b"SYST:LOCK:OWN?", b"SYST:LOCK ON", b"SYST:LOCK:OWN?", b"VOLT 100.000", b"VOLT?", b"OUTP?", b"OUTP ON", b"OUTP?",
    ]  # fmt: skip
    assert (supply.volts, supply.on) == (100.0, True)


def test_the_reading_is_the_measured_supply_times_the_gain(make, supply):
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


def test_local_mode_refuses_and_nothing_is_switched(make, supply):
    driver = make()
    supply.owner = "LOCAL"
    with pytest.raises(DeviceRefused, match="LOCAL"):
        driver.set_amplitude(2000.0)
    assert not any(command.startswith((b"VOLT ", b"OUTP O")) for command in supply.peer.heard)


def test_a_set_point_that_reads_otherwise_is_a_refusal_and_the_output_stays_off(make, supply):
    driver = make()
    supply.peer.faults[b"VOLT 100.000"] = b""
    with pytest.raises(DeviceRefused, match="reads 20 V after"):
        driver.set_amplitude(2000.0)
    assert not supply.on


def test_an_output_that_does_not_come_on_is_a_refusal(make, supply):
    driver = make()
    supply.peer.faults[b"OUTP ON"] = b""
    with pytest.raises(DeviceRefused, match="does not come on"):
        driver.set_amplitude(2000.0)


def test_making_safe_is_set_point_zero_then_output_off(make, supply):
    driver = make()
    driver.set_amplitude(2000.0)
    supply.peer.heard.clear()
    driver.make_safe()
    assert supply.peer.heard[:3] == [b"SYST:LOCK ON", b"VOLT 0.000", b"OUTP OFF"]
    assert (supply.volts, supply.on) == (0.0, False)


def test_making_safe_in_local_mode_says_that_it_failed(make, supply):
    driver = make()
    supply.owner = "LOCAL"
    with pytest.raises(DeviceRefused, match="LOCAL"):
        driver.make_safe()


def test_a_pause_follows_every_message_where_configured(make, supply):
    pauses = []
    driver = make(opened=False, keywords={"sleep": pauses.append}, pause_s=0.05)
    driver.open()
    driver.make_safe()
    assert pauses == [0.05] * len(supply.peer.heard)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"OFF\n", DeviceProtocolError),
        (b"20.00 V\n20.00 V\n", DeviceProtocolError),
    ],
)
def test_a_bad_reply_is_never_a_reading(make, supply, reply, error):
    driver = make()
    supply.peer.faults[b"MEAS:VOLT?"] = reply
    with pytest.raises(error):
        driver.read()
