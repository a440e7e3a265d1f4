"""Newport ESP301: codec against literal bytes, behaviour against a scripted controller."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers.stage import newport_esp301 as codec
from evapd_drivers.stage.newport_esp301 import NewportEsp301
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer

X = {"channel": 1, "min_mm": -5, "max_mm": 5}


class Controller:
    """One axis with its motor on; moves and searches are done at once."""

    def __init__(self):
        self.values = {
            b"VE?": b"ESP301 Version 3.0.1 6/1/99", b"1ID?": b"TS50DC.5, SN1263", b"1SN?": b"2", b"1TP?": b"1.25000", b"1DP?": b"1.25000",
            b"1MD?": b"1", b"1MO?": b"1",
        }  # fmt: skip
        self.errors = [b"7, 4513, PARAMETER OUT OF RANGE"]
        self.peer = Peer(self.answer)

    def answer(self, command):
        if command == b"TB?":
            return (self.errors.pop(0) if self.errors else b"0, 0, NO ERROR DETECTED") + b"\r\n"
        if command == b"1OR":
            self.values[b"1TP?"] = self.values[b"1DP?"] = b"0.00012"
        return self.values[command] + b"\r\n" if command in self.values else b""


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def make(controller, tmp_path):
    with drivers_at(controller.peer, tmp_path, NewportEsp301, axes={"x": X}) as make_:
        yield make_


@pytest.mark.parametrize("line", [b"", b"0", b"0,0", b"-1, 0, X", b"0 0 NO ERROR", b"x, 0, NO ERROR"])
def test_an_error_is_code_time_and_words(line):
    assert codec.decode_error(b"0,0,0") == (0, "0")
    assert codec.decode_error(b"113, 451322, MOTOR NOT ENABLED") == (113, "MOTOR NOT ENABLED")
    with pytest.raises(DeviceProtocolError):
        codec.decode_error(line)


@pytest.mark.parametrize(
    ("line", "model"),
    [(b"ESP301 Version 3.0.1 6/1/99", "ESP301"), (b"ESP300 Version 3.08 09/09/02", "ESP300")],
)
def test_the_version_tells_the_model(line, model):
    assert codec.decode_version(line).model == model
    with pytest.raises(DeviceIdentityError):
        codec.decode_version(b"SMC_CC_1.0.0.2")


@given(st.binary(max_size=40))
def test_random_replies_are_values_or_device_errors(line):
    for decode in (codec.decode_error, codec.decode_mm, codec.decode_flag, codec.decode_version):
        with contextlib.suppress(DeviceError):
            assert decode(line) is not None


def test_opening_empties_the_errors_and_moves_nothing(make, controller):
    driver = make(opened=False)
    driver.open()
    assert controller.errors == []
    assert all(command.endswith(b"?") for command in controller.peer.heard)


def test_other_units_than_millimetres_are_refused_at_open(make, controller):
    controller.values[b"1SN?"] = b"3"
    with pytest.raises(DeviceRefused, match="set it to millimetres"):
        make()


def test_another_stage_than_the_settings_name_is_refused_at_open(make, controller):
    with pytest.raises(DeviceIdentityError, match=r"axis x is 'TS50DC\.5, SN1263'"):
        make(axes={"x": X | {"stage": "UTS100CC, SN4711"}})


def test_an_axis_that_was_not_homed_in_this_session_is_not_moved(make, controller):
    with pytest.raises(DeviceRefused, match="not referenced"):
        make().move("x", 1.0)
    assert not any(b"PA" in command for command in controller.peer.heard)


def test_a_search_that_ends_at_home_references_the_axis_until_the_link_is_closed(make, controller):
    driver = make()
    driver.reference("x")
    assert driver.read().axes["x"].referenced
    driver.move("x", 1.0)
    assert controller.peer.heard[-2:] == [b"1PA1.000000", b"TB?"]
    driver.open()
    assert not driver.read().axes["x"].referenced


def test_a_search_under_way_references_nothing_yet(make, controller):
    driver = make()
    driver.reference("x")
    controller.values[b"1MD?"] = b"0"
    axis = driver.read().axes["x"]
    assert (axis.moving, axis.referenced) == (True, False)


@pytest.mark.parametrize("how", ["error", "elsewhere", "stopped"])
def test_a_search_that_fails_references_nothing(make, controller, how):
    driver = make()
    driver.reference("x")
    if how == "error":
        controller.errors = [b"120, 1, HOMING ABORTED"]
    elif how == "elsewhere":
        controller.values[b"1TP?"] = b"0.2"
    else:
        driver.stop()
    assert not driver.read().axes["x"].referenced


def test_the_motor_is_switched_on_before_a_move_only_where_it_is_off(make, controller):
    driver = make(unreferenced_moves=True)
    driver.move("x", 1.0)
    assert b"1MO" not in controller.peer.heard
    controller.values[b"1MO?"] = b"0"
    driver.move("x", 1.0)
    assert b"1MO" in controller.peer.heard


def test_an_error_after_a_move_refuses_it_in_words(make, controller):
    driver = make(unreferenced_moves=True)
    original, errors = controller.peer.answer, [b"113, 1, MOTOR NOT ENABLED"]

    def answer(command):
        if command == b"1PA1.000000":
            controller.errors = errors
        return original(command)

    controller.peer.answer = answer
    with pytest.raises(DeviceRefused, match=r"1PA1\.000000: error 113 \(MOTOR NOT ENABLED\)"):
        driver.move("x", 1.0)


def test_an_axis_far_from_its_set_point_is_not_in_position(make, controller):
    driver = make()
    assert driver.read().axes["x"].in_position
    controller.values[b"1TP?"] = b"1.20000"
    axis = driver.read().axes["x"]
    assert (axis.in_position, axis.following_error_mm) == (False, pytest.approx(0.05))


def test_making_safe_stops_every_axis_before_it_waits_for_anything(make, controller):
    for name in (b"ID?", b"SN?", b"TP?", b"DP?", b"MD?"):
        controller.values[b"3" + name] = controller.values[b"1" + name]
    driver = make(axes={"x": X, "y": X | {"channel": 3}})
    driver.make_safe()
    assert controller.peer.heard[:3] == [b"1ST", b"3ST", b"TB?"]
    controller.errors, controller.values[b"3MD?"] = [b"2, 1, X"], b"0"
    with pytest.raises(DeviceRefused, match="axis y still moves after a stop: error 2"):
        driver.make_safe()


def test_errors_without_end_are_a_protocol_error(make, controller):
    driver = make()
    controller.peer.faults[b"TB?"] = b"7, 0, AGAIN\r\n"
    with pytest.raises(DeviceProtocolError, match="do not end"):
        driver.make_safe()


def test_what_leaves_the_question_for_its_set_point_unanswered_is_read_without_it(make, controller):
    controller.peer.faults[b"1DP?"] = b""
    driver = make()
    controller.peer.heard.clear()
    assert driver.read().axes["x"].following_error_mm is None
    assert b"1DP?" not in controller.peer.heard


def test_what_leaves_the_question_for_its_position_unanswered_is_not_opened(make, controller):
    controller.peer.faults[b"1TP?"] = b""
    driver = make(opened=False)
    with pytest.raises(DeviceTimeout):
        driver.open()
