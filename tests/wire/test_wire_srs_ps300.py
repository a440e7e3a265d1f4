"""The SRS PS300 in virtual time: status byte, trips, limits, the switch at its front, what it refuses and how it says so."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.srs_ps300 import SrsPs300Wire


class Bench:
    """A supply, its plant, and a clock that the test turns."""

    def __init__(self, **settings):
        self.plant = Plant()
        self.wire = SrsPs300Wire(self.plant, **{"adc_ideal": True} | settings)
        self.now_s = 0.0
        self.wire.advance(0.0)
        self.ask("*CLS")

    def ask(self, command: str) -> str:
        return self.wire.receive(command.encode() + b"\n", self.now_s).decode().strip()

    def events(self) -> int:
        return int(self.ask("*ESR?"))

    def wait(self, seconds: float, step_s: float = 0.01) -> None:
        for _ in range(round(seconds / step_s)):
            self.now_s += step_s
            self.wire.advance(self.now_s)
            self.plant.specimen.advance(step_s)


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def energised(bench):
    bench.ask("VSET 1000")
    bench.ask("HVON")
    bench.wait(1.0)
    return bench


def test_a_set_value_reaches_the_output_only_when_hv_is_on(bench):
    bench.ask("VSET 1000")
    bench.wait(1.0)
    assert bench.plant.specimen.v_v == 0.0
    bench.ask("HVON")
    assert bench.ask("*STB?") == "128", "on, not yet stable"
    bench.wait(1.0)
    assert bench.ask("*STB?") == "129"
    assert float(bench.ask("VOUT?")) == pytest.approx(1000.0, rel=0.01)


def test_the_output_falls_by_itself_when_hv_goes_off(energised):
    energised.ask("HVOF")
    assert energised.ask("*STB? 7") == "0"
    energised.wait(0.1)
    assert float(energised.ask("VOUT?")) > 500.0


def test_the_current_limit_holds_the_voltage_down(energised):
    energised.ask("ILIM 0.000001")
    energised.plant.specimen.load_ohm = 1e8
    energised.wait(5.0)
    assert energised.ask("*STB? 3") == "1"
    assert float(energised.ask("VOUT?")) == pytest.approx(100.0, rel=0.02)


def test_a_current_above_itrp_trips_and_hv_stays_off_until_the_trip_is_cleared(energised):
    energised.ask("ITRP 0.000001")
    energised.plant.specimen.load_ohm = 1e8
    energised.wait(0.02)
    energised.ask("HVON")
    assert int(energised.ask("*STB?")) & 132 == 4
    assert energised.events() == 16
    energised.wait(5.0)
    energised.ask("TCLR;HVON")
    assert energised.ask("*STB? 7") == "1"


def test_a_voltage_above_its_limit_trips(energised):
    energised.ask("VLIM 1000")
    energised.plant.specimen.v_v = 1100.0
    energised.wait(0.01)
    assert int(energised.ask("*STB?")) & 130 == 2


def test_trips_can_be_set_to_clear_themselves(energised):
    energised.ask("TMOD 1")
    energised.wire.trip()
    assert int(energised.ask("*STB?")) & 134 == 0


@pytest.mark.parametrize("bar", ["switch", "interlock"])
def test_hvon_is_an_execution_error_where_hv_is_not_allowed(bench, bar):
    if bar == "switch":
        bench.wire.front_switch = False
    else:
        bench.wire.interlock(is_open=True, latches=True)
    bench.ask("HVON")
    assert (bench.events(), bench.ask("*STB? 7")) == (16, "0")


def test_in_local_nothing_that_is_sent_reaches_the_output(energised):
    energised.wire.go_local(local=True)
    for command in ("VSET 5", "HVOF", "TCLR", "*RST"):
        energised.ask(command)
        assert energised.events() == 16
    assert (energised.ask("VSET?"), energised.ask("*STB? 7")) == ("1000.0", "1")


@pytest.mark.parametrize(
    ("settings", "sent", "told"),
    [
        ({"model": "PS370"}, "-3000", "-3000.0"),
        ({"model": "PS350", "negative": True}, "-3000", "-3000.0"),
        ({"model": "PS350"}, "3000", "3000.0"),
    ],
)
def test_values_carry_the_sign_of_the_unit(settings, sent, told):
    bench = Bench(**settings)
    bench.ask(f"VSET {sent}")
    bench.ask("HVON")
    bench.wait(1.0)
    assert bench.ask("VSET?") == told
    assert float(bench.ask("VOUT?")) == pytest.approx(float(told), rel=0.01)


@pytest.mark.parametrize("text", ["VSET1234", "vset 1234", " V S E T 1234 ;", "VSET1.234E3", "VSET 1234;;"])
def test_blanks_case_and_a_last_semicolon_do_not_matter(bench, text):
    bench.ask(text)
    assert bench.ask("VSET?") == "1234.0"


@pytest.mark.parametrize(
    ("command", "events"),
    [("VSET 20001", 16), ("VSET -5", 16), ("VSET", 16), ("VSET nan", 32), ("VSET 1,5", 32), ("ILIM 1", 16), ("VLIM 100000", 16),
     ("HVON 1", 16), ("FOO", 32), ("FOOB 1", 32), ("*STB? 9", 16), ("*ESE 256", 16), ("VOUT 5", 32), ("\x7f", 32)],
)  # fmt: skip
def test_what_cannot_be_done_is_an_event_and_changes_nothing(bench, command, events):
    bench.ask("VSET 123")
    assert bench.ask(command) == ""
    assert bench.events() == events
    assert (bench.ask("VSET?"), bench.ask("*STB? 7")) == ("123.0", "0")


def test_more_than_its_buffer_holds_is_dropped(bench):
    assert bench.ask("VSET 5" + 130 * " " + ";VSET?") == ""
    assert bench.events() == 4
    assert bench.ask("VSET?") == "0.0"


def test_event_bits_can_be_seen_in_the_status_byte(bench):
    bench.ask("*ESE 32;FOO")
    assert bench.ask("*STB? 5") == "1"
    assert bench.ask("*ESE?") == "32"


def test_a_stray_letter_stands_behind_every_reply():
    bench = SrsPs300Wire(Plant(), stray="d")
    assert bench.receive(b"VSET?\n*STB?\n", 1.0) == b"0.0d\n1d\n"


def test_what_is_recalled_is_what_was_saved_and_the_output_is_off(energised):
    for command in ("ILIM 0.0002", "*SAV 3", "VSET 500", "ILIM 0.0004", "*RCL 3"):
        energised.ask(command)
    assert (float(energised.ask("VSET?")), float(energised.ask("ILIM?"))) == (1000.0, 2e-4)
    assert not int(energised.ask("*STB?")) & 128
    assert energised.events() == 0


def test_a_place_without_anything_in_it_is_refused_and_place_0_is_the_reset(energised):
    energised.ask("*RCL 7")
    assert energised.events() == 16
    energised.ask("*RCL 0")
    assert float(energised.ask("VSET?")) == 0.0


def test_completion_is_an_event(bench):
    bench.ask("*WAI;*OPC")
    assert bench.events() == 1
