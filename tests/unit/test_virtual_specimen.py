"""The virtual specimen of the control benchmark does what its page says."""

import math

import numpy as np
import pytest

from evapd.control import create
from support.control_figures import figures, is_cycle
from support.control_loop import Circumstances, Run, run_loop
from support.control_plain import Oracle, Proportional
from support.control_scenarios import QUIET, STILL, Scenario
from support.control_specimen import Specimen, advance, leakage, new_state

STEADY = Scenario(name="steady", specimen=Specimen(**STILL), seconds=20.0)


def passed(specimen: Specimen, v_v: float, steps: int = 1000, seed: int = 1, pulsing: bool = True):
    state = new_state(v_v)
    advance(specimen, state, np.random.default_rng(seed), v_v, steps, pulsing)
    return state[0]


def held(scenario: Scenario, seed: int = 1) -> Run:
    return run_loop(
        create("hold", scenario.settings()),
        scenario.settings(),
        scenario.specimen,
        scenario.circumstances,
        seed,
        scenario.seconds,
    )


def test_rate_at_the_threshold_is_the_target() -> None:
    assert passed(Specimen(**STILL), 5000.0)["ions"] == pytest.approx(2000.0, rel=0.01)


def test_sensitivity_is_that_of_the_log_rate_at_the_threshold() -> None:
    high, low = (passed(Specimen(**STILL, blunting_per_s=0.0), v_v)["ions"] for v_v in (5005.0, 4995.0))
    assert math.log(high / low) / math.log(5005.0 / 4995.0) == pytest.approx(60.0, rel=0.01)


@pytest.mark.parametrize("fano", [1.0, 1.3, 2.5])
def test_counts_scatter_by_the_fano_factor(fano: float) -> None:
    tip = Specimen(**STILL, fano=fano, dark_hz=0.0, blunting_per_s=0.0)
    hits = np.array([passed(tip, 5000.0, 50, seed)["hits"] for seed in range(3000)])
    assert hits.var() / hits.mean() == pytest.approx(fano, rel=0.12)


def test_leakage_goes_on_without_pulses() -> None:
    leaky = Specimen(**STILL, leakage=leakage(60.0))
    state = passed(leaky, 5000.0, pulsing=False)
    assert (state["pulses"], state["hits"]) == (0, 0)
    assert state["ions"] == pytest.approx(0.227 * 2000.0, rel=0.02)


def test_a_layer_moves_with_its_ions_and_comes_back() -> None:
    tip = Specimen(**STILL, layer_from_s=0.0, layer_field=0.8, layer_ions=500.0, back_from_s=0.5)
    there, back = passed(tip, 5000.0, 450), passed(tip, 5000.0, 900)
    assert (there["field"], back["field"]) == (pytest.approx(0.8), pytest.approx(1.0))


def test_a_brittle_specimen_breaks_above_three_times_the_target() -> None:
    state = passed(Specimen(**STILL, brittle=1.0), 5120.0)
    assert state["broken"] == 1
    assert state["longest_above_s"] == pytest.approx(0.2, abs=0.01)


def test_counts_that_overflow_read_zero_and_say_so() -> None:
    state = passed(Specimen(**STILL, overflow_above=0.4), 5500.0, 10)
    assert (state["hits"], state["lossy"]) == (0, 1)


def test_counts_are_late_by_the_delay() -> None:
    seen: list[tuple[float, float]] = []

    class Listener(Proportional):
        def step(self, observation, now_s):
            seen.append((now_s, observation.t_s if observation else math.nan))
            return super().step(observation, now_s)

    settings = STEADY.settings()
    run_loop(Listener(settings), settings, STEADY.specimen, Circumstances(), 1, 1.0, plain=True)
    assert [now_s - t_s for now_s, t_s in seen[2:]] == pytest.approx([0.1] * 18)


def test_same_seed_gives_the_same_run() -> None:
    assert np.array_equal(held(STEADY, 5).rows, held(STEADY, 5).rows, equal_nan=True)


def test_nothing_raises_the_voltage_while_the_detector_is_silent() -> None:
    silent = Scenario(
        name="silent",
        specimen=Specimen(**STILL),
        seconds=20.0,
        circumstances=Circumstances(v_start_v=4900.0, silent=(1.0, 5.0)),
    )
    law = create("pi-log", silent.settings())
    run = run_loop(law, silent.settings(), silent.specimen, silent.circumstances, 1, silent.seconds)
    assert figures(run, silent)["rise_v"] < 5.0


def test_the_guards_rule_stops_a_surge_and_tells_the_law() -> None:
    surge = Scenario(
        name="surge",
        specimen=Specimen(**STILL, layer_from_s=1.0, layer_field=0.8, layer_ions=1e3),
        seconds=6.0,
        circumstances=Circumstances(guarded=True),
    )
    run = held(surge)
    # A quarter less, driven down, ends it at once; a tenth took three trips and a hold.
    assert run.trips == 1
    assert not run.held


def test_oracle_scatters_less_than_a_voltage_that_stands_still() -> None:
    quiet = Scenario(name="quiet", specimen=Specimen(**QUIET), seconds=60.0)
    settings = quiet.settings()
    oracle = run_loop(
        Oracle(settings, quiet.specimen), settings, quiet.specimen, Circumstances(), 2, 60.0, plain=True
    )
    assert figures(oracle, quiet)["rms"] < 0.8 * figures(held(quiet, 2), quiet)["rms"]


def test_counts_that_do_not_agree_are_an_error() -> None:
    run = held(STEADY)
    run.rows[3, 4] += 1
    with pytest.raises(AssertionError, match="hits"):
        figures(run, STEADY)


def test_a_swing_that_keeps_its_rhythm_is_a_limit_cycle_and_noise_is_not() -> None:
    times, rng = np.arange(300), np.random.default_rng(1)
    assert is_cycle(0.2 * np.sin(times / 3.0) + 0.03 * rng.standard_normal(300))
    assert not is_cycle(np.convolve(0.3 * rng.standard_normal(320), np.ones(8) / 8, "valid")[:300])
