"""Parts of live analysis: the queue beside the pipeline, voltages while the run goes on, peaks, rates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.live.legend import edges_of, from_elements, from_ranges
from evapd.live.peaks import PeakFinder
from evapd.live.ranged import Ranged
from evapd.live.rates import RateWindow
from evapd.live.tap import HitTap
from evapd.live.voltages import Voltages
from evapd.spectrometry.ions import ions_of
from evapd.spectrometry.ranges import Range
from support.live_bench import hit_block
from support.mass_spectra import AL_FE, background_masses, peak_masses

BINS, PER_ROOT = 32_768, 32_768 / np.sqrt(200.0)
TICK_US, LATE_US = 50_000, 100_000  # the guard's, and how late its readings are known


def tap_of(per_s: float = 10_000.0) -> tuple[HitTap, list[float]]:
    now_s = [0.0]
    return HitTap(per_s, lambda: now_s[0]), now_s


def test_blocks_without_hits_take_no_room() -> None:
    tap, _ = tap_of()
    tap.offer(hit_block(np.empty(0)))
    assert tap.take().blocks == []


@given(st.lists(st.tuples(st.integers(1, 5000), st.floats(0.0, 0.2)), min_size=1, max_size=80))
def test_whatever_comes_what_waits_is_bounded_and_every_hit_is_told(steps: list[tuple[int, float]]) -> None:
    tap, now_s = tap_of()
    tap.begin("run")
    for n, pause_s in steps:
        now_s[0] += pause_s
        tap.offer(hit_block(np.zeros(n)))
    batch = tap.take()
    kept = [block.n for block in batch.blocks]
    assert batch.detected == sum(n for n, _ in steps)
    assert sum(kept) <= 10_000 * (0.4 + now_s[0]) + max(n for n, _ in steps)


def test_of_too_many_hits_a_fair_sample_of_whole_blocks_is_taken() -> None:
    tap, now_s = tap_of()
    tap.begin("run")
    rng, taken = np.random.default_rng(1), []
    for _ in range(4000):
        now_s[0] += 0.005
        n = int(rng.choice([50, 500]))
        tap.offer(hit_block(np.zeros(n)))
        taken += [block.n for block in tap.take().blocks]
    assert sum(taken) == pytest.approx(10_000 * now_s[0], rel=0.05)
    assert np.mean(np.array(taken) == 50) == pytest.approx(0.5, abs=0.06)  # large ones as often as small ones


def test_a_run_that_begins_forgets_what_waited() -> None:
    tap, _ = tap_of()
    tap.offer(hit_block(np.zeros(3)))
    tap.begin("next")
    assert tap.take() == ("next", True, [], 0)
    assert tap.take() == ("next", False, [], 0)


def test_a_fault_of_the_queue_never_reaches_the_pipeline() -> None:
    def broken() -> float:
        if tap is not None:
            raise OSError("no clock")
        return 0.0

    tap = None
    tap = HitTap(10_000.0, broken)
    tap.offer(hit_block(np.zeros(3)))
    assert isinstance(tap.fault, OSError)
    assert tap.take().blocks == []


def ramp(slope_of: object, seconds: float, age_us: float = 10_000.0) -> np.ndarray:
    """Relative errors of the voltage of pulses `age_us` old while it changes; readings come when they would."""
    times_us = np.arange(0, seconds * 1e6, TICK_US) + 1e6
    slopes = np.array([slope_of((t - 1e6) / 1e6) for t in times_us])  # type: ignore[operator]
    values = 3000.0 * np.exp(np.concatenate(([0.0], np.cumsum(slopes[:-1] * TICK_US / 1e6))))
    voltages, errors = Voltages(), []
    for k, t_us in enumerate(times_us):
        voltages.take(t_us, values[k])
        asked = np.arange(t_us + LATE_US, t_us + LATE_US + TICK_US, 10_000) - age_us
        known = asked[(asked <= times_us[-1]) & (k >= 8)]
        errors += [voltages.at(t) / np.interp(t, times_us, values) - 1.0 for t in known.tolist()]
    return np.array(errors)


def test_while_the_voltage_rises_steadily_masses_are_right_to_a_hundredth_of_a_percent() -> None:
    assert np.abs(ramp(lambda t_s: 0.03, 5.0)).max() < 1e-4


def test_when_the_slope_changes_masses_are_wrong_by_no_more_than_the_latency_allows() -> None:
    errors = ramp(lambda t_s: 0.03 if t_s < 2.5 else 0.0, 5.0)
    assert np.abs(errors).max() < 0.03 * 0.2
    assert np.abs(errors[-40:]).max() < 1e-4


def test_between_readings_the_voltage_is_interpolated() -> None:
    voltages = Voltages()
    voltages.take([1_000_000, 1_050_000], [1000.0, 1010.0])
    assert voltages.at(1_025_000) == pytest.approx(1005.0)


def test_a_voltage_that_was_not_read_for_five_seconds_is_unknown() -> None:
    voltages = Voltages()
    assert np.isnan(voltages.at(1e6))
    voltages.take([1e6, 8e6], [1000.0, 1010.0])
    assert np.isnan(voltages.at(4e6))
    assert np.isnan(voltages.at(14e6))
    assert voltages.at(9e6) == 1010.0


@given(st.lists(st.tuples(st.floats(-1e9, 1e12), st.floats(allow_nan=True)), max_size=40), st.floats(0, 1e12))
def test_whatever_readings_come_a_voltage_is_a_number_or_unknown(
    rows: list[tuple[float, float]], at_us: float
) -> None:
    voltages = Voltages()
    for t_us, v_v in rows:
        voltages.take(t_us, v_v)
    assert isinstance(voltages.at(at_us), float)


def al_fe(scale: float = 1.0, background: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(5)
    masses = [peak_masses(rng, mass_da, round(scale * n)) for mass_da, n in AL_FE.items()]
    masses.append(background_masses(rng, background))
    places = (np.sqrt(np.concatenate(masses)) * PER_ROOT).astype(int)
    return np.bincount(places[places < BINS], minlength=BINS)


def finder(elements: tuple[str, ...] = ("Al", "Fe", "H")) -> PeakFinder:
    return PeakFinder(from_elements(elements), ions_of(elements), PER_ROOT, BINS)


def test_peaks_beside_larger_ones_are_found_and_named() -> None:
    labels = [peak.label for peak in finder().find(al_fe())]
    assert {"1H+", "27Al+ / 54Fe2+", "56Fe2+", "57Fe2+"} <= set(labels)
    assert "" not in labels


def test_background_alone_has_no_peaks() -> None:
    assert finder().find(al_fe(0.0, 200_000)) == []
    assert finder().find(np.zeros(BINS, np.int64)) == []


def test_a_peak_that_no_element_explains_has_no_name() -> None:
    assert {peak.label for peak in finder(("W",)).find(al_fe(background=0))} == {""}


def test_ranges_of_elements_leave_out_what_another_ion_disturbs() -> None:
    labels = {(part.range.ion, part.charge) for part in from_elements(["Si", "N"]).parts}
    assert ("Si", 2) not in labels  # 28Si2+ and 14N+ both lie at 13.99
    assert ("N", 1) not in labels
    assert ("Si", 1) in labels


def test_edges_of_a_range_are_those_of_the_nearest_bins() -> None:
    low, high = edges_of(Range(26.8, 27.4, (("Al", 1),)), PER_ROOT, BINS)
    assert (low / PER_ROOT) ** 2 == pytest.approx(26.8, abs=0.003)
    assert (high / PER_ROOT) ** 2 == pytest.approx(27.4, abs=0.003)
    assert edges_of(Range(300.0, 400.0, ()), PER_ROOT, BINS) == (BINS, BINS)


def test_what_is_flat_is_found_under_peaks() -> None:
    flat = Ranged(from_elements(["Al", "Fe"]), PER_ROOT, BINS).flat(al_fe(5.0, 30_000))
    assert flat is not None
    assert flat.height == pytest.approx(30_000 / BINS, abs=4 * flat.error)


def test_ranges_that_leave_nothing_free_have_no_background_taken_off() -> None:
    ranged = Ranged(from_ranges([Range(0.0, 200.0, (("Al", 1),))]), PER_ROOT, BINS)
    told = ranged.document(al_fe())
    assert told["background"] == "none"
    assert told["composition"] == [{"element": "Al", "fraction": 1.0, "error": 0.0}]


def test_the_rate_has_the_error_of_its_counts_and_the_band_of_its_target() -> None:
    rate = RateWindow()
    for k in range(11):
        rate.add(0.2 * k, 40_000 * k, 400 * k, 500 * k)
    told = rate.document(0.0121)
    assert told["per_pulse"] == pytest.approx(0.01)
    assert told["error"] == pytest.approx(np.sqrt(4000) / 400_000)
    assert told["target_error"] == pytest.approx(np.sqrt(0.0121 / 400_000))
    assert told["hits_per_s"] == pytest.approx(2500)


def test_without_live_pulses_the_rate_is_unknown_and_a_new_run_begins_it_afresh() -> None:
    rate = RateWindow()
    assert rate.document(0.01)["per_pulse"] is None
    rate.add(0.0, 1000, 10, 10)
    rate.add(0.2, 0, 0, 0)
    rate.add(0.4, 0, 0, 0)
    assert rate.document(None)["per_pulse"] is None
