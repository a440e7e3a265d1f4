"""FuG Probus V: codec against literal bytes, behaviour against a scripted supply. What every driver keeps is in the kit."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import (
    DeviceError,
    DeviceProtocolError,
    DeviceRefused,
    DeviceTimeout,
    LimitError,
)
from evapd_drivers.hv import fug_probus as codec
from evapd_drivers.hv.fug_probus import FugProbus
from support.scripted_drivers import drivers_at
from support.scripted_peer import SILENCE_S, Peer, PtyPeer


class Supply:
    """Registers of a supply in remote, output off, 1200 V still set at its front panel."""

    def __init__(self):
        self.registers = {"S0": "+1.20000E+03", "S1": "+3.00000E-04", "S0R": "0", "S0B": "1", "BON": "0", "DON": "0",
                          "DSD": "1", "DIR": "0", "M0": "+1.00000E+00", "M1": "+0.00000E+00"}  # fmt: skip
        self.peer = Peer(self.answer)

    def answer(self, command):
        if command == b"*IDN?":
            return b"FUG HCP 14 - 20 000 MOD 17022-01-01\r\n"
        if command in {b"F0", b"F1"}:
            self.registers["DON"] = command[1:].decode()
            return b"E0\r\n"
        register, value = command.decode().removeprefix(">").split()
        if value == "?":
            name = "S0" if register == "S0A" else register
            return f"{register}:{self.registers[name]}\r\n".encode()
        self.registers[register] = value
        if register == "BON":
            self.registers["DON"] = value
        return b"E0\r\n"


@pytest.fixture
def supply():
    return Supply()


@pytest.fixture
def make(supply, tmp_path):
    with drivers_at(supply.peer, tmp_path, FugProbus, v_max_v="15 kV", i_max_a="0.3 mA") as make_:
        yield make_


@pytest.mark.parametrize(
    ("register", "value", "sent"),
    [
        ("S0", 1500.0, b">S0 1500\n"),
        ("S1", 3e-4, b">S1 0.0003\n"),
        ("S0", 14999.875, b">S0 14999.875\n"),
        ("S0B", 0, b">S0B 0\n"),
    ],
)
def test_sets_are_register_and_number(register, value, sent):
    assert codec.encode_set(register, value) == sent
    assert codec.encode_query(register) == b">" + register.encode() + b" ?\n"


@pytest.mark.parametrize("line", [b"S0:+1.23456E+03", b"S0:1234.56", b"S0: 1234.56"])
def test_values_are_read_in_both_number_formats(line):
    assert codec.decode_value("S0", line, 1e6) == pytest.approx(1234.56)


@pytest.mark.parametrize(
    "line", [b"S0A:+1.0E+03", b"M0:1", b"+1.0E+03", b"E0", b"S0:", b"S0:nan", b"S0:1:2", b"S0:2E+06"]
)
def test_another_registers_answer_is_never_a_value(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_value("S0", line, 1e6)


@pytest.mark.parametrize(
    ("line", "words"), [(b"E5", "out of range"), (b"E6", "read only"), (b"E12", "unknown")]
)
def test_error_codes_are_refusals_in_words(line, words):
    for decode in (codec.decode_ack, codec.decode_identity, lambda text: codec.decode_value("S0", text, 1)):
        with pytest.raises(DeviceRefused, match=words):
            decode(line)


@pytest.mark.parametrize("line", [b"E", b"E00 ", b"OK", b"E0E0", b"", b"e0"])
def test_only_e0_is_an_acknowledgement(line):
    codec.decode_ack(b"E0")
    with pytest.raises(DeviceProtocolError):
        codec.decode_ack(line)


@pytest.mark.parametrize(
    ("line", "model", "serial"),
    [
        (b"FUG HCK 800 - 20 000 MOD 17022-01-01", "HCK 800 - 20 000", "17022-01-01"),
        (b"FUG HCP 140-1250", "HCP 140-1250", ""),
    ],
)
def test_identity_is_split_into_model_and_serial_number(line, model, serial):
    identity = codec.decode_identity(line)
    assert (identity.vendor, identity.model, identity.serial) == ("FUG", model, serial)


@given(st.binary(max_size=40))
def test_random_replies_are_a_value_in_physical_range_or_a_device_error(line):
    for decode in (lambda text: abs(codec.decode_value("M0", b"M0:" + text, codec.MAX_V)) <= codec.MAX_V,
                   lambda text: codec.decode_flag("DON", text) in {True, False},
                   lambda text: codec.decode_ack(text) is None,
                   lambda text: codec.decode_identity(text).vendor.upper() == "FUG"):  # fmt: skip
        with contextlib.suppress(DeviceError):
            assert decode(line)


def test_construction_touches_nothing_and_opening_changes_nothing(make, supply):
    driver = make(opened=False)
    assert supply.peer.heard == []
    identity = driver.open()
    assert identity.serial == "17022-01-01"
    assert all(b"?" in command for command in supply.peer.heard)


def test_a_reading_tells_set_point_measurement_and_flags(make, supply):
    driver = make()
    supply.registers |= {"BON": "1", "DON": "1", "M0": "+1.19950E+03", "M1": "+2.0E-06", "DIR": "1"}
    reading = driver.read()
    assert (reading.v_set_v, reading.v_in_force_v, reading.v_meas_v, reading.i_meas_a) == (
        1200.0,
        1200.0,
        1199.5,
        2e-6,
    )
    assert (reading.output_on, reading.remote, reading.tripped, reading.current_limited) == (
        True,
        True,
        False,
        True,
    )
    assert reading.ramping is False
    assert reading.interlock_open is None


def test_a_ramp_under_way_is_seen_in_the_value_in_force(make, supply):
    driver = make()
    supply.registers |= {"BON": "1", "DON": "1"}
    supply.peer.faults[b">S0A ?"] = b"S0A:+8.00000E+02\r\n"
    reading = driver.read()
    assert reading.ramping
    assert reading.v_in_force_v == 800.0


def test_commanded_on_but_not_on_is_a_trip(make, supply):
    driver = make()
    supply.registers |= {"BON": "1", "DON": "0"}
    assert driver.read().tripped


def test_a_set_point_is_sent_acknowledged_and_read_back(make, supply):
    driver = make()
    driver.set_voltage(5000.0)
    assert supply.peer.heard == [b">S0 5000", b">S0 ?"]
    assert driver.read().v_set_v == 5000.0


def test_the_rate_is_set_before_the_ramp_is_put_in_force(make, supply):
    make().set_slew(200.0)
    assert supply.peer.heard == [b">S0R 200", b">S0R ?", b">S0B 1", b">S0B ?"]


def test_a_refused_set_point_says_why(make, supply):
    driver = make()
    supply.peer.faults[b">S0 5000"] = b"E5\r\n"
    with pytest.raises(DeviceRefused, match="E5: out of range"):
        driver.set_voltage(5000.0)


def test_a_set_that_changes_nothing_in_local_is_a_refusal(make, supply):
    driver = make()
    supply.registers["DSD"] = "0"
    supply.peer.faults[b">S0 5000"] = b"E0\r\n"
    with pytest.raises(DeviceRefused, match="LOCAL"):
        driver.set_voltage(5000.0)


def test_a_read_back_that_differs_is_a_refusal(make, supply):
    driver = make()
    supply.peer.faults[b">S0 5000"] = b"E0\r\n"
    with pytest.raises(DeviceRefused, match="reads 1200 after 5000"):
        driver.set_voltage(5000.0)


def test_the_output_comes_on_only_in_remote(make, supply):
    driver = make()
    supply.registers["DSD"] = "0"
    with pytest.raises(DeviceRefused, match="LOCAL"):
        driver.output(True)
    assert supply.registers["BON"] == "0"
    supply.registers["DSD"] = "1"
    driver.output(True)
    assert driver.read().output_on


def test_an_output_that_stays_off_is_a_refusal(make, supply):
    driver = make()
    supply.peer.faults[b">DON ?"] = b"DON:0\r\n"
    with pytest.raises(DeviceRefused, match="interlock"):
        driver.output(True)


def test_the_older_switch_command_is_used_where_configured(make, supply):
    driver = make(output_command="F")
    driver.output(True)
    assert b"F1" in supply.peer.heard
    driver.output(False)
    assert supply.peer.heard[-1] == b"F0"
    assert driver.read().tripped is None


def test_making_safe_is_ramp_off_set_point_zero_output_off(make, supply):
    driver = make()
    supply.registers |= {"BON": "1", "DON": "1"}
    driver.make_safe()
    assert supply.peer.heard == [b">S0B 0", b">S0 0", b">BON 0", b">S0 ?"]
    assert supply.registers["DON"] == "0"


@pytest.mark.parametrize("fault", [b"E2\r\n", b"garbage\r\n", b"", b"E"])
def test_making_safe_sends_every_step_whatever_the_first_answers(make, supply, fault):
    driver = make()
    supply.registers |= {"BON": "1", "DON": "1"}
    supply.peer.faults[b">S0B 0"] = fault
    with pytest.raises(DeviceError):
        driver.make_safe()
    driver.close()
    driver.open()
    assert (supply.registers["S0"], supply.registers["DON"]) == ("0", "0")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"M0:\xff\r\n", DeviceProtocolError),
        (b"M1:+1.0E+03\r\n", DeviceProtocolError),
        (b"E2\r\n", DeviceRefused),
        (b"M0:1\r\nM0:2\r\n", DeviceProtocolError),
    ],
)
def test_a_bad_reply_is_never_a_reading(make, supply, reply, error):
    driver = make()
    supply.peer.faults[b">M0 ?"] = reply
    with pytest.raises(error):
        driver.read()


def test_a_negative_supply_takes_and_gives_negative_voltages(make, supply):
    driver = make(polarity="negative")
    driver.set_voltage(-5000.0)
    assert supply.registers["S0"] == "5000"
    assert driver.read().v_set_v == -5000.0
    with pytest.raises(LimitError):
        driver.set_voltage(5000.0)


def test_a_late_reply_on_a_serial_port_never_answers_the_next_question(supply, tmp_path):
    wire = PtyPeer(tmp_path / "fug.pty", supply.peer.feed)
    driver = FugProbus(
        FugProbus.Config(connect=wire.connect, v_max_v=15000, i_max_a=3e-4, timeout_s=SILENCE_S)
    )
    driver.open()
    supply.peer.faults[b">S0 5000"] = b""
    with pytest.raises(DeviceTimeout):
        driver.set_voltage(5000.0)
    driver.close()
    supply.peer.faults.clear()
    wire.push(b"E0\r\n")
    assert driver.open().serial == "17022-01-01"
    driver.set_voltage(4000.0)
    assert driver.read().v_set_v == 4000.0
    driver.close()
    wire.close()
