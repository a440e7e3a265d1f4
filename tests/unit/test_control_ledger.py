"""Below every model: a law cannot go on believing the target while it counts something else."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evapd.control import ControlSettings, create
from evapd.control.ledger import Ledger
from evapd.control.voltage import VoltageTrack
from support.control_plant import Plant

SETTINGS = ControlSettings(target_rate=0.01, pulse_rate_hz=2e5, v_min_v=500.0, v_max_v=8000.0)


class Crooked(VoltageTrack):
    """A reckoning of the voltage with a standing error, as no reckoning should ever have."""

    wrong = 0.0

    def take(self, log_read: float, at_s: float, now_s: float) -> float:
        return super().take(log_read, at_s, now_s) + self.wrong


@pytest.mark.parametrize("name", ["imm", "pi-log"])
@settings(max_examples=6, deadline=None)
@given(wrong=st.floats(-0.004, 0.004), seed=st.integers(0, 1000))
@example(wrong=0.003, seed=1)
@example(wrong=-0.003, seed=1)
def test_a_wrong_reckoning_of_the_voltage_is_found_by_counting(name: str, wrong: float, seed: int) -> None:
    plant = Plant(SETTINGS, seed=seed)
    plant.v_v = plant.command_v = 5000.0
    law = create(name, SETTINGS)
    law._voltage = Crooked(SETTINGS)  # type: ignore[attr-defined]
    law._voltage.wrong = wrong  # type: ignore[attr-defined]
    law.reset(5000.0, 0.0)
    plant.run(law, 60.0)
    assert float(np.mean(plant.since(30.0)[:, 1])) == pytest.approx(1.0, abs=0.04)


def counted(ledger: Ledger, ratio: float, seconds: float, rng: np.random.Generator) -> None:
    for k in range(round(seconds / SETTINGS.tick_s)):
        now_s = k * SETTINGS.tick_s
        ledger.believe(now_s, 0.0)
        ledger.count(
            now_s,
            SETTINGS.tick_s,
            hits=float(rng.poisson(100.0 * ratio)),
            pulses=1e4,
            background=0.0,
            dispersion=1.3,
        )


@pytest.mark.parametrize("ratio", [0.8, 1.19])
def test_what_is_counted_in_spite_of_the_belief_becomes_a_bias_within_half_a_minute(ratio: float) -> None:
    ledger = Ledger(SETTINGS)
    rng = np.random.default_rng(1)
    for _ in range(6):
        counted(ledger, ratio * math.exp(-ledger.bias), 5.0, rng)  # the law goes down by what it learns
    assert ledger.bias == pytest.approx(math.log(ratio), abs=0.03)


def test_chance_is_no_bias() -> None:
    ledger = Ledger(SETTINGS)
    counted(ledger, 1.0, 120.0, np.random.default_rng(2))
    assert abs(ledger.bias) < 0.003


def test_a_lean_within_chance_is_taken_back_in_minutes() -> None:
    ledger = Ledger(SETTINGS, most_lean=0.03)
    rng = np.random.default_rng(3)
    for _ in range(80):
        counted(ledger, 0.99 * math.exp(-ledger.bias), 5.0, rng)
    assert ledger.bias == pytest.approx(math.log(0.99), abs=0.006)


def test_more_lean_than_allowed_is_not_taken_back() -> None:
    ledger = Ledger(SETTINGS, most_lean=0.001)
    rng = np.random.default_rng(4)
    for _ in range(40):
        counted(ledger, 0.996 * math.exp(-ledger.bias), 5.0, rng)
    assert abs(ledger.bias) == pytest.approx(0.001, abs=0.0007)


def test_far_from_the_target_nothing_is_promised() -> None:
    ledger = Ledger(SETTINGS)
    for k in range(400):
        ledger.believe(0.05 * k, -0.5)
        ledger.count(0.05 * k, 0.05, hits=10.0, pulses=1e4, background=0.0, dispersion=1.3)
    assert ledger.bias == 0.0
