"""The gauge controller: continuous output, units, gauges that are off."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.pfeiffer_tpg26x import PfeifferTpg26xWire


def test_continuous_output_comes_at_its_period_until_anything_is_received():
    wire = PfeifferTpg26xWire(Plant())
    wire.receive(b"COM,0\r\n", 0.0)
    lines = [wire.poll(tick / 100) for tick in range(1, 101)]
    assert sum(bool(line) for line in lines) == pytest.approx(10, abs=1)
    wire.receive(b"\x03", 1.0)
    assert wire.poll(5.0) == b""


def test_a_controller_may_talk_by_itself_after_power_on():
    wire = PfeifferTpg26xWire(Plant(), streams_at_start=True)
    wire.advance(0.0)
    assert wire.poll(1.01) == b"0,+3.0000E-11,0,+2.0000E-08\r\n"


def test_enq_before_any_command_gives_the_error_word():
    assert PfeifferTpg26xWire(Plant()).receive(b"\x05", 0.0) == b"0000\r\n"


def test_a_gauge_that_is_switched_off_says_so():
    wire = PfeifferTpg26xWire(Plant())
    assert wire.receive(b"SEN,1,0\r\x05PR1\r\x05", 0.0) == b"\x06\r\n1,2\r\n\x06\r\n4,+3.0000E-11\r\n"
    assert wire.receive(b"SEN,2,0\rPR1\r\x05", 0.0).endswith(b"0,+3.0000E-11\r\n")


def test_torr_is_known():
    wire = PfeifferTpg26xWire(Plant(), unit=1)
    assert wire.receive(b"PR2\r\x05", 0.0) == b"\x06\r\n0,+1.5001E-08\r\n"


@pytest.mark.parametrize(
    "line", [b"PR3", b"PR1,1", b"SEN,1", b"SEN,3,0", b"COM,9", b"UNI,", b"RST,1", b"AYT"]
)
def test_what_the_controller_does_not_have_is_refused(line):
    assert PfeifferTpg26xWire(Plant()).receive(line + b"\r\n", 0.0) == b"\x15\r\n"


def test_a_newer_controller_says_what_it_is():
    wire = PfeifferTpg26xWire(Plant(), model="TPG362")
    assert wire.receive(b"AYT\r\x05", 0.0).startswith(b"\x06\r\nTPG362,")


def test_a_switching_point_is_kept():
    wire = PfeifferTpg26xWire(Plant())
    assert wire.receive(b"SP1,1,1e-6, 2.5E-6\r\n\x05", 0.0) == b"\x06\r\n1,+1.0000E-06,+2.5000E-06\r\n"
    assert wire.receive(b"SP1\r\x05", 0.0) == b"\x06\r\n1,+1.0000E-06,+2.5000E-06\r\n"


def test_filters_and_factors_are_those_of_each_gauge():
    wire = PfeifferTpg26xWire(Plant())
    assert wire.receive(b"FIL,2,0\r\x05", 0.0) == b"\x06\r\n2,0\r\n"
    assert wire.receive(b"CAL,1.5,1\r\x05", 0.0) == b"\x06\r\n1.500,1.000\r\n"


@pytest.mark.parametrize("line", [b"SP1,1", b"FIL,1", b"FIL,1,x", b"CAL,nan,1", b"SP9", b"RES,2"])
def test_a_setting_that_is_not_understood_is_refused(line):
    assert PfeifferTpg26xWire(Plant()).receive(line + b"\r\n", 0.0) == b"\x15\r\n"
