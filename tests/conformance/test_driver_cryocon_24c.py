"""Cryo-con 24C: codec against literal bytes, behaviour against a scripted controller."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused
from evapd_drivers.temperature import cryocon_24c as codec
from evapd_drivers.temperature.cryocon_24c import Cryocon24c
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer


class Controller:
    """Two sensors and a set point; `told` is what a set is answered with."""

    def __init__(self):
        self.answers = {
            b"*IDN?": b"Cryo-con,24C,204683,1.01A",
            b"INPUT? A": b"48.000000", b"INPUT A:UNITS?": b"K", b"INPUT? B": b"50.250000", b"INPUT B:UNITS?": b"K",
            b"LOOP 1:SETPT?": b"48.000000K", b"LOOP 1:OUTPWR?": b" 12.5",
        }  # fmt: skip
        self.locked = False
        self.told = b""
        self.peer = Peer(self.answer)

    def answer(self, command):
        if command.startswith(b"LOOP 1:SETPT "):
            if not self.locked:
                self.answers[b"LOOP 1:SETPT?"] = command[13:] + b"000K"
            return self.told
        return self.answers[command] + b"\n" if command in self.answers else b"NACK\n"


class Clock:
    """Virtual seconds; sleeping is what passes time."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s

    def sleep(self, s):
        self.now_s += s


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def make(controller, tmp_path):
    with drivers_at(
        controller.peer, tmp_path, Cryocon24c, sensors={"stage": "A", "tip": "B"}, interval_s=0
    ) as make_:
        yield make_


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"312.953064", (312.953064, "ok")), (b"11.456K", (11.456, "ok")), (b".......", (None, "out of limits")), (b"-------", (None, "no sensor")),
        (b"_______", (None, "sensor voltage out of range")), (b"0.000000", (None, "no reading")),
    ],
)  # fmt: skip
def test_an_input_is_a_temperature_or_says_why_not(line, value):
    assert codec.decode_input(line) == value


@pytest.mark.parametrize("line", [b"", b"..", b"-48.0", b"9999.0", b"48.0;50.0", b"K", b"nan"])
def test_anything_else_is_no_temperature(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_input(line)


@pytest.mark.parametrize("line", [b"20.5C", b"68.9F", b"NACK"])
def test_another_unit_is_a_refusal(line):
    with pytest.raises(DeviceRefused):
        codec.decode_input(line)


@pytest.mark.parametrize(
    ("line", "model", "serial", "firmware"),
    [
        (b"Cryo-con,24C,305682,1.05A", "24C", "305682", "1.05A"),
        (b"Cryocon Model 32, Rev 6.20H", "32", "", "6.20H"),
        (b"Cryocon Model 32 Rev 3.18D", "32", "", "3.18D"),
    ],
)
def test_old_and_new_identities_are_understood(line, model, serial, firmware):
    identity = codec.decode_identity(line)
    assert (identity.model, identity.serial, identity.firmware) == (model, serial, firmware)


def test_other_makers_are_refused():
    with pytest.raises(DeviceIdentityError):
        codec.decode_identity(b"LSCI,MODEL336,LSA12AB/#######,2.9")


@given(st.binary(max_size=40))
def test_random_replies_are_values_in_range_or_device_errors(line):
    for decode in (lambda text: 0 <= codec.decode_kelvin(text) <= codec.MAX_K, lambda text: 0 <= codec.decode_percent(text) <= 100,
                   codec.decode_input, codec.decode_identity):  # fmt: skip
        with contextlib.suppress(DeviceError):
            assert decode(line)


def test_opening_changes_nothing(make, controller):
    make(opened=False).open()
    assert all(b"?" in command for command in controller.peer.heard)


def test_a_reading_has_temperatures_set_point_and_heater(make):
    reading = make().read()
    assert reading.temperature_k == {"stage": 48.0, "tip": 50.25}
    assert (reading.setpoint_k, reading.heater_percent) == (48.0, 12.5)


def test_an_input_in_celsius_is_never_a_temperature(make, controller):
    driver = make()
    controller.answers[b"INPUT B:UNITS?"] = b"C"
    with pytest.raises(DeviceRefused, match="set it to K"):
        driver.read()


def test_a_sensor_without_a_value_gives_no_temperature(make, controller):
    driver = make()
    controller.answers[b"INPUT? B"] = b"-------"
    reading = driver.read()
    assert reading.temperature_k == {"stage": 48.0, "tip": None}
    assert reading.status == {"stage": "ok", "tip": "no sensor"}


@pytest.mark.parametrize("told", [b"", b"ACK\n"])
def test_a_set_point_is_read_back_whatever_the_set_is_answered_with(make, controller, told):
    driver = make()
    controller.told = told
    driver.set_setpoint(52.5)
    assert controller.peer.heard == [b"LOOP 1:SETPT 52.500", b"LOOP 1:SETPT?"]
    assert driver.read().setpoint_k == 52.5


@pytest.mark.parametrize("told", [b"", b"NACK\n"])
def test_a_set_point_that_is_not_taken_is_a_refusal(make, controller, told):
    driver = make()
    controller.locked, controller.told = True, told
    with pytest.raises(DeviceRefused, match=r"reads 48 K after 52\.500"):
        driver.set_setpoint(52.5)
    assert driver.read().setpoint_k == 48.0


def test_requests_keep_their_distance(make):
    clock = Clock()
    driver = make(keywords={"clock": clock, "sleep": clock.sleep}, interval_s=0.1)
    before_s = clock()
    driver.read()
    assert clock() - before_s == pytest.approx(6 * 0.1)


def test_making_safe_keeps_the_temperature(make, controller):
    make().make_safe()
    assert controller.peer.heard == []
