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


@pytest.mark.parametrize(
    ("bad", "bits"),
    [(b"FOO 1", 32), (b"FOO? 1", 32), (b"RAMP 1,x,1", 16), (b"CRVPT 22,999,1,1", 16), (b"{}", 32)],
)
def test_a_mistake_is_in_the_event_register_until_it_is_read(bad, bits):
    _, wire = bench()
    assert wire.receive(bad + b"\n*ESR?\n*ESR?\n", 0.0) == b"%03d\n000\n" % bits


def test_extremes_are_kept_until_they_are_reset():
    plant, wire = bench()
    for kelvin in (60.0, 50.0):
        plant.temperature_k["A"] = kelvin
        wire.advance(1.0)
    assert wire.receive(b"MDAT? A\n", 2.0) == b"+48.0000,+60.0000\n"
    assert wire.receive(b"MNMXRST\nMDAT? A\n", 3.0) == b"+50.0000,+50.0000\n"


def test_a_relay_follows_the_alarm_of_its_input():
    _, wire = bench()
    wire.receive(b"ALARM A,1,40,10,0,0,0,0\nRELAY 2,2,A,1\n", 0.0)
    assert wire.receive(b"RELAYST? 2\n", 0.0) == b"1\n"
    assert wire.receive(b"ALARM A,0\nRELAYST? 2\n", 0.0) == b"0\n"


def test_a_deleted_curve_has_no_points():
    _, wire = bench()
    wire.receive(b'CRVHDR 21,"Mine","SN1",2,325,1\nCRVPT 21,1,1.6,4\nCRVDEL 21\n', 0.0)
    assert wire.receive(b"CRVPT? 21,1\n", 0.0) == b"+0.00000,+0.00000\n"
