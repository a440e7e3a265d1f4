import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.guard.supply_model import SupplyModel


def followed(v_from, v_to, duration_s, tau_up_s=0.05, tau_down_s=2.0):
    model = SupplyModel(tau_up_s, tau_down_s)
    model.start(v_from, 0.0)
    for step in range(round(duration_s / 0.05) + 1):
        model.advance(v_to, 0.05 * step)
    return model


def test_the_model_rises_fast_and_falls_slowly():
    assert followed(0.0, 1000.0, 1.0).v_v == pytest.approx(1000.0)
    assert followed(1000.0, 0.0, 1.0).v_v == pytest.approx(1000.0 * math.exp(-0.5), rel=1e-6)


def test_a_supply_that_falls_as_modelled_lies_in_the_band():
    model = followed(1000.0, 500.0, 1.0)
    low_v, high_v = model.band(1.0)
    assert low_v <= 500 + 500 * math.exp(-0.5) <= high_v
    assert high_v < 1000


def test_long_after_a_command_the_band_is_narrow():
    low_v, high_v = followed(0.0, 1000.0, 3.0).band(3.0)
    assert (low_v, high_v) == (pytest.approx(1000.0), pytest.approx(1000.0))


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=50), st.floats(-10, 10))
def test_the_band_stays_within_what_was_ever_asked_for(set_points, at_s):
    model = SupplyModel(0.05, 1.0)
    model.start(set_points[0], 0.0)
    for step, v_v in enumerate(set_points):
        model.advance(v_v, 0.05 * step)
    low_v, high_v = model.band(at_s)
    assert min(set_points) - 1e-6 <= low_v <= high_v <= max(set_points) + 1e-6
