"""Pulse energy as actuator: the same laws hold the rate with it, and nothing runs away at its clamps."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.control import ControlSettings, RateLaw, RateObservation, Setpoint, create
from evapd.errors import ConfigError
from support.control_laser_plant import LaserPlant

V_V = 5000.0


def told(**changes: object) -> ControlSettings:
    fields: dict[str, object] = {
        "target_rate": 0.01, "pulse_rate_hz": 2e5, "v_min_v": 500.0, "v_max_v": 8000.0, "actuator": "energy",
        "energy_pj": 50.0, "energy_min_pj": 10.0, "energy_max_pj": 100.0, "max_energy_slew_up": 0.05,
    }  # fmt: skip
    return ControlSettings(**(fields | changes))  # type: ignore[arg-type]  # the test's own dictionary


def begun(name: str, plant: LaserPlant, v_start_v: float = V_V) -> RateLaw:
    plant.v_v = plant.command_v = v_start_v
    law = create(name, plant.settings)
    law.reset(v_start_v, 0.0)
    return law


def rows(plant: LaserPlant, since_s: float) -> np.ndarray:
    moves = np.array(plant.moves)
    return moves[moves[:, 0] >= since_s]


@pytest.mark.parametrize("name", ["imm", "pi-log"])
@pytest.mark.parametrize("told_energy", [True, False])
@pytest.mark.parametrize("heating_k", [25.0, 100.0, 400.0])
def test_energy_holds_the_rate_while_the_voltage_stands(
    name: str, told_energy: bool, heating_k: float
) -> None:
    plant = LaserPlant(told(), noise_sd=0.1, drift_per_s=3e-3, heating_k=heating_k, told_energy=told_energy)
    plant.run(begun(name, plant), 60.0)
    found = rows(plant, 20.0)
    assert found[:, 1].mean() == pytest.approx(1.0, abs=0.08)
    assert np.log(found[:, 1]).std() < 0.12
    assert np.ptp(found[:, 2]) == 0.0
    assert np.ptp(found[:, 3]) > 0.0


@pytest.mark.parametrize("seed", [3, 4, 6])
def test_an_energy_that_nobody_reads_back_is_placed_where_it_was_asked_for(seed: int) -> None:
    plant = LaserPlant(told(), noise_sd=0.1, drift_per_s=3e-3, told_energy=False, seed=seed)
    plant.run(begun("imm", plant), 60.0)
    assert np.log(rows(plant, 20.0)[:, 1]).std() < 0.08


def test_sensitivity_to_energy_is_found_while_it_rises_to_the_target() -> None:
    plant = LaserPlant(told(energy_pj=30.0), energy_pj=30.0)
    law = begun("imm", plant)
    plant.run(law, 40.0)
    found = law.step(None, plant.t_s).sensitivity
    assert found == pytest.approx(17.0 * 100.0 / 150.0, rel=0.4)
    assert rows(plant, 30.0)[:, 1].mean() == pytest.approx(1.0, abs=0.08)
    assert rows(plant, 0.0)[:, 1].max() < 1.4


def test_energy_goes_down_at_once_and_up_slowly() -> None:
    plant = LaserPlant(told())
    law = begun("imm", plant)
    plant.run(law, 10.0)
    plant.noise = 1.5
    plant.noise_tau_s = 1e9  # the specimen has become more willing, for good
    before_pj = plant.energy_pj
    plant.run(law, 1.0)
    assert plant.energy_pj < before_pj * math.exp(-0.6 * 1.5 / 11.0)
    plant.noise = -1.0
    lowest_pj = plant.energy_pj
    plant.run(law, 2.0)
    assert plant.energy_pj <= lowest_pj * (1.0 + 0.05) ** 2.1


def test_below_the_lowest_energy_the_voltage_goes_down_and_stays_there() -> None:
    plant = LaserPlant(told(energy_min_pj=46.0))
    law = begun("imm", plant)
    plant.run(law, 5.0)
    plant.field_factor = 0.95
    plant.run(law, 60.0)
    assert plant.command_v < 0.97 * V_V
    assert rows(plant, 60.0)[:, 1].mean() == pytest.approx(1.0, abs=0.15)
    plant.field_factor = 1.0
    lowered_v = plant.command_v
    plant.run(law, 20.0)
    assert plant.command_v <= lowered_v


def test_at_the_highest_energy_nothing_rises_and_nothing_is_wound_up() -> None:
    plant = LaserPlant(told())
    law = begun("imm", plant, 4000.0)
    plant.run(law, 40.0)
    proposal = law.step(None, plant.t_s)
    assert proposal.pulse_energy_pj == pytest.approx(100.0)
    assert rows(plant, 0.0)[:, 2].max() <= 4000.0
    assert "clamped" in {law.step(plant.tick(), plant.t_s).mode for _ in range(4)}
    plant.field_factor = 0.97  # now ions come
    plant.run(law, 10.0)
    assert rows(plant, 47.0)[:, 1].mean() == pytest.approx(1.0, abs=0.15)
    assert rows(plant, 40.0)[:, 1].max() < 20.0


@pytest.mark.parametrize("name", ["imm", "pi-log"])
def test_split_moves_both_and_the_voltage_goes_on_where_the_energy_ends(name: str) -> None:
    plant = LaserPlant(told(actuator="split", energy_max_pj=60.0, max_slew_up_hunting=0.03))
    law = begun(name, plant, 4700.0)
    plant.run(law, 60.0)
    found = rows(plant, 40.0)
    assert found[:, 1].mean() == pytest.approx(1.0, abs=0.08)
    assert plant.command_v > 4700.0
    assert 50.0 < plant.energy_pj <= 60.0


def test_a_trip_lowers_the_energy_and_resuming_does_not_raise_it() -> None:
    plant = LaserPlant(told())
    law = begun("imm", plant)
    plant.run(law, 5.0)
    before_pj = plant.energy_pj
    law.inhibited(plant.t_s, 10.0)
    stopped = [law.step(None, plant.t_s + 0.05 * k) for k in range(1, 10)]
    assert stopped[-1].pulse_energy_pj is not None
    assert stopped[-1].pulse_energy_pj < 0.9 * before_pj
    assert max(one.v_dc_v for one in stopped) <= plant.command_v


def test_another_target_is_reached_by_energy() -> None:
    plant = LaserPlant(told())
    law = begun("imm", plant)
    plant.run(law, 10.0)
    law.retarget(0.005)
    plant.run(law, 15.0)
    assert rows(plant, 15.0)[:, 1].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("missing", ["energy_pj", "energy_min_pj", "energy_max_pj"])
def test_without_its_energies_there_is_no_such_law(missing: str) -> None:
    with pytest.raises(ConfigError, match="energy"):
        create("imm", told(**{missing: None}))


def test_the_voltage_as_actuator_proposes_no_energy() -> None:
    law = create("imm", told(actuator="voltage"))
    law.reset(V_V, 0.0)
    assert law.step(None, 0.05).pulse_energy_pj is None


wild = st.one_of(st.floats(), st.sampled_from([math.nan, math.inf, -1.0, 0.0, 1e300]))
seen = st.builds(
    RateObservation,
    t_s=st.one_of(st.floats(0, 5), wild),
    pulses=st.integers(0, 20_000),
    hits=st.integers(0, 20_000),
    v_dc_v=st.one_of(st.floats(400, 7000), wild),
    valid=st.booleans(),
    pulser_ok=st.booleans(),
    saturated=st.booleans(),
    pulse_energy_pj=st.one_of(st.none(), st.floats(1, 200), wild),
)


@pytest.mark.parametrize("name", ["imm", "pi-log"])
@pytest.mark.parametrize("actuator", ["energy", "split"])
@settings(max_examples=60, deadline=None)
@given(calls=st.lists(st.tuples(st.one_of(st.none(), seen), st.floats(0, 0.2)), max_size=40))
def test_anything_at_all_keeps_energy_within_its_clamps_and_rises_slow(
    name: str, actuator: str, calls: list[tuple[RateObservation | None, float]]
) -> None:
    given_ = told(actuator=actuator)
    law, now_s = create(name, given_), 0.0
    law.reset(V_V, 0.0)
    before: Setpoint | None = None
    for observation, dt_s in calls:
        now_s += dt_s
        after = law.step(observation, now_s)
        assert after.pulse_energy_pj is not None
        assert 10.0 * (1 - 1e-9) <= after.pulse_energy_pj <= 100.0 * (1 + 1e-9)
        assert after.v_dc_v <= (V_V if actuator == "energy" else 8000.0)
        if before is not None and before.pulse_energy_pj is not None:
            informed = dt_s if observation is not None else 0.0
            assert after.v_dc_v <= before.v_dc_v * (1 + 0.03 * informed) * (1 + 1e-9)
            assert after.pulse_energy_pj <= before.pulse_energy_pj * (1 + 0.05 * informed) * (1 + 1e-9)
        before = after
