"""Heinzinger PNC: codec against literal bytes, behaviour against a scripted supply."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import (
    DeviceError,
    DeviceIdentityError,
    DeviceProtocolError,
    DeviceRefused,
    DeviceTimeout,
    LimitError,
)
from evapd_drivers.hv import heinzinger_pnc as codec
from evapd_drivers.hv.heinzinger_pnc import HeinzingerPnc
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer

USUAL = {"v_max_v": 15000, "i_max_a": 0.005}


class Supply:
    """Takes sets in silence, `slow` questions later, and not at all in LOCAL."""

    def __init__(self):
        self.name, self.slow, self.local = b"PNChp 20000-10pos 354211082", 0, False
        self.values, self.coming, self.on, self.measured = (
            {b"VOLT": b"0.0", b"CURR": b"0.0000"},
            [],
            False,
            b"1500.0",
        )
        self.peer = Peer(self.answer)

    def answer(self, command):
        if command.endswith(b"?"):
            self.coming = [(left - 1, name, value) for left, name, value in self.coming]
            self.values |= {name: value for left, name, value in self.coming if left < 0}
            known = {b"*IDN?": self.name, b"MEAS:VOLT?": self.measured, b"MEAS:CURR?": b"0.0015"}
            return known.get(command, self.values.get(command[:-1])) + b"\n"
        name, _, value = command.partition(b" ")
        if not self.local and name == b"OUTP":
            self.on = value == b"ON"
        elif not self.local:
            self.coming = [(self.slow, name, value)]
        return b""


@pytest.fixture
def supply():
    return Supply()


@pytest.fixture
def make(supply, tmp_path):
    with drivers_at(supply.peer, tmp_path, HeinzingerPnc, **USUAL) as make_:
        yield make_


@pytest.mark.parametrize(
    ("line", "model", "serial", "nominal"),
    [
        (b"PNChp 60000-1neg 354211082", "PNChp 60000-1neg", "354211082", (60e3, 1e-3, 1.0, 1e-3, "neg")),
        (b"314807440/PNChp 60000-1neg.", "PNChp 60000-1neg", "314807440", (60e3, 1e-3, 1.0, 1e-3, "neg")),
        (b"PNChp 1500-40 ump. 375214277", "PNChp 1500-40 ump", "375214277", (1500.0, 0.04, 1.0, 1e-3, "ump")),
        (b"PNC 100000-6pos 375214277", "PNC 100000-6pos", "375214277", (100e3, 6e-3, 1e3, 1e-3, "pos")),
        (b"PNC 600-3000pos 375214277", "PNC 600-3000pos", "375214277", (600.0, 3.0, 1.0, 1.0, "pos")),
        (b"PNC 10000-0.5pos", "PNC 10000-0.5pos", "", (10e3, 0.5e-3, 1.0, 1e-6, "pos")),
    ],
)
def test_a_type_tells_nominal_values_units_and_polarity(line, model, serial, nominal):
    identity, found = codec.decode_identity(line)
    assert (identity.vendor, identity.model, identity.serial) == ("Heinzinger", model, serial)
    assert tuple(found) == (*map(pytest.approx, nominal[:4]), nominal[4])


@pytest.mark.parametrize(
    "line", [b"", b"FUG HCP 14 - 20 000", b"PNC", b"ABC 600-3000pos 375214277", b"PNC 0-0pos"]
)
def test_anything_else_is_another_instrument(line):
    with pytest.raises(DeviceIdentityError):
        codec.decode_identity(line)


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"v_max_v": 30000}, "want more"), ({"i_max_a": 0.02}, "want more"), ({"polarity": "negative"}, "say negative"),
     ({"serial_number": "1"}, "354211082 answers")],
)  # fmt: skip
def test_a_unit_that_the_settings_do_not_fit_is_refused(make, settings, why):
    with pytest.raises(DeviceIdentityError, match=why):
        make(**settings)


def test_a_set_is_awaited_until_it_shows(make, supply):
    driver = make()
    supply.slow = 3
    driver.set_voltage(2000.0)
    assert supply.peer.heard == [b"VOLT 2000.000000"] + [b"VOLT?"] * 4


def test_a_set_that_never_shows_is_a_refusal(make, supply):
    driver = make()
    supply.local = True
    with pytest.raises(DeviceRefused, match="VOLT\\? reads 0 after 2000 was set: LOCAL"):
        driver.set_voltage(2000.0)


def test_what_cannot_be_asked_is_not_told(make, supply):
    driver = make()
    driver.output(True)
    reading = driver.read()
    assert supply.on
    assert (reading.output_on, reading.remote, reading.tripped, reading.interlock_open) == (None,) * 4
    assert (reading.v_meas_v, reading.i_meas_a) == (1500.0, pytest.approx(1.5e-6))


def test_kilovolts_and_another_current_unit_by_type_and_setting(make, supply):
    supply.name, supply.measured = b"PNC 100000-6pos 375214277", b".5"
    driver = make(v_max_v=100e3, current_unit="uA")
    driver.set_voltage(50e3)
    driver.set_current_limit(1e-3)
    assert supply.values == {b"VOLT": b"50.000000", b"CURR": b"1000.000000"}


def test_switching_on_first_proves_that_the_unit_obeys(make, supply):
    driver = make()
    supply.values[b"CURR"] = b"2.0000"
    driver.output(True)
    assert supply.peer.heard == [
        b"CURR?", b"CURR 1.000000", b"CURR?", b"CURR 2.000000", b"CURR?", b"OUTP ON", b"VOLT?",
    ]  # fmt: skip


def test_switching_on_in_local_is_refused_before_it_is_tried(make, supply):
    driver = make()
    supply.local = True
    with pytest.raises(DeviceRefused, match="LOCAL"):
        driver.output(True)
    assert b"OUTP ON" not in supply.peer.heard


def test_a_current_limit_beyond_the_settings_is_brought_down_when_it_is_switched_on(make, supply):
    driver = make()
    supply.values[b"CURR"] = b"10.0000"
    driver.output(True)
    assert supply.values[b"CURR"] == b"5.000000"


def test_make_safe_is_zero_then_off_then_a_check(make, supply):
    driver = make()
    driver.set_voltage(2000.0)
    driver.output(True)
    supply.peer.heard.clear()
    driver.make_safe()
    assert supply.peer.heard == [b"VOLT 0.000000", b"VOLT?", b"OUTP OFF", b"VOLT?"]
    assert not supply.on


def test_make_safe_through_silence_switches_off_all_the_same(make, supply):
    driver = make()
    driver.output(True)
    supply.peer.faults[b"VOLT?"] = b""
    with pytest.raises(DeviceTimeout):
        driver.make_safe()
    supply.peer.faults.clear()
    driver.open()
    assert not supply.on


def test_make_safe_whose_set_point_stays_is_a_refusal(make, supply):
    driver = make()
    driver.set_voltage(2000.0)
    supply.local = True
    with pytest.raises(DeviceRefused):
        driver.make_safe()


@pytest.mark.parametrize("told", [b"-1500.0", b"1500.0"])
def test_a_negative_unit_reads_negative_whatever_sign_it_tells(make, supply, told):
    supply.name, supply.measured = b"PNChp 20000-10neg 354211082", told
    driver = make(polarity="negative")
    driver.set_voltage(-2000.0)
    assert supply.values[b"VOLT"] == b"2000.000000"
    assert (driver.read().v_meas_v, driver.read().v_set_v) == (-1500.0, -2000.0)
    with pytest.raises(LimitError):
        driver.set_voltage(2000.0)


@pytest.mark.parametrize("told", [b"1500.0 V", b"nan", b"", b"24001", b"1,5", b"ON"])
def test_a_bad_answer_is_never_a_reading(make, supply, told):
    driver = make()
    supply.measured = told
    with pytest.raises(DeviceTimeout if not told else DeviceProtocolError):
        driver.read()


@given(st.binary(max_size=40))
def test_random_names_are_types_or_device_errors(line):
    with contextlib.suppress(DeviceError):
        assert codec.decode_identity(line)[1].v_v > 0
