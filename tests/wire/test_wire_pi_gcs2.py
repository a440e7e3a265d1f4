"""The GCS controller in virtual time: servo, reference, single bytes, error codes, reboot."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.pi_gcs2 import PiGcs2Wire


class Bench:
    def __init__(self, **settings):
        self.plant, self.now_s = Plant(), 10.0
        self.wire = PiGcs2Wire(self.plant, **settings)
        self.wire.advance(self.now_s)

    def ask(self, text, after_s=0.0):
        self.now_s += after_s
        return self.wire.receive(text.encode("latin-1"), self.now_s)

    def error(self):
        return int(self.ask("ERR?\n"))

    def ready(self):
        self.ask("SVO 1 1 2 1\nFRF\n")
        self.ask("", 1.0)
        assert self.ask("FRF? 1 2\n") == b"1=1 \n2=1\n"
        return self


@pytest.fixture
def bench():
    return Bench(model="C-884.4DC", axes=2)


def test_a_move_needs_servo_and_reference(bench):
    for setup, code in (("", 5), ("SVO 1 1\n", 5), ("FRF 1\n", 0)):
        bench.ask(setup)
        bench.ask("", 1.0)
        bench.ask("MOV 1 1\n")
        assert bench.error() == code
    assert bench.ask("POS? 1\n", 1.0) == b"1=1.000000\n"


def test_without_ron_an_axis_moves_unreferenced_and_its_place_may_be_named(bench):
    bench.ask("SVO 1 1\nRON 1 0\nPOS 1 7.5\nMVR 1 0.5\n")
    assert bench.error() == 0
    assert bench.ask("POS? 1\n", 1.0) == b"1=8.000000\n"


@pytest.mark.parametrize(("mark", "place"), [("FRF", 0.0), ("FNL", -25.0), ("FPL", 25.0)])
def test_a_reference_move_ends_at_its_mark(bench, mark, place):
    bench.plant.stage.axes[0].push(3.0)
    bench.ask(f"SVO 1 1\n{mark} 1\n")
    assert bench.ask("\x07") == b"\xb0\n"
    assert bench.ask("\x07", 20.0) == b"\xb1\n"
    assert bench.ask("POS? 1\n") == f"1={place:.6f}\n".encode()


def test_the_stop_byte_acts_before_a_line_is_complete(bench):
    bench.ready().ask("MOV 1 20 2 20\n")
    assert bench.ask("\x05", 0.2) == b"3\n"
    assert bench.ask("SVO? \x18") == b""
    assert bench.ask("\x05") == b"0\n"
    assert bench.ask("1\n") == b"1=1\n"
    assert bench.error() == 10


def test_halt_stops_one_axis_and_leaves_the_stopped_error(bench):
    bench.ready().ask("MOV 1 20 2 20\nHLT 2\n", 0.2)
    assert bench.ask("\x05") == b"1\n"
    assert bench.error() == 10


def test_switching_the_servo_off_ends_the_move(bench):
    bench.ready().ask("MOV 1 20\n")
    bench.ask("SVO 1 0\n", 0.2)
    assert bench.ask("\x05") == b"0\n"
    assert bench.ask("ONT? 1\n") == b"1=0\n"


def test_an_axis_that_is_pushed_is_no_longer_on_target(bench):
    bench.ready()
    assert bench.ask("ONT? 1\n") == b"1=1\n"
    bench.plant.stage.axes[0].push(0.01)
    assert bench.ask("ONT? 1\n") == b"1=0\n"


def test_a_reboot_takes_a_second_and_loses_the_reference(bench):
    bench.ready().ask("RBT\n")
    assert bench.ask("POS?\n", 0.5) == b""
    assert bench.ask("FRF?\n", 1.0) == b"1=0 \n2=0\n"


def test_a_controller_of_one_axis_answers_one_line(bench):
    single = Bench()
    assert single.ask("SAI?\n") == b"1\n"
    assert single.ask("\x04") == b"0x0002\n"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("MOV 1", 26), ("MOV", 26), ("MOV 1 x", 1), ("MOV 3 1", 15), ("MOV 1 25.1", 7), ("VEL 1 0", 8), ("SVO 1 2", 17), ("SPA? 1 0X99", 54),
        ("SPA? 1 ZZ", 1), ("POS 1 0", 5), ("X" * 300, 3), ("@", 2),
    ],
)  # fmt: skip
def test_what_is_refused_answers_nothing_and_leaves_its_code(bench, command, code):
    bench.ready()
    assert bench.ask(command + "\n") == b""
    assert (bench.error(), bench.error()) == (code, 0)


def test_a_macro_is_kept_under_its_name_and_run(bench):
    bench.ready().ask("MAC BEG there\nMOV 1 3\nMAC END\n")
    assert bench.ask("POS? 1\n", 1.0) == b"1=0.000000\n"
    assert bench.ask("MAC?\nMAC? there\n") == b"there\nMOV 1 3\n"
    bench.ask("MAC START there\n")
    assert bench.ask("POS? 1\n", 1.0) == b"1=3.000000\n"
    bench.ask("MAC DEL there\nMAC START there\n")
    assert bench.error() == 1000


def test_a_macro_never_calls_itself_for_ever(bench):
    bench.ask("MAC BEG m\nMAC START m\nVAR seen 1\nMAC END\nMAC START m\n")
    assert bench.ask("VAR? seen\n") == b"seen=1\n"


@pytest.mark.parametrize(
    ("command", "query", "reply"),
    [
        ("TRO 1 1", "TRO? 1", "1=1"), ("CTO 1 2 1 1 3 6", "CTO? 1 3", "1 3=6"), ("DIO 2 1", "DIO? 2", "2=0"), ("VAR Speed 2.5", "VAR? Speed", "Speed=2.5"),
    ],
)  # fmt: skip
def test_lines_triggers_and_variables_are_kept(bench, command, query, reply):
    bench.ask(command + "\n")
    assert bench.error() == 0
    assert bench.ask(query + "\n") == reply.encode() + b"\n"


@pytest.mark.parametrize(
    ("command", "code"), [("TRO 5 1", 17), ("TRO 1", 26), ("CTO 1 2", 26), ("CTO 1 2 x", 1), ("VAR? x", 17), ("MAC XX y", 2), ("DIO 1 2", 17)]
)  # fmt: skip
def test_lines_that_are_not_there_are_refused(bench, command, code):
    assert bench.ask(command + "\n") == b""
    assert bench.error() == code


def test_a_parameter_is_named_in_hexadecimal_or_decimal(bench):
    assert bench.ask("SPA? 1 0x7000601\n") == bench.ask("SPA? 1 117442049\n") == b"1 0X7000601=MM\n"


def test_all_parameters_are_told_when_none_is_named(bench):
    lines = bench.ask("SPA?\n").split(b" \n")
    assert len(lines) == 2 * 12
    assert lines[0] == b"1 0X7000601=MM"


@pytest.mark.parametrize("words", ["CCL 1", "CCL 2 advanced", "CCL"])
def test_the_command_level_needs_its_password(bench, words):
    bench.ask(words + "\n")
    assert bench.error() == 17
    bench.ask("CCL 1 advanced\n")
    assert bench.ask("CCL?\n") == b"1\n"


def test_who_and_what_it_is_can_be_asked_piece_by_piece(bench):
    assert bench.ask("SSN?\n") == b"119012345\n"
    assert bench.ask("PUN? 1\n") == b"1=MM\n"


def test_every_parameter_is_described_with_its_type(bench):
    lines = bench.ask("HPA?\n").decode().splitlines()
    types = {line.split("=")[0]: line.split()[3] for line in lines}
    assert types["0X8"] == "FLOAT"
    assert types["0X70"] == "INT"
    assert types["0X7000601"] == types["0X3C"] == "CHAR"
