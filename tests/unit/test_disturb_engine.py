"""When events come, in which order, how they take each other's place, and what they refuse."""

import logging
import threading
from typing import Any

import pytest
from pydantic import ValidationError

from evapd.errors import ConfigError
from evapd_sim.disturb.catalogue import EVENTS, read_event, table
from evapd_sim.settings import AtomProbeTwin
from support.disturbed import DisturbedRig


def told(rig: DisturbedRig) -> list[tuple[float, str]]:
    return [(round(each.t_s, 6), each.text) for each in rig.engine.history]


def test_a_script_comes_at_its_times_whatever_its_order() -> None:
    rig = DisturbedRig([{"do": "micro-fracture", "at_s": 0.05}, {"do": "burst", "at_s": "20 ms"}])
    rig.run(0.1)
    assert [(t_s, text.split()[0]) for t_s, text in told(rig)] == [
        (0.02, "burst"),
        (0.03, "burst"),
        (0.05, "micro-fracture"),
        (0.07, "micro-fracture"),
    ]


def test_an_event_waits_for_its_ions() -> None:
    rig = DisturbedRig([{"do": "layer-step", "at_ions": 100}])
    rig.run(0.01)
    assert rig.engine.waiting != []
    while rig.engine.waiting:
        rig.run(0.005)
    assert rig.physics.detected_ions >= 100
    assert rig.engine.time_s < 1.0


def test_an_event_waits_for_its_voltage() -> None:
    rig = DisturbedRig([{"do": "trip", "at_v_dc_v": "2.8 kV"}])
    rig.run(0.1)
    assert not rig.plant.specimen.trip
    rig.plant.specimen.demand_v = 3000.0
    rig.run(0.5)
    assert rig.plant.specimen.trip


def test_the_log_tells_what_came_and_what_ended_with_time_and_voltage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = DisturbedRig()
    with caplog.at_level(logging.INFO, "evapd_sim"):
        rig.do("flash", for_s=0.01, ions_per_s=1000)
        rig.run(0.05)
    assert [record.getMessage().partition(", V_dc")[0] for record in caplog.records] == [
        "event at 0.000 s (monotonic 0.000000 s",
        "event at 0.010 s (monotonic 0.000000 s",
    ]
    assert "flash ions_per_s=1000.0 for_s=0.01 holds_above=0.7" in caplog.text
    assert "flash ended" in caplog.text


def test_the_same_event_again_takes_the_place_of_the_first_and_restores_what_was() -> None:
    rig = DisturbedRig()
    usual_s = rig.plant.specimen.tau_down_s
    rig.do("slow-fall", tau_s=5)
    rig.do("slow-fall", tau_s=9, for_s=0.01)
    assert rig.plant.specimen.tau_down_s == 9
    rig.run(0.05)
    assert (rig.plant.specimen.tau_down_s, rig.engine.active) == (usual_s, [])


def test_clear_ends_all_or_those_of_one_name() -> None:
    rig = DisturbedRig()
    for event in ("oscillation", "dc-leakage", "slow-fall"):
        rig.do(event)
    rig.do("clear", what="dc-leakage")
    assert [text.split()[0] for text in rig.engine.active] == ["oscillation", "slow-fall"]
    rig.do("clear")
    assert rig.engine.active == []
    assert rig.plant.specimen.tau_down_s == 0.5


def test_an_event_that_cannot_come_is_told_and_the_twin_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    rig = DisturbedRig([{"do": "silent", "device": "hv", "at_s": 0.01}])
    with caplog.at_level(logging.INFO, "evapd_sim"):
        assert len(rig.run(0.05)) == 10
    assert "silent device=hv FAILED: the cable of 'hv' is not there" in caplog.text


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"do": "explode"}, "explode"),
        ({"do": "burst", "ions": -1}, "greater than 0"),
        ({"do": "burst", "for_s": "3 V"}, "wrong unit 'V'"),
        ({"do": "burst", "colour": 1}, "Extra inputs"),
        ({"do": "burst", "at_s": 1, "at_ions": 5}, "only one of"),
        ({"do": "silent"}, "device"),
        ({"do": "other-unit", "device": "hv", "serial": "a b"}, "pattern"),
        ({"do": "rate-drift", "per_s": float("nan")}, "finite"),
        ({}, "do"),
    ],
)
def test_what_is_no_event_is_refused_with_the_reason(event: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        read_event(event)


def test_a_script_needs_times() -> None:
    with pytest.raises(ValidationError, match="burst needs a time"):
        AtomProbeTwin.model_validate({"script": [{"do": "burst"}]})


@pytest.mark.parametrize(
    ("event", "values", "why"),
    [
        ("silent", {"device": "pump"}, "no device 'pump', only hv, charger, tdc"),
        ("vacuum-burst", {"gauge": 5}, "no gauge 5"),
        ("contact-open", {"name": "roof"}, "no contact 'roof'"),
    ],
)
def test_what_the_rig_has_not_is_refused_by_name(event: str, values: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        DisturbedRig().do(event, **values)


def test_events_from_other_threads_fall_between_two_steps() -> None:
    rig = DisturbedRig()
    before = rig.physics.specimen.radius_nm
    with rig.engine.lock:
        other = threading.Thread(target=rig.do, args=("micro-fracture",))
        other.start()
        other.join(0.05)
        assert rig.physics.specimen.radius_nm == before
    other.join()
    assert rig.physics.specimen.radius_nm == pytest.approx(1.05 * before)


def test_every_event_stands_in_the_table_with_its_parameters() -> None:
    rows = table().splitlines()
    assert len(rows) == 2 + len(EVENTS)
    assert any("`layer-step`" in row and "`over_ions`" in row for row in rows)
