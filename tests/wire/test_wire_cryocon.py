"""The Cryo-con controller in virtual time: ramps, loops, limits, units, refusals."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.cryocon_24c import Cryocon24cWire


def bench(**settings):
    plant = Plant()
    wire = Cryocon24cWire(plant, **settings)
    wire.advance(0.0)
    return plant, wire


def test_the_set_point_follows_the_ramp():
    plant, wire = bench()
    wire.receive(b"LOOP 1:TYPE RAMPP;LOOP 1:RATE 6.0;LOOP 1:SETPT 50\n", 0.0)
    wire.advance(10.0)
    assert plant.temperature_setpoint_k == pytest.approx(49.0)
    assert wire.receive(b"LOOP 1:RAMP?\n", 10.0) == b"ON\n"


@pytest.mark.parametrize("command", [b"STOP", b"LOOP 1:TYPE OFF", b"SYSTEM:LOOP OFF"])
def test_without_control_the_stage_goes_to_its_base_temperature(command):
    plant, wire = bench()
    assert plant.temperature_setpoint_k == 48.0
    wire.receive(command + b"\n", 0.0)
    assert plant.temperature_setpoint_k == 20.0


def test_over_temperature_disengages_the_loops():
    plant, wire = bench()
    wire.receive(b"OVERTEMP:TEMPERATURE 100\n", 0.0)
    plant.temperature_k["A"] = 101.0
    wire.advance(1.0)
    assert wire.receive(b"CONTROL?\n", 1.0) == b"OFF\n"


@pytest.mark.parametrize(("unit", "shown"), [(b"K", 77.35), (b"C", -195.8), (b"F", -320.44), (b"S", 1.02)])
def test_a_sensor_is_shown_in_its_unit(unit, shown):
    plant, wire = bench()
    plant.temperature_k["C"] = 77.35
    wire.receive(b"INPUT C:UNITS " + unit + b"\n", 0.0)
    assert float(wire.receive(b"INPUT? C\n", 0.0)) == pytest.approx(shown, abs=0.01)


def test_names_keep_their_case():
    _, wire = bench()
    wire.receive(b'input b:name "Stage"\n', 0.0)
    assert wire.receive(b"INPUT B:NAME?\n", 0.0) == b"Stage\n"


@pytest.mark.parametrize(
    "bad",
    [b"LOOP 1:SETPT nan", b"LOOP 9:SETPT 10", b"LOOP 1:SETPT 1e6", b"LOOP 1:TYPE SLOW", b"INPUT A:UNITS X", b"CONTROL MAYBE", b"STOP?", b"!", b"A" * 300],
)  # fmt: skip
def test_what_is_not_understood_is_answered_nack_and_changes_nothing(bad):
    _, wire = bench()
    questions = b"LOOP 1:SETPT?;LOOP 1:TYPE?;INPUT A:UNITS?;CONTROL?\n"
    before = wire.receive(questions, 0.0)
    assert wire.receive(bad + b"\n", 0.0) == b"NACK\n"
    assert wire.receive(questions, 0.0) == before


def test_requests_that_come_too_fast_are_counted():
    _, wire = bench()
    for tick in range(10):
        wire.receive(b"INPUT? A\n", tick * 0.05)
    assert wire.fast_requests == 9


def test_an_older_model_tells_no_serial_number():
    _, wire = bench(model="32", firmware="6.20H")
    assert wire.receive(b"*IDN?\n", 0.0) == b"Cryocon Model 32, Rev 6.20H\n"


@pytest.mark.parametrize("place", [b"A", b"CHA", b"0", b"a"])
def test_an_input_has_a_letter_or_a_number_from_0(place):
    _, wire = bench()
    assert wire.receive(b"INP? " + place + b"\n", 0.0) == b"48.000000\n"


def test_the_sensor_tells_its_own_quantity_whatever_the_unit():
    _, wire = bench()
    wire.receive(b"INPUT A:UNITS S\n", 0.0)
    assert wire.receive(b"INPUT? A;INP A:SENP?\n", 0.0) == b"1.073927;1.073927\n"


def test_a_loop_tells_what_its_heater_takes():
    _, wire = bench()
    assert wire.receive(b"LOOP 1:LOAD?;LOOP 1:OUTP?\n", 0.0) == b"50;8.4\n"
    volt, ampere = (
        float(part[:-1]) for part in wire.receive(b"LOOP 1:VSEN?;LOOP 1:ISEN?\n", 0.0).strip().split(b";")
    )
    assert volt * ampere == pytest.approx(0.084 * 50.0, rel=1e-5)


def test_a_load_of_nothing_is_refused():
    _, wire = bench()
    assert wire.receive(b"LOOP 1:LOAD 0\n", 0.0) == b"NACK\n"
