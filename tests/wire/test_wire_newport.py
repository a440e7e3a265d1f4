"""Newport controllers in virtual time: motors and states, limits, homing, errors, addresses."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.newport_esp301 import NewportEsp301Wire
from evapd_sim.wire.newport_smc100 import NewportSmc100Wire


class Bench:
    def __init__(self, wire, **settings):
        self.plant, self.now_s = Plant(), 10.0
        self.wire = wire(self.plant, **settings)
        self.wire.advance(self.now_s)

    def ask(self, text, after_s=0.0):
        self.now_s += after_s
        return self.wire.receive(text.encode() + b"\r\n", self.now_s).decode().strip()


@pytest.fixture
def esp():
    return Bench(NewportEsp301Wire)


@pytest.fixture
def smc():
    return Bench(NewportSmc100Wire, addresses=3, referenced=True)


def test_several_commands_stand_on_one_line_of_an_esp301(esp):
    esp.ask("1MO;2MO;1PA1;2PA-2")
    assert esp.ask("1TP?;2TP?", 1.0) == "1.00000\r\n-2.00000"


def test_stop_without_an_axis_stops_all_of_them(esp):
    esp.ask("1MO;2MO;1PA20;2PA20")
    esp.ask("ST", 0.2)
    assert esp.ask("1MD?;2MD?") == "1\r\n1"


def test_an_esp301_never_tells_whether_it_was_homed(esp):
    esp.plant.stage.axes[0].push(3.0)
    esp.plant.stage.axes[0].lose_power()
    before = esp.ask("1TP?;1MD?;1PH?")
    esp.ask("1MO;1OR")
    esp.ask("", 5.0)
    assert esp.ask("1TP?;1MD?;1PH?") == before
    assert esp.plant.stage.axes[0].referenced


def test_a_stopped_search_leaves_the_homing_error(esp):
    esp.plant.stage.axes[0].push(10.0)
    esp.ask("1MO;1OR")
    esp.ask("1ST", 0.2)
    assert esp.ask("TB?").startswith("120,")


def test_an_end_stop_leaves_an_error_of_its_axis(esp):
    esp.plant.stage.axes[1].low_mm = -1.0
    esp.ask("2MO;2PA-9")
    esp.ask("", 5.0)
    assert esp.ask("TB?").startswith("205,")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("1PA1", 113), ("1MO;1SR5;1PA6", 106), ("1MO;1SL-5;1PA-6", 107), ("1VA1000", 110), ("1PA", 38), ("1PAx", 6), ("1PA1-2", 7), ("PA1", 37),
        ("4PA1", 9), ("1QQ", 6), ("+-", 6), ("1TP" + " " * 90 + "?", 25), ("1SN9", 7),
    ],
)  # fmt: skip
def test_what_an_esp301_refuses_answers_nothing_and_queues_its_error(esp, command, code):
    assert esp.ask(command) == ""
    assert (esp.ask("TE?"), esp.ask("TE?")) == (str(code), "0")


def test_only_the_addressed_smc100_answers(smc):
    assert smc.ask("2TP") == "2TP0.00000"
    assert smc.ask("9TP") == smc.ask("TP") == ""


def test_a_stop_to_all_reaches_every_smc100(smc):
    smc.ask("1PA9\r\n2PA9\r\n3PA9")
    smc.ask("ST", 0.2)
    assert smc.ask("1TS\r\n2TS\r\n3TS") == "1TS000033\r\n2TS000033\r\n3TS000033"


def test_a_reset_loses_the_reference_and_it_must_be_searched_again(smc):
    smc.ask("1RS")
    assert smc.ask("1TS") == "1TS00000A"
    smc.ask("1OR")
    assert smc.ask("1TS", 1.0) == "1TS000032"


def test_a_stopped_search_is_not_referenced(smc):
    smc.plant.stage.axes[0].push(10.0)
    smc.ask("1RS\r\n1OR")
    smc.ask("1ST", 0.2)
    assert smc.ask("1TS") == "1TS00000B"


def test_an_end_of_run_shows_in_the_positioner_errors(smc):
    smc.plant.stage.axes[0].high_mm = 1.0
    smc.ask("1PA9")
    assert smc.ask("1TS", 5.0) == "1TS000233"


@pytest.mark.parametrize(
    ("commands", "letter"),
    [
        ("1OR", "K"), ("1PA9\r\n1OR", "M"), ("1RS\r\n1OR\r\n1OR", "E"), ("1RS\r\n1PA1", "H"), ("1MM0\r\n1PA1", "J"), ("1RS\r\n1OR\r\n1PA1", "L"),
        ("1PA26", "G"), ("1PAx", "C"), ("1MM3", "C"), ("1ST", "K"), ("1QQ", "A"), ("1TP5", "A"), ("1VA0", "C"), ("1RS\r\n1PW1\r\n1OR", "I"),
        ("1PW1", "D"),
    ],
)  # fmt: skip
def test_every_state_refuses_with_its_own_letter(smc, commands, letter):
    assert smc.ask(commands) == ""
    assert (smc.ask("1TE"), smc.ask("1TE")) == (f"1TE{letter}", "1TE@")


def test_settings_of_the_drive_are_kept_also_those_of_three_letters(smc):
    smc.ask("1FRS0.0125\r\n1QIL0.2\r\n1BA0.004")
    assert smc.ask("1FRS?\r\n1QIL?\r\n1BA?\r\n1HT?") == "1FRS0.0125\r\n1QIL0.2\r\n1BA0.004\r\n1HT2"


def test_configuration_is_entered_and_left_without_a_reference(smc):
    smc.ask("1RS\r\n1PW1")
    assert smc.ask("1TS") == "1TS000014"
    assert smc.ask("1PW0\r\n1TS") == "1TS00000C"


def test_all_settings_are_told_between_two_marks(smc):
    lines = smc.ask("2ZT").split("\r\n")
    assert (lines[0], lines[-1]) == ("2PW1", "2PW0")
    assert "2IDTRA25CC" in lines
    assert all(line.startswith("2") for line in lines)


def test_the_time_of_a_move_is_told_before_it(smc):
    assert smc.ask("1PT10") == "1PT2.00000"


def test_settings_of_an_esp301_are_kept(esp):
    assert esp.ask("1KP0.5;1KP?;1FE?;1AU?") == "0.50000\r\n1.00000\r\n400.00000"
    assert esp.ask("SM;1UF;TE?") == "0"


@pytest.mark.parametrize(
    ("unit", "told"), [("2", "20.32000"), ("3", "20320.00000"), ("4", "0.80000"), ("5", "800.00000")]
)
def test_lengths_of_an_esp301_are_in_the_unit_of_the_axis(esp, unit, told):
    esp.ask("1MO;1PA20.32")
    esp.ask(f"1SN{unit}", 20.0)
    assert esp.ask("1SN?;1TP?") == f"{unit}\r\n{told}"
    esp.ask("1PR0;1SN2")
    assert esp.ask("1TP?", 1.0) == "20.32000"


def test_an_esp301_runs_to_its_limit_in_the_direction_that_is_asked_for(esp):
    esp.ask("1MO;2MO;1MT-;2MV+")
    esp.ask("2ST", 0.2)
    assert float(esp.ask("1TP?")) < 0.0 < float(esp.ask("2TP?"))


def test_words_of_bits_and_whole_numbers_have_no_decimals(esp):
    esp.ask("1ZH24H;1ZB18;1FP4")
    assert esp.ask("1ZH?;1ZB?;1FP?") == "0024H\r\n0012H\r\n4"


def test_a_stored_program_is_carried_out_when_it_is_called(esp):
    for line in ("3XX", "3EP", "1MO;1PA2", "QP"):
        assert esp.ask(line) == ""
    assert esp.ask("1DP?", 1.0) == "0.00000"
    esp.ask("3EX")
    assert esp.ask("1TP?", 2.0) == "2.00000"
    assert esp.ask("TE?") == "0"


def test_a_reset_switches_the_motors_off(esp):
    esp.ask("1MO;1PA2")
    esp.ask("RS", 0.1)
    assert esp.ask("1MO?;1MD?;TE?") == "0\r\n1\r\n0"


def test_an_smc100_tells_whether_it_is_being_configured(smc):
    assert smc.ask("1PW?") == "1PW0"
    smc.ask("1RS\r\n1PW1")
    assert smc.ask("1PW?") == "1PW1"


def test_a_reset_with_its_address_is_the_reset_of_a_conex(smc):
    smc.ask("1RS##")
    assert smc.ask("1TS") == "1TS00000A"
    assert smc.ask("1TE") == "1TE@"


def test_an_smc100_ignores_blanks_in_any_position(smc):
    smc.ask("2P A1.43 6")
    assert smc.ask(" 2 T P ?", 2.0) == "2TP1.43600"
