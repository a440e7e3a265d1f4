"""What the matching finds of a stream whose truth is known."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evapd.blocks import HIT_COLUMNS
from evapd.matching import Matcher, MatchSettings, Quality
from support.anodes import hexanode, quad
from support.signals import SignalModel, score, simulate

MULTI = simulate(SignalModel(), 200_000, 11)  # 30 % multi-hit, 5 % missing signals, 10 ns dead time


def test_95_percent_of_the_recoverable_hits_are_found_at_30_percent_multi() -> None:
    result = score(MULTI, Matcher(quad()).match(MULTI.block))
    assert result.of_recoverable >= 0.95
    assert result.ghosts < 0.03


def test_98_percent_of_the_recoverable_hits_are_found_where_most_ions_come_alone() -> None:
    truth = simulate(SignalModel(detection=0.01, multi=0.1), 1_000_000, 12)
    result = score(truth, Matcher(quad()).match(truth.block))
    assert result.of_recoverable >= 0.98
    assert result.ghosts_by_quality[Quality.FULL] < 0.005


def test_fewer_than_one_in_a_hundred_full_hits_is_a_ghost() -> None:
    result = score(MULTI, Matcher(quad()).match(MULTI.block))
    assert result.ghosts_by_quality[Quality.FULL] < 0.01


def test_a_stream_without_losses_is_found_whole() -> None:
    perfect = SignalModel(multi=0.0, missing=0.0, dead_time_ps=0.0, noise_hz=0.0, dark_hz=0.0)
    truth = simulate(perfect, 100_000, 3)
    result = score(truth, Matcher(quad()).match(truth.block), distance_mm=0.4)
    assert result.efficiency > 0.999
    assert result.ghosts < 0.001


def test_noise_alone_makes_no_full_hits() -> None:
    truth = simulate(SignalModel(detection=0.0, noise_hz=20_000.0, dark_hz=0.0), 200_000, 4)
    hits = Matcher(quad()).match(truth.block)
    assert not (hits.quality == Quality.FULL).any()


def test_a_fine_jitter_with_coarse_bins_does_not_lose_hits_to_rounding() -> None:
    truth = simulate(SignalModel(multi=0.0, missing=0.0, jitter_ps=2.0, noise_hz=0.0, dark_hz=0.0), 50_000, 5)
    hits = Matcher(quad(jitter_ps=2.0)).match(truth.block)
    assert hits.n >= 0.999 * len(truth.pulse)


PLAIN = """
import sys
from evapd.blocks import HIT_COLUMNS
from evapd.matching import Matcher, MatchSettings
from support.anodes import hexanode, quad
from support.signals import SignalModel, simulate

anode = {"quad": quad, "hex": hexanode}[sys.argv[1]](**eval(sys.argv[2]))
model = SignalModel.of(anode, detection=0.2, multi=0.6, noise_hz=2000.0)
hits = Matcher(anode, MatchSettings(risky=sys.argv[3] == "risky")).match(simulate(model, 1000, 9).block)
for column in HIT_COLUMNS:
    sys.stdout.buffer.write(getattr(hits, column.name).tobytes())
"""
WALK = {"walk": {"coordinate_mm": [-30, 0, 30], "time_sum_ps": [-800, 300, 500]}}


@pytest.mark.parametrize(
    ("kind", "layers"), [("quad", {}), ("quad", {"y": WALK}), ("hex", {}), ("hex", {"v": WALK})]
)
@pytest.mark.parametrize("risk", ["risky", "careful"])
def test_the_same_source_as_plain_python_gives_the_same_bits(
    kind: str, layers: dict[str, Any], risk: str
) -> None:
    tests = Path(__file__).parents[1]
    root = tests.parent
    path = os.pathsep.join([str(tests), str(root / "daemon"), str(root / "sim")])
    plain = subprocess.run(
        [sys.executable, "-W", "error", "-c", PLAIN, kind, repr(layers), risk],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": path},
        capture_output=True,
        check=True,
        timeout=120,
    )
    anode = {"quad": quad, "hex": hexanode}[kind](**layers)
    model = SignalModel.of(anode, detection=0.2, multi=0.6, noise_hz=2000.0)
    hits = Matcher(anode, MatchSettings(risky=risk == "risky")).match(simulate(model, 1000, 9).block)
    assert hits.n > 200
    assert plain.stdout == b"".join(getattr(hits, column.name).tobytes() for column in HIT_COLUMNS)
