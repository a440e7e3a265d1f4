"""Time sums of a run under way: fine, drifting, lost, or not known."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from evapd.blocks import TdcBlock
from evapd.calibration import SumState, TimeSums, TimeSumTracker
from evapd.matching import Anode
from support.anodes import hexanode, quad
from support.calibrations import stream, walking
from support.signals import part_of

GATE_PS = 4.5 * np.sqrt(6.0) * 100.0


def shifted(block: TdcBlock, bins: np.ndarray | int) -> TdcBlock:
    """The block with its x1 (u1) words later by so many bins: the time sum of x grows by as much."""
    moved = part_of(block, 0, block.n, block.first_pulse, block.last_pulse)
    object.__setattr__(moved, "time", (block.time + np.where(block.channel == 1, bins, 0)).astype(np.int32))
    return moved


def seconds(block: TdcBlock, count: int) -> Iterator[tuple[float, TdcBlock]]:
    """The block in so many equal parts, one per second."""
    cuts = np.linspace(0, block.n, count + 1).astype(int)
    for second, (a, b) in enumerate(pairwise(cuts)):
        yield float(second), part_of(block, a, b, block.first_pulse, block.last_pulse)


def follow(tracker: TimeSumTracker, block: TdcBlock, count: int = 10, from_s: float = 0.0) -> list[TimeSums]:
    told = []
    for now_s, part in seconds(block, count):
        tracker.feed(part, from_s + now_s)
        told.append(tracker.judge(from_s + now_s))
    return told


def bins(block: TdcBlock, ps: float) -> int:
    return round(ps / float(block.bin_ps))


def without_mcp(block: TdcBlock) -> TdcBlock:
    """The block with its MCP words at random times, as with a threshold in the noise."""
    times = np.random.default_rng(7).integers(0, round(3e6 / float(block.bin_ps)), block.n)
    torn = part_of(block, 0, block.n, block.first_pulse, block.last_pulse)
    object.__setattr__(torn, "time", np.where(block.channel == 0, times, block.time).astype(np.int32))
    return torn


def only(block: TdcBlock, chosen: np.ndarray) -> TdcBlock:
    return TdcBlock(
        first_pulse=block.first_pulse,
        last_pulse=block.last_pulse,
        bin_ps=block.bin_ps,
        pulse=block.pulse[chosen],
        channel=block.channel[chosen],
        time=block.time[chosen],
    )


@pytest.mark.parametrize("anode", [quad(), hexanode(), walking("quad", "step")])
def test_a_stream_of_the_calibrated_anode_is_fine(anode: Anode) -> None:
    last = follow(TimeSumTracker(anode), stream(anode, 10_000).block)[-1]
    assert last.state is SumState.OK
    assert last.fitting > 0.9
    for layer in last.layers.values():
        assert abs(layer.position_ps) < 5 * layer.error_ps
        assert layer.width_ps == pytest.approx(np.sqrt(6) * 100, rel=0.1)


def test_a_slow_drift_is_told_once_it_is_beyond_the_limit() -> None:
    block = stream(quad(), 40_000).block
    drift = np.linspace(0, bins(block, 0.8 * GATE_PS), block.n).astype(int)
    states = [
        told.state for told in follow(TimeSumTracker(quad(), window_hits=1_000), shifted(block, drift), 40)
    ]
    assert states[5] is SumState.OK
    assert states[-1] is SumState.DRIFTING
    assert sum(a is not b for a, b in pairwise(states[2:])) == 1


@pytest.mark.parametrize("jump_ps", [2_000.0, -6_000.0, 40_000.0])
def test_a_sudden_jump_is_lost_never_fine(jump_ps: float) -> None:
    block = stream(quad(), 30_000).block
    jump = np.where(np.arange(block.n) > block.n // 2, bins(block, jump_ps), 0)
    told = follow(TimeSumTracker(quad()), shifted(block, jump), 30)
    assert told[13].state is SumState.OK
    assert [one.state for one in told[18:]] == [SumState.LOST] * 12
    assert told[-1].layers["x"].position_ps == pytest.approx(jump_ps, abs=30)


def test_noise_alone_says_nothing() -> None:
    noise = stream(quad(), 30, detection=0.0002, noise_hz=200_000.0, dark_hz=0.0).block
    last = follow(TimeSumTracker(quad()), noise)[-1]
    assert last.hits > 500
    assert last.state is SumState.UNKNOWN


def test_time_sums_that_vanish_are_lost_as_soon_as_enough_pulses_show_it() -> None:
    tracker, block = TimeSumTracker(quad()), stream(quad(), 8_000).block
    assert follow(tracker, block)[-1].state is SumState.OK
    told = follow(tracker, without_mcp(block), 10, from_s=20.0)
    assert [one.state for one in told[2:]] == [SumState.LOST] * 8
    assert told[-1].layers == {}


def test_time_sums_that_vanished_are_fine_again_when_they_are_back() -> None:
    tracker, block = TimeSumTracker(quad()), stream(quad(), 8_000).block
    follow(tracker, without_mcp(block), from_s=0.0)
    assert follow(tracker, block, from_s=20.0)[-1].state is SumState.OK
    follow(tracker, without_mcp(block), from_s=40.0)
    assert follow(tracker, block, from_s=60.0)[-1].state is SumState.OK


def test_words_without_any_lone_pulse_for_half_a_minute_say_nothing() -> None:
    tracker, block = TimeSumTracker(quad()), stream(quad(), 8_000).block
    follow(tracker, block)
    dead = only(block, block.channel != 0)
    states = [told.state for told in follow(tracker, dead, 40, from_s=10.0)]
    assert states[25] is SumState.OK
    assert states[-1] is SumState.UNKNOWN
    assert follow(tracker, block, from_s=60.0)[-1].state is SumState.OK


def test_a_wider_gate_of_the_matching_moves_the_limit() -> None:
    narrow, wide = (TimeSumTracker(quad(), gate_sigma=sigma).judge(0.0).limit_ps for sigma in (3.0, 6.0))
    assert wide == pytest.approx(2 * narrow)


def test_too_few_hits_say_nothing() -> None:
    last = follow(TimeSumTracker(quad(x={"time_sum_ps": 120_000})), stream(quad(), 400).block)[-1]
    assert last.state is SumState.UNKNOWN
    assert last.layers == {}


def test_few_hits_after_a_drift_keep_the_state() -> None:
    block = stream(quad(), 10_000).block
    tracker = TimeSumTracker(quad())
    follow(tracker, shifted(block, bins(block, 500)))
    assert tracker.judge(1e6).state is SumState.DRIFTING


def test_a_drift_ends_well_below_the_limit_only() -> None:
    tracker = TimeSumTracker(quad(), window_hits=1_000)
    block = stream(quad(), 4_000).block
    limit_ps = 0.25 * GATE_PS
    states = []
    for n, part in enumerate((1.3, 0.9, 0.5)):
        told = follow(tracker, shifted(block, bins(block, part * limit_ps)), 4, from_s=100.0 * n)
        states.append(told[-1].state)
    assert states == [SumState.DRIFTING, SumState.DRIFTING, SumState.OK]


def test_a_spread_of_times_without_noise_is_not_taken_for_a_drift() -> None:
    crowded = stream(quad(), 30_000, multi=0.6, noise_hz=5_000.0).block
    assert follow(TimeSumTracker(quad()), crowded)[-1].state is SumState.OK


def test_the_window_is_bounded() -> None:
    tracker = TimeSumTracker(quad())
    block = stream(quad(), 40_000, multi=0.0).block
    for _ in range(2):
        tracker.feed(block, 1.0)
    assert tracker.judge(1.0).hits == 20_000


def test_another_bin_width_begins_a_new_window() -> None:
    tracker = TimeSumTracker(quad())
    tracker.feed(stream(quad(), 5_000).block, 1.0)
    tracker.feed(stream(quad(), 1_000, bin_ps=25).block, 2.0)
    assert tracker.judge(2.0).hits < 1_000
