"""Law `imm` against a mean-field specimen in virtual time."""

import dataclasses
import math

import numpy as np
import pytest

from evapd.control import ControlSettings, RateLaw, RateObservation, create
from support.control_plant import Plant

PULSE_RATE_HZ = 200e3


def settings(rate_hz: float = 2000.0, **changes: float) -> ControlSettings:
    return ControlSettings(
        target_rate=rate_hz / PULSE_RATE_HZ,
        pulse_rate_hz=PULSE_RATE_HZ,
        v_min_v=500.0,
        v_max_v=8000.0,
        **changes,
    )


def closed_loop(plant: Plant, v_start_v: float) -> RateLaw:
    plant.v_v = plant.command_v = v_start_v
    law = create("imm", plant.settings)
    law.reset(v_start_v, 0.0)
    return law


def seen(hits: int, t_s: float, pulses: int = 10_000, **changes: object) -> RateObservation:
    fields: dict[str, object] = {
        "t_s": t_s, "pulses": pulses, "hits": hits, "v_dc_v": 5000.0, "valid": True, "pulser_ok": True, "saturated": False
    }  # fmt: skip
    return RateObservation(**(fields | changes))  # type: ignore[arg-type]  # the test's own dictionary


def settled() -> tuple[Plant, RateLaw]:
    plant = Plant(settings())
    law = closed_loop(plant, 4900.0)
    plant.run(law, 15.0)
    return plant, law


@pytest.mark.parametrize("sensitivity", [30.0, 60.0, 120.0, 250.0])
def test_start_from_sixty_percent_of_threshold_is_quick_and_does_not_overshoot(sensitivity: float) -> None:
    plant = Plant(settings(), sensitivity=sensitivity)
    plant.run(closed_loop(plant, 3000.0), 35.0)
    rows = plant.since(0.0)
    assert rows[:, 1].max() < 1.35
    assert rows[np.argmax(rows[:, 1] > 0.8), 0] < 22.0
    assert plant.since(25.0)[:, 1].mean() == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize("sensitivity", [30.0, 60.0, 200.0])
def test_sensitivity_is_found_on_the_ramp(sensitivity: float) -> None:
    plant = Plant(settings(), sensitivity=sensitivity)
    law = closed_loop(plant, 4000.0)
    plant.run(law, 20.0)
    found = law.step(None, plant.t_s).sensitivity
    assert found == pytest.approx(sensitivity, rel=0.25)


@pytest.mark.parametrize("sensitivity", [60.0, 250.0])
def test_few_counts_are_approached_slowly_enough_to_stop(sensitivity: float) -> None:
    plant = Plant(settings(50.0), sensitivity=sensitivity)
    plant.run(closed_loop(plant, 4500.0), 60.0)
    assert plant.since(0.0)[:, 1].max() < 2.5


class Layer(Plant):
    """The evaporation field falls by 20 % while 20 000 ions go."""

    first_ion: float | None = None

    def on_substep(self) -> None:
        if self.t_s > 15.0:
            self.first_ion = self.ions if self.first_ion is None else self.first_ion
            self.field_factor = 1.0 - 0.2 * min(1.0, (self.ions - self.first_ion) / 2e4)


def test_layer_step_is_followed_without_an_ion_above_five_times_target() -> None:
    plant = Layer(settings())
    plant.run(closed_loop(plant, 4900.0), 35.0)
    assert plant.since(15.0)[:, 1].max() < 2.5
    assert plant.excess_ions == 0.0
    assert plant.field_factor == pytest.approx(0.8)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_layer_step_is_survived_where_no_ramp_has_shown_how_flat_s_is(seed: int) -> None:
    plant = Layer(settings(), sensitivity=30.0, noise_sd=0.1, seed=seed)
    plant.run(closed_loop(plant, 5000.0), 35.0)
    assert plant.since(15.0)[:, 1].max() < 4.0
    assert plant.excess_ions == 0.0


def test_s_does_not_run_away_upwards_in_noise() -> None:
    plant = Plant(settings(), sensitivity=30.0, noise_sd=0.1)
    law = closed_loop(plant, 5000.0)
    highest = 0.0
    for _ in range(25):
        plant.run(law, 1.0)
        highest = max(highest, law.step(None, plant.t_s).sensitivity or 0.0)
    assert highest < 175.0


class Stepping(Plant):
    """The readback of the voltage steps, the voltage does not."""

    def on_substep(self) -> None:
        self.readback_gain = self.stepped if self.t_s > 15.0 else 1.0

    stepped = 1.0


@pytest.mark.parametrize("name", ["imm", "pi-log"])
@pytest.mark.parametrize("sensitivity", [60.0, 200.0])
@pytest.mark.parametrize("step", [-0.015, -0.005, 0.005, 0.01, 0.015])
def test_a_step_of_the_readback_is_not_taken_for_the_specimen(
    name: str, sensitivity: float, step: float
) -> None:
    plant = Stepping(settings(), sensitivity=sensitivity)
    plant.stepped = 1.0 + step
    plant.v_v = plant.command_v = 5000.0
    law = create(name, plant.settings)
    law.reset(5000.0, 0.0)
    plant.run(law, 24.0)
    ratio = plant.since(14.9)[:, 1]
    assert ratio.max() < 1.2
    assert ratio.min() > 0.8


