"""The function generators in virtual time: what comes out, bursts, errors, paths; and the parts of SCPI that they share with others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd_sim.plant import Plant
from evapd_sim.wire import scpi
from evapd_sim.wire.scpi_generator import Keysight33500Wire, TektronixAfgWire


def bench(kind=Keysight33500Wire, **settings):
    plant = Plant()
    wire = kind(plant, **settings)
    wire.advance(0.0)
    return plant, wire


@pytest.mark.parametrize("kind", [Keysight33500Wire, TektronixAfgWire])
def test_the_output_starts_and_stops_the_pulses(kind):
    plant, wire = bench(kind)
    wire.receive(b"SOUR1:FREQ:FIX 200000\nOUTP1:STAT 1\n", 0.0)
    assert (plant.trigger.live, plant.trigger.rate_hz) == (True, 200_000.0)
    wire.receive(b"OUTP1:STAT 0\n", 0.1)
    assert not plant.trigger.live


def test_a_direct_voltage_triggers_nothing():
    plant, wire = bench()
    wire.receive(b"FUNC DC;:OUTP ON\n", 0.0)
    assert not plant.trigger.live


@pytest.mark.parametrize(("trigger", "rate_hz"), [(b"TIM;TIM 0.01", 500.0), (b"EXT", 100.0), (b"IMM", 500.0)])
def test_a_burst_gives_its_cycles_at_each_trigger(trigger, rate_hz):
    plant, wire = bench(external_hz=20.0)
    wire.receive(b"TRIG:SOUR " + trigger + b"\nBURS:NCYC 5;STAT ON\nOUTP ON\n", 0.0)
    assert (plant.trigger.live, plant.trigger.rate_hz) == (True, pytest.approx(rate_hz))


def test_a_gated_burst_obeys_the_input():
    plant, wire = bench()
    wire.receive(b"BURS:MODE GAT;STAT ON\nOUTP ON\n", 0.0)
    assert plant.trigger.live
    plant.trigger.inhibit_input = True
    assert not plant.trigger.live


def test_the_oldest_errors_stay_and_the_last_says_that_there_were_more():
    _, wire = bench()
    wire.receive(b"FOO\n" * 30, 0.0)
    codes = [wire.receive(b"SYST:ERR?\n", 0.0).split(b",")[0] for _ in range(21)]
    assert codes == [b"-113"] * 19 + [b"-350", b"+0"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"FREQ nan", b"-224"), (b"FREQ", b"-109"), (b"FREQ 1 V", b"-224"), (b"OUTP3 ON", b"-113"), (b"OUTP0 ON", b"-113"), (b"!!", b"-102"),
        (b"*SAV 9", b"-224"), (b"*TRG", b"-211"), (b"APPL:SQU 1,2,3,4", b"-108"), (b"FREQ " + b"0" * 1100, b"-363"), (b"VOLT 100", b"-222"),
    ],
)  # fmt: skip
def test_what_is_refused_answers_nothing_and_queues_its_error(line, code):
    _, wire = bench(TektronixAfgWire)
    assert wire.receive(line + b"\n", 0.0) == b""
    assert wire.receive(b"SYST:ERR?\n", 0.0).startswith(code + b",")


def test_settings_come_back_from_memory():
    _, wire = bench()
    wire.receive(b"FREQ 4321;*SAV 3;*RST\n", 0.0)
    assert float(wire.receive(b"FREQ?\n", 0.0)) == 1000.0
    assert float(wire.receive(b"*RCL 3;FREQ?\n", 0.0)) == 4321.0


def test_channels_are_apart():
    plant, wire = bench(TektronixAfgWire)
    wire.receive(b"OUTP2:STAT ON;:SOUR2:FREQ 5\n", 0.0)
    assert not plant.trigger.live
    assert float(wire.receive(b"SOUR1:FREQ?\n", 0.0)) == 1000.0


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("200", "HZ", 200.0), ("1.5 kHz", "HZ", 1500.0), ("2MHZ", "HZ", 2e6), ("10 us", "S", 1e-5), ("3 mV", "V", 3e-3), ("5 V", "HZ", None),
        ("", "S", None), ("1e999", "", None), ("--1", "", None), ("1 2", "", None), ("50%", "%", 50.0),
    ],
)  # fmt: skip
def test_a_quantity_may_carry_its_unit(text, unit, value):
    assert scpi.quantity(text, unit) == (value if value is None else pytest.approx(value))


def test_a_header_has_two_spellings_and_nothing_between():
    pattern = scpi.header("[SOURce#:]FREQuency[:CW|:FIXed]")
    assert all(map(pattern.fullmatch, ("FREQ", "SOUR2:FREQUENCY:FIX", "SOURCE:FREQ:CW")))
    assert not any(map(pattern.fullmatch, ("FREQU", "SOURC:FREQ", "FREQ:", ":FREQ", "FREQ:CW:FIX")))


@given(st.text(max_size=20), st.sampled_from(["HZ", "S", "V", ""]))
def test_any_text_is_a_finite_number_or_none(text, unit):
    value = scpi.quantity(text, unit)
    assert value is None or abs(value) < float("inf")


def test_the_period_of_a_pulse_is_its_frequency_again():
    _, wire = bench()
    wire.receive(b"FUNC:PULS:PER 5e-6\n", 0.0)
    assert float(wire.receive(b"FREQ?\n", 0.0)) == pytest.approx(200e3)
    assert float(wire.receive(b"SOUR1:PULS:PER?\n", 0.0)) == pytest.approx(5e-6)


def test_a_unit_may_be_another_model():
    _, wire = bench(model="33220A", serial="MY44036372")
    assert wire.receive(b"*IDN?\n", 0.0).startswith(b"Agilent Technologies,33220A,MY44036372,")


@pytest.mark.parametrize("kind", [Keysight33500Wire, TektronixAfgWire])
def test_amplitude_and_offset_say_the_same_as_the_levels(kind):
    _, wire = bench(kind)
    wire.receive(b"VOLT:LOW 0;HIGH 2\n", 0.0)
    assert [float(part) for part in wire.receive(b"VOLT?;VOLT:OFFS?\n", 0.0).split(b";")] == [2.0, 1.0]
    wire.receive(b"VOLT 1;VOLT:OFFS 0\n", 0.0)
    assert [float(part) for part in wire.receive(b"VOLT:HIGH?;LOW?\n", 0.0).split(b";")] == [0.5, -0.5]


def test_a_level_beyond_the_other_one_moves_it():
    _, wire = bench()
    wire.receive(b"VOLT:LOW 1\n", 0.0)
    assert float(wire.receive(b"VOLT:HIGH?\n", 0.0)) == pytest.approx(1.001)


def test_a_tektronix_names_its_own_timer_as_the_source():
    _, wire = bench(TektronixAfgWire)
    assert wire.receive(b"TRIGGER:SOURCE?\n", 0.0) == b"TIM\n"


@pytest.mark.parametrize(
    "question",
    [b"OUTPut:TRIGger:MODE", b"SOURce1:AM:DEPTh", b"SOURce2:PWM:INTernal:FUNCtion:EFILe", b"SOURce1:FSKey:STATe", b"SOURce1:FUNC:ARB:SRAT",
     b"SOURce1:VOLTage:CONCurrent:STATe", b"OUTPut:SYNC:SOURce", b"SYST:BEEP:STAT", b"SOURce4:POWer:LEVel:IMMediate:AMPLitude"],
)  # fmt: skip
def test_what_a_client_looks_at_besides_the_pulses_is_told(question):
    _, wire = bench()
    assert wire.receive(question + b"?\n", 0.0).strip()
