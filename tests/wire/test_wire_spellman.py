"""The Spellman supply in virtual time: frames, checksums, HV on, faults, watchdog."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.spellman_xrv import SpellmanXrvWire


def checksum(text: str) -> str:
    return chr((0x100 - sum(map(ord, text)) & 0x7F) | 0x40)


class Bench:
    """A 30 kV supply, its plant, and a clock that the test turns."""

    def __init__(self, **settings):
        self.plant = Plant()
        self.wire = SpellmanXrvWire(self.plant, rated_kv=30.0, rated_ma=10.0, adc_ideal=True, **settings)
        self.now_s = 10.0
        self.wire.advance(self.now_s)

    def raw(self, data: bytes) -> bytes:
        return self.wire.receive(data, self.now_s)

    def ask(self, text: str) -> str:
        """What stands behind the command's own number."""
        reply = self.raw(b"\x02" + text.encode() + b",\x03").decode()
        assert not reply or (reply[:3], reply[-2:]) == (f"\x02{text[:2]}", ",\x03")
        return reply[4:-2]

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.wire.advance(self.now_s)

    def on(self):
        for command in ("11,4095", "10,410", "98,1"):
            assert self.ask(command) == "$"
        return self

    def flags(self, command: str = "22") -> list[str]:
        return self.ask(command).split(",")


HV_ON, INTERLOCK_1, FAULT, LOCAL, READY = 0, 1, 4, 5, 15


def test_hv_on_puts_the_set_point_on_the_output():
    bench = Bench().on()
    assert bench.plant.specimen.demand_v == pytest.approx(30e3 * 410 / 4095)
    assert bench.ask("98,0") == "$"
    assert bench.plant.specimen.demand_v == 0.0


def test_the_current_limit_holds_the_voltage_down():
    bench = Bench().on()
    bench.plant.specimen.load_ohm = 1e6
    bench.ask("11,41")
    assert bench.plant.specimen.demand_v == pytest.approx(1e6 * 10e-3 * 41 / 4095)


@pytest.mark.parametrize("text", ["28,", "22,", "98,1,", "10,4095,"])
def test_a_frame_with_its_checksum_is_answered_with_one(text):
    reply = Bench().raw(b"\x02" + (text + checksum(text)).encode() + b"\x03")
    body, sign = reply[1:-2].decode(), reply[-2:-1].decode()
    assert sign == checksum(body)


def test_a_wrong_checksum_is_silence_and_changes_nothing():
    bench = Bench()
    good = checksum("10,500,")
    for sign in (chr(code) for code in range(0x40, 0x80)):
        if sign != good:
            assert bench.raw(f"\x0210,500,{sign}\x03".encode()) == b""
    assert bench.ask("14") == "0"


def test_without_checksum_a_supply_that_wants_one_is_silent():
    assert Bench(wants_checksum=True).raw(b"\x0228,\x03") == b""


def test_noise_between_frames_and_within_one_is_passed_over():
    assert Bench().raw(b"\r\nxx\x03\x0222,\x80\x0228,\x03\r\n") == b"\x0228,30,10,0,\x03"


def test_an_endless_frame_is_forgotten():
    bench = Bench()
    assert bench.raw(b"\x02" + b"1" * 5000 + b"\x03") == b""
    assert bench.ask("28") == "30,10,0"


@pytest.mark.parametrize(
    ("command", "error"), [("10,4096", "!,3"), ("10,-1", "!,3"), ("10", "!,1"), ("10,x", "!,1"), ("14,1", "!,1"),
                           ("98,2", "!,3"), ("55", "!,2"), ("97,1", "!,1")]
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_code(command, error):
    assert Bench().ask(command) == error


def test_a_fault_stays_until_it_is_reset_and_hv_stays_off_meanwhile():
    bench = Bench().on()
    bench.wire.trip()
    bench.ask("98,1")
    flags = bench.flags()
    assert (flags[HV_ON], flags[FAULT], flags[READY]) == ("0", "1", "0")
    assert bench.flags("68").index("1") == 11
    bench.ask("31")
    bench.ask("98,1")
    assert (bench.flags()[HV_ON], bench.flags()[FAULT]) == ("1", "0")


def test_an_open_interlock_takes_hv_and_does_not_give_it_back():
    bench = Bench().on()
    bench.wire.interlock(is_open=True, latches=False)
    assert bench.flags()[:2] == ["0", "0"]
    bench.wire.interlock(is_open=False, latches=False)
    assert bench.flags()[:2] == ["0", "1"]


def test_in_local_sets_are_acknowledged_and_do_nothing():
    bench = Bench().on()
    bench.wire.go_local(local=True)
    assert [bench.ask("10,0"), bench.ask("98,0")] == ["$", "$"]
    assert (bench.ask("14"), bench.flags()[HV_ON], bench.flags()[LOCAL]) == ("410", "1", "1")


def test_the_watchdog_takes_hv_with_a_fault_of_its_own():
    bench = Bench(watchdog_s=3.0).on()
    assert bench.ask("27").endswith(",3")
    bench.wait(2.9)
    assert bench.flags()[HV_ON] == "1"
    bench.wait(3.1)
    assert (bench.flags()[HV_ON], bench.flags()[FAULT]) == ("0", "1")
    assert bench.flags("68").index("1") == 21


def test_it_counts_its_hours():
    bench = Bench().on()
    bench.wait(3600.0)
    assert float(bench.ask("21")) == pytest.approx(1.0)
    assert bench.ask("30") == "$"
    assert float(bench.ask("21")) == 0.0


def test_a_relative_may_not_know_its_firmware():
    assert Bench(tells_model=False).ask("23") == "!,2"
