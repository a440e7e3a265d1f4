"""NKT ORIGAMI against a scripted laser: what is asked of it is done and read back, or refused."""

import math

import pytest

from evapd.errors import DeviceIdentityError, DeviceRefused, LimitError
from support.scripted_origami import ScriptedOrigami, origamis_at


@pytest.fixture
def laser():
    return ScriptedOrigami()


@pytest.fixture
def make(laser, tmp_path):
    with origamis_at(laser, tmp_path) as make_:
        yield make_


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
        make()


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
    driver = make(pj_per_unit=None, calibration=((100, 0.0), (1000, 10.0), (4000, 100.0)))
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
    driver = make()
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
