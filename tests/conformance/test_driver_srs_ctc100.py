"""CTC100 and TIC 500: codec against literal bytes, behaviour against a scripted controller."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused
from evapd_drivers.temperature import srs_ctc100 as codec
from evapd_drivers.temperature.srs_ctc100 import SrsCtc100
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer


class Controller:
    """Four channels and a set point; says nothing to what it does not know."""

    def __init__(self):
        self.answers = {
            b"*IDN?": b"Stanford Research Systems, CTC100 Cryogenic Temperature Controller, version 4.40, S/N 153476",
            b"getOutput": b"48.000, 50.250, NaN, 2.800",
            b"getOutput.names?": b"Stage, In 2, In 3, Out 1",
            b"getOutput.units?": b"K, K, K, W",
            b"Out1.PID.Setpoint?": b"48.000",
            b"geterror?": b"0,NO ERROR",
        }
        self.locked = False
        self.peer = Peer(self.answer, re.compile(rb"[^\r\n]*[\r\n]+"))  # empty lines, too

    def answer(self, command):
        if command.startswith(b"Out1.PID.Setpoint "):
            if not self.locked:
                self.answers[b"Out1.PID.Setpoint?"] = command[18:]
            return b""
        return self.answers[command] + b"\r\n" if command in self.answers else b""


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def make(controller, tmp_path):
    with drivers_at(
        controller.peer, tmp_path, SrsCtc100, sensors={"stage": "Stage", "tip": "In2"}, interval_s=0
    ) as make_:
        yield make_


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"48.000", (48.0, "ok")), (b"NaN", (None, "no reading")), (b"0.000", (None, "no reading"))],
)
def test_a_value_is_a_temperature_or_none(text, value):
    assert codec.decode_value(text) == value


@pytest.mark.parametrize("line", [b"52.5", b"Out1.PID.Setpoint = 52.5", b"52.5 K"])
def test_a_set_point_may_carry_its_name(line):
    assert codec.decode_setpoint(line) == 52.5


@pytest.mark.parametrize("line", [b"", b"52.5, 53", b"On", b"-1", b"nan"])
def test_anything_else_is_no_set_point(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_setpoint(line)


@pytest.mark.parametrize(
    ("line", "vendor", "model", "serial"),
    [
        (b"CTC100 Cryogenic Temperature Controller, version 3.304, S/N 92980", "Stanford Research Systems", "CTC100", "92980"),
        (b"CryoVac TIC 500, version 4.78, S/N 12-34", "CryoVac", "TIC 500", "12-34"),
        (b"TIC500", "CryoVac", "TIC500", ""),
    ],
)  # fmt: skip
def test_identities_of_the_family_are_understood(line, vendor, model, serial):
    identity = codec.decode_identity(line)
    assert (identity.vendor, identity.model, identity.serial) == (vendor, model, serial)


def test_other_instruments_are_refused():
    with pytest.raises(DeviceIdentityError):
        codec.decode_identity(b"LSCI,MODEL336,LSA12AB/#######,2.9")


@given(st.binary(max_size=40))
def test_random_replies_are_values_in_range_or_device_errors(line):
    for decode in (
        lambda text: 0 <= codec.decode_setpoint(text) <= codec.MAX_K,
        codec.decode_value,
        codec.decode_error,
        codec.decode_identity,
    ):
        with contextlib.suppress(DeviceError):
            assert decode(line)


def test_opening_ends_what_was_half_said_and_changes_nothing(make, controller):
    controller.peer.feed(b"Out1.PID.Set")  # by a client before us
    driver = make(opened=False)
    driver.open()
    assert controller.peer.heard[0] == b"Out1.PID.Set"
    assert all(command.endswith(b"?") or command == b"getOutput" for command in controller.peer.heard[1:])


def test_a_reading_has_temperatures_by_name_whatever_their_order(make, controller):
    driver = make()
    assert driver.read().temperature_k == {"stage": 48.0, "tip": 50.25}
    controller.answers[b"getOutput.names?"] = b"In 2, Stage, In 3, Out 1"
    assert driver.read().temperature_k == {"stage": 50.25, "tip": 48.0}


def test_a_talkative_unit_is_understood(make, controller):
    driver = make()
    for command, answer in list(controller.answers.items()):
        controller.answers[command] = command.rstrip(b"?") + b" = " + answer
    assert driver.read().temperature_k == {"stage": 48.0, "tip": 50.25}


@pytest.mark.parametrize("unit", [b"\xf8C", b"C", b"V", b""])
def test_a_channel_that_is_not_in_kelvin_gives_no_temperature(make, controller, unit):
    driver = make()
    controller.answers[b"getOutput.units?"] = b"K, " + unit + b", K, W"
    reading = driver.read()
    assert reading.temperature_k == {"stage": 48.0, "tip": None}
    assert "set the channel to K" in reading.status["tip"]


def test_lists_of_different_lengths_are_no_reading(make, controller):
    driver = make()
    controller.answers[b"getOutput"] = b"48.000, 50.250"
    with pytest.raises(DeviceProtocolError, match="do not belong together"):
        driver.read()


def test_a_channel_that_is_not_there_is_named(make):
    driver = make(opened=False, sensors={"stage": "In 9"})
    with pytest.raises(DeviceRefused, match="no channel 'In 9', only stage, in2"):
        driver.open()


def test_a_unit_that_knows_values_only_can_be_read_by_place(make, controller):
    for command in (b"*IDN?", b"getOutput.names?", b"getOutput.units?", b"geterror?"):
        del controller.answers[command]
    driver = make(opened=False, sensors={"stage": 1, "tip": 2})
    driver.open()
    driver.set_setpoint(52.5)
    reading = driver.read()
    assert (reading.temperature_k, reading.setpoint_k) == ({"stage": 48.0, "tip": 50.25}, 52.5)


def test_a_set_point_is_checked_for_errors_and_read_back(make, controller):
    driver = make()
    driver.set_setpoint(52.5)
    assert controller.peer.heard == [b"Out1.PID.Setpoint 52.500", b"geterror?", b"Out1.PID.Setpoint?"]


def test_an_error_refuses_the_set_in_words(make, controller):
    driver = make()
    controller.answers[b"geterror?"] = b"42,THE ANSWER"
    with pytest.raises(DeviceRefused, match=r"error 42 \(THE ANSWER\)"):
        driver.set_setpoint(52.5)


def test_a_set_point_that_is_silently_ignored_is_a_refusal(make, controller):
    driver = make()
    controller.locked = True
    with pytest.raises(DeviceRefused, match=r"reads 48 K after 52\.500"):
        driver.set_setpoint(52.5)


def test_making_safe_keeps_the_temperature(make, controller):
    make().make_safe()
    assert controller.peer.heard == []
