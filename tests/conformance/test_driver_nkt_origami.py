"""NKT ORIGAMI: codec against literal bytes, behaviour against a scripted laser."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evapd.errors import (
    DeviceError,
    DeviceIdentityError,
    DeviceLost,
    DeviceProtocolError,
    DeviceRefused,
    DeviceTimeout,
    LimitError,
)
from evapd_drivers.laser import nkt_origami as codec
from evapd_drivers.laser.nkt_origami import NktOrigami
from support.scripted_peer import SILENCE_S, Peer, PtyPeer, SocketPeer

SET = {"e_power": "Setted laser power in relative unit: ", "e_freq": "Frequency index parameter: ",
       "e_div": "Notice: Division factor for PCAOM is "}  # fmt: skip
RATES = b"Available repetition rates:\n\t e_freq=0\t--> 50000 Hz\n\t e_freq=2\t--> 200000 Hz\n"


class Scripted:
    """A laser in standby at 200 kHz that echoes and answers in words."""

    def __init__(self):
        self.status, self.gate_closed = 33, 1
        self.values = {"e_power": "800", "e_freq": "2", "e_div": "1"}
        self.monitor = b"12300 nJ\n"
        self.peer = Peer(lambda command: command + b"\n" + self.answer(command.decode()))

    def answer(self, command):
        name, assigns, value = command.partition("=")
        if assigns:
            self.values[name] = value
        elif command.removesuffix("?") in SET:
            name = command.removesuffix("?")
            return f"{SET[name]}{self.values[name]}\n".encode()
        elif command == "ly_oxp2_dev_status":
            return f"ly_oxp2_dev_status {self.status}\n".encode()
        elif command == "ly_oxp2_output?":
            return f"ly_oxp2_output {self.gate_closed}\n".encode()
        elif command == "e_freq_available?":
            return RATES
        elif command == "e_mlp?":
            return self.monitor
        elif command == "ly_oxp2_enabled":
            self.status, self.gate_closed = 129, 0
        elif command == "ly_oxp2_standby":
            self.status = 33
        elif command.startswith("ly_oxp2_output_"):
            self.gate_closed = int(command.endswith("disable"))
        return b""


@pytest.fixture
def laser():
    return Scripted()


@pytest.fixture
def make(laser, tmp_path):
    """Make a driver on the laser, through a socket: 0.025 pJ at the specimen per unit, 100 pJ at full scale."""
    wire = SocketPeer(tmp_path / "nkt.sock", laser.peer.feed)
    drivers = []

    def make_(*, opened=True, **settings):
        given_ = {
            "connect": wire.connect,
            "energy_max_pj": 60.0,
            "pj_per_unit": 0.025,
            "timeout_s": 5.0,
            "quiet_s": 0.03,
        }
        given_ |= settings
        if "calibration" in settings:
            del given_["pj_per_unit"]
        driver = NktOrigami(NktOrigami.Config(**given_))
        drivers.append(driver)
        if opened:
            driver.open()
            laser.peer.heard.clear()
        return driver

    make_.wire = wire
    yield make_
    for driver in drivers:
        driver.close()
    wire.close()


# The codec.


def test_a_set_is_name_equals_number():
    assert codec.encode("e_power", 1600) == b"e_power=1600\n"
    assert codec.encode("ly_oxp2_standby") == b"ly_oxp2_standby\n"


@pytest.mark.parametrize(
    "line", [b"e_power 1600", b"e_power: 1600", b"Setted laser power in relative unit: 1600"]
)
def test_a_number_is_read_in_every_wording(line):
    assert codec.decode_number("e_power", line, 4000) == 1600


@pytest.mark.parametrize("line", [b"e_power=1600", b"e_div 2", b"1600", b"OK", b"", b"e_powers 3"])
def test_an_echo_of_a_set_or_another_subject_is_no_value(line):
    assert codec.decode_number("e_power", line, 4000) is None


@pytest.mark.parametrize("line", [b"e_power 4001", b"e_power -1", b"e_power nan", b"e_power x"])
def test_an_impossible_number_is_an_error(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode_number("e_power", line, 4000)


@pytest.mark.parametrize(
    ("bits", "emission", "ready"),
    [(9, False, False), (17, False, False), (33, False, True), (65, True, True), (129, True, True), (32, False, False), (131, True, True)],
)  # fmt: skip
def test_status_bits_tell_emission_and_readiness(bits, emission, ready):
    status = codec.decode_status(f"ly_oxp2_dev_status {bits}".encode())
    assert (status.emission, status.ready) == (emission, ready)


@pytest.mark.parametrize("bits", ["0", "1", "3", "255", "999", "33.5", "48", "-1"])
def test_a_status_that_names_no_single_state_is_an_error(bits):
    with pytest.raises(DeviceProtocolError):
        codec.decode_status(f"ly_oxp2_dev_status {bits}".encode())


@pytest.mark.parametrize(
    ("line", "pj"),
    [(b"12300 nJ", 12.3e6), (b"e_mlp 4.9 W", 24.5e6), (b"4900mW", 24.5e6), (b"12.3 uJ", 12.3e6),
     (b"NKT FHG Output power=0.53W", 2.65e6)],
)  # fmt: skip
def test_the_monitor_is_read_in_its_own_unit(line, pj):
    assert codec.decode_optical(line, 200_000.0) == pytest.approx(pj)


@pytest.mark.parametrize("line", [b"12300", b"e_mlp 12300", b"123 m", b"e_mlp?", b"nJ"])
def test_a_monitor_without_a_unit_tells_nothing(line):
    assert codec.decode_optical(line, 200_000.0) is None


@given(st.binary(max_size=40))
def test_random_replies_are_a_value_in_range_nothing_or_a_device_error(line):
    for decode in (lambda text: (codec.decode_number("e_power", b"e_power " + text, 4000) or 0.0) <= 4000,
                   lambda text: codec.decode_open(b"ly_oxp2_output " + text) in {True, False, None},
                   lambda text: codec.decode_status(b"ly_oxp2_dev_status " + text) is None or True,
                   lambda text: (codec.decode_optical(text, 2e5) or 0.0) >= 0.0,
                   lambda text: all(hz >= 1.0 for hz in codec.decode_rates([text]).values())):  # fmt: skip
        with contextlib.suppress(DeviceError):
            assert decode(line)


# Settings.


@pytest.mark.parametrize(
    "settings",
    [
        {"pj_per_unit": 0.02, "calibration": ((0, 0.0), (4000, 100.0))},
        {},
        {"calibration": ((0, 0.0),)},
        {"calibration": ((0, 5.0), (100, 4.0))},
        {"calibration": ((0, 0.0), (5000, 4.0))},
        {"pj_per_unit": 0.02, "energy_max_pj": math.nan},
    ],
)
def test_a_calibration_that_means_nothing_is_refused(settings):
    with pytest.raises(ValidationError):
        NktOrigami.Config(**{"connect": "unix:x", "energy_max_pj": 50.0} | settings)


# The device.


def test_construction_touches_nothing_and_opening_changes_nothing(make, laser):
    driver = make(opened=False)
    assert laser.peer.heard == []
    assert driver.open().model == "ORIGAMI XP"
    assert all(command.endswith(b"?") or command == b"ly_oxp2_dev_status" for command in laser.peer.heard)


@pytest.mark.parametrize(
    "reply", [b"ly_oxp2_dev_status\nUnknown command\n", b"FUG HCP 14\n", b"ly_oxp2_dev_status 255\n"]
)
def test_what_does_not_name_a_state_of_the_laser_is_another_instrument(make, laser, reply):
    laser.peer.faults[b"ly_oxp2_dev_status"] = reply
    with pytest.raises(DeviceIdentityError, match="NKTPBus"):
        make(timeout_s=SILENCE_S)


def test_a_serial_number_cannot_be_promised(make):
    with pytest.raises(DeviceIdentityError):
        make(serial_number="123")


def test_a_reading_tells_set_point_monitor_rate_and_state(make, laser):
    driver = make(monitor="e_mlp", transmission=2e-6)
    laser.status, laser.gate_closed = 129, 0
    reading = driver.read()
    assert (reading.emission, reading.shutter_open, reading.fault) == (True, True, False)
    assert (reading.energy_set_pj, reading.rate_hz) == (pytest.approx(20.0), 200_000.0)
    assert reading.energy_pj == pytest.approx(24.6)


def test_without_a_monitor_a_set_point_is_never_reported_as_an_energy(make):
    assert make().read().energy_pj is None


def test_a_fault_of_the_laser_is_told(make, laser):
    driver = make()
    laser.status = 35
    assert driver.read().fault


@pytest.mark.parametrize("pj", [-0.1, 60.1, math.nan, math.inf])
def test_an_energy_outside_the_limits_sends_nothing(make, laser, pj):
    driver = make()
    with pytest.raises(LimitError):
        driver.set_energy(pj)
    assert laser.peer.heard == []


@pytest.mark.parametrize("hz", [0.0, 1.1e6, math.nan])
def test_a_rate_outside_the_limits_sends_nothing(make, laser, hz):
    driver = make()
    with pytest.raises(LimitError):
        driver.set_rate(hz)
    assert laser.peer.heard == []


def test_an_energy_becomes_units_never_more_than_asked_for(make, laser):
    make().set_energy(30.02)
    assert laser.values["e_power"] == "1200"


def test_a_table_of_energies_is_interpolated(make, laser):
    driver = make(calibration=((100, 0.0), (1000, 10.0), (4000, 100.0)))
    driver.set_energy(40.0)
    assert laser.values["e_power"] == "2000"
    assert driver.read().energy_set_pj == pytest.approx(40.0)
    laser.values["e_power"] = "50"
    assert driver.read().energy_set_pj is None


@pytest.mark.parametrize(("hz", "values"), [(200_000.0, ("2", "1")), (10_000.0, ("2", "20")), (50_000.0, ("2", "4")), (12_500, ("2", "16"))])  # fmt: skip
def test_a_rate_is_one_of_the_lasers_by_a_whole_divider(make, laser, hz, values):
    driver = make()
    driver.set_rate(hz)
    assert (laser.values["e_freq"], laser.values["e_div"]) == values
    assert driver.read().rate_hz == hz


def test_a_rate_that_no_divider_gives_is_refused(make, laser):
    driver = make()
    with pytest.raises(LimitError, match="whole divider"):
        driver.set_rate(150_000.0)
    assert all(b"=" not in command for command in laser.peer.heard)


def test_another_basic_rate_is_refused_while_it_emits(make, laser):
    driver = make()
    laser.values["e_freq"], laser.status = "0", 129
    with pytest.raises(DeviceRefused, match="standby"):
        driver.set_rate(200_000.0)
    assert laser.values["e_freq"] == "0"


def test_a_laser_that_lists_no_rates_takes_hertz(make, laser):
    laser.peer.faults[b"e_freq_available?"] = b"Unknown command\n"
    laser.values["e_freq"] = "100000"
    driver = make()
    assert driver.read().rate_hz == 100_000.0
    driver.set_rate(400_000.0)
    assert laser.values["e_freq"] == "400000"


def test_emission_begins_only_warmed_up_and_without_a_fault(make, laser):
    driver = make()
    for status, words in ((9, "warmed up"), (17, "warmed up"), (35, "interlock"), (32, "warmed up")):
        laser.status = status
        with pytest.raises(DeviceRefused, match=words):
            driver.emission(True)
    assert b"ly_oxp2_enabled" not in laser.peer.heard
    laser.status = 33
    driver.emission(True)
    assert laser.status == 129


def test_an_emission_that_does_not_begin_is_a_refusal(make, laser):
    driver = make(timeout_s=SILENCE_S)
    laser.peer.faults[b"ly_oxp2_enabled"] = b"ly_oxp2_enabled\n"
    with pytest.raises(DeviceRefused, match="33 after emission"):
        driver.emission(True)


def test_the_gate_opens_and_closes_and_is_read_back(make, laser):
    driver = make()
    driver.shutter(True)
    assert driver.read().shutter_open
    driver.shutter(False)
    assert driver.read().shutter_open is False
    laser.peer.faults[b"ly_oxp2_output_enable"] = b""
    with pytest.raises(DeviceRefused, match="does not open"):
        driver.shutter(True)


def test_a_set_that_is_echoed_and_not_taken_is_a_refusal(make, laser):
    driver = make()
    laser.peer.faults[b"e_power=1200"] = b"e_power=1200\n"
    with pytest.raises(DeviceRefused, match="reads 800 after 1200"):
        driver.set_energy(30.0)


def test_an_error_line_is_a_refusal_in_the_lasers_words(make, laser):
    driver = make()
    laser.peer.faults[b"e_power=1200"] = b"e_power=1200\nError 5\n"
    with pytest.raises(DeviceRefused, match="Error 5"):
        driver.set_energy(30.0)


def test_making_safe_sends_gate_and_standby_at_once_and_checks_both(make, laser):
    driver = make()
    laser.status, laser.gate_closed = 129, 0
    driver.make_safe()
    assert laser.peer.heard[:2] == [b"ly_oxp2_output_disable", b"ly_oxp2_standby"]
    assert (laser.status, laser.gate_closed) == (33, 1)


@pytest.mark.parametrize("fault", [b"Error 5\n", b"garbage\n", b"", b"\xff\xfe\n"])
def test_making_safe_that_does_not_hold_says_so_and_has_sent_everything(make, laser, fault):
    driver = make(timeout_s=SILENCE_S)
    laser.status, laser.gate_closed = 129, 0
    laser.peer.faults[b"ly_oxp2_output_disable"] = fault
    laser.peer.faults[b"ly_oxp2_standby"] = fault
    with pytest.raises(DeviceError):
        driver.make_safe()
    assert laser.peer.heard[:2] == [b"ly_oxp2_output_disable", b"ly_oxp2_standby"]


def test_making_safe_on_a_lost_link_says_so(make):
    driver = make()
    make.wire.hang_up()
    with pytest.raises(DeviceLost):
        driver.make_safe()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"", DeviceTimeout),
        (b"ly_oxp2_dev_st", DeviceTimeout),
        (b"ly_oxp2_dev_status\n", DeviceProtocolError),
        (b"ly_oxp2_dev_status 129", DeviceTimeout),
        (b"ly_oxp2_dev_status\xff 33\n", DeviceProtocolError),
        (b"33\n", DeviceProtocolError),
        (b"e_power 33\n", DeviceProtocolError),
        (b"ly_oxp2_dev_status\nError 5\n", DeviceRefused),
        (b"ly_oxp2_dev_status 999\n", DeviceProtocolError),
    ],
)
def test_a_bad_reply_is_never_a_reading(make, laser, reply, error):
    driver = make(timeout_s=SILENCE_S)
    laser.peer.faults[b"ly_oxp2_dev_status"] = reply
    with pytest.raises(error):
        driver.read()


@pytest.mark.parametrize(
    "reply", [b">ly_oxp2_dev_status\r\nly_oxp2_dev_status 33\r\n>", b"\n\n> ly_oxp2_dev_status 33\n?>"]
)
def test_prompts_and_carriage_returns_do_no_harm(make, laser, reply):
    driver = make()
    laser.peer.faults[b"ly_oxp2_dev_status"] = reply
    assert driver.read().emission is False
    assert driver.read().emission is False


def test_a_bare_number_counts_only_where_the_settings_say_so(make, laser):
    driver = make(bare_numbers=True)
    laser.peer.faults[b"ly_oxp2_output?"] = b"0\n"
    assert driver.read().shutter_open
    driver.close()
    laser.peer.faults.clear()
    driver = make(timeout_s=SILENCE_S)
    laser.peer.faults[b"ly_oxp2_output?"] = b"0\n"
    with pytest.raises(DeviceProtocolError, match="says nothing about it"):
        driver.read()


def test_a_doubled_reply_never_answers_the_next_question(make, laser):
    driver = make()
    laser.peer.faults[b"e_freq?"] = 2 * b"Frequency index parameter: 0\n"
    assert driver.read().rate_hz == 50_000.0
    laser.peer.faults.clear()
    assert driver.read().rate_hz == 200_000.0


def test_a_laser_that_never_stops_talking_is_not_listened_to_for_ever(make, laser):
    driver = make()
    laser.peer.faults[b"ly_oxp2_dev_status"] = 200 * b"blah\n"
    with pytest.raises(DeviceProtocolError):
        driver.read()


def test_after_silence_the_driver_opens_again(make, laser):
    driver = make(timeout_s=SILENCE_S)
    laser.peer.faults[b"ly_oxp2_output?"] = b""
    with pytest.raises(DeviceTimeout):
        driver.read()
    driver.close()
    laser.peer.faults.clear()
    driver.open()
    assert driver.read().shutter_open is False


def test_a_late_reply_on_a_serial_port_never_answers_the_next_question(laser, tmp_path):
    wire = PtyPeer(tmp_path / "nkt.pty", laser.peer.feed)
    driver = NktOrigami(
        NktOrigami.Config(
            connect=wire.connect, energy_max_pj=60, pj_per_unit=0.025, timeout_s=SILENCE_S, quiet_s=0.03
        )
    )
    driver.open()
    laser.peer.faults[b"ly_oxp2_output?"] = b""
    with pytest.raises(DeviceTimeout):
        driver.read()
    driver.close()
    laser.peer.faults.clear()
    wire.push(b"ly_oxp2_output 0\nly_oxp2_dev_status 129\n")
    driver.open()
    assert (driver.read().emission, driver.read().shutter_open) == (False, False)
    driver.close()
    wire.close()
