"""The Technix supply in virtual time: pulses, watchdog, local, faults."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.technix_sr import TechnixSrWire


class Bench:
    """A supply with its current programmed, its plant, and a clock that the test turns."""

    def __init__(self, **settings):
        self.plant = Plant()
        self.wire = TechnixSrWire(self.plant, adc_ideal=True, **settings)
        self.now_s = 10.0
        self.wire.advance(self.now_s)
        self.ask("d2,4095")

    def ask(self, command: str) -> str:
        return self.wire.receive(command.encode() + b"\r", self.now_s).decode()

    def wait(self, seconds: float, step_s: float = 0.01) -> None:
        for _ in range(round(seconds / step_s)):
            self.now_s += step_s
            self.wire.advance(self.now_s)
            self.plant.specimen.advance(step_s)

    def pulse(self, command: str, seconds: float = 0.12) -> None:
        self.ask(f"{command},1")
        self.wait(seconds)
        self.ask(f"{command},0")

    @property
    def status(self) -> int:
        return int(self.ask("E")[1:])

    def on(self, counts: int = 819):
        self.ask(f"d1,{counts}")
        self.pulse("P5")
        return self


HV_ON, FAULT, LOCAL, INTERLOCK = 8, 2, 64, 4


def test_a_pulse_of_100_ms_switches_on_and_a_shorter_one_does_not():
    bench = Bench()
    bench.ask("d1,819")
    bench.pulse("P5", 0.05)
    assert not bench.status & HV_ON
    bench.pulse("P5", 0.1)
    assert bench.status & HV_ON
    assert bench.plant.specimen.demand_v == pytest.approx(3000.0)


def test_the_off_pulse_ends_it():
    bench = Bench().on()
    bench.pulse("P6")
    assert not bench.status & HV_ON
    assert bench.plant.specimen.demand_v == 0.0


def test_an_off_command_that_is_held_keeps_it_off():
    bench = Bench()
    bench.ask("P6,1")
    bench.wait(0.2)
    bench.pulse("P5")
    assert not bench.status & HV_ON


def test_five_seconds_without_a_command_are_off_and_local():
    bench = Bench().on()
    bench.wait(4.9)
    assert bench.status & HV_ON
    bench.wait(5.1)
    assert bench.status & (HV_ON | LOCAL) == LOCAL
    assert bench.plant.specimen.demand_v == 0.0


def test_what_is_no_command_keeps_nothing_awake():
    bench = Bench().on()
    for _ in range(6):
        bench.wait(1.0)
        assert bench.ask("*IDN?") == ""
    assert not bench.status & HV_ON


def test_remote_control_returns_by_command_but_not_over_the_switch_at_the_front_panel():
    bench = Bench()
    bench.ask("P7,1")
    bench.ask("P7,0")
    assert not bench.status & LOCAL
    bench.wire.go_local(local=True)
    assert bench.ask("P7,0") == "P7,0\r"
    assert bench.status & LOCAL


def test_in_local_commands_are_echoed_and_change_nothing():
    bench = Bench().on()
    bench.wire.go_local(local=True)
    assert bench.ask("d1,100") == "d1,100\r"
    bench.pulse("P6")
    assert bench.plant.specimen.demand_v == pytest.approx(3000.0)


def test_a_fault_stays_until_the_off_pulse_and_an_open_interlock_holds_it():
    bench = Bench().on()
    bench.wire.interlock(is_open=True, latches=True)
    bench.pulse("P6")
    assert bench.status & (HV_ON | FAULT | INTERLOCK) == FAULT | INTERLOCK
    bench.wire.interlock(is_open=False, latches=True)
    bench.pulse("P5")
    assert bench.status & (HV_ON | FAULT) == FAULT
    bench.pulse("P6")
    bench.pulse("P5")
    assert bench.status & (HV_ON | FAULT) == HV_ON


def test_inhibit_takes_the_output_while_it_lasts():
    bench = Bench().on()
    bench.ask("P8,1")
    assert bench.plant.specimen.demand_v == 0.0
    bench.ask("P8,0")
    assert bench.plant.specimen.demand_v == pytest.approx(3000.0)


def test_nothing_flows_before_a_current_is_programmed():
    bench = Bench()
    bench.ask("d2,0")
    bench.on()
    assert bench.plant.specimen.demand_v == 0.0


def test_small_letters_line_feeds_and_decimals_are_understood():
    bench = Bench()
    assert bench.wire.receive(b"e\nD1,12.0\r\n", bench.now_s) == b"e1\rD1,12.0\r"


@pytest.mark.parametrize("line", ["d1", "d1,", "d1,4096", "d1,-1", "d3,5", "P5,2", "P9,1", "a3", "d1,nan"])
def test_what_is_no_command_is_answered_by_nothing(line):
    assert Bench().ask(line) == ""
