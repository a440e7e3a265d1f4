"""The models of law `imm` by themselves: what no mixture of them may do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.control import ControlSettings, RateObservation, create
from evapd.control.modes import ModeBank
from evapd.control.poisson import Window

WINDOW = Window(hits=100.0, pulses=1e4, background=0.25, dispersion=1.3)


def test_models_that_come_from_everywhere_alike_stay_numbers() -> None:
    bank = ModeBank(2000.0)
    shares = 1.0 / np.maximum(
        bank._transitions(0.05)[:, 0], 1e-12
    )  # each source gives the quiet model as much
    bank.weights = shares / shares.sum()
    bank.predict(0.05, 0.0, 0.0, 0.0)
    bank.update(WINDOW)
    assert bank.sound()


@given(weights=st.lists(st.floats(1e-6, 1.0), min_size=7, max_size=7), dt_s=st.floats(0.0, 5.0))
def test_any_weights_are_mixed_to_numbers(weights: list[float], dt_s: float) -> None:
    bank = ModeBank(2000.0)
    bank.weights = np.array(weights) / sum(weights)
    bank.predict(dt_s, 0.01, 1e-4, 0.0)
    bank.update(WINDOW)
    assert bank.sound()
    assert bank.weights.sum() == pytest.approx(1.0)


def test_what_is_no_number_is_forgotten_and_raises_nothing() -> None:
    law = create("imm", ControlSettings(target_rate=0.01, pulse_rate_hz=2e5, v_min_v=500.0, v_max_v=8000.0))
    law.reset(5000.0, 0.0)
    law._modes.state[:] = np.nan  # type: ignore[attr-defined]
    proposals = [
        law.step(
            RateObservation(
                t_s=0.05 * k,
                pulses=10_000,
                hits=100,
                v_dc_v=5000.0,
                valid=True,
                pulser_ok=True,
                saturated=False,
            ),
            0.05 * k,
        ).v_dc_v
        for k in range(1, 40)
    ]
    assert all(4900.0 < v_v < 5050.0 for v_v in proposals)
