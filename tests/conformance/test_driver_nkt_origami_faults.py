"""NKT ORIGAMI against a scripted laser: making safe, silence, garbage, half and late replies."""

import pytest

from evapd.errors import DeviceError, DeviceLost, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers.laser.nkt_origami import NktOrigami
from support.scripted_origami import ScriptedOrigami, origamis_at
from support.scripted_peer import SILENCE_S, PtyPeer


@pytest.fixture
def laser():
    return ScriptedOrigami()


@pytest.fixture
def make(laser, tmp_path):
    with origamis_at(laser, tmp_path) as make_:
        yield make_


def test_making_safe_sends_gate_and_standby_at_once_and_checks_both(make, laser):
    driver = make()
    laser.status, laser.gate_closed = 129, 0
    driver.make_safe()
    assert laser.peer.heard[:2] == [b"ly_oxp2_output_disable", b"ly_oxp2_standby"]
    assert (laser.status, laser.gate_closed) == (33, 1)


@pytest.mark.parametrize("fault", [b"Error 5\n", b"garbage\n", b"", b"\xff\xfe\n"])
def test_making_safe_that_does_not_hold_says_so_and_has_sent_everything(make, laser, fault):
    driver = make()
    laser.status, laser.gate_closed = 129, 0
    laser.peer.faults[b"ly_oxp2_output_disable"] = fault
    laser.peer.faults[b"ly_oxp2_standby"] = fault
    with pytest.raises(DeviceError):
        driver.make_safe()
    assert laser.peer.heard[:2] == [b"ly_oxp2_output_disable", b"ly_oxp2_standby"]


def test_making_safe_on_a_lost_link_says_so(make):
    driver = make()
    make.line.hung_up = True
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
    driver = make()
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
    driver = make()
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
    driver = make()
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
