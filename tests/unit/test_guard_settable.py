"""Settings of a run: within their ranges, and all of a change or nothing of it."""

import math

import pytest
from pydantic import ValidationError

from evapd.control import create
from evapd.errors import EvapdError, LimitError, StateError
from evapd.guard.core import GuardCore
from evapd.guard.energy import EnergyState
from evapd.guard.requests import SetArgs
from evapd.guard.settable import RANGES
from support.guard_bench import DIGEST, Bench

NUMBERS = [(name, bad) for name in RANGES for bad in (math.nan, math.inf, -math.inf, -1e-9, 1e300)]
TINY = [("target_rate", 1e-300), ("pulse_rate_hz", 1e-300), ("target_rate", 0.0), ("target_rate", True)]


@pytest.mark.parametrize(("name", "bad"), [*NUMBERS, *TINY])
def test_a_setting_that_is_no_number_or_out_of_range_is_refused_with_its_range_and_changes_nothing(name, bad):
    core = Bench().core
    before = core.run
    with pytest.raises(LimitError, match=r"allowed is .* to "):
        core.set({"law": "hold", name: bad}, 100.0)
    assert core.run == before


@pytest.mark.parametrize(("name", "bad"), [*NUMBERS, ("target_rate", 1e-300), ("pulse_rate_hz", 1e-300)])
def test_the_socket_refuses_the_same(name, bad):
    with pytest.raises(ValidationError):
        SetArgs.model_validate({name: bad})


@pytest.mark.parametrize("changes", [{"law": "magic"}, {"v_max_v": 9000.0}])
def test_what_is_no_setting_or_no_law_is_refused(changes):
    with pytest.raises(StateError, match="nothing was changed"):
        Bench().core.set(changes, 100.0)


class Maker:
    """Makes laws until it is told not to."""

    def __init__(self):
        self.broken = False

    def __call__(self, name, settings):
        if self.broken:
            raise RuntimeError("out of order")
        return create(name, settings)


def bench_of(maker):
    bench = Bench(threshold_v=1600.0)
    bench.core = GuardCore(bench.core.settings, maker)
    return bench


def test_a_law_that_cannot_be_made_leaves_every_other_setting_of_the_change_as_it_was():
    maker = Maker()
    bench = bench_of(maker).evaporating()
    bench.run_s(2.0)
    before, v_v, law = bench.core.run, bench.v_set_v, bench.core.steering.law
    maker.broken = True
    with pytest.raises(StateError, match="out of order"):
        bench.core.set(
            {"pulse_fraction": 0.3, "pulse_rate_hz": 150e3, "target_rate": 0.004, "law": "imm"}, bench.now_s
        )
    assert bench.core.run == before
    assert bench.core.steering.law is law
    assert bench.core.steering.v_set_v == v_v
    assert bench.core.steering.amplitudes.fraction == before.pulse_fraction
    bench.run_s(1.0)
    assert bench.state is EnergyState.EVAPORATING
    assert bench.rate_hz == before.pulse_rate_hz


def test_a_run_whose_law_cannot_be_made_does_not_begin():
    maker = Maker()
    bench = bench_of(maker)
    bench.until(EnergyState.STANDBY, 2.0)
    maker.broken = True
    with pytest.raises(EvapdError, match="out of order"):
        bench.core.run_begin("run-1", DIGEST, bench.now_s)
    assert (bench.state, bench.core.run_id) == (EnergyState.STANDBY, "")
    bench.run_s(1.0)
    assert not bench.output_on
