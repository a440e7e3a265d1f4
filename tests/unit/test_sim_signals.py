import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd_sim.anode import AnodeFile
from evapd_sim.converter import NO_OWNER, Signals, TdcInputs, alive
from evapd_sim.signals import Arrivals, DelayLines
from support.sim_rig import ANODE

RNG = np.random.default_rng
OFFSET_ANODE = AnodeFile.model_validate(
    {
        "kind": "hex",
        "radius_mm": 40,
        "centre_mm": [1.5, -2.0],
        "layers": {
            "u": {"time_sum_ps": 100_000, "mm_per_ns": 0.68},
            "v": {"time_sum_ps": 101_000, "mm_per_ns": 0.66, "offset_ps": 700},
            "w": {"time_sum_ps": 117_000, "mm_per_ns": 0.67, "offset_ps": -1900},
        },
    }
)
ANGLES = {"quad": (0.0, 90.0), "hex": (0.0, 60.0, 120.0)}


def lines(anode: AnodeFile = ANODE, jitter_ps: float = 0.0, missing: float = 0.0) -> DelayLines:
    return DelayLines(anode, jitter_ps=jitter_ps, missing=missing, noise_hz=1000.0)


def one_hit(anode: AnodeFile, t_ps: float, x_mm: float, y_mm: float) -> np.ndarray:
    arrival = Arrivals(np.array([3]), np.array([t_ps]), np.array([x_mm]), np.array([y_mm]))
    signals = lines(anode).signals(RNG(0), arrival)
    assert (signals.pulse == 3).all()
    return signals.t_ps[np.argsort(signals.channel)]


@pytest.mark.parametrize("anode", [ANODE, OFFSET_ANODE], ids=["quad", "hex"])
@given(t=st.floats(0, 5e6), x=st.floats(-28, 28), y=st.floats(-28, 28))
def test_ends_of_a_line_keep_its_time_sum_and_tell_its_coordinate(
    anode: AnodeFile, t: float, x: float, y: float
) -> None:
    times = one_hit(anode, t, x, y)
    for number, (layer, degrees) in enumerate(zip(anode.layers.values(), ANGLES[anode.kind], strict=True)):
        t1, t2 = times[1 + 2 * number], times[2 + 2 * number]
        along = (x + anode.centre_mm[0]) * np.cos(np.radians(degrees)) + (y + anode.centre_mm[1]) * np.sin(
            np.radians(degrees)
        )
        assert t1 + t2 - 2 * times[0] == pytest.approx(layer.time_sum_ps, abs=1e-2)
        assert layer.mm_per_ns * (t1 - t2 - layer.offset_ps) / 2000 == pytest.approx(along, abs=1e-5)


def test_signals_go_missing_with_their_probability_and_jitter_by_their_sigma() -> None:
    n = 20_000
    hits = Arrivals(np.arange(n), np.full(n, 1e6), np.zeros(n), np.zeros(n))
    _, channel, times, _ = lines(jitter_ps=100.0, missing=0.05).signals(RNG(1), hits)
    assert np.bincount(channel) / n == pytest.approx(np.full(5, 0.95), abs=0.01)
    assert times[channel == 0].std() == pytest.approx(100.0, rel=0.03)


def test_noise_is_lone_words_on_every_channel() -> None:
    pulse, channel, times, owner = lines().noise(RNG(1), 10.0, 2_000_000, 5e6)
    assert (owner == NO_OWNER).all()
    assert np.bincount(channel) == pytest.approx(np.full(5, 10_000), rel=0.05)
    assert pulse.max() < 2_000_000
    assert 0 <= times.min() <= times.max() < 5e6


def brute_alive(channel: list[int], t: list[float], dead: float) -> set[int]:
    last: dict[int, float] = {}
    kept = set()
    for index in sorted(range(len(t)), key=lambda i: (t[i], i)):
        if channel[index] not in last or t[index] - last[channel[index]] >= dead:
            last[channel[index]] = t[index]
            kept.add(index)
    return kept


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), max_size=40), st.integers(1, 20))
def test_a_channel_is_blind_only_after_a_word_that_it_delivered(
    words: list[tuple[int, int]], dead: int
) -> None:
    channel, t = [c for c, _ in words], [float(time) for _, time in words]
    kept = alive(np.array(channel, np.uint8), np.array(t), float(dead))
    assert set(kept.tolist()) == brute_alive(channel, t, float(dead))


def words_after(inputs: TdcInputs, pulses: int) -> list[tuple[int, int, int]]:
    pulse, channel, time, _ = inputs.take(pulses, 5e6)
    return list(zip(pulse.tolist(), channel.tolist(), time.tolist(), strict=True))


def push(inputs: TdcInputs, *words: tuple[int, int, float]) -> None:
    pulse, channel, t = zip(*words, strict=True)
    owner = np.arange(len(words))
    inputs.push(Signals(np.array(pulse), np.array(channel, np.uint8), np.array(t, float), owner))


def test_words_are_ascending_in_pulse_and_within_a_pulse_in_time() -> None:
    inputs = TdcInputs(bin_ps=10.0, dead_time_ps=0.0)
    push(inputs, (2, 1, 100.0), (0, 0, 900.0), (2, 0, 50.0), (0, 3, 20.0))
    assert words_after(inputs, 3) == [(0, 3, 2), (0, 0, 90), (2, 0, 5), (2, 1, 10)]


def test_a_slow_ion_wraps_into_the_next_pulse() -> None:
    inputs = TdcInputs(bin_ps=10.0, dead_time_ps=0.0)
    push(inputs, (0, 0, 5e6 + 70.0))
    assert words_after(inputs, 2) == [(1, 0, 7)]


def test_a_word_of_a_pulse_that_has_not_come_waits_for_it() -> None:
    inputs = TdcInputs(bin_ps=10.0, dead_time_ps=0.0)
    push(inputs, (1, 0, 15e6 + 70.0))
    assert words_after(inputs, 2) == []
    assert words_after(inputs, 2) == []
    assert words_after(inputs, 2) == [(0, 0, 7)]


def test_words_that_wait_are_forgotten_when_pulses_stop() -> None:
    inputs = TdcInputs(bin_ps=10.0, dead_time_ps=0.0)
    push(inputs, (5, 0, 70.0))
    assert words_after(inputs, 2) == []
    inputs.forget()
    assert words_after(inputs, 10) == []


def test_dead_time_acts_across_the_start_of_a_pulse() -> None:
    inputs = TdcInputs(bin_ps=10.0, dead_time_ps=10_000.0)
    push(inputs, (0, 0, 5e6 - 4000.0), (1, 0, 4000.0), (1, 0, 14_000.0))
    assert words_after(inputs, 2) == [(0, 0, 499_600), (1, 0, 1400)]


def test_without_a_period_times_count_on_and_pulses_do_not_blind_each_other() -> None:
    inputs = TdcInputs(bin_ps=10.0, dead_time_ps=10_000.0)
    push(inputs, (0, 0, 7e6), (0, 0, 7e6 + 4000.0), (1, 0, 100.0), (2, 1, 300.0))
    pulse, _, time, owner = inputs.take(2, None)
    assert list(zip(pulse.tolist(), time.tolist(), owner.tolist(), strict=True)) == [
        (0, 700_000, 0),
        (1, 10, 2),
    ]


def test_what_does_not_fit_into_a_word_is_not_measured() -> None:
    inputs = TdcInputs(bin_ps=10.0, dead_time_ps=0.0)
    push(inputs, (0, 0, 2.14e10), (0, 1, 2.15e10), (0, 2, 9e12))
    assert inputs.take(1, 1e13).time.tolist() == [2_140_000_000]
