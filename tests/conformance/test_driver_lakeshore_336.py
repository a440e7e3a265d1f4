"""Lake Shore 336: codec against literal bytes, behaviour against a scripted controller."""

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
)
from evapd_drivers.temperature import lakeshore_336 as codec
from evapd_drivers.temperature.lakeshore_336 import LakeShore336
from support.scripted_drivers import drivers_at
from support.scripted_peer import SILENCE_S, Peer, SocketPeer


class Controller:
    """Two sensors and a set point; says nothing to what it does not know."""

    def __init__(self):
        self.answers = {
            b"*IDN?": b"LSCI,MODEL336,LSA12AB/#######,2.9",
            b"KRDG? A": b"+48.0000", b"RDGST? A": b"000", b"KRDG? B": b"+50.2500", b"RDGST? B": b"000",
            b"SETP? 1": b"+48.0000", b"HTR? 1": b"+12.5000",
        }  # fmt: skip
        self.locked = False
        self.peer = Peer(self.answer)

    def answer(self, command):
        if command.startswith(b"SETP 1,") and not self.locked:
            self.answers[b"SETP? 1"] = b"+%07.4f" % float(command[7:])
        return self.answers[command] + b"\n" if command in self.answers else b""


class Clock:
    """Virtual seconds; sleeping is what passes time."""

    def __init__(self):
        self.now_s = 0.0
        self.slept_s = []

    def __call__(self):
        return self.now_s

    def sleep(self, s):
        self.now_s += s
        self.slept_s.append(s)


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def make(controller, tmp_path):
    with drivers_at(
        controller.peer, tmp_path, LakeShore336, sensors={"stage": "A", "tip": "B"}, interval_s=0
    ) as make_:
        yield make_


def test_commands_are_word_space_arguments():
    assert codec.encode("*IDN?") == b"*IDN?\n"
    assert codec.encode("KRDG?", "A") == b"KRDG? A\n"
    assert codec.encode("SETP", "1", "50.000") == b"SETP 1,50.000\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"000", "ok"),
        (b"128", "sensor over range"),
        (b"017", "invalid reading, temperature under range"),
        (b"2", "status 2"),
    ],
)
def test_every_bit_of_the_status_has_its_words(line, words):
    assert codec.decode_status(line) == words


@pytest.mark.parametrize("line", [b"", b"256", b"-1", b"+0.0", b"ok"])
def test_anything_else_is_no_status(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_status(line)


def test_identity_is_split_and_other_models_are_refused():
    identity = codec.decode_identity(b"LSCI,MODEL336,LSA12AB/#######,2.9")
    assert (identity.model, identity.serial, identity.firmware) == ("MODEL336", "LSA12AB", "2.9")
    with pytest.raises(DeviceIdentityError):
        codec.decode_identity(b"LSCI,MODEL218S,217xxx,050802")


@given(st.binary(max_size=40))
def test_random_replies_are_values_in_range_or_device_errors(line):
    for decode in (lambda text: 0 <= codec.decode_kelvin(text) <= codec.MAX_K,
                   lambda text: 0 <= codec.decode_percent(text) <= 100, codec.decode_status, codec.decode_identity):  # fmt: skip
        with contextlib.suppress(DeviceError):
            assert decode(line)


def test_opening_changes_nothing(make, controller):
    make(opened=False).open()
    assert all(b"?" in command for command in controller.peer.heard)


def test_a_reading_has_temperatures_set_point_and_heater(make):
    reading = make().read()
    assert reading.temperature_k == {"stage": 48.0, "tip": 50.25}
    assert (reading.setpoint_k, reading.heater_percent) == (48.0, 12.5)
    assert set(reading.status.values()) == {"ok"}


@pytest.mark.parametrize(("status", "words"), [(b"128", "sensor over range"), (b"001", "invalid reading")])
def test_a_sensor_with_a_status_gives_no_temperature(make, controller, status, words):
    driver = make()
    controller.answers[b"RDGST? B"] = status
    reading = driver.read()
    assert reading.temperature_k == {"stage": 48.0, "tip": None}
    assert reading.status["tip"] == words


def test_zero_kelvin_is_no_temperature_though_the_status_is_good(make, controller):
    driver = make()
    controller.answers[b"KRDG? B"] = b"+0.00000"
    assert driver.read().temperature_k["tip"] is None


def test_a_set_point_is_read_back(make, controller):
    driver = make()
    driver.set_setpoint(52.5)
    assert controller.peer.heard == [b"SETP 1,52.500", b"SETP? 1"]
    assert driver.read().setpoint_k == 52.5


def test_a_set_point_that_is_silently_ignored_is_a_refusal(make, controller):
    driver = make()
    controller.locked = True
    with pytest.raises(DeviceRefused, match=r"reads 48 K after 52\.500"):
        driver.set_setpoint(52.5)


def test_commands_keep_their_distance(make):
    clock = Clock()
    driver = make(keywords={"clock": clock, "sleep": clock.sleep}, interval_s=0.05)
    before_s = clock()
    driver.read()
    assert clock() - before_s == pytest.approx(6 * 0.05)
    assert max(clock.slept_s) <= 0.05 + 1e-9


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"-1.0000\n", DeviceProtocolError),
        (b"+9999.0\n", DeviceProtocolError),
        (b"+48.0000;+50.2500\n", DeviceProtocolError),
    ],
)
def test_a_bad_reply_is_never_a_reading(make, controller, reply, error):
    driver = make()
    controller.peer.faults[b"KRDG? A"] = reply
    with pytest.raises(error):
        driver.read()


def test_making_safe_keeps_the_temperature(make, controller):
    driver = make()
    driver.make_safe()
    assert controller.peer.heard == []


def test_the_driver_works_through_pyvisa(controller):
    wire = SocketPeer(None, controller.peer.feed)
    driver = LakeShore336(
        LakeShore336.Config(connect=wire.connect, sensors={"stage": "A"}, interval_s=0, timeout_s=SILENCE_S)
    )
    assert driver.open().model == "MODEL336"
    driver.set_setpoint(52.5)
    assert driver.read().setpoint_k == 52.5
    controller.peer.faults[b"KRDG? A"] = b""
    with pytest.raises(DeviceTimeout):
        driver.read()
    driver.close()
    wire.close()
