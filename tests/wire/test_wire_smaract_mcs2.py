"""The MCS2 in virtual time: moves, holding, end stops, the search for the mark, the error queue."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.smaract_mcs2 import SmarActMcs2Wire, State


class Bench:
    def __init__(self, **settings):
        self.plant, self.now_s = Plant(), 10.0
        self.wire = SmarActMcs2Wire(self.plant, **settings)
        self.wire.advance(self.now_s)

    def ask(self, text, after_s=0.0):
        self.now_s += after_s
        return self.wire.receive(text.encode() + b"\r\n", self.now_s).decode().strip()

    def state(self, after_s=0.0):
        return State(int(self.ask(":CHAN0:STAT?", after_s)))


@pytest.fixture
def bench():
    return Bench()


def test_long_and_short_words_in_any_case_and_without_a_colon_are_understood(bench):
    for text in (":CHANNEL0:POSITION?", ":chan0:pos?", "CHAN0:POS:CURR?", ":Chan0:Pos?  "):
        assert bench.ask(text) == "0"
    assert bench.ask(":SYSTEM:ERROR:COUNT?") == "0"


def test_the_loop_opens_when_the_hold_time_is_over(bench):
    bench.ask(":CHAN0:HOLD 500;:MOVE0 100000000")
    assert State.IN_POSITION in bench.state(0.1)
    assert State.IN_POSITION in bench.state(0.2)
    assert not bench.state(0.5) & (State.CLOSED_LOOP | State.IN_POSITION)


def test_it_holds_for_ever_where_it_is_told_to(bench):
    for forever in ("-1", "4294967295"):
        bench.ask(f":CHAN0:HOLD {forever};:MOVE0 100000000")
        assert State.IN_POSITION in bench.state(3600.0)


def test_an_end_stop_fails_the_move_and_opens_the_loop(bench):
    bench.plant.stage.axes[0].high_mm = 0.5
    bench.ask(":MOVE0 9000000000")
    assert bench.state(5.0) & (State.END_STOP | State.MOVE_FAILED | State.CLOSED_LOOP) == (
        State.END_STOP | State.MOVE_FAILED
    )


def test_the_position_counts_from_where_it_was_switched_on_until_the_mark_is_found(bench):
    axis = bench.plant.stage.axes[0]
    axis.push(3.0)
    axis.lose_power()
    assert bench.ask(":CHAN0:POS?") == "0"
    bench.ask(":REF0")
    assert State.REFERENCING in bench.state(0.1)
    assert State.REFERENCED | State.MARK in bench.state(2.0)
    assert axis.drive_mm == pytest.approx(0.0)


def test_another_positioner_type_loses_the_position(bench):
    bench.plant.stage.axes[0].referenced = True
    bench.ask(":CHAN0:PTYP 301")
    assert State.REFERENCED not in bench.state()


def test_the_emergency_stop_ends_and_refuses_every_move(bench):
    bench.ask(":MOVE0 9000000000")
    bench.wire.press_emergency_stop(pressed=True)
    assert State.MOVING not in bench.state(0.1)
    bench.ask(":MOVE0 0;:REF0;:CAL0")
    assert bench.ask(":SYST:ERR:COUN?") == "3"
    bench.wire.press_emergency_stop(pressed=False)
    bench.ask(":MOVE0 9000000000")
    assert State.MOVING in bench.state()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (":CHAN9:STAT?", 34), (":MOVE9 1", 34), (":CHAN0:POS? 1", -108), (":STOP0 1", -108), (":MOVE0", -109),
        (":CHAN0:MMOD 9", 19), (":CHAN0:VEL -1", 19), (":MOVE0 1e9", -104), (":MOVE0 99999999999999999999", -104),
        (":MOVE0 9999999999999999999", -104), ("nonsense", -113), (":CHAN0:" + "X" * 300, -363),
    ],
)  # fmt: skip
def test_what_is_refused_answers_nothing_and_queues_its_error(bench, command, code):
    assert bench.ask(command) == ""
    assert bench.ask(":SYST:ERR?").startswith(f"{code},")


def test_more_errors_than_it_keeps_end_in_an_overflow(bench):
    for _ in range(60):
        bench.ask("nonsense")
    assert bench.ask(":SYST:ERR:COUN?") == "50"
    codes = [bench.ask(":SYST:ERR?").partition(",")[0] for _ in range(51)]
    assert codes[-2:] == ["-350", "0"]


def test_speed_is_in_picometres_a_second_and_none_means_its_own(bench):
    bench.ask(":CHAN0:VEL 1000000000;:MOVE0 1000000000")
    assert int(bench.ask(":CHAN0:POS?", 0.5)) == pytest.approx(500_000_000, rel=0.01)
    bench.ask(":CHAN0:VEL 0;:MOVE0 0")
    assert bench.ask(":CHAN0:POS?", 0.2) == "0"


def test_it_has_no_more_channels_than_the_stage_has_axes():
    with pytest.raises(ValueError, match="the stage has 3 axes"):
        Bench(channels=4)


def test_numbers_may_have_decimals_as_epics_sends_them(bench):
    bench.ask(":CHAN0:VEL 1000000000.000000;:MOVE0 -500000000.000000")
    assert bench.ask(":CHAN0:POS?", 1.0) == "-500000000"


def test_triggers_and_lines_of_a_module_are_kept(bench):
    bench.ask(":CHAN0:TRIG:PCOM:THR 1500;:MOD0:IOM:VOLT 1;:CHAN0:CLIN 0")
    assert bench.ask(":CHAN0:TRIG:PCOM:THR?;:MOD0:IOM:VOLT?;:CHAN0:CLIN?").split() == ["1500", "1", "0"]
    assert bench.ask(":SYST:ERR:COUN?") == "0"


@pytest.mark.parametrize("name", ["RLIM:MIN", "RLIM:MAX", "FERR:MAX", "CAL:OPT"])
def test_limits_and_options_of_a_channel_are_kept(bench, name):
    assert bench.ask(f":CHAN0:{name}?") == "0"
    bench.ask(f":CHAN0:{name} 12")
    assert bench.ask(f":CHAN0:{name}?") == "12"
    assert bench.ask(":CHAN0:FERR?") == "0"
