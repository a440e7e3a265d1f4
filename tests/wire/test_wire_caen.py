"""The CAEN unit in virtual time: ramps, KILL and RAMP, trips, interlock, enabling switch, boards, all channels at once."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.caen_dt import CaenDtWire


class Bench:
    """A unit, its plant, and a clock that the test turns."""

    def __init__(self, **settings):
        self.plant = Plant()
        self.wire = CaenDtWire(self.plant, **{"adc_ideal": True, "supply": "mcp"} | settings)
        self.now_s = 0.0
        self.wire.advance(0.0)

    def line(self, text: str) -> str:
        return self.wire.receive(text.encode() + b"\r\n", self.now_s).decode().strip()

    def set(self, parameter: str, value: object = None, channel: int = 0) -> str:
        tail = "" if value is None else f",VAL:{value}"
        return self.line(f"$BD:00,CMD:SET,CH:{channel},PAR:{parameter}{tail}").removeprefix("#BD:00,")

    def get(self, parameter: str, channel: int = 0) -> str:
        return self.line(f"$BD:00,CMD:MON,CH:{channel},PAR:{parameter}").removeprefix("#BD:00,CMD:OK,VAL:")

    def board(self, parameter: str) -> str:
        return self.line(f"$BD:00,CMD:MON,PAR:{parameter}").removeprefix("#BD:00,CMD:OK,VAL:")

    def wait(self, seconds: float, step_s: float = 0.01) -> None:
        for _ in range(round(seconds / step_s)):
            self.now_s += step_s
            self.wire.advance(self.now_s)
            self.plant.advance_supplies(step_s)


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def energised(bench):
    for parameter, value in (("RUP", 500), ("RDW", 100), ("VSET", 1000), ("ON", None)):
        assert bench.set(parameter, value) == "CMD:OK"
    bench.wait(3.0)
    return bench


def test_the_output_rises_with_its_ramp(bench):
    for parameter, value in (("RUP", 100), ("VSET", 1000), ("ON", None)):
        bench.set(parameter, value)
    bench.wait(5.0)
    assert bench.get("STAT") == "00003"
    assert float(bench.get("VMON")) == pytest.approx(500.0, abs=15.0)


@pytest.mark.parametrize(("mode", "demand_v", "status"), [("KILL", 0.0, "00000"), ("RAMP", 1000.0, "00004")])
def test_off_ramps_or_kills(energised, mode, demand_v, status):
    energised.set("PDWN", mode)
    energised.set("OFF")
    assert energised.plant.supplies["mcp"].demand_v == pytest.approx(demand_v)
    assert energised.get("STAT") == status


def test_too_much_current_trips_after_its_time_and_is_an_alarm_until_it_is_cleared(energised):
    energised.set("TRIP", 0.5)
    energised.set("ISET", 1)
    energised.wait(0.3)
    assert energised.get("STAT") == "00009"
    energised.wait(0.5)
    assert (energised.get("STAT"), energised.board("BDALARM")) == ("00128", "00001")
    energised.set("ON")
    assert energised.get("STAT") == "00128"
    assert energised.line("$BD:00,CMD:SET,PAR:BDCLR") == "#BD:00,CMD:OK"
    energised.set("ON")
    assert int(energised.get("STAT")) & 129 == 1


def test_a_trip_time_of_1000_s_is_constant_current_for_ever(energised):
    energised.set("TRIP", 1000)
    energised.set("ISET", 1)
    energised.wait(20.0, step_s=0.1)
    assert energised.get("STAT") == "00009"
    assert float(energised.get("VMON")) == pytest.approx(100.0, rel=0.05)


def test_the_interlock_kills_every_channel_until_it_is_switched_on_again(energised):
    energised.set("PDWN", "RAMP")
    energised.wire.interlock(is_open=True, latches=True)
    assert (energised.board("BDILK"), energised.get("STAT")) == ("YES", "04096")
    energised.wire.interlock(is_open=False, latches=True)
    assert (energised.board("BDILK"), energised.get("STAT")) == ("NO", "00000")


@pytest.mark.parametrize(
    ("attribute", "value", "status"), [("enabled", False, "01024"), ("killed", True, "02048")]
)
def test_front_switch_and_kill_input_keep_a_channel_off(energised, attribute, value, status):
    setattr(energised.wire.channel, attribute, value)
    energised.wait(0.02)
    energised.set("ON")
    assert energised.get("STAT") == status


def test_maxv_bounds_set_values(bench):
    assert bench.set("MAXV", 500) == "CMD:OK"
    assert bench.set("VSET", 500.1) == "VAL:ERR"
    assert bench.set("VSET", 500) == "CMD:OK"


def test_polarity_is_told_apart_from_magnitudes():
    bench = Bench(negative=True)
    bench.wire.front_panel(100.0)
    assert (bench.get("POL"), bench.get("VSET")) == ("-", "0100.0")


def test_in_local_a_person_has_the_unit_alone(bench):
    bench.wire.go_local(local=True)
    assert bench.set("VSET", 100) == bench.set("ON") == "LOC:ERR"
    assert bench.line("$BD:00,CMD:SET,PAR:BDCLR") == "#BD:00,LOC:ERR"
    bench.wire.front_panel(800.0, output=True)
    assert (bench.get("VSET"), bench.get("STAT"), bench.board("BDCTR")) == ("0800.0", "00003", "LOCAL")


def test_a_finer_current_range_has_a_digit_more(bench):
    assert bench.get("IMON") == "000.00"
    bench.set("IMRANGE", "LOW")
    assert (bench.get("IMON"), bench.get("IMRANGE")) == ("000.000", "LOW")


def test_all_channels_are_set_and_read_by_the_number_behind_the_last(bench):
    assert bench.set("VSET", 50, channel=4) == "CMD:OK"
    assert bench.get("VSET", channel=4) == "0050.0;0050.0;0050.0;0050.0"


def test_a_unit_of_one_channel_needs_no_number():
    bench = Bench(channels=1)
    assert bench.line("$CMD:SET,PAR:VSET,VAL:900.00") == "#CMD:OK"
    assert bench.line("$CMD:MON,PAR:VSET") == "#CMD:OK,VAL:0900.0"


def test_several_channels_need_a_number(bench):
    assert bench.line("$CMD:MON,PAR:VSET") == "#CH:ERR"


def test_another_board_says_nothing():
    bench = Bench(board=7)
    assert bench.line("$BD:00,CMD:MON,PAR:BDNAME") == ""
    assert bench.line("$BD:07,CMD:MON,PAR:BDNAME") == "#BD:07,CMD:OK,VAL:DT1471ET"


@pytest.mark.parametrize(
    ("text", "error"),
    [("$BD:00", "CMD"), ("$BD:00,CMD:MON", "CMD"), ("$BD:00,CMD:PUT,CH:0,PAR:ON", "CMD"), ("$BD:00,CMD:SET,CH:0,PAR:VMON,VAL:5", "PAR"),
     ("$BD:00,CMD:MON,PAR:BDFOO", "PAR"), ("$BD:00,CMD:SET,PAR:BDILKM,VAL:X", "VAL"), ("$BD:00,CMD:SET,CH:0,PAR:VSET", "VAL"),
     ("$BD:00,CMD:SET,CH:0,PAR:VSET,VAL:nan", "VAL"), ("$BD:00,CMD:SET,CH:0,PAR:VSET,VAL:-1", "VAL"), ("$BD:00,CMD:SET,CH:0,PAR:RUP,VAL:0", "VAL"),
     ("$BD:00,CMD:MON,CH:0.5,PAR:VSET", "CH"), ("$BD:00,CMD:MON,CH:5,PAR:VSET", "CH"), ("x$BD:00,CMD:MON,CH:0,PAR:VSET", "CMD")],
)  # fmt: skip
def test_what_is_wrong_is_named_and_changes_nothing(bench, text, error):
    bench.wire.front_panel(123.0)
    assert bench.line(text).removeprefix("#BD:00,").removeprefix("#") == f"{error}:ERR"
    assert bench.get("VSET") == "0123.0"


def test_a_line_that_is_too_long_is_not_understood(bench):
    assert bench.line("$BD:00," + 200 * " ") == "#BD:00,CMD:ERR"


def test_words_of_the_multichannel_relatives_are_understood(bench):
    assert bench.line("$CMD:SET,CH:0,PAR:PW,VAL:ON") == "#CMD:OK"
    assert bench.line("$CMD:MON,CH:0,PAR:STATUS") == f"#CMD:OK,VAL:{bench.get('STAT')}"
    assert int(bench.get("STAT")) & 1
    assert bench.line("$CMD:SET,CH:0,PAR:PW,VAL:MAYBE") == "#VAL:ERR"
