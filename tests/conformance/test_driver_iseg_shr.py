"""iseg SHR: codec against literal bytes, behaviour against a scripted unit and the simulated one. What every driver keeps is in the kit."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.instruments.iseg_shr import IsegShrNetwork
from evapd.device.conformance import conformance_tests
from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers.hv import iseg_shr as codec
from evapd_drivers.hv.iseg_shr import IsegShr
from evapd_sim.plant import Plant
from evapd_sim.wire.iseg_shr import IsegShrWire
from evapd_sim.wire.serve import serve_wire
from support.scripted_drivers import drivers_at
from support.scripted_peer import SILENCE_S, Peer

test_conformance_without_echo = conformance_tests(IsegShrNetwork)

IDENTITY = b"iseg Spezialelektronik GmbH,NR040060r4050000200,8200005,1.74"


class Unit:
    """Answers of a module on a network; a command with *OPC? behind it is answered by 1, any other not at all."""

    def __init__(self):
        self.status = 1
        self.replies = {
            b"*IDN?": IDENTITY, b":CONF:OUTP:POL? (@0)": b"p", b":READ:MOD:STAT?": b"30465", b":READ:VOLT? (@0)": b"1.20000E3V",
            b":READ:CURR? (@0)": b"1.0000E-3A", b":MEAS:VOLT? (@0)": b"0.00100E3V", b":MEAS:CURR? (@0)": b"0.0010E-6A",
        }  # fmt: skip
        self.echo = False
        self.peer = Peer(self.answer)

    def answer(self, command):
        echo = command + b"\r\n" if self.echo else b""
        if command == b":READ:CHAN:STAT? (@0)":
            return echo + b"%d\r\n" % self.status
        if command in self.replies:
            return echo + self.replies[command] + b"\r\n"
        body, joined, _ = command.partition(b";*OPC?")
        if not joined:
            return echo
        word, _, value = body.removesuffix(b",(@0)").partition(b" ")
        switches = {
            b"ON": (8, 0),
            b"OFF": (0, 8),
            b"EMCY OFF": (32, 8),
            b"EMCY CLR": (0, 32),
            b"CLEAR": (0, 8192),
        }
        if value in switches:
            on, off = switches[value]
            self.status = (self.status | on) & ~off
        else:
            unit = {b":VOLT": b"V", b":CURR": b"A", b":CONF:RAMP:VOLT": b"V/s"}[word]
            self.replies[word.replace(b":CONF", b"").join([b":READ", b"? (@0)"])] = value + unit
        return echo + b"1\r\n"


@pytest.fixture
def unit():
    return Unit()


@pytest.fixture
def make(unit, tmp_path):
    with drivers_at(unit.peer, tmp_path, IsegShr, v_max_v="6 kV", i_max_a="1 mA") as make_:
        yield make_


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"1.23456E3V", 1234.56),
        (b"-4.0E3V", -4000.0),
        (b"1.23456EV", 1.23456),
        (b"2.00002V", 2.00002),
        (b" 1500 V", 1500.0),
    ],
)
def test_values_are_read_in_the_forms_that_clients_met(line, value):
    assert codec.decode_value(line, b"V", codec.MAX_V) == pytest.approx(value)


@pytest.mark.parametrize(
    "line",
    [b"1.0E-6A", b"0.25E3V/s", b"1500", b"V", b"nanV", b"1E9V", b"1.5E3V,0V", b":READ:VOLT? (@0)", b""],
)
def test_a_value_in_another_unit_is_another_answer(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_value(line, b"V", codec.MAX_V)


def test_the_identity_is_an_isegs():
    identity = codec.decode_identity(IDENTITY)
    assert (identity.model, identity.serial, identity.firmware) == ("NR040060r4050000200", "8200005", "1.74")
    with pytest.raises(DeviceIdentityError):
        codec.decode_identity(b"FUG HCP 140-1250,x,y,z")


@given(st.binary(max_size=40))
def test_random_replies_are_a_value_in_physical_range_or_a_device_error(line):
    for decode in (lambda text: abs(codec.decode_value(text, b"V", codec.MAX_V)) <= codec.MAX_V,
                   lambda text: 0 <= codec.decode_word(text) < 10**10,
                   lambda text: codec.decode_polarity(text) in {"positive", "negative"},
                   lambda text: codec.decode_done(text) is None):  # fmt: skip
        with contextlib.suppress(DeviceError):
            assert decode(line)


def test_opening_only_asks(make, unit):
    make(opened=False).open()
    assert all(b"?" in command and b";" not in command for command in unit.peer.heard)


def test_a_reading_tells_values_and_flags(make, unit):
    driver = make()
    unit.status = 1 | 8 | 16 | 64
    unit.replies[b":MEAS:VOLT? (@0)"] = b"1.19950E3V"
    reading = driver.read()
    assert (reading.v_set_v, reading.v_meas_v, reading.i_meas_a) == (1200.0, 1199.5, pytest.approx(1e-9))
    assert (reading.output_on, reading.ramping, reading.current_limited) == (True, True, True)
    assert (reading.tripped, reading.inhibited, reading.interlock_open, reading.emergency_off) == (
        False,
        False,
        False,
        False,
    )


@pytest.mark.parametrize(("bit", "name"), [(32, "emergency_off"), (4096, "inhibited"), (8192, "tripped")])
def test_what_keeps_the_channel_off_is_told(make, unit, bit, name):
    driver = make()
    unit.status |= bit
    assert getattr(driver.read(), name) is True


def test_an_open_safety_loop_is_an_open_interlock(make, unit):
    driver = make()
    unit.replies[b":READ:MOD:STAT?"] = b"%d" % (30465 & ~1024)
    assert driver.read().interlock_open is True


def test_sets_are_acknowledged_and_read_back(make, unit):
    driver = make()
    driver.set_voltage(1500.0)
    assert unit.peer.heard == [b":CONF:OUTP:POL? (@0)", b":VOLT 1.500000E+03,(@0);*OPC?", b":READ:VOLT? (@0)"]
    assert driver.read().v_set_v == 1500.0


def test_a_set_without_effect_is_a_refusal(make, unit):
    driver = make()
    unit.peer.faults[b":VOLT 1.500000E+03,(@0);*OPC?"] = b"1\r\n"
    with pytest.raises(DeviceRefused, match="reads 1200 V after 1500"):
        driver.set_voltage(1500.0)


def test_sets_can_go_without_acknowledgement(make, unit):
    driver = make(acknowledge=False)
    unit.replies[b":READ:VOLT? (@0)"] = b"1.50000E3V"
    driver.set_voltage(1500.0)
    assert b":VOLT 1.500000E+03,(@0)" in unit.peer.heard
    unit.status |= 8
    with pytest.raises(DeviceRefused, match="stays on"):
        driver.make_safe()
    assert unit.peer.heard[-3:-1] == [b":VOLT EMCY OFF,(@0)", b":VOLT 0.000000E+00,(@0)"]


def test_making_safe_is_emergency_off_then_set_point_zero_then_a_look(make, unit):
    driver = make()
    unit.status |= 8
    driver.make_safe()
    assert unit.peer.heard == [
        b":VOLT EMCY OFF,(@0);*OPC?",
        b":VOLT 0.000000E+00,(@0);*OPC?",
        b":READ:CHAN:STAT? (@0)",
    ]
    assert driver.read().emergency_off


@pytest.mark.parametrize("fault", [b"garbage\r\n", b"", b"1", b"?\r\n"])
def test_making_safe_sends_set_point_zero_whatever_the_emergency_off_answers(make, unit, fault):
    driver = make()
    unit.status |= 8
    unit.peer.faults[b":VOLT EMCY OFF,(@0);*OPC?"] = fault
    with pytest.raises(DeviceError):
        driver.make_safe()
    driver.close()
    driver.open()
    assert unit.replies[b":READ:VOLT? (@0)"] == b"0.000000E+00V"


def test_only_switching_on_clears_the_latch(make, unit):
    driver = make()
    driver.make_safe()
    for call in (
        driver.read,
        lambda: driver.set_voltage(100.0),
        lambda: driver.output(False),
        driver.close,
        driver.open,
    ):
        call()
        assert unit.status & 32
    driver.output(True)
    assert unit.status & (8 | 32) == 8


@pytest.mark.parametrize(("status", "module"), [(32 | 4096, 30465), (32 | 8192, 30465 & ~1024)])
def test_a_latch_is_not_cleared_while_its_cause_stands(make, unit, status, module):
    driver = make()
    unit.status, unit.replies[b":READ:MOD:STAT?"] = status, b"%d" % module
    with pytest.raises(DeviceRefused, match="stands"):
        driver.output(True)
    assert unit.status == status


def test_a_trip_is_cleared_from_the_events_by_switching_on(make, unit):
    driver = make()
    unit.status |= 8192
    driver.output(True)
    assert b":EVENT CLEAR,(@0);*OPC?" in unit.peer.heard
    assert unit.status & (8 | 8192) == 8


def test_a_latch_that_does_not_clear_is_a_refusal(make, unit):
    driver = make()
    driver.make_safe()
    unit.peer.faults[b":VOLT EMCY CLR,(@0);*OPC?"] = b"1\r\n"
    with pytest.raises(DeviceRefused, match="EMERGENCY_OFF"):
        driver.output(True)
    assert not unit.status & 8


def test_the_wrong_polarity_is_told_and_nothing_is_set(make, unit):
    driver = make()
    unit.replies[b":CONF:OUTP:POL? (@0)"] = b"n"
    assert driver.read().v_meas_v == -1.0
    for call in (lambda: driver.set_voltage(100.0), lambda: driver.output(True)):
        with pytest.raises(DeviceRefused, match="negative"):
            call()
    assert not any(b"*OPC?" in command for command in unit.peer.heard)


@pytest.mark.parametrize(
    ("signed", "sent"), [(True, b":VOLT -1.550000E+03,(@0);*OPC?"), (False, b":VOLT 1.550000E+03,(@0);*OPC?")]
)
def test_a_negative_unit_takes_voltages_as_configured(make, unit, signed, sent):
    unit.replies[b":CONF:OUTP:POL? (@0)"] = b"n"
    driver = make(polarity="negative", signed=signed)
    driver.set_voltage(-1550.0)
    assert sent in unit.peer.heard
    assert driver.read().v_set_v == -1550.0


def test_what_a_unit_cannot_tell_is_none_and_not_asked_again(make, unit):
    unit.peer.faults |= {b":CONF:OUTP:POL? (@0)": b"", b":READ:MOD:STAT?": b""}
    driver = make()
    assert driver.read().interlock_open is None
    driver.set_voltage(1500.0)
    assert not any(b"POL" in command or b"MOD" in command for command in unit.peer.heard)


def test_an_echo_is_seen_at_open_and_compared_from_then_on(make, unit):
    unit.echo = True
    driver = make()
    assert driver.read().v_set_v == 1200.0
    unit.peer.faults[b":MEAS:VOLT? (@0)"] = b":MEAS:CURR? (@0)\r\n0.00100E3V\r\n"
    with pytest.raises(DeviceProtocolError, match="came back"):
        driver.read()


def test_an_echo_that_comes_late_is_a_timeout(make, unit):
    unit.echo = True
    driver = make()
    unit.peer.faults[b":READ:CHAN:STAT? (@0)"] = b""
    with pytest.raises(DeviceTimeout):
        driver.read()


@pytest.mark.parametrize(
    ("told", "echo", "words"), [(True, False, "without the echo"), (False, True, "with an echo")]
)
def test_an_echo_other_than_configured_is_refused(make, unit, told, echo, words):
    unit.echo = echo
    with pytest.raises(DeviceProtocolError, match=words):
        make(echo=told)


def test_a_unit_that_fell_back_to_9600_is_brought_to_the_configured_speed(tmp_path):
    wire = IsegShrWire(Plant(), adc_ideal=True)
    with serve_wire(wire, f"pty:{tmp_path}/port") as server:
        connect = f"{server.address.rpartition(':')[0]}:115200-8N1"
        driver = IsegShr(IsegShr.Config(connect=connect, v_max_v=6000, i_max_a=1e-3, timeout_s=SILENCE_S))
        try:
            assert driver.open().serial == "8200123"
            driver.set_voltage(500.0)
            assert driver.read().v_set_v == 500.0
        finally:
            driver.close()
        assert wire.baud == 115_200
