"""Attocube ANC350: codec against literal bytes, behaviour against a scripted controller."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers.stage import attocube_anc350 as codec
from evapd_drivers.stage.attocube_anc350 import AttocubeAnc350
from support.scripted_drivers import drivers_at

X = {"channel": 0, "min_mm": -5, "max_mm": 5}
READY = codec.REFERENCED | 0x1000


class Controller:
    """Version 2, one axis, 1.5 mm from its mark at 0.25 mm; it does what it is told without moving."""

    def __init__(self):
        self.values = {
            codec.HARDWARE_ID: 4711, codec.UNIT: 1, codec.STATUS: READY, codec.POSITION: 1_750_000, codec.MARK: 250_000,
        }  # fmt: skip
        self.reasons = {}
        self.before = b""  # what comes ahead of every acknowledgement
        self.heard = []
        self._rest = b""

    def feed(self, data):
        self._rest += data
        reply = b""
        while len(self._rest) >= 4 and len(self._rest) >= 4 + (
            length := int.from_bytes(self._rest[:4], "little")
        ):
            words = struct.unpack(f"<{length // 4}i", self._rest[4 : 4 + length])
            self._rest = self._rest[4 + length :]
            reply += self.before + self.answer(*words)
        return reply

    def answer(self, opcode, address, index, correlation, *data):
        self.heard.append((opcode, address, *data))
        reason = self.reasons.get(address, 0 if opcode == codec.SET or address in self.values else 1)
        value = [self.values[address]] if opcode == codec.GET and not reason else []
        return struct.pack(
            f"<{6 + len(value)}i", 20 + 4 * len(value), codec.ACK, address, index, correlation, reason, *value
        )

    @property
    def sets(self):
        return [(address, data[0]) for opcode, address, *data in self.heard if opcode == codec.SET]


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def make(controller, tmp_path):
    with drivers_at(controller, tmp_path, AttocubeAnc350, axes={"x": X}) as make_:
        yield make_


def test_a_telegram_is_words_with_their_length_in_front():
    assert (
        codec.encode(codec.SET, codec.TARGET, 1, 7, -2).hex(" ", 4)
        == "14000000 00000000 08040000 01000000 07000000 feffffff"
    )


@pytest.mark.parametrize("length", [0, 12, 17, 1024, 0xFFFFFFFF])
def test_a_length_that_none_can_have_is_an_error(length):
    assert codec.decode_length(struct.pack("<I", 24)) == 24
    with pytest.raises(DeviceProtocolError, match="boundary is lost"):
        codec.decode_length(struct.pack("<I", length))


@given(st.integers(4, 40).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words)))
def test_random_telegrams_are_acknowledgements_events_or_errors(body):
    with contextlib.suppress(DeviceError):
        answer = codec.decode(body)
        assert answer is None or isinstance(answer, codec.Acknowledgement)


def test_opening_only_asks(make, controller):
    assert make().open().serial == "4711"
    assert controller.sets == []


def test_a_position_is_told_from_its_mark(make, controller):
    axis = make().read().axes["x"]
    assert (axis.position_mm, axis.referenced, axis.in_position) == (1.5, True, True)


def test_without_a_mark_the_counter_is_told_and_called_unreferenced(make, controller):
    controller.values[codec.STATUS] = 0
    axis = make().read().axes["x"]
    assert (axis.position_mm, axis.referenced) == (1.75, False)


@pytest.mark.parametrize(("unit", "mm"), [(0, 1500.0), (1, 1.5), (2, 1.5e-3), (3, 1.5e-6)])
def test_the_unit_that_the_controller_tells_scales_positions(make, controller, unit, mm):
    controller.values[codec.UNIT] = unit
    assert make().read().axes["x"].position_mm == pytest.approx(mm)


def test_a_controller_without_a_unit_counts_nanometres(make, controller):
    del controller.values[codec.UNIT]
    assert make().read().axes["x"].position_mm == 1.5


def test_a_rotary_axis_is_refused_at_open(make, controller):
    controller.values[codec.UNIT] = 0x14
    with pytest.raises(DeviceIdentityError, match="no linear axis"):
        make()


def test_a_move_switches_the_output_on_sets_the_target_and_runs(make, controller):
    make().move("x", 2.0)
    assert controller.sets == [(codec.OUTPUT, 1), (codec.TARGET, 2_250_000), (codec.RUN, 1)]


def test_an_axis_without_its_mark_is_not_moved_unless_its_sensor_is_absolute(make, controller):
    controller.values[codec.STATUS] = 0
    driver = make()
    with pytest.raises(DeviceRefused, match="not referenced"):
        driver.move("x", 2.0)
    assert controller.sets == []
    driver.close()
    make(axes={"x": X | {"absolute": True}}).move("x", 2.0)
    assert (codec.TARGET, 2_000_000) in controller.sets


def test_a_refused_run_is_told_with_its_reason(make, controller):
    driver = make()
    controller.reasons[codec.RUN] = 3
    with pytest.raises(DeviceRefused, match="ignored: output off"):
        driver.move("x", 2.0)


def test_a_search_runs_in_the_direction_of_the_settings_and_a_reading_ends_it_at_the_mark(make, controller):
    controller.values[codec.STATUS] = 0
    driver = make(axes={"x": X | {"search": "backward"}})
    driver.reference("x")
    assert controller.sets[-1] == (codec.BACKWARD, 1)
    controller.values[codec.STATUS] = codec.RUNNING
    driver.read()
    assert controller.sets[-1] == (codec.BACKWARD, 1)
    controller.values[codec.STATUS] = codec.RUNNING | codec.REFERENCED
    driver.read()
    assert controller.sets[-2:] == [(codec.FORWARD, 0), (codec.BACKWARD, 0)]


def test_no_search_runs_where_the_settings_name_no_direction(make, controller):
    controller.values[codec.STATUS] = 0
    with pytest.raises(DeviceRefused, match="no search in the settings"):
        make().reference("x")
    assert controller.sets == []


def test_making_safe_ends_every_kind_of_motion_and_then_looks(make, controller):
    driver = make()
    controller.heard.clear()
    driver.make_safe()
    assert controller.sets == [(codec.RUN, 0), (codec.FORWARD, 0), (codec.BACKWARD, 0)]
    assert controller.heard[-1] == (codec.GET, codec.STATUS)


def test_an_axis_that_runs_on_has_its_output_switched_off_and_is_told(make, controller):
    driver = make()
    controller.values[codec.STATUS] = READY | codec.RUNNING
    with pytest.raises(DeviceRefused, match="runs on after a stop"):
        driver.make_safe()
    assert controller.sets[-1] == (codec.OUTPUT, 0)


@pytest.mark.parametrize("bit", [codec.SENSOR_ERROR, codec.DISCONNECTED])
def test_a_sensor_that_fails_gives_no_position(make, controller, bit):
    driver = make()
    controller.values[codec.STATUS] = READY | bit
    with pytest.raises(DeviceRefused, match="no position"):
        driver.read()


def test_events_and_late_acknowledgements_are_passed_over(make, controller):
    event = struct.pack("<7i", 24, codec.EVENT, codec.POSITION, 0, 0, 99, 99)
    late = struct.pack("<7i", 24, codec.ACK, codec.POSITION, 0, 0, 0, 99)
    controller.before = event + late
    assert make().read().axes["x"].position_mm == 1.5


def test_noise_is_an_error_and_the_next_question_is_answered_again(make, controller):
    driver = make()
    controller.before = b"\xff\xff\xff\xff noise"
    with pytest.raises(DeviceProtocolError):
        driver.read()
    controller.before = b""
    assert driver.read().axes["x"].position_mm == 1.5


def test_events_alone_do_not_stretch_a_deadline(make, controller):
    driver = make()
    controller.answer = lambda *_: struct.pack("<7i", 24, codec.EVENT, codec.POSITION, 0, 0, 99, 99)
    with pytest.raises(DeviceTimeout):
        driver.read()


def test_an_acknowledgement_of_another_address_is_an_error(make, controller):
    driver = make()
    original = controller.answer
    controller.answer = lambda opcode, address, *rest: original(opcode, codec.MARK, *rest)
    with pytest.raises(DeviceProtocolError, match="is due"):
        driver.read()


def test_a_target_that_was_set_and_is_reached_is_reached_whatever_the_flag_says(make, controller):
    controller.values[codec.REACHED] = 0
    driver = make()
    driver.move("x", 1.5)
    assert driver.read().axes["x"].in_position
    controller.values[codec.POSITION] += 1000
    assert not driver.read().axes["x"].in_position
