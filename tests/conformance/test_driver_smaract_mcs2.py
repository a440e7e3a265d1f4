"""SmarAct MCS2: codec against literal bytes, behaviour against a scripted controller."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers.stage import smaract_mcs2 as codec
from evapd_drivers.stage.smaract_mcs2 import SmarActMcs2
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer

X = {"channel": 0, "min_mm": -5, "max_mm": "5 mm"}
Y = {"channel": 2, "min_mm": 0, "max_mm": 1}
READY = codec.SENSOR | codec.REFERENCED | codec.IN_POSITION


class Controller:
    """Answers by a table; a move is taken at once."""

    def __init__(self):
        self.answers = {b":DEV:SNUM?": b"MCS2-00000412", b":DEV:NOCH?": b"3"}
        for channel in range(3):
            self.answers[b":CHAN%d:STAT?" % channel] = b"%d" % READY
            for name in (b"POS?", b"FERR?", b"POS:TARG?"):
                self.answers[b":CHAN%d:%s" % (channel, name)] = b"0"
        self.errors = [b'-113,"left from before"']
        self.peer = Peer(self.answer)

    def answer(self, command):
        if command == b":SYST:ERR:COUN?":
            return b"%d\r\n" % len(self.errors)
        if command == b":SYST:ERR?":
            return (self.errors.pop(0) if self.errors else b'0,"No error"') + b"\r\n"
        if found := re.fullmatch(rb":MOVE(\d) (-?\d+)", command):
            self.answers[b":CHAN%s:POS:TARG?" % found[1]] = found[2]
        return self.answers[command] + b"\r\n" if command in self.answers else b""


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def make(controller, tmp_path):
    with drivers_at(controller.peer, tmp_path, SmarActMcs2, axes={"x": X, "y": Y}) as make_:
        yield make_


@pytest.mark.parametrize("line", [b"", b"1.0", b"1e3", b"0x10", b"-1", b"4294967296", b"12 13"])
def test_a_state_is_a_whole_number_of_32_bits(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_state(line)


@pytest.mark.parametrize("bit", [0, 2, 3])
def test_moving_calibrating_and_referencing_are_moving_and_never_in_position(bit):
    state = codec.decode_state(b"%d" % (READY | 1 << bit))
    assert (state.moving, state.in_position) == (True, False)


@pytest.mark.parametrize(
    ("line", "serial"), [(b"MCS2-00000412", "MCS2-00000412"), (b'"MCS2-00001795"', "MCS2-00001795")]
)
def test_the_serial_number_comes_with_or_without_quotes(line, serial):
    assert codec.decode_serial(line) == serial
    with pytest.raises(DeviceIdentityError):
        codec.decode_serial(b"Stanford Research Systems,DG645")


@given(st.binary(max_size=40))
def test_random_replies_are_values_or_device_errors(line):
    for decode in (codec.decode_state, codec.decode_mm, codec.decode_error, codec.decode_serial):
        with contextlib.suppress(DeviceError):
            assert decode(line) is not None


def test_opening_empties_the_error_queue_and_moves_nothing(make, controller):
    driver = make(opened=False)
    driver.open()
    assert controller.errors == []
    assert all(command.endswith(b"?") for command in controller.peer.heard)


def test_a_channel_that_the_controller_does_not_have_is_told_at_open(make, controller):
    controller.answers[b":DEV:NOCH?"] = b"2"
    with pytest.raises(DeviceIdentityError, match="axis y is channel 2"):
        make()


def test_a_move_sets_absolute_mode_first_and_reads_the_target_back(make, controller):
    make().move("x", 1.25)
    assert [text for text in controller.peer.heard if b"ERR" not in text] == [
        b":CHAN0:STAT?", b":CHAN0:MMOD 0", b":CHAN0:HOLD 4294967295", b":MOVE0 1250000000", b":CHAN0:POS:TARG?",
    ]  # fmt: skip


def test_nothing_moves_when_the_absolute_mode_is_refused(make, controller):
    driver = make()
    original = controller.peer.answer
    counts = iter([b"0\r\n", b"1\r\n"])

    def answer(command):
        if command == b":SYST:ERR:COUN?":
            return next(counts)
        if command == b":SYST:ERR?":
            return b'-108,"Parameter not allowed"\r\n'
        return original(command)

    controller.peer.answer = answer
    with pytest.raises(DeviceRefused, match="MMOD 0: error -108"):
        driver.move("x", 1.0)
    assert not any(text.startswith(b":MOVE") for text in controller.peer.heard)


def test_an_axis_that_has_lost_its_zero_is_not_moved(make, controller):
    driver = make()
    controller.answers[b":CHAN0:STAT?"] = b"%d" % codec.SENSOR
    with pytest.raises(DeviceRefused, match="not referenced"):
        driver.move("x", 1.0)
    assert controller.peer.heard == [b":CHAN0:STAT?"]


def test_the_settings_may_allow_moves_of_an_axis_that_is_not_referenced(make, controller):
    controller.answers[b":CHAN0:STAT?"] = b"%d" % codec.SENSOR
    make(unreferenced_moves=True).move("x", 1.0)
    assert b":MOVE0 1000000000" in controller.peer.heard


def test_another_target_than_was_set_stops_the_axis(make, controller):
    driver = make()
    controller.peer.faults[b":MOVE0 1000000000"] = b""
    controller.answers[b":CHAN0:POS:TARG?"] = b"3000000000"
    with pytest.raises(DeviceRefused, match="target 3 mm after 1 mm"):
        driver.move("x", 1.0)
    assert controller.peer.heard[-2] == b":STOP0"


def test_making_safe_sends_every_stop_before_it_waits_for_anything(make, controller):
    driver = make()
    driver.make_safe()
    assert controller.peer.heard == [b":STOP0", b":STOP2", b":SYST:ERR:COUN?"]


def test_an_old_error_does_not_make_a_good_stop_look_failed(make, controller):
    driver = make()
    controller.errors = [b'259,"No sensor present"']
    driver.make_safe()
    controller.errors = [b'37,"Movement locked"']
    controller.answers[b":CHAN2:STAT?"] = b"%d" % (READY | codec.MOVING)
    with pytest.raises(DeviceRefused, match="axis y still moves after a stop: error 37"):
        driver.make_safe()


def test_a_channel_without_positioner_is_refused_and_never_read(make, controller):
    driver = make()
    controller.answers[b":CHAN2:STAT?"] = b"0"
    with pytest.raises(DeviceRefused, match="channel 2 \\(axis y\\) has no positioner"):
        driver.read()


def test_the_direction_of_the_search_is_set_only_where_the_settings_name_it(make, controller):
    driver = make()
    driver.reference("x")
    assert controller.peer.heard[-2:] == [b":REF0", b":SYST:ERR:COUN?"]
    driver.close()
    make(axes={"x": X | {"reference_options": 9}}).reference("x")
    assert b":CHAN0:REF:OPT 9" in controller.peer.heard


def test_the_following_error_is_not_asked_where_the_firmware_has_none(make, controller):
    del controller.answers[b":CHAN0:FERR?"]
    driver = make(axes={"x": X}, following_error=False)
    assert driver.read().axes["x"].following_error_mm is None


@pytest.mark.parametrize(
    "axes",
    [{}, {"x": X | {"min_mm": 5}}, {"x": X, "y": X}, {"x": X | {"channel": -1}}, {"x": {"channel": 0}}],
)
def test_axes_without_sense_are_refused_in_the_settings(axes):
    with pytest.raises(ValueError, match="axes"):
        SmarActMcs2.Config(connect="tcp:10.0.0.1:55551", axes=axes)


def test_what_leaves_the_question_for_its_set_point_unanswered_is_read_without_it(make, controller):
    controller.peer.faults[b":CHAN0:FERR?"] = b""
    driver = make()
    controller.peer.heard.clear()
    assert driver.read().axes["x"].following_error_mm is None
    assert b":CHAN0:FERR?" not in controller.peer.heard


def test_what_leaves_the_question_for_its_position_unanswered_is_not_opened(make, controller):
    controller.peer.faults[b":CHAN0:POS?"] = b""
    driver = make(opened=False)
    with pytest.raises(DeviceTimeout):
        driver.open()
