"""The Edwards controller: gauges, pumps in virtual time, refusals."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.edwards_tic import EdwardsTicWire


def bench(**settings):
    plant = Plant()
    wire = EdwardsTicWire(plant, **settings)
    wire.advance(0.0)
    return plant, wire


@pytest.mark.parametrize(
    ("status", "fields"),
    [(0, b"3.0000e-09;59;11;0;0"), (3, b"9.9000e+09;59;4;15;3"), (4, b"9.9000e+09;59;5;0;0"), (5, b"9.9000e+09;59;0;6;0")],
)  # fmt: skip
def test_a_gauge_tells_value_unit_state_alert_and_priority(status, fields):
    plant, wire = bench()
    plant.gauge_status[1] = status
    assert wire.receive(b"?V913\r", 0.0) == b"=V913 " + fields + b"\r"


def test_a_broken_gauge_stays_broken_though_it_is_switched_on():
    plant, wire = bench()
    plant.gauge_status[1] = 3
    wire.receive(b"!C913 1\r", 0.0)
    assert b";4;15;3\r" in wire.receive(b"?V913\r", 0.0)


def test_the_turbo_starts_late_speeds_up_and_brakes():
    _, wire = bench()
    wire.receive(b"!C904 1\r", 0.0)
    assert wire.receive(b"?V904\r", 1.0) == b"=V904 1;0;0\r"
    wire.advance(10.0)
    wire.advance(400.0)
    assert wire.receive(b"?V904\r?V907\r", 400.0) == b"=V904 4;0;0\r=V907 4;0;0\r"
    wire.receive(b"!C904 0\r", 401.0)
    assert wire.receive(b"?V904\r", 402.0) == b"=V904 3;0;0\r"


def test_the_whole_system_starts_at_once():
    _, wire = bench()
    wire.receive(b"!C933 1\r", 0.0)
    wire.advance(3.0)
    assert wire.receive(b"?V902\r", 3.0) == b"=V902 5;4;11;11;0;0;0;0;0;0\r"


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"?V999", b"*V999 1\r"), (b"!C999 1", b"*C999 1\r"), (b"!C913", b"*C913 3\r"), (b"!C913 9", b"*C913 4\r"), (b"!C904 x", b"*C904 4\r"),
        (b"!S902 1", b"*S902 1\r"), (b"!V913 1", b"*V913 1\r"), (b"?C913", b"*C913 1\r"), (b"?V91", b""), (b"V913", b""), (b"?V913" + b" " * 200, b""),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_or_not_answered(line, reply):
    _, wire = bench()
    assert wire.receive(line + b"\r", 0.0) == reply


def test_a_firmware_may_keep_its_name_to_itself():
    _, wire = bench(answers_identity=False)
    assert wire.receive(b"?S902\r?V914\r", 0.0) == b"=V914 2.0000e-06;59;11;0;0\r"
