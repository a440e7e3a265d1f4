"""Edwards TIC: codec against literal bytes, behaviour against a scripted controller."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused
from evapd_drivers.gauge import edwards_tic as codec
from evapd_drivers.gauge.edwards_tic import EdwardsTic, GaugeState
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer


class Controller:
    """Two gauges; says nothing to what it does not know."""

    def __init__(self):
        self.answers = {
            b"?S902": b"=S902 TIC200;D39700640S;150326362\0;5.0",
            b"?V913": b"=V913 3.0000e-09;59;11;0;0",
            b"?V914": b"=V914 5.0691e+01;59;11;0;0",
        }
        self.peer = Peer(lambda command: self.answers[command] + b"\r" if command in self.answers else b"")


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def make(controller, tmp_path):
    with drivers_at(controller.peer, tmp_path, EdwardsTic, gauges={"analysis": 1, "buffer": 2}) as make_:
        yield make_


@pytest.mark.parametrize(
    ("line", "gauge"),
    [
        (b"=V913 2.4965e-02;59;11;0;0", GaugeState(0.024965, 59, 11, 0, 0)),
        (b"#01:01=V913 5.0691e+01;59;11;0;0", GaugeState(50.691, 59, 11, 0, 0)),
        (b"=V913 4.56e+00 ;59 ;11 ", GaugeState(4.56, 59, 11, 0, 0)),
        (b"=V913 5;66;6;1;0", GaugeState(5.0, 66, 6, 1, 0)),
    ],
)
def test_a_gauge_is_value_unit_state_alert_and_priority(line, gauge):
    assert codec.decode_gauge(913, line) == gauge


@pytest.mark.parametrize(
    "line",
    [
        b"", b"=V914 1;59;11;0;0", b"=V913 1;59", b"=V913 1;59;11;0;0;0", b"=V913 1;60;11;0;0", b"=V913 1;59;13;0;0", b"=V913 1;59;11;0;4",
        b"=V913 nan;59;11;0;0", b"=V913 -1;59;11;0;0", b"=V9131;59;11;0;0", b"*V914 5",
    ],
)  # fmt: skip
def test_anything_else_is_no_gauge(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_gauge(913, line)


@pytest.mark.parametrize(
    ("gauge", "judged"),
    [
        (GaugeState(1e-3, 59, 11, 0, 0), (1e-3, "ok")),
        (GaugeState(1e-3, 59, 11, 11, 1), (1e-3, "ok, alert 11")),
        (GaugeState(1e-3, 59, 11, 15, 3), (None, "alarm, ok, alert 15")),
        (GaugeState(9.9e9, 59, 11, 10, 1), (None, "no reading, alert 10")),
        (GaugeState(1e-3, 59, 6, 0, 0), (None, "striking")),
        (GaugeState(5.0, 66, 11, 0, 0), (None, "shows V: set the gauge up for pressure")),
    ],
)
def test_only_a_gauge_that_is_on_and_without_alarm_gives_a_pressure(gauge, judged):
    assert codec.judge(gauge) == judged


def test_an_error_is_told_in_words():
    with pytest.raises(DeviceRefused, match="error 5 to V913: not in the present state"):
        codec.decode_gauge(913, b"*V913 5")


def test_no_pressure_at_all_is_no_reading():
    assert codec.judge(GaugeState(0.0, 59, 11, 0, 0)) == (None, "no reading")


@given(st.binary(max_size=40))
def test_random_replies_are_values_in_range_or_device_errors(line):
    for decode in (
        lambda text: codec.decode_gauge(913, text).value >= 0,
        lambda text: codec.decode_identity(text).model,
    ):
        with contextlib.suppress(DeviceError):
            assert decode(line)


def test_identity_may_hold_a_zero_byte(make):
    identity = make(opened=False).open()
    assert (identity.model, identity.serial, identity.firmware) == ("TIC200", "150326362", "D39700640S")
    with pytest.raises(DeviceIdentityError):
        codec.decode_identity(b"=S902 TIC200")


@pytest.mark.parametrize("answer", [None, b"*S902 1"])
def test_firmware_that_does_not_say_who_it_is_can_be_read(make, controller, answer):
    controller.answers.pop(b"?S902")
    if answer is not None:
        controller.answers[b"?S902"] = answer
    driver = make(opened=False)
    assert driver.open().model == "TIC"
    assert driver.read().pressure_pa == {"analysis": 3e-9, "buffer": 50.691}
    driver.close()
    with pytest.raises(DeviceIdentityError):
        make(opened=False, serial_number="1").open()


def test_gauges_four_to_six_are_objects_of_their_own(make, controller):
    controller.answers[b"?V935"] = b"=V935 1.0000e-06;59;11;0;0"
    assert make(gauges={"lock": 5}).read().pressure_pa == {"lock": 1e-6}


def test_the_answer_about_another_gauge_is_never_a_reading(make, controller):
    driver = make()
    controller.answers[b"?V913"] = controller.answers[b"?V914"]
    with pytest.raises(DeviceProtocolError):
        driver.read()


def test_making_safe_sends_nothing(make, controller):
    make().make_safe()
    assert controller.peer.heard == []
