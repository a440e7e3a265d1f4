"""SRS PS300: codec against literal bytes, behaviour against a scripted unit. What every driver keeps is in the kit."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import (
    DeviceError,
    DeviceIdentityError,
    DeviceProtocolError,
    DeviceRefused,
    DeviceTimeout,
    LimitError,
)
from evapd_drivers.hv import srs_ps300 as codec
from evapd_drivers.hv.srs_ps300 import SrsPs300
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer, SocketPeer


class Unit:
    """A unit as one facility emulates it: a stray `d` behind every reply, no status before it is asked, HV off, 1200 V still set."""

    def __init__(self):
        self.values = {
            "*IDN": "StanfordResearchSystems,PS3XX,000,001",
            "*STB": 0,
            "VSET": 1200.0,
            "ILIM": 0.001,
            "VOUT": 1.5,
            "IOUT": 0.0,
        }
        self.peer = Peer(self.answer)

    def answer(self, command):
        name, _, value = command.decode().partition(" ")
        if name.endswith("?"):
            return f"{self.values[name[:-1]]}d\n".encode()
        if name in {"HVON", "HVOF"}:
            self.values["*STB"] = self.values["*STB"] & ~128 | 128 * (name == "HVON")
        elif name == "TCLR":
            self.values["*STB"] &= ~6
        else:
            self.values[name] = float(value)
        return b""


@pytest.fixture
def unit():
    return Unit()


@pytest.fixture
def make(unit, tmp_path):
    with drivers_at(unit.peer, tmp_path, SrsPs300, v_max_v="15 kV", i_max_a="1 mA") as make_:
        yield make_


@pytest.mark.parametrize("line", [b"1234.5", b"+1.2345E+03", b" 1234.5d", b"1234.5V", b"1234.5\x20"])
def test_numbers_are_read_with_one_stray_letter(line):
    assert codec.decode_number(line, codec.MAX_V) == 1234.5


@pytest.mark.parametrize(
    "line",
    [b"", b"d", b"12dd", b"1.2E", b"1e", b"nan", b"1E9", b"1234,5", b"StanfordResearchSystems", b"VSET 5"],
)
def test_anything_else_is_no_number(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_number(line, codec.MAX_V)


def test_the_identity_is_a_ps300s():
    assert codec.decode_identity(b"StanfordResearchSystems,PS350,2067,1.40").serial == "2067"
    for line in (b"StanfordResearchSystems,SR830,1,1", b"FUG HCP 140-1250", b"a,b,c,d"):
        with pytest.raises(DeviceIdentityError):
            codec.decode_identity(line)


@given(st.binary(max_size=30))
def test_random_replies_are_a_value_in_physical_range_or_a_device_error(line):
    for decode in (lambda text: abs(codec.decode_number(text, codec.MAX_V)) <= codec.MAX_V,
                   lambda text: 0 <= codec.decode_status(text) <= 255):  # fmt: skip
        with contextlib.suppress(DeviceError):
            assert decode(line)


def test_opening_only_asks(make, unit):
    assert make(opened=False).open().model == "PS3XX"
    assert all(command.endswith(b"?") for command in unit.peer.heard)


@pytest.mark.parametrize(
    ("status", "told"),
    [(128, {"output_on": True, "ramping": True}), (129, {"output_on": True, "ramping": False}), (2, {"tripped": True}), (4, {"tripped": True}),
     (136, {"current_limited": True}), (1, {"output_on": False, "ramping": False, "tripped": False, "current_limited": False, "remote": None})],
)  # fmt: skip
def test_the_status_byte_is_told(make, unit, status, told):
    driver = make()
    unit.values["*STB"] = status
    reading = driver.read()
    assert {name: getattr(reading, name) for name in told} == told


def test_sets_are_read_back_because_they_are_not_answered(make, unit):
    driver = make()
    driver.set_voltage(5000.0)
    driver.set_current_limit(3e-4)
    assert unit.peer.heard == [b"VSET 5000.0", b"VSET?", b"ILIM 0.0003000", b"ILIM?"]


def test_a_set_that_changed_nothing_is_a_refusal(make, unit):
    driver = make()
    unit.peer.faults[b"VSET 5000.0"] = b""
    with pytest.raises(DeviceRefused, match="VSET reads 1200 after 5000"):
        driver.set_voltage(5000.0)


def test_there_is_no_ramp_to_set(make, unit):
    driver = make()
    with pytest.raises(LimitError, match="no ramp"):
        driver.set_slew(100.0)
    assert unit.peer.heard == []


def test_a_negative_unit_takes_and_gives_negative_voltages(make, unit):
    driver = make(polarity="negative")
    driver.set_voltage(-5000.0)
    assert b"VSET -5000.0" in unit.peer.heard
    assert driver.read().v_set_v == -5000.0
    with pytest.raises(LimitError):
        driver.set_voltage(5000.0)


def test_hv_that_does_not_come_on_is_a_refusal(make, unit):
    driver = make()
    unit.peer.faults[b"HVON"] = b""
    with pytest.raises(DeviceRefused, match="HV switch"):
        driver.output(True)


def test_a_trip_is_cleared_by_switching_on_and_by_nothing_else(make, unit):
    driver = make()
    unit.values["*STB"] = 4
    for call in (
        driver.read,
        lambda: driver.set_voltage(5.0),
        driver.make_safe,
        lambda: driver.output(False),
    ):
        call()
        assert unit.values["*STB"] & 4
    driver.output(True)
    assert unit.values["*STB"] == 128


def test_a_trip_that_stays_is_named(make, unit):
    driver = make()
    unit.values["*STB"] = 4
    unit.peer.faults |= {b"TCLR": b"", b"HVON": b""}
    with pytest.raises(DeviceRefused, match="CURRENT_TRIP"):
        driver.output(True)


def test_making_safe_is_hv_off_then_zero_then_a_look(make, unit):
    driver = make()
    unit.values["*STB"] = 129
    driver.make_safe()
    assert unit.peer.heard == [b"HVOF", b"VSET 0.0", b"*STB?"]


def test_making_safe_that_cannot_be_checked_is_a_timeout_but_was_sent(make, unit):
    driver = make()
    unit.values["*STB"] = 129
    unit.peer.faults[b"*STB?"] = b""
    with pytest.raises(DeviceTimeout):
        driver.make_safe()
    assert (unit.values["*STB"], unit.values["VSET"]) == (1, 0.0)


def test_making_safe_says_when_hv_stays_on(make, unit):
    driver = make()
    unit.values["*STB"] = 129
    unit.peer.faults[b"HVOF"] = b""
    with pytest.raises(DeviceRefused, match="stays on"):
        driver.make_safe()


def test_it_is_driven_through_pyvisa_as_well(unit):
    wire = SocketPeer(None, unit.peer.feed)
    driver = SrsPs300(SrsPs300.Config(connect=wire.connect, v_max_v=15e3, i_max_a=1e-3, timeout_s=5.0))
    try:
        assert driver.open().serial == "000"
        driver.set_voltage(100.0)
        assert driver.read().v_set_v == 100.0
    finally:
        driver.close()
        wire.close()
