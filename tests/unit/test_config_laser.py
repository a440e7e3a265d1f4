"""Laser settings of a rig: energies with units, and what contradicts itself."""

import pytest
from pydantic import ValidationError

from evapd.config.model import Pulse, limit_conflicts

LASER = {
    "mode": "laser",
    "rate_hz": "200 kHz",
    "energy_pj": 20,
    "energy_min_pj": 5,
    "energy_max_pj": "0.04 nJ",
}


def conflicts(**changes: object) -> dict[str, str]:
    return dict(limit_conflicts(None, None, Pulse.model_validate(LASER | changes)))


def test_energies_may_be_written_with_a_unit() -> None:
    assert Pulse.model_validate(LASER).energy_max_pj == pytest.approx(40.0)
    with pytest.raises(ValidationError, match="wrong unit"):
        Pulse.model_validate(LASER | {"energy_pj": "20 V"})


def test_the_voltage_is_the_actuator_unless_the_rig_says_otherwise() -> None:
    assert Pulse.model_validate(LASER).actuator == "voltage"
    assert conflicts() == {}


@pytest.mark.parametrize(
    ("changes", "where", "words"),
    [
        ({"energy_pj": 50}, "pulse.energy_pj", "outside 5 pJ to 40 pJ"),
        ({"energy_pj": 4}, "pulse.energy_pj", "outside"),
        ({"energy_min_pj": 41}, "pulse.energy_min_pj", "at most 40 pJ"),
        ({"mode": "voltage", "actuator": "energy"}, "pulse.actuator", "pulse.mode is voltage"),
        ({"actuator": "split", "energy_max_pj": None}, "pulse.actuator", "needs energy_pj"),
    ],
)
def test_energies_that_contradict_each_other_are_named_by_their_key(
    changes: dict[str, object], where: str, words: str
) -> None:
    assert words in conflicts(**changes)[where]


@pytest.mark.parametrize(
    ("key", "value"), [("energy_pj", -1), ("split", 1.0), ("split", 0), ("actuator", "beam")]
)
def test_impossible_values_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Pulse.model_validate(LASER | {key: value})
