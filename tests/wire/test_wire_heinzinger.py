"""The Heinzinger supply: units by type, silence, local, trips."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.heinzinger_pnc import HeinzingerPncWire


def bench(**settings):
    plant = Plant()
    wire = HeinzingerPncWire(plant, adc_ideal=True, **settings)
    return plant, wire, lambda text: wire.receive(text.encode() + b"\n", 1.0).decode()


@pytest.mark.parametrize(
    ("model", "volts", "amperes", "v_v", "a"),
    [
        ("PNChp 60000-1neg", "50000", "1", 50e3, 1e-3),
        ("PNC 100000-6pos", "100", "6", 100e3, 6e-3),
        ("PNC 600-3000pos", "600", "3", 600.0, 3.0),
        ("PNC 10000-0.5pos", "10000", "500", 10e3, 0.5e-3),
    ],
)
def test_the_type_says_the_units(model, volts, amperes, v_v, a):
    _, wire, ask = bench(model=model)
    ask(f"VOLT {volts}")
    ask(f"CURR {amperes}")
    assert (wire.set_v, wire.set_a) == (pytest.approx(v_v), pytest.approx(a))
    assert float(ask("VOLT?")) == float(volts)
    assert float(ask("CURR?")) == float(amperes)


def test_some_units_tell_their_serial_number_first_and_leave_out_a_zero():
    _, _, ask = bench(serial_first=True, bare_point=True)
    assert ask("*IDN?") == "354211082/PNChp 20000-10pos.\n"
    assert ask("VOLT?") == ".0\n"


def test_output_and_set_point_and_current_make_the_voltage():
    plant, _, ask = bench()
    ask("VOLT 3000")
    ask("OUTP ON")
    assert plant.specimen.demand_v == 0.0, "no current is allowed yet"
    ask("CURR 10")
    assert plant.specimen.demand_v == 3000.0
    ask("OUTP OFF")
    assert plant.specimen.demand_v == 0.0


def test_the_output_cannot_be_asked():
    assert [bench()[2](text) for text in ("OUTP?", "OUTP:STAT?", "STAT?", "VOLT? 1")] == [""] * 4


def test_long_forms_joined_commands_and_case_are_understood():
    _, wire, ask = bench()
    assert ask("source:voltage 10;:Curr 1;VOLT?;curr?") == "10.0\n1.0000\n"
    ask("OUTPut:STATe 1")
    assert wire.output_on


@pytest.mark.parametrize(
    "text", ["VOLT 20000.1", "VOLT -1", "VOLT", "VOLT x", "CURR 11", "OUTP MAYBE", "AVER 3"]
)
def test_what_cannot_be_is_passed_over(text):
    _, wire, ask = bench()
    assert ask(text) == ""
    assert (wire.set_v, wire.set_a, wire.output_on, ask("AVER?")) == (0.0, 0.0, False, "1\n")


def test_in_local_sets_are_passed_over_and_questions_answered():
    _, wire, ask = bench()
    wire.go_local(local=True)
    ask("VOLT 100")
    assert ask("VOLT?") == "0.0\n"


def test_a_trip_lasts_until_it_is_switched_off_and_on():
    plant, wire, ask = bench()
    for text in ("CURR 10", "VOLT 1000", "OUTP ON"):
        ask(text)
    wire.trip()
    ask("OUTP ON")
    assert plant.specimen.demand_v == 0.0
    ask("OUTP OFF")
    ask("OUTP ON")
    assert plant.specimen.demand_v == 1000.0


def test_an_open_interlock_takes_the_output_and_latches_or_not():
    for latches, after_v in ((True, 0.0), (False, 1000.0)):
        plant, wire, ask = bench()
        for text in ("CURR 10", "VOLT 1000", "OUTP ON"):
            ask(text)
        wire.interlock(is_open=True, latches=latches)
        assert plant.specimen.demand_v == 0.0
        wire.interlock(is_open=False, latches=latches)
        assert plant.specimen.demand_v == after_v


def test_reset_is_off_and_zero():
    _, wire, ask = bench()
    for text in ("CURR 10", "VOLT 1000", "OUTP ON", "*RST"):
        ask(text)
    assert (wire.set_v, wire.set_a, wire.output_on) == (0.0, 0.0, False)


def test_a_type_without_numbers_is_no_type():
    with pytest.raises(ValueError, match="no type"):
        bench(model="PNC")
