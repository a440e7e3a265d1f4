"""The Glassman supply in virtual time: packets, refusals, the host's time-out."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.glassman import GlassmanWire


class Bench:
    """A 50 kV supply, its plant, and a clock that the test turns."""

    def __init__(self):
        self.plant = Plant()
        self.wire = GlassmanWire(self.plant, adc_ideal=True)
        self.now_s = 10.0
        self.wire.advance(self.now_s)

    def ask(self, text: str) -> str:
        packet = f"\x01{text}{sum(text.encode()) % 256:02X}\r"
        return self.wire.receive(packet.encode(), self.now_s).decode()

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.wire.advance(self.now_s)

    @property
    def flags(self) -> int:
        """1 current regulation, 2 fault, 4 HV on."""
        return int(self.ask("Q")[10], 16)

    def on(self):
        assert self.ask("S147FFF0000002") == "A\r"
        return self


@pytest.mark.parametrize("text", ["Q", "V"])
def test_an_answer_carries_the_sum_of_what_stands_between(text):
    reply = Bench().ask(text)
    assert int(reply[-3:-1], 16) == sum(reply[1:-3].encode()) % 256


def test_one_packet_sets_voltage_current_and_hv():
    bench = Bench().on()
    assert bench.plant.specimen.demand_v == pytest.approx(50e3 * 0x147 / 0xFFF)
    bench.ask("S147FFF0000001")
    assert (bench.plant.specimen.demand_v, bench.flags) == (0.0, 0)


def test_monitors_are_parts_of_ten_bits():
    bench = Bench()
    bench.plant.specimen.v_v = 25e3
    assert int(bench.ask("Q")[1:4], 16) == round(0x3FF / 2)


def test_the_current_limit_holds_the_voltage_down_and_says_so():
    bench = Bench().on()
    bench.plant.specimen.load_ohm = 1e5
    assert bench.ask("S1470100000002") == "A\r"
    assert bench.plant.specimen.demand_v == pytest.approx(1e5 * 6e-3 * 0x10 / 0xFFF)
    assert bench.flags == 5


def test_the_hosts_timeout_takes_hv_after_a_second_and_a_half_of_silence():
    bench = Bench()
    bench.ask("C0")
    bench.on()
    for _ in range(5):
        bench.wait(1.4)
        assert bench.flags == 4
    bench.wait(1.6)
    assert bench.flags == 0


def test_without_the_hosts_timeout_it_stays_on():
    bench = Bench()
    bench.ask("C0")
    bench.ask("C1")
    bench.on().wait(100.0)
    assert bench.flags == 4


@pytest.mark.parametrize(
    ("text", "error"),
    [("Z", "E1"), ("Q1", "E3"), ("S147FFF000002", "E3"), ("S147FFF0000000", "E4"), ("S147FFF0000003", "E4"),
     ("S14GFFF0000002", "E4"), ("C2", "E4"), ("C", "E3")],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_code(text, error):
    assert Bench().ask(text)[:2] == error


def test_a_wrong_checksum_changes_nothing():
    bench = Bench()
    assert bench.wire.receive(b"\x01S147FFF000000200\r", 10.0)[:2] == b"E2"
    assert bench.plant.specimen.demand_v == 0.0


def test_a_fault_refuses_everything_but_the_reset():
    bench = Bench().on()
    bench.wire.trip()
    assert bench.ask("S147FFF0000002")[:2] == bench.ask("S0000000000001")[:2] == "E5"
    assert bench.flags == 2
    assert bench.ask("S0000000000004") == "A\r"
    assert bench.on().flags == 4


def test_an_open_interlock_takes_hv_and_keeps_it_off():
    bench = Bench().on()
    bench.wire.interlock(is_open=True, latches=False)
    assert bench.on().flags == 0
    bench.wire.interlock(is_open=False, latches=False)
    assert bench.flags == 0


def test_in_local_sets_are_refused_and_questions_answered():
    bench = Bench().on()
    bench.wire.go_local(local=True)
    assert bench.ask("S0000000000001")[:2] == "E6"
    assert bench.flags == 4


def test_noise_before_a_packet_and_an_endless_one_are_passed_over():
    bench = Bench()
    assert (
        bench.wire.receive(b"Q51\rxx\x01" + b"1" * 500 + b"\r\x01zz\x01Q51\r\n", 10.0) == b"R00000000000040\r"
    )


def test_small_hexadecimal_letters_are_read():
    assert Bench().wire.receive(b"\x01S333000000000" + b"1cd\r", 10.0) == b"A\r"
