"""Law `pi-log` against a mean-field specimen in virtual time."""

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
    law = create("pi-log", plant.settings)
    law.reset(v_start_v, 0.0)
    return law


def seen(hits: int, pulses: int = 10_000, **changes: object) -> RateObservation:
    fields: dict[str, object] = {
        "t_s": 0.0, "pulses": pulses, "hits": hits, "v_dc_v": 5000.0, "valid": True, "pulser_ok": True, "saturated": False
    }  # fmt: skip
    return RateObservation(**(fields | changes))  # type: ignore[arg-type]  # the test's own dictionary


@pytest.mark.parametrize("sensitivity", [30.0, 60.0, 100.0, 200.0])
def test_start_from_sixty_percent_of_threshold_does_not_overshoot(sensitivity: float) -> None:
    plant = Plant(settings(), sensitivity=sensitivity)
    law = closed_loop(plant, 3000.0)
    plant.run(law, 60.0)
    assert plant.since(0.0)[:, 1].max() < 1.25
    assert plant.since(40.0)[:, 1].mean() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("rate_hz", [20.0, 200.0, 5000.0])
def test_rate_is_reached_at_few_and_at_many_counts(rate_hz: float) -> None:
    plant = Plant(settings(rate_hz))
    law = closed_loop(plant, 3000.0)
    plant.run(law, 150.0)
    assert plant.since(120.0)[:, 1].mean() == pytest.approx(1.0, abs=0.25)


def test_counting_noise_moves_the_voltage_by_less_than_100_ppm() -> None:
    scatter_ppm = []
    for seed in range(4):
        plant = Plant(settings(), seed=seed)
        law = closed_loop(plant, 5000.0)
        plant.run(law, 120.0)
        v_v = plant.since(60.0)[:, 2]
        scatter_ppm.append(v_v.std() / v_v.mean() * 1e6)
    assert np.median(scatter_ppm) < 100.0


@pytest.mark.parametrize("readback_gain", [0.997, 1.003])
def test_a_readback_that_is_off_does_not_shift_the_rate(readback_gain: float) -> None:
    plant = Plant(settings(), readback_gain=readback_gain)
    law = closed_loop(plant, 4800.0)
    plant.run(law, 90.0)
    assert plant.since(30.0)[:, 1].mean() == pytest.approx(1.0, abs=0.03)


class Layer(Plant):
    """The evaporation field falls by 20 % while 100 000 ions go."""

    first_ion: float | None = None

    def on_substep(self) -> None:
        if self.t_s > 20.0:
            self.first_ion = self.ions if self.first_ion is None else self.first_ion
            self.field_factor = 1.0 - 0.2 * min(1.0, (self.ions - self.first_ion) / 1e5)


def test_gentle_layer_step_is_followed_without_an_ion_above_five_times_target() -> None:
    plant = Layer(settings())
    law = closed_loop(plant, 5000.0)
    plant.run(law, 110.0)
    assert plant.since(20.0)[:, 1].max() < 2.2
    assert plant.excess_ions == 0.0
    assert plant.field_factor == pytest.approx(0.8)


class Dropout(Plant):
    """Pulses fail for eight seconds, and the hardware counter stands still."""

    def on_substep(self) -> None:
        self.pulses_on = not 20.0 < self.t_s < 28.0


def test_voltage_stands_still_while_pulses_fail() -> None:
    plant = Dropout(settings())
    law = closed_loop(plant, 5000.0)
    plant.run(law, 50.0)
    assert plant.since(28.0)[:, 1].max() < 1.3


@pytest.mark.parametrize(
    "blind", [None, seen(0, valid=False), seen(0, pulser_ok=False), seen(0, pulses=0)], ids=["none", "invalid", "pulser", "no pulses"]
)  # fmt: skip
def test_voltage_never_rises_on_what_is_not_known(blind: RateObservation | None) -> None:
    law = create("pi-log", settings())
    law.reset(4000.0, 0.0)
    proposals = [law.step(blind, 0.05 * k).v_dc_v for k in range(1, 400)]
    assert max(proposals) <= 4000.0 * (1 + 1e-12)


def test_saturated_counts_lower_the_voltage() -> None:
    law = create("pi-log", settings())
    law.reset(5000.0, 0.0)
    for k in range(1, 40):
        proposal = law.step(seen(0, saturated=True), 0.05 * k)
    assert proposal.v_dc_v < 4995.0


def test_inhibit_freezes_and_then_lowers_by_the_ratio() -> None:
    law = create("pi-log", settings())
    law.reset(5000.0, 0.0)
    law.step(seen(100), 0.05)
    law.inhibited(0.1, 20.0)
    frozen = [law.step(seen(0), 0.1 + 0.05 * k).v_dc_v for k in range(10)]
    law.resumed(0.6)
    after = [law.step(seen(100, v_dc_v=4800.0), 0.6 + 0.05 * k).v_dc_v for k in range(10)]
    assert np.ptp(frozen) == 0.0
    assert after[-1] < frozen[0]


def test_slew_up_is_bounded_in_every_step() -> None:
    law = create("pi-log", settings())
    law.reset(3000.0, 0.0)
    v_v = [law.step(seen(0, v_dc_v=3000.0), 0.05 * k).v_dc_v for k in range(1, 300)]
    assert np.diff(np.log(v_v)).max() <= 0.03 * 0.05 * (1 + 1e-9)


def test_a_long_pause_between_steps_does_not_allow_a_jump() -> None:
    law = create("pi-log", settings())
    law.reset(3000.0, 0.0)
    law.step(seen(0, v_dc_v=3000.0), 0.05)
    before, after = (
        law.step(seen(0, v_dc_v=3000.0), 0.10).v_dc_v,
        law.step(seen(0, v_dc_v=3000.0), 60.0).v_dc_v,
    )
    assert math.log(after / before) <= 3 * 0.05 * 0.03 * (1 + 1e-9)


def test_same_calls_give_the_same_proposals() -> None:
    def run() -> list[float]:
        plant = Plant(settings(), seed=7)
        plant.run(closed_loop(plant, 4900.0), 20.0)
        return [v for _, _, v in plant.history]

    assert run() == run()