class Dropout(Plant):
    """Pulses fail for eight seconds; the hardware's own flag may not tell."""

    flagged = True

    def on_substep(self) -> None:
        self.pulses_on = not 15.0 < self.t_s < 23.0

    def tick(self) -> RateObservation | None:
        observation = super().tick()
        if observation is None or self.flagged:
            return observation
        return dataclasses.replace(observation, pulser_ok=True, pulses=10_000)


@pytest.mark.parametrize("flagged", [True, False])
def test_no_surge_when_pulses_return(flagged: bool) -> None:
    plant = Dropout(settings())
    plant.flagged = flagged
    plant.run(closed_loop(plant, 4900.0), 35.0)
    assert plant.since(23.0)[:, 1].max() < 1.3


class Bursts(Plant):
    """Three hundred correlated ions come within one tick, again and again."""

    def tick(self) -> RateObservation | None:
        observation = super().tick()
        if observation is not None and self.t_s > 15.0 and round(self.t_s / self.settings.tick_s) % 60 == 0:
            return dataclasses.replace(observation, hits=observation.hits + 300)
        return observation


def test_a_burst_of_one_window_is_not_followed() -> None:
    plant = Bursts(settings())
    plant.run(closed_loop(plant, 4900.0), 40.0)
    v_v = plant.since(16.0)[:, 2]
    assert v_v.min() > 0.995 * np.median(v_v)


def test_a_lasting_jump_is_followed_after_two_windows() -> None:
    plant, law = settled()
    before_v = plant.command_v
    proposals = []
    for _ in range(8):
        observation = plant.tick()
        assert observation is not None
        plant.command_v = before_v  # the specimen is left alone; only what the law would do is looked at
        proposals.append(
            law.step(dataclasses.replace(observation, hits=4 * observation.hits), plant.t_s).v_dc_v
        )
    assert proposals[3] < before_v * (1 - 0.3 * math.log(4) / 60)


@pytest.mark.parametrize("sensitivity", [30.0, 60.0, 120.0, 250.0])
def test_no_limit_cycle(sensitivity: float) -> None:
    plant = Plant(settings(), sensitivity=sensitivity)
    plant.run(closed_loop(plant, 5000.0), 40.0)
    assert np.log(plant.since(20.0)[:, 1]).std() < 0.08


@pytest.mark.parametrize("name", ["imm", "pi-log"])
def test_target_changes_without_a_jump(name: str) -> None:
    plant = Plant(settings())
    plant.v_v = plant.command_v = 4900.0
    law = create(name, plant.settings)
    law.reset(4900.0, 0.0)
    plant.run(law, 15.0)
    before_v = plant.command_v
    law.retarget(0.02)
    plant.run(law, 0.05)
    assert abs(plant.command_v / before_v - 1) <= 0.012 * 0.05 * (1 + 1e-9)
    plant.run(law, 20.0)
    assert plant.since(plant.t_s - 10.0)[:, 1].mean() == pytest.approx(2.0, abs=0.2)


def test_trip_lowers_the_voltage_while_pulses_are_stopped_and_resuming_does_not_raise_it() -> None:
    plant, law = settled()
    before_v = plant.command_v
    law.inhibited(plant.t_s, 10.0)
    stopped = [law.step(None, plant.t_s + 0.05 * k).v_dc_v for k in range(1, 10)]
    law.resumed(plant.t_s + 0.5)
    after = [law.step(seen(0, plant.t_s + 0.5), plant.t_s + 0.5 + 0.05 * k).v_dc_v for k in range(1, 3)]
    assert stopped[-1] < before_v * (1 - math.log(10) / 120)
    assert max(after) <= stopped[-1]


@pytest.mark.parametrize(
    "changes",
    [{"valid": False}, {"pulser_ok": False}, {"pulses": 0}, {"v_dc_v": math.nan}, {"t_s": -100.0}],
    ids=["invalid", "pulser", "no pulses", "no voltage", "stale"],
)
def test_voltage_never_rises_on_what_is_not_known(changes: dict[str, object]) -> None:
    law = create("imm", settings())
    law.reset(4000.0, 0.0)
    proposals = [
        law.step(dataclasses.replace(seen(0, 0.05 * k), **changes), 0.05 * k).v_dc_v  # type: ignore[arg-type]  # the test's own
        for k in range(1, 200)
    ]
    assert max(proposals) <= 4000.0 * (1 + 1e-12)


def test_an_observation_that_is_repeated_counts_once() -> None:
    _, law = settled()
    first = law.step(seen(60, 15.0), 15.05).v_dc_v
    again = [law.step(seen(60, 15.0), 15.05 + 0.05 * k).v_dc_v for k in range(1, 10)]
    assert max(again) <= first


def test_saturated_counts_lower_the_voltage() -> None:
    plant, law = settled()
    before_v = plant.command_v
    for k in range(1, 10):
        proposal = law.step(seen(0, plant.t_s + 0.05 * k, saturated=True), plant.t_s + 0.05 * k)
    assert proposal.v_dc_v < 0.99 * before_v


def test_a_voltage_cut_by_others_is_followed_and_not_climbed_back_at_once() -> None:
    plant, law = settled()
    cut_v = 0.9 * plant.command_v
    proposals = []
    for _ in range(20):
        plant.command_v = cut_v
        proposals.append(law.step(plant.tick(), plant.t_s).v_dc_v)
    assert proposals[-1] < 1.02 * cut_v


def test_same_calls_give_the_same_proposals() -> None:
    def run() -> list[float]:
        plant = Plant(settings(), seed=7)
        plant.run(closed_loop(plant, 4900.0), 6.0)
        return [v for _, _, v in plant.history]

    assert run() == run()
