"""The CTC100 in virtual time: ramps, outputs, names, errors, talkativeness."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.srs_ctc100 import SrsCtc100Wire


def bench(**settings):
    plant = Plant()
    wire = SrsCtc100Wire(plant, **settings)
    wire.advance(0.0)
    return plant, wire


def test_the_set_point_follows_the_ramp():
    plant, wire = bench()
    wire.receive(b"Out1.PID.Ramp 0.1\r\nOut1.PID.Setpoint 50\r\n", 0.0)
    wire.advance(10.0)
    assert plant.temperature_setpoint_k == pytest.approx(49.0)
    assert wire.receive(b"Out1.PID.Setpoint?\r\nOut1.PID.RampT?\r\n", 10.0) == b"50.000\r\n49.000\r\n"


@pytest.mark.parametrize("command", [b"outputEnable off", b"Out1.Off", b"Out1.PID.Mode = Off"])
def test_without_an_output_the_stage_goes_to_its_base_temperature(command):
    plant, wire = bench()
    assert plant.temperature_setpoint_k == 48.0
    wire.receive(command + b"\r\n", 0.0)
    assert plant.temperature_setpoint_k == 20.0


def test_a_channel_may_have_another_name():
    _, wire = bench()
    wire.receive(b'In1.name = "Cold finger"\r\n', 0.0)
    assert wire.receive(b"Coldfinger.value?\r\n", 0.0) == b"48.000\r\n"
    assert wire.receive(b"getOutput.names?\r\n", 0.0).startswith(b"Cold finger, In2,")


def test_a_log_gives_time_and_value():
    _, wire = bench()
    wire.advance(5.0)
    assert wire.receive(b"getLog.xy? In1\r\n", 5.0) == b"5\r\n"
    assert (
        wire.receive(b"getLog.xy In1, first\r\ngetLog.xy In1, next\r\n", 5.0)
        == b"0,48.000\r\n1000,48.000\r\n"
    )


@pytest.mark.parametrize(
    ("bad", "code"),
    [(b"foo?", b"102"), (b"!!", b"102"), (b"In1.value 4", b"104"), (b"Out1.PID.Setpoint nan", b"103"), (b"Out1.PID.Setpoint 1e6", b"103"),
     (b"Out1.PID.Mode Fast", b"103"), (b"outputEnable perhaps", b"103"), (b"A" * 300, b"102")],
)  # fmt: skip
def test_what_is_not_understood_is_silent_and_told_when_asked_for(bad, code):
    _, wire = bench()
    assert wire.receive(bad + b"\r\n", 0.0) == b""
    assert wire.receive(b"geterror?\r\n", 0.0).startswith(code + b",")
    assert wire.receive(b"Out1.PID.Setpoint?\r\ngeterror?\r\n", 0.0) == b"48.000\r\n0,NO ERROR\r\n"


def test_an_older_unit_knows_fewer_commands():
    _, wire = bench(model="TIC500", answers="getOutput")
    assert wire.receive(b"*IDN?\r\ngeterror?\r\ngetOutput.names?\r\n", 0.0) == b""
    assert wire.receive(b"getOutput\r\n", 0.0).startswith(b"48.000, ")
    assert wire.receive(b"Out1.PID.Setpoint?\r\n", 0.0) == b"48.000\r\n"


def test_celsius_is_shown_with_its_sign():
    _, wire = bench(unit="°C")
    assert wire.receive(b"getOutput.units?\r\n", 0.0).startswith(b"\xf8C, ")
    assert wire.receive(b"In4.value?\r\n", 0.0) == b"21.850\r\n"


@pytest.mark.parametrize(
    "command",
    [
        b"Out1.PID.Setpoint = (55)",
        b'(Out1.PID.Setpoint) "55"',
        b"Out1.PID.Setpoint += 7",
        b"out1.pid.setpoint 55",
    ],
)
def test_a_value_may_stand_in_brackets_or_quotes_or_be_added(command):
    _, wire = bench()
    wire.receive(command + b"\r\n", 0.0)
    assert wire.receive(b"Out1.PID.Setpoint?\r\ngeterror?\r\n", 0.0) == b"55.000\r\n0,NO ERROR\r\n"


def test_a_channel_that_is_named_alone_is_asked_for():
    _, wire = bench()
    assert wire.receive(b"In1\r\nOut1.PID.Mode\r\n", 0.0) == b"48.000\r\nOn\r\n"


def test_an_alarm_is_kept():
    _, wire = bench()
    wire.receive(b"In1.alarm.max = (75)\r\nIn1.alarm.mode = (Level)\r\n", 0.0)
    assert wire.receive(b"In1.Alarm.Max?\r\nIn1.Alarm.Mode?\r\n*ASR?\r\n", 0.0) == b"75\r\nLevel\r\n0\r\n"
