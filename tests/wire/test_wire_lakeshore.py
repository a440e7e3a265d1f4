"""The temperature controller: ramp, heater, limits."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.lakeshore_336 import LakeShore336Wire


def bench():
    plant = Plant()
    wire = LakeShore336Wire(plant, terminator="\n")
    wire.advance(0.0)
    return plant, wire


def test_the_set_point_follows_the_ramp():
    plant, wire = bench()
    wire.receive(b"RAMP 1,1,6.0\nSETP 1,50\n", 0.0)
    wire.advance(10.0)
    assert plant.temperature_setpoint_k == pytest.approx(49.0)
    assert wire.receive(b"RAMPST? 1\n", 10.0) == b"1\n"
    wire.advance(30.0)
    assert wire.receive(b"RAMPST? 1;SETP? 1\n", 30.0) == b"0;+50.0000\n"


def test_without_heater_the_stage_goes_to_its_base_temperature():
    plant, wire = bench()
    wire.receive(b"RANGE 1,0\n", 0.0)
    assert plant.temperature_setpoint_k == 20.0


def test_over_temperature_turns_the_heater_off():
    plant, wire = bench()
    wire.receive(b"TLIMIT A,100\n", 0.0)
    plant.temperature_k["A"] = 101.0
    assert wire.receive(b"RANGE? 1\n", 1.0) == b"0\n"


def test_an_alarm_shows_which_side_it_is_on():
    plant, wire = bench()
    wire.receive(b"ALARM A,1,60,10,0,0,0,0\n", 0.0)
    assert wire.receive(b"ALARMST? A\n", 0.0) == b"0,0\n"
    plant.temperature_k["A"] = 61.0
    assert wire.receive(b"ALARMST? A\n", 0.0) == b"1,0\n"


def test_names_keep_their_case():
    _, wire = bench()
    wire.receive(b'INNAME B,"Stage"\n', 0.0)
    assert wire.receive(b"INNAME? B\n", 0.0) == b"Stage\n"


@pytest.mark.parametrize(
    "bad", [b"SETP 1,nan", b"SETP 9,10", b"SETP 1", b"RANGE 3,2", b"RAMP 1,x,1", b"SETP? A"]
)
def test_a_bad_command_is_silent_and_changes_nothing(bad):
    _, wire = bench()
    before = wire.receive(b"SETP? 1;RANGE? 1;RANGE? 3;RAMP? 1\n", 0.0)
    assert wire.receive(bad + b"\n", 0.0) == b""
    assert wire.receive(b"SETP? 1;RANGE? 1;RANGE? 3;RAMP? 1\n", 0.0) == before


def test_commands_that_come_too_fast_are_counted():
    _, wire = bench()
    for tick in range(10):
        wire.receive(b"KRDG? A\n", tick * 0.01)
    assert wire.fast_commands == 9


def test_a_diode_shows_its_standard_voltage():
    plant, wire = bench()
    plant.temperature_k["C"] = 77.35
    assert float(wire.receive(b"SRDG? C\n", 0.0)) == pytest.approx(1.020, abs=0.001)
