"""The laboratory supply: remote control, limits, output."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.ea_scpi import EaScpiWire


def test_nothing_reaches_the_output_without_remote_control():
    plant = Plant()
    wire = EaScpiWire(plant)
    wire.receive(b"VOLT 100\nOUTP ON\n", 0.0)
    assert plant.pulse.demand_v == 0.0
    wire.receive(b"SYST:LOCK ON\nVOLT 100\nOUTP ON\n", 0.0)
    assert plant.pulse.demand_v == 100.0


def test_remote_control_is_refused_while_the_panel_has_it():
    wire = EaScpiWire(Plant())
    wire.local = True
    assert wire.receive(b"SYST:LOCK ON\nSYST:LOCK:OWN?\n", 0.0) == b"LOCAL\n"


def test_the_current_limit_holds_the_voltage_down():
    plant = Plant()
    EaScpiWire(plant).receive(b"SYST:LOCK ON;CURR 0.001;VOLT 150;OUTP ON\n", 0.0)
    assert plant.pulse.demand_v == pytest.approx(100.0)


def test_long_forms_colons_and_case_are_the_same_command():
    wire = EaScpiWire(Plant())
    wire.receive(b":SYSTem:LOCK:STATe 1\nsource:voltage 12.5 V\n", 0.0)
    assert wire.receive(b"VOLTage?;:volt?\n", 0.0) == b"12.50 V;12.50 V\n"


def test_numbers_may_come_without_a_unit():
    assert EaScpiWire(Plant(), unit_text=False).receive(b"MEAS:VOLT?\n", 0.0) == b"0.00\n"


def test_set_values_go_to_102_percent_and_no_further():
    wire = EaScpiWire(Plant())
    wire.receive(b"SYST:LOCK ON;VOLT 204;VOLT 204.01;VOLT -1\n", 0.0)
    assert wire.receive(b"VOLT?;SYST:ERR:ALL?\n", 0.0).startswith(b'204.00 V;-222,"Data out of range",-222')


def test_a_front_panel_change_is_seen():
    plant = Plant()
    wire = EaScpiWire(plant)
    wire.front_panel(42.0, output=True)
    assert plant.pulse.demand_v == 42.0
    assert wire.receive(b"VOLT?;OUTP?\n", 0.0) == b"42.00 V;ON\n"


def test_limits_of_adjustment_are_told_with_their_units_and_hold():
    wire = EaScpiWire(Plant())
    wire.receive(b"SYST:LOCK ON;SOURce:VOLTage:LIMit:HIGH 70.0;SOURce:POWer:LIMit:HIGH 100\n", 0.0)
    told = wire.receive(
        b"SOURce:VOLTage:LIMit:HIGH?;:SOURce:CURRent:LIMit:LOW?;:SOURce:POWer:LIMit:HIGH?\n", 0.0
    )
    assert told == b"70.00 V;0.000 A;100.0 W\n"
    assert wire.receive(b"VOLT 71;VOLT?;SYST:ERR?\n", 0.0) == b'0.00 V;-222,"Data out of range"\n'


def test_protections_are_kept_and_need_remote_control():
    wire = EaScpiWire(Plant())
    wire.receive(b"VOLT:PROT 100;SYST:LOCK ON;VOLT:PROT:LEV 210;SYST:MS:ENAB?\n", 0.0)
    assert wire.receive(b"VOLT:PROT?;SYST:ERR:ALL?\n", 0.0) == b'210.00 V;-221,"Settings conflict"\n'
