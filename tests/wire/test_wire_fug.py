"""The FuG supply in virtual time: ramps, limits, readback, local mode."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.fug_channel import SetChannel
from evapd_sim.wire.fug_probus import FugProbusWire


class Bench:
    """A supply, its plant, and a clock that the test turns."""

    def __init__(self, **settings):
        self.plant = Plant()
        self.wire = FugProbusWire(self.plant, **settings)
        self.now_s = 0.0
        self.wire.advance(0.0)

    def ask(self, command: str) -> str:
        return self.wire.receive(command.encode() + b"\n", self.now_s).decode().strip()

    def number(self, register: str) -> float:
        return float(self.ask(f">{register}?").partition(":")[2])

    def wait(self, seconds: float, step_s: float = 0.005) -> None:
        for _ in range(round(seconds / step_s)):
            self.now_s += step_s
            self.wire.advance(self.now_s)
            self.plant.specimen.advance(step_s)


@pytest.mark.parametrize(
    ("mode", "up_v", "down_v"),
    [(0, 2000.0, 500.0), (1, 1100.0, 1900.0), (2, 1100.0, 500.0), (3, 1100.0, 500.0), (4, 1100.0, 500.0)],
)
def test_the_ramp_mode_says_which_way_is_ramped(mode, up_v, down_v):
    channel = SetChannel(20_000.0, rate_per_s=100.0, mode=mode, wanted=2000.0, actual=1000.0)
    channel.advance(1.0, output_on=True)
    assert channel.actual == pytest.approx(up_v)
    channel.force(2000.0)
    channel.wanted = 500.0
    channel.advance(1.0, output_on=True)
    assert channel.actual == pytest.approx(down_v)


def test_the_special_ramp_starts_slowly_below_one_volt():
    channel = SetChannel(20_000.0, rate_per_s=100.0, mode=3, wanted=1000.0)
    channel.advance(45.0, output_on=True)
    assert channel.actual == pytest.approx(0.5, abs=1e-3)
    channel.advance(46.0, output_on=True)
    assert channel.actual == pytest.approx(1 + 100.0 * (91.0 - 1 / 11.11e-3), rel=1e-3)


def test_mode_4_forgets_the_set_value_while_the_output_is_off():
    bench = Bench()
    bench.ask(">S0B 4")
    bench.ask(">S0 1000")
    assert bench.number("S0") == 0.0
    assert bench.number("S0A") == 0.0


def test_the_value_in_force_can_be_set_and_the_ramp_goes_on_from_there():
    bench = Bench()
    for command in (">S0R 100", ">S0B 1", ">S0 1000", ">S0A 500"):
        assert bench.ask(command) == "E0"
    bench.wait(1.0)
    assert bench.number("S0A") == pytest.approx(600.0, abs=5.0)


def test_a_set_value_without_output_puts_nothing_on_the_specimen():
    bench = Bench()
    bench.ask(">S0 3000")
    bench.wait(1.0)
    assert bench.plant.specimen.v_v == 0.0


def test_the_output_rises_fast_and_falls_slowly():
    bench = Bench()
    bench.ask(">S0 1000")
    bench.ask("F1")
    bench.wait(0.25)
    assert bench.plant.specimen.v_v > 990
    bench.ask("F0")
    bench.wait(0.25)
    assert bench.number("M0") > 500, "the bleeder takes longer than the regulator"
    bench.wait(3.0)
    assert abs(bench.number("M0")) < 5


def test_the_current_limit_holds_the_voltage_down():
    bench = Bench()
    bench.ask(">S1 1e-6")
    bench.ask(">S0 5000")
    bench.ask("F1")
    bench.wait(1.0)
    assert bench.plant.specimen.v_v == pytest.approx(1000, rel=0.01)
    assert bench.ask(">KS?").startswith("KS:101")


def test_a_supply_that_limits_too_long_trips_until_it_is_switched_off():
    bench = Bench(trip_after_s=0.5)
    for command in (">S1 1e-6", ">S0 5000", "F1"):
        bench.ask(command)
    bench.wait(1.0)
    assert (bench.ask(">BON?"), bench.ask(">DON?")) == ("BON:1", "DON:0")
    bench.ask(">S0 100")
    bench.ask("F0")
    bench.ask("F1")
    assert bench.ask(">DON?") == "DON:1"


def test_in_local_nothing_that_is_sent_changes_the_output():
    bench = Bench()
    bench.wire.local = True
    for command in (">S0 1000", "U1000", "F1", ">BON 1", "="):
        assert bench.ask(command) == "E0"
    bench.wait(0.5)
    assert bench.plant.specimen.v_v == 0.0


def test_a_person_at_the_front_panel_is_visible_in_set_value_and_reading():
    bench = Bench()
    bench.wire.local = True
    bench.wire.front_panel(4321.0, output=True)
    bench.wait(1.0)
    assert bench.ask(">DON?") == "DON:1"
    assert bench.number("S0") == 4321.0
    assert bench.number("M0") == pytest.approx(4321.0, abs=2.0)


def test_a_reading_is_as_old_as_its_conversion_and_as_fine_as_its_converter():
    coarse, fine = Bench(), Bench()
    coarse.ask(">M0I 0")
    fine.ask(">M0I 7")
    for bench in (coarse, fine):
        bench.wire.front_panel(1234.5, output=True)
        bench.plant.specimen.v_v = 1234.5
    coarse.wait(0.1)
    fine.wait(0.1)
    assert coarse.number("M0") == pytest.approx(1234.5, abs=5.0)
    assert fine.number("M0") == 0.0, "800 ms have not passed"
    fine.wait(1.6)
    assert fine.number("M0") == pytest.approx(1234.5, abs=0.1)


def test_the_same_seed_gives_the_same_noise():
    first, second = (Bench(seed=3) for _ in range(2))
    other = Bench(seed=4)
    for bench in (first, second, other):
        bench.ask(">M0I 0")
        bench.wait(0.2)
    assert first.number("M0") == second.number("M0") != other.number("M0")


@pytest.mark.parametrize(("terminator", "end"), [(0, b"\r\n"), (1, b"\n\r"), (2, b"\n"), (3, b"\r")])
def test_every_reply_end_of_register_kt_is_known(terminator, end):
    wire = FugProbusWire(Plant(), terminator=terminator)
    assert wire.receive(b">DON?\r", 0.0) == b"DON:0" + end


def test_numbers_can_be_plain_decimals():
    wire = FugProbusWire(Plant(), number_format="plain")
    assert wire.receive(b">S0 1234.5\n>S0?\n", 0.0) == b"E0\r\nS0:1234.500000000\r\n"


def test_execute_on_x_holds_changes_back():
    bench = Bench()
    bench.ask("G1")
    bench.ask(">S0 700")
    assert bench.number("S0") == 0.0
    assert bench.ask("X") == "E0"
    assert bench.number("S0") == 700.0


def test_polarity_turns_only_where_the_unit_can():
    fixed, reversible = Bench(), Bench(reversible=True)
    for bench in (fixed, reversible):
        bench.ask("P1")
    assert (fixed.ask(">DX?"), reversible.ask(">DX?")) == ("DX:0", "DX:1")
    reversible.wire.front_panel(1000.0, output=True)
    reversible.wait(1.0)
    assert reversible.number("M0") < -990


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (">", "E2"), (">S0", "E1"), (">S0 nan", "E4"), (">S0 1e999", "E4"), (">S0 1_0", "E4"), (">BON 2", "E5"),
        (">S0R 0", "E5"), (">DON 1", "E6"), (">S0 " + 60 * "1", "E7"), ("~T1", "E11"), ("~T7", "E12"), ("N7", "E13"),
        ("Z", "E2"), ("U", "E1"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_its_number_and_changes_nothing(command, error):
    bench = Bench()
    bench.ask(">S0 123")
    assert bench.ask(command) == error
    assert bench.number("S0") == 123.0
