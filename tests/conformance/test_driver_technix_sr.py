"""Technix SR: codec against literal bytes, behaviour against a scripted supply."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evapd.errors import DeviceError, DeviceProtocolError, DeviceRefused, DeviceTimeout, LimitError
from evapd_drivers.hv import technix_sr as codec
from evapd_drivers.hv.technix_sr import TechnixSr
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer
from support.wait import wait_for

USUAL = {"rated_v": 15000, "rated_a": 0.02, "v_max_v": 12000, "i_max_a": 0.005}
FAULT, INTERLOCK, ON, ON_HELD, OFF_HELD, LOCAL = 2, 4, 8, 16, 32, 64


class Supply:
    """Echoes, follows on and off at the end of their pulses, and can be told what else its status byte shows."""

    def __init__(self):
        self.bits, self.on, self.stuck = 1, False, False
        self.inputs = {b"P5": 0, b"P6": 0, b"P7": 0}
        self.peer = Peer(self.answer)

    @property
    def status(self):
        held = ON_HELD * self.inputs[b"P5"] + OFF_HELD * self.inputs[b"P6"]
        return self.bits | held | ON * self.on | LOCAL * self.inputs[b"P7"]

    def answer(self, command):
        queries = {b"E": self.status, b"a1": 819, b"a2": 2}
        if command in queries:
            return command + b"%d\r" % queries[command]
        name, _, value = command.partition(b",")
        if name in self.inputs:
            before, self.inputs[name] = self.inputs[name], int(value)
            if before and not int(value) and name in {b"P5", b"P6"} and not self.stuck:
                self.on = name == b"P5"
        return command + b"\r"


@pytest.fixture
def supply():
    return Supply()


@pytest.fixture
def make(supply, tmp_path):
    with drivers_at(supply.peer, tmp_path, TechnixSr, **USUAL) as make_:
        yield lambda **settings: make_(keywords={"sleep": lambda _: None}, **settings)


def test_counts_of_twelve_bits_are_parts_of_the_rating(make, supply):
    driver = make()
    driver.set_voltage(3000.0)
    assert supply.peer.heard == [b"E", b"d1,819"]
    reading = driver.read()
    assert reading.v_meas_v == reading.v_set_v == pytest.approx(3000.0, abs=0.01)
    assert reading.i_meas_a == pytest.approx(2 * 0.02 / 4095)


def test_rounding_never_exceeds_what_is_allowed(make, supply):
    make(v_max_v=4999.0).set_voltage(4999.0)
    assert supply.peer.heard[-1] == b"d1,1364", "4999 V are 1364.7 counts"


def test_a_set_point_is_told_only_after_the_supply_has_echoed_it(make, supply):
    driver = make()
    assert driver.read().v_set_v is None
    supply.peer.faults[b"d1,819"] = b"d1,818\r"
    with pytest.raises(DeviceProtocolError, match="echo"):
        driver.set_voltage(3000.0)
    assert driver.read().v_set_v is None


def test_a_unit_that_went_local_while_off_is_taken_back(make, supply):
    driver = make()
    supply.inputs[b"P7"] = 1
    driver.set_voltage(3000.0)
    assert supply.peer.heard == [b"E", b"P7,0", b"E", b"d1,819"]


def test_a_unit_that_somebody_runs_by_hand_is_left_to_him(make, supply):
    driver = make()
    supply.inputs[b"P7"], supply.on = 1, True
    with pytest.raises(DeviceRefused, match="LOCAL"):
        driver.set_voltage(3000.0)
    assert supply.peer.heard == [b"E"]
    assert driver.read().v_set_v is None


def test_switching_on_programs_the_current_once_and_presses_on(make, supply):
    driver = make()
    driver.output(True)
    assert supply.peer.heard == [b"E", b"d2,1023", b"P5,1", b"P5,0", b"E"]
    supply.peer.heard.clear()
    driver.output(True)
    assert b"d2,1023" not in supply.peer.heard


def test_an_off_command_that_is_still_held_is_released_first(make, supply):
    driver = make()
    supply.inputs[b"P6"] = 1
    driver.output(True)
    assert supply.peer.heard[:2] == [b"E", b"P6,0"]


@pytest.mark.parametrize(("bits", "why"), [(FAULT, "fault"), (INTERLOCK, "interlock open"), (0, "no reason")])
def test_an_output_that_stays_off_says_why(make, supply, bits, why):
    driver = make()
    supply.stuck, supply.bits = True, bits
    with pytest.raises(DeviceRefused, match=why):
        driver.output(True)


def test_a_pulse_lasts_as_long_as_configured(supply, tmp_path):
    pauses = []
    with drivers_at(supply.peer, tmp_path, TechnixSr, **USUAL) as make:
        make(keywords={"sleep": pauses.append}, pulse_s=0.15).output(True)
    assert pauses == [0.15]


def test_make_safe_releases_an_on_command_that_is_held(make, supply):
    driver = make()
    supply.on = True
    supply.inputs[b"P5"] = 1
    driver.make_safe()
    assert supply.peer.heard == [b"d1,0", b"P6,1", b"P7,0", b"d1,0", b"E", b"P5,0", b"P6,0", b"E"]
    assert not supply.on


def test_make_safe_through_silence_sends_everything(make, supply):
    driver = make()
    supply.peer.faults[b"d1,0"] = b""
    with pytest.raises(DeviceTimeout):
        driver.make_safe()
    # A link that is closed at once may take with it what the peer has not read yet: the worker's next try then says it again.
    wait_for(lambda: b"P6,0" in supply.peer.heard, "the off command's release", 30.0)
    driver.open()
    assert not supply.on
    assert supply.peer.heard[:6] == [b"d1,0", b"P6,1", b"P7,0", b"d1,0", b"P5,0", b"P6,0"]


def test_make_safe_that_finds_it_still_on_is_a_refusal(make, supply):
    driver = make()
    supply.on = supply.stuck = True
    with pytest.raises(DeviceRefused, match="stays on"):
        driver.make_safe()


def test_a_negative_unit_takes_and_gives_negative_voltages(make, supply):
    driver = make(polarity="negative")
    driver.set_voltage(-3000.0)
    assert driver.read().v_meas_v == pytest.approx(-3000.0, abs=0.01)
    with pytest.raises(LimitError):
        driver.set_voltage(3000.0)


def test_its_own_dead_man_is_five_seconds():
    assert TechnixSr.own_timeout_s == 5.0


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"serial_number": "1"}, "tells no serial"),
        ({"v_max_v": 15001}, "rated_v"),
        ({"pulse_s": 0.05}, "0.1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, why):
    with pytest.raises(ValidationError, match=why):
        TechnixSr.Config(**{"connect": "unix:x", **USUAL, **settings})


@pytest.mark.parametrize("line", [b"E", b"E256", b"E-1", b"a10", b"E1.5", b"E0x1", b"E 1 2", b"e1"])
def test_anything_but_a_byte_is_no_status(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_status(line)


@given(st.binary(max_size=12))
def test_random_replies_are_values_in_range_or_device_errors(line):
    for decode in (codec.decode_status, lambda text: 0 <= codec.decode_counts(b"a1", text) <= codec.FULL):
        with contextlib.suppress(DeviceError):
            assert decode(line)


class Mute(Supply):
    """Does what it is told, and answers questions only."""

    def answer(self, command):
        answer = super().answer(command)
        return answer if command in {b"E", b"a1", b"a2"} else b""


@pytest.fixture
def mute(tmp_path):
    supply = Mute()
    with drivers_at(supply.peer, tmp_path, TechnixSr, **USUAL, echo=False) as make_:
        yield make_(keywords={"sleep": lambda _: None}), supply


def test_without_an_echo_the_status_says_what_was_done_and_the_set_point_is_not_known(mute):
    driver, supply = mute
    driver.set_voltage(3000.0)
    driver.output(True)
    assert b"d1,819" in supply.peer.heard
    assert (driver.read().output_on, driver.read().v_set_v) == (True, None)
    driver.make_safe()
    assert driver.read().output_on is False


def test_without_an_echo_a_switch_that_does_not_act_is_refused(mute):
    driver, supply = mute
    supply.stuck = True
    with pytest.raises(DeviceRefused, match="stays off"):
        driver.output(True)
