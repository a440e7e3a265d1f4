"""Newport SMC100: codec against literal bytes, behaviour against scripted controllers."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers.stage import newport_smc100 as codec
from evapd_drivers.stage.newport_smc100 import NewportSmc100
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer

X = {"channel": 1, "min_mm": -5, "max_mm": 5}


class Controller:
    """One controller, READY."""

    def __init__(self):
        self.values = {
            b"VE": b" SMC_CC_1.0.0.2",
            b"ID": b"TRA25CC",
            b"TP": b"1.25",
            b"TH": b"1.25",
            b"TS": b"000033",
        }
        self.error = b"H"
        self.peer = Peer(self.answer)

    def answer(self, command):
        name = command[1:3]
        if name == b"TE":
            letter, self.error = self.error, b"@"
            return command + letter + b"\r\n"
        if name == b"ST":
            self.values[b"TS"] = b"000033"
        return command[:3] + self.values[name] + b"\r\n" if name in self.values else b""


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def make(controller, tmp_path):
    with drivers_at(controller.peer, tmp_path, NewportSmc100, axes={"x": X}) as make_:
        yield make_


@pytest.mark.parametrize("line", [b"2TP1.0", b"1TH1.0", b"TP1.0", b"1.0", b""])
def test_an_answer_repeats_address_and_command(line):
    assert codec.decode(1, "TP", b"1TP4.99981") == b"4.99981"
    with pytest.raises(DeviceProtocolError):
        codec.decode(1, "TP", line)


@pytest.mark.parametrize(
    ("code", "moving", "referenced", "ready"),
    [
        (b"0A", 0, 0, 0), (b"0b", 0, 0, 0), (b"11", 0, 0, 0), (b"14", 0, 0, 0), (b"1E", 1, 0, 0), (b"1F", 1, 0, 0), (b"28", 1, 1, 0),
        (b"32", 0, 1, 1), (b"35", 0, 1, 1), (b"3C", 0, 1, 0), (b"46", 1, 1, 0),
    ],
)  # fmt: skip
def test_each_state_says_what_it_is(code, moving, referenced, ready):
    assert codec.decode_state(b"0000" + code) == (0, moving, referenced, ready)


@pytest.mark.parametrize("text", [b"", b"33", b"0000FF", b"000000", b"00000033", b"0000 33", b"-00033"])
def test_what_is_no_state_is_an_error(text):
    with pytest.raises(DeviceProtocolError):
        codec.decode_state(text)


@pytest.mark.parametrize(
    ("text", "model", "firmware"),
    [
        (b"SMC_CC - Controller-driver version  3. 1. 2", "SMC_CC", "3.1.2"), (b"SMC_CC_1.0.0.2", "SMC_CC", "1.0.0.2"), (b"SMC100PP", "SMC100PP", ""),
        (b"CONEX-CC 2.0.1", "CONEX-CC", "2.0.1"),
    ],
)  # fmt: skip
def test_the_version_tells_model_and_firmware(text, model, firmware):
    identity = codec.decode_version(text)
    assert (identity.model, identity.firmware) == (model, firmware)
    with pytest.raises(DeviceIdentityError):
        codec.decode_version(b"ESP301 Version 3.0.1")


@given(st.binary(max_size=40))
def test_random_replies_are_values_or_device_errors(text):
    for decode in (codec.decode_state, codec.decode_mm, codec.decode_error, codec.decode_version):
        with contextlib.suppress(DeviceError):
            assert decode(text) is not None


def test_opening_clears_the_error_and_moves_nothing(make, controller):
    driver = make(opened=False)
    driver.open()
    assert controller.error == b"@"
    assert {command[1:3] for command in controller.peer.heard} == {b"VE", b"TE", b"TH", b"TP", b"TS"}


def test_an_axis_that_is_not_referenced_is_not_moved(make, controller):
    driver = make()
    controller.values[b"TS"] = b"00000A"
    with pytest.raises(DeviceRefused, match="not referenced"):
        driver.move("x", 1.0)
    assert not any(b"PA" in command for command in controller.peer.heard)


def test_a_move_under_way_is_ended_before_the_next_one(make, controller):
    driver = make()
    controller.values[b"TS"] = b"000028"
    driver.move("x", 1.0)
    sent = [command for command in controller.peer.heard if command[1:3] in {b"ST", b"PA"}]
    assert sent == [b"1ST", b"1PA1.000000"]


def test_a_move_that_does_not_end_is_a_refusal_within_the_deadline(make, controller):
    driver = make()
    controller.values[b"TS"] = b"000028"
    controller.peer.faults[b"1ST"] = b""
    with pytest.raises(DeviceRefused, match="still moves"):
        driver.move("x", 1.0)


def test_an_error_letter_refuses_a_move_in_words(make, controller):
    driver = make()
    original = controller.peer.answer

    def answer(command):
        if command.startswith(b"1PA"):
            controller.error = b"G"
        return original(command)

    controller.peer.answer = answer
    with pytest.raises(DeviceRefused, match=r"controller 1: G \(displacement out of limits\)"):
        driver.move("x", 1.0)


def test_a_second_search_tells_that_a_reset_is_needed(make, controller):
    driver = make()
    original = controller.peer.answer

    def answer(command):
        if command == b"1OR":
            controller.error = b"K"
        return original(command)

    controller.peer.answer = answer
    with pytest.raises(DeviceRefused, match="after a reset"):
        driver.reference("x")


def test_a_search_is_begun_and_the_state_tells_its_end(make, controller):
    controller.values[b"TS"] = b"00000A"
    driver = make()
    driver.reference("x")
    for state, moving, referenced in ((b"00001E", True, False), (b"000032", False, True)):
        controller.values[b"TS"] = state
        axis = driver.read().axes["x"]
        assert (axis.moving, axis.referenced) == (moving, referenced)


def test_a_stop_that_had_nothing_to_stop_is_no_failure(make, controller):
    driver = make()
    controller.error = b"K"
    driver.make_safe()
    controller.error = b"V"
    controller.peer.faults[b"1ST"] = b""
    controller.values[b"TS"] = b"000028"
    with pytest.raises(DeviceRefused, match="still moves after a stop: controller 1: V"):
        driver.make_safe()


def test_an_error_of_the_positioner_is_not_in_position(make, controller):
    driver = make()
    controller.values[b"TS"] = b"002033"
    assert not driver.read().axes["x"].in_position


def test_what_leaves_the_question_for_its_set_point_unanswered_is_read_without_it(make, controller):
    controller.peer.faults[b"1TH"] = b""
    driver = make()
    controller.peer.heard.clear()
    assert driver.read().axes["x"].following_error_mm is None
    assert b"1TH" not in controller.peer.heard


def test_what_leaves_the_question_for_its_position_unanswered_is_not_opened(make, controller):
    controller.peer.faults[b"1TP"] = b""
    driver = make(opened=False)
    with pytest.raises(DeviceTimeout):
        driver.open()
