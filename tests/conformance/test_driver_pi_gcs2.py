"""PI GCS 2.0: codec against literal bytes, behaviour against a scripted controller."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers.stage import pi_gcs2 as codec
from evapd_drivers.stage.pi_gcs2 import PiGcs2
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer

X = {"channel": 1, "min_mm": -5, "max_mm": 5}
IDN = b"(c)2013 Physik Instrumente (PI) Karlsruhe, C-863.11, 0135500123, 1.2.0.0"
BYTES_OR_LINES = re.compile(rb"[\x04\x05\x07\x18]|[^\r\n\x04\x05\x07\x18]+[\r\n]+")


class Controller:
    """One axis, or more, referenced and with the servo on."""

    def __init__(self, axes=(b"1",)):
        self.axes = axes
        self.values = {b"POS?": b"1.25", b"MOV?": b"1.25", b"FRF?": b"1", b"SVO?": b"1", b"ONT?": b"1"}
        self.errors = [0, 5]
        self.peer = Peer(self.answer, BYTES_OR_LINES)

    def answer(self, command):
        if command == b"*IDN?":
            return IDN + b"\n"
        if command == b"SAI?":
            return b" \n".join(self.axes) + b"\n"
        if command == b"ERR?":
            return b"%d\n" % (self.errors.pop() if self.errors else 0)
        if command in (codec.STATUS_WORD, codec.MOTION):
            return b"0x9002\n" if command == codec.STATUS_WORD else b"0\n"
        name, *arguments = command.split()
        if name == b"MOV":
            self.values[b"MOV?"] = arguments[1]
        if name in self.values:
            return b" \n".join(axis + b"=" + self.values[name] for axis in arguments) + b"\n"
        return b""


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def make(controller, tmp_path):
    with drivers_at(controller.peer, tmp_path, PiGcs2, axes={"x": X}) as make_:
        yield make_


@pytest.mark.parametrize("line", [b"1=", b"1", b"2=0.5", b"1=nan", b"1=0.5 2=0.5", b"=0.5", b"1=99999.0"])
def test_a_value_names_its_axis_and_is_a_length(line):
    assert codec.decode_numbers(["1"], [b"1=0.5000"]) == {"1": 0.5}
    with pytest.raises(DeviceProtocolError):
        codec.decode_numbers(["1"], [line])


@pytest.mark.parametrize(
    ("line", "moving", "on_target"),
    [(b"0x9002", False, True), (b"0x3002", True, False), (b"36866", False, True)],
)
def test_the_status_word_tells_motion_and_target(line, moving, on_target):
    assert codec.decode_status(line) == (moving, on_target)


@pytest.mark.parametrize("line", [b"", b"4", b"FF", b"0x1", b"-1"])
def test_motion_bits_are_of_no_more_axes_than_there_are(line):
    assert codec.decode_motion(b"2", 2) == [False, True]
    with pytest.raises(DeviceProtocolError):
        codec.decode_motion(line, 2)


def test_identity_gives_model_serial_number_and_firmware():
    identity = codec.decode_identity(IDN)
    assert (identity.model, identity.serial, identity.firmware) == ("C-863.11", "0135500123", "1.2.0.0")
    with pytest.raises(DeviceIdentityError):
        codec.decode_identity(b"Newport,ESP301,1,2")


@given(st.binary(max_size=40))
def test_random_replies_are_values_or_device_errors(line):
    for decode in (
        lambda text: codec.decode_numbers(["1"], [text]),
        lambda text: codec.decode_names([text]),
        lambda text: codec.decode_motion(text, 4),
        codec.decode_status, codec.decode_identity,
    ):  # fmt: skip
        with contextlib.suppress(DeviceError):
            assert decode(line) is not None


def test_opening_clears_the_error_and_neither_moves_nor_switches_anything(make, controller):
    driver = make(opened=False)
    driver.open()
    assert all(one.endswith(b"?") or b"? " in one or one == b"\x04" for one in controller.peer.heard)


def test_a_controller_of_one_axis_is_asked_for_its_status_word(make, controller):
    axis = make().read().axes["x"]
    assert (axis.position_mm, axis.referenced, axis.moving, axis.in_position) == (1.25, True, False, True)
    assert axis.following_error_mm == 0.0
    assert controller.peer.heard == [b"MOV? 1", b"FRF? 1", b"\x04", b"POS? 1"]


def test_answers_of_several_lines_are_read_to_their_end(make, controller):
    controller.axes = (b"1", b"2", b"A")
    driver = make(axes={"x": X, "turn": X | {"channel": 3, "identifier": "A"}})
    assert set(driver.read().axes) == {"x", "turn"}
    assert controller.peer.heard == [b"MOV? 1 A", b"FRF? 1 A", b"\x05", b"ONT? 1 A", b"POS? 1 A"]


def test_a_line_too_many_is_an_error_and_never_answers_the_next_question(make, controller):
    driver = make()
    controller.peer.faults[b"POS? 1"] = b"1=1.25 \n2=3.5\n"
    with pytest.raises(DeviceProtocolError, match="twice"):
        driver.read()


def test_an_axis_that_the_controller_does_not_have_is_told_at_open(make, controller):
    with pytest.raises(DeviceIdentityError, match="axis y is 2"):
        make(axes={"y": X | {"channel": 2}})


def test_a_move_switches_the_servo_on_where_it_is_off_and_reads_the_target_back(make, controller):
    driver = make()
    driver.move("x", 2.5)
    assert controller.peer.heard == [b"FRF? 1", b"ERR?", b"SVO? 1", b"MOV 1 2.500000", b"ERR?", b"MOV? 1"]
    controller.values[b"SVO?"] = b"0"
    driver.move("x", 1.0)
    assert b"SVO 1 1" in controller.peer.heard


def test_an_axis_that_has_lost_its_zero_is_not_moved_unless_the_settings_allow_it(make, controller):
    driver = make()
    controller.values[b"FRF?"] = b"0"
    with pytest.raises(DeviceRefused, match="not referenced"):
        driver.move("x", 1.0)
    assert controller.peer.heard == [b"FRF? 1"]
    driver.close()
    make(unreferenced_moves=True).move("x", 1.0)
    assert b"MOV 1 1.000000" in controller.peer.heard


def test_the_controllers_code_refuses_a_move_in_words(make, controller):
    driver = make()
    controller.errors = [7, 0]
    with pytest.raises(DeviceRefused, match="position out of limits"):
        driver.move("x", 1.0)


def test_making_safe_is_one_byte_and_stopped_is_no_failure(make, controller):
    driver = make()
    controller.errors = [10]
    driver.make_safe()
    assert controller.peer.heard == [b"\x18", b"ERR?"]


def test_a_stop_that_does_not_stop_is_a_refusal(make, controller):
    driver = make()
    controller.errors = [2]
    controller.peer.faults[b"\x04"] = b"0x3002\n"
    with pytest.raises(DeviceRefused, match="still moves after a stop: error 2"):
        driver.make_safe()


def test_the_search_goes_to_the_mark_that_the_settings_name(make, controller):
    make(axes={"x": X | {"reference": "FNL"}}).reference("x")
    assert b"FNL 1" in controller.peer.heard


def test_a_controller_without_a_status_word_is_asked_as_one_with_several_axes(make, controller):
    controller.peer.faults[b"\x04"] = b""
    driver = make()
    controller.peer.heard.clear()
    axis = driver.read().axes["x"]
    assert (axis.moving, axis.in_position) == (False, True)
    assert controller.peer.heard == [b"MOV? 1", b"FRF? 1", b"\x05", b"ONT? 1", b"POS? 1"]


def test_a_controller_that_tells_no_motion_at_all_is_not_opened(make, controller):
    controller.peer.faults |= {b"\x04": b"", b"\x05": b""}
    driver = make(opened=False)
    with pytest.raises(DeviceTimeout):
        driver.open()
