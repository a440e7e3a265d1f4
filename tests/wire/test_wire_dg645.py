"""The delay generator in virtual time: triggers, inhibit, lost triggers, errors."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.dg645 import Dg645Wire


def bench(**settings):
    plant = Plant()
    wire = Dg645Wire(plant, **settings)
    wire.advance(0.0)
    return plant, wire


def test_the_trigger_source_starts_and_stops_the_pulses():
    plant, wire = bench()
    wire.receive(b"TRAT 200000;TSRC 0\n", 0.0)
    assert (plant.trigger.live, plant.trigger.rate_hz) == (True, 200_000.0)
    wire.receive(b"TSRC 5\n", 0.1)
    assert not plant.trigger.live


@pytest.mark.parametrize(("mode", "live"), [(0, True), (1, False), (5, False)])
def test_the_inhibit_input_works_only_where_it_is_set_up(mode, live):
    plant, wire = bench()
    wire.receive(b"TSRC 0;INHB %d\n" % mode, 0.0)
    plant.trigger.inhibit_input = True
    wire.advance(0.1)
    assert plant.trigger.live is live


def test_triggers_while_busy_are_lost_and_counted():
    plant, wire = bench()
    wire.receive(b"TRAT 1000;TSRC 0;DLAY 3,2,1.5e-3\n", 0.0)
    for tick in range(1, 101):
        wire.advance(tick / 100)
    assert plant.trigger.rate_hz == 500.0
    assert plant.trigger.missed == pytest.approx(500, abs=2)
    assert int(wire.receive(b"INSR?\n", 1.0)) & 2


def test_a_burst_makes_several_pulses_of_one_trigger():
    plant, wire = bench()
    wire.receive(b"TRAT 1000;TSRC 0;BURC 10;BURP 1e-5;BURM 1\n", 0.0)
    assert plant.trigger.rate_hz == 10_000.0


def test_settings_come_back_from_memory():
    _, wire = bench()
    wire.receive(b"TRAT 4321;*SAV 3;*RST\n", 0.0)
    assert wire.receive(b"TRAT?\n", 0.0) == b"+1000.000000\r\n"
    assert wire.receive(b"*RCL 3;TRAT?\n", 0.0) == b"+4321.000000\r\n"
    assert wire.receive(b"*RCL 4;LERR?\n", 0.0) == b"14\r\n"


def test_the_twentieth_error_says_that_there_were_too_many():
    _, wire = bench()
    wire.receive(b"TRAT -1\n" * 30, 0.0)
    codes = [int(wire.receive(b"LERR?\n", 0.0)) for _ in range(21)]
    assert codes == [10] * 19 + [254, 0]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (b"DLAY 2,0,2001", 12), (b"DLAY 2,3,1;DLAY 3,2,1", 13), (b"DLAY 1,0,1", 13), (b"DLAY 2,0", 116), (b"TRAT 1,2", 115),
        (b"LAMP 1,5.0;LOFF 1,2", 10), (b"TRAT abc", 118), (b"*TRG;TSRC 0;*TRG", 11), (b"DLAY?x", 120), (b"LERR 1", 113),
        (b"!!!", 110), (b"TRAT " + b"1" * 300, 171),
    ],
)  # fmt: skip
def test_a_refused_command_answers_nothing_and_queues_its_error(command, code):
    _, wire = bench()
    assert wire.receive(command + b"\n", 0.0) == b""
    assert int(wire.receive(b"LERR?\n", 0.0)) == code


def test_a_delay_that_is_refused_leaves_the_old_one():
    _, wire = bench()
    wire.receive(b"DLAY 2,0,1.0\nDLAY 3,2,1999.5\n", 0.0)
    assert wire.receive(b"DLAY?3\n", 0.0) == b"0,+0.000000000000\r\n"


def test_the_reply_end_can_be_changed():
    _, wire = bench()
    assert wire.receive(b"XTRM 10;TSRC?\n", 0.0) == b"5\n"


def test_the_status_byte_sums_up_what_is_enabled():
    _, wire = bench()
    assert wire.receive(b"*STB?\n", 0.0) == b"0\r\n"
    assert wire.receive(b"*ESE 128;*SRE 32;*STB?\n", 0.0) == b"96\r\n"


@pytest.mark.parametrize(
    ("command", "reply"),
    [(b"DISP 11,2;DISP?", b"11,2"), (b"SSDL 2,1e-9;SSDL?2", b"+0.000000001000"), (b"SSTR 10;SSTR?", b"+10.000000"), (b"IFCF?1", b"9600"), (b"IFCF?8", b"1"),
     (b"SHDP?", b"1"), (b"EMAC?", b"00.19.B3.02.00.01")],
)  # fmt: skip
def test_what_a_client_asks_about_panel_and_ports_is_told(command, reply):
    _, wire = bench()
    assert wire.receive(command + b"\n", 0.0) == reply + b"\r\n"
    assert wire.receive(b"LERR?\n", 0.0) == b"0\r\n"
