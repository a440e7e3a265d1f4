"""An hour of counts as they really are: few, in cascades, with dark counts. Nothing may trip."""

import math

import numpy as np
import pytest

from evapd.guard.rules.arc import Arc
from evapd.guard.rules.data import CounterJump, NoPulses, RateCeiling, Sequence
from evapd.guard.rules.law import LoopGain
from evapd.guard.rules.load import HitRate, HotSpot, TriggerRate
from evapd.guard.rules.plant import PulseCount
from evapd.guard.rules.quality import Uncorrelated
from evapd.guard.rules.specimen import Flash, Fracture, MicroFracture
from support.guard_bench import make_rig
from support.rule_scene import RECORD_S, Scene

HOUR_S = 3600.0
FANO = 2.5
RULES = (
    RateCeiling, TriggerRate, HitRate, HotSpot, Flash, Fracture, MicroFracture, Uncorrelated, PulseCount, CounterJump,
    Sequence, NoPulses, Arc, LoopGain,
)  # fmt: skip


def cascades(rng, mean, n):
    """Negative binomial counts: mean and variance-to-mean ratio as wanted."""
    return rng.negative_binomial(mean / (FANO - 1.0), 1.0 / FANO, n)


@pytest.mark.parametrize(("hits_hz", "seconds"), [(20.0, HOUR_S), (4.0, 0.3 * HOUR_S), (2000.0, 300.0)])
def test_an_hour_of_cascades_trips_nothing(hits_hz, seconds):
    rng = np.random.default_rng(7)
    rig = make_rig(pulse={"rate_hz": 200e3}, control={"target_rate": hits_hz / 200e3})
    scene = Scene(rig=rig, hits_hz=0.0, map_hits=int(hits_hz), hot_hits=int(0.1 * hits_hz))
    rules = [rule() for rule in RULES]
    fast = rules[0]
    n = round(seconds / RECORD_S)
    extra = cascades(rng, hits_hz * RECORD_S, n) + rng.poisson(1.5 * RECORD_S, n)
    found, standing = [], scene.view()  # counts are all that the fast rule looks at
    for index in range(n):
        scene.rates.take([scene.record(extra=int(extra[index]))])
        scene.trigger_hz = extra[index] / RECORD_S
        found += scene.look(*rules) if index % 5 == 0 else filter(None, [fast.check(standing)])
    assert not found
    assert math.isclose(scene.counts["hits"], (hits_hz + 1.5) * seconds, rel_tol=0.05)
