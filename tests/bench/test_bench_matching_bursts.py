"""Matching of what no ion makes: noise bursts, and pulses made so that everything fits everything."""

import time
from fractions import Fraction

import numpy as np
import pytest

from evapd.blocks import TdcBlock
from evapd.matching import Anode, Matcher, MatchSettings
from support.anodes import hexanode, quad
from support.bench_matching_tables import print_columns

pytestmark = pytest.mark.bench
BIN_PS = Fraction(5000, 384)
PULSES = 60


def burst(anode: Anode, words: int, spread_ns: float, seed: int) -> TdcBlock:
    """Pulses whose words are spread evenly at random over a time, the line ends half a time sum after the MCP."""
    rng = np.random.default_rng(seed)
    channel = rng.integers(0, anode.channels, (PULSES, words)).astype("u1")
    sums = [0.0, *(anode.layers[name].time_sum_ps / 2 for name in anode.layer_names for _ in range(2))]
    late = np.array(sums)[channel] if spread_ns < 100 else 0.0
    bins = np.rint((300_000 + late + rng.random(channel.shape) * 1000 * spread_ns) / float(BIN_PS)).astype(
        "<i4"
    )
    order = np.argsort(bins, axis=1, kind="stable")
    return TdcBlock(
        first_pulse=0,
        last_pulse=PULSES - 1,
        bin_ps=BIN_PS,
        pulse=np.repeat(np.arange(PULSES, dtype="<u8"), words),
        channel=np.take_along_axis(channel, order, axis=1).ravel(),
        time=np.take_along_axis(bins, order, axis=1).ravel(),
    )


@pytest.mark.parametrize(
    ("kind", "anode"), [("quad", quad(dead_time_ps=1)), ("hex", hexanode(dead_time_ps=1))]
)
def test_matching_of_bursts_costs_bounded_time(kind: str, anode: Anode) -> None:
    rows = []
    for title, words, spread_ns in [
        ("random over 10 us", 200, 10_000.0),
        ("random over 10 us", 8000, 10_000.0),
        ("random over 200 ns", 300, 200.0),
        ("all fit all, within 1 ns", 40, 1.0),
        ("all fit all, within 3 ns", 80, 3.0),
        ("all fit all, within 10 ns", 300, 10.0),
    ]:
        block = burst(anode, words, spread_ns, 1)
        costs = []
        for risky in (False, True):
            ours = Matcher(anode, MatchSettings(risky=risky))
            ours.warm_up()
            begin_ns = time.thread_time_ns()
            ours.match(block)
            ours.flush()
            costs.append(time.thread_time_ns() - begin_ns)
        counters = ours.counters
        assert counters.words == counters.used + counters.unused + counters.damaged
        rows.append(
            (
                f"{kind}, {title}",
                str(words),
                *(f"{cost / PULSES / 1e6:.2f} ({cost / PULSES / words / 1e3:.2f})" for cost in costs),
                f"{counters.saturated_pulses} of {PULSES}",
            )
        )
    print_columns(
        "Bursts: ms per pulse (us per word)",
        ("burst", "words per pulse", "as the daemon", "risky", "saturated (risky)"),
        rows,
    )
