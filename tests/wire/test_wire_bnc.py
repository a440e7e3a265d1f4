"""The BNC pulse generator in virtual time: what runs, bursts, duty cycle, gate, refusals, echo."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.bnc_577 import Bnc577Wire


def bench(**settings):
    plant = Plant()
    wire = Bnc577Wire(plant, **settings)
    wire.advance(0.0)
    return plant, wire


def test_the_system_timer_starts_and_stops_the_pulses():
    plant, wire = bench()
    wire.receive(b":PULSE0:PER 5e-6\r\n:PULSE0:STAT 1\r\n", 0.0)
    assert (plant.trigger.live, plant.trigger.rate_hz) == (True, pytest.approx(200e3))
    wire.receive(b":PULSE0:STAT 0\r\n", 0.1)
    assert not plant.trigger.live


def test_without_an_enabled_channel_nothing_comes_out():
    plant, wire = bench()
    wire.receive(b":PULSE1:STAT 0\r\n:PULSE0:STAT 1\r\n", 0.0)
    assert not plant.trigger.live


def test_a_single_pulse_and_a_burst_end_by_themselves():
    _, wire = bench()
    wire.receive(b":PULSE0:PER 0.1\r\n:PULSE0:MOD SING\r\n:PULSE0:STAT 1\r\n", 0.0)
    assert wire.receive(b":PULSE0:STAT?\r\n", 0.05) == b"1\r\n"
    assert wire.receive(b":PULSE0:STAT?\r\n", 0.11) == b"0\r\n"


def test_a_duty_cycle_skips_pulses():
    plant, wire = bench()
    wire.receive(b":PULSE0:MOD DCYC\r\n:PULSE0:PCO 1\r\n:PULSE0:OCO 3\r\n:PULSE0:STAT 1\r\n", 0.0)
    assert plant.trigger.rate_hz == pytest.approx(250.0)


def test_an_outer_trigger_sets_the_rate():
    plant, wire = bench(external_hz=50_000.0)
    wire.receive(b":PULSE0:TRIG:MOD TRIG\r\n:PULSE0:STAT 1\r\n", 0.0)
    assert (plant.trigger.live, plant.trigger.rate_hz) == (True, 50_000.0)


@pytest.mark.parametrize(("gate", "live"), [(b"DIS", True), (b"PULS", False)])
def test_the_gate_input_works_only_where_it_is_set_up(gate, live):
    plant, wire = bench()
    wire.receive(b":PULSE0:GATE:MODE %s\r\n:PULSE0:STAT 1\r\n" % gate, 0.0)
    plant.trigger.inhibit_input = True
    wire.advance(0.1)
    assert plant.trigger.live is live


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"PULSE0:STAT 1", b"?1"), (b":", b"?2"), (b"*", b"?2"), (b":SYST", b"?2"), (b":PULSE0:TRIG", b"?2"), (b":POLAR NORM", b"?3"),
        (b":PULSE0:STATUS 1", b"?3"), (b":PULSE7:STAT 1", b"?3"), (b":PULSE0:STAT", b"?4"), (b":PULSE0:STAT 2", b"?5"),
        (b":PULSE0:PER nan", b"?5"), (b":PULSE0:PER 6000", b"?5"), (b":PULSE1:OUTP:AMPL 1", b"?5"), (b"*IDN", b"?6"), (b"*SAV?", b"?7"), (b"*TRG", b"?8"),
        (b":PULSE0:PER " + b"0" * 300 + b"1", b"?3"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_and_changes_nothing(line, answer):
    _, wire = bench()
    assert wire.receive(line + b"\r\n", 0.0) == answer + b"\r\n"
    assert wire.receive(b":PULSE0:STAT?\r\n:PULSE0:PER?\r\n", 0.0) == b"0\r\n0.001000000\r\n"


def test_settings_come_back_from_memory_but_do_not_start_it():
    _, wire = bench()
    wire.receive(b":PULSE0:PER 0.5\r\n:PULSE0:STAT 1\r\n*SAV 3\r\n*RST\r\n", 0.0)
    assert wire.receive(b":PULSE0:PER?\r\n", 0.0) == b"0.001000000\r\n"
    assert wire.receive(b"*RCL 3\r\n:PULSE0:PER?\r\n:PULSE0:STAT?\r\n", 0.0) == b"ok\r\n0.500000000\r\n0\r\n"


def test_the_echo_can_be_switched_on_and_off():
    _, wire = bench()
    wire.receive(b":SYST:COMM:SER:ECHO ON\r\n", 0.0)
    assert wire.receive(b":foo\r\n", 0.0) == b":foo\r\n?3\r\n"
    wire.receive(b":SYST:COMM:SER:ECHO OFF\r\n", 0.0)
    assert wire.receive(b":foo\r\n", 0.0) == b"?3\r\n"


def test_another_maker_has_another_name():
    _, wire = bench(model="9534", serial="02311", channels=8)
    assert wire.receive(b"*IDN?\r\n", 0.0).startswith(b"QC,9534,02311,")
    assert wire.receive(b":INST:CAT?\r\n", 0.0).endswith(b"CHG, CHH\r\n")
