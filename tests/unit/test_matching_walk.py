"""Walk: a time sum that changes along its layer is followed by the matching."""

from dataclasses import replace

import numpy as np
import pytest

from evapd.matching import Anode, Matcher
from support.anodes import hexanode, quad
from support.signals import Ion, SignalModel, ideal_block, rows, score, simulate

WALK = {"coordinate_mm": [-40.0, -10.0, 15.0, 40.0], "time_sum_ps": [-900.0, 400.0, 0.0, 1000.0]}
ANODES = [quad(x={"walk": WALK}, y={"walk": WALK}), hexanode(u={"walk": WALK}, w={"walk": WALK})]


@pytest.mark.parametrize("anode", ANODES, ids=["quad", "hex"])
@pytest.mark.parametrize("missing", [(), (0,), (1,), (2,), (3,), (4,)])
def test_an_ion_comes_back_where_it_was_whatever_its_place_on_the_walk(
    anode: Anode, missing: tuple[int, ...]
) -> None:
    ions = [Ion(k, 300_000, x, 7 - x / 4, missing=missing) for k, x in enumerate(range(-34, 35, 4))]
    hits = rows(Matcher(anode).match(ideal_block(ions, 99, SignalModel.of(anode))))
    assert [row[0] for row in hits] == [ion.pulse for ion in ions]
    for row, ion in zip(hits, ions, strict=True):
        assert row[1] == pytest.approx(ion.tof_ps, abs=30)
        assert row[2:4] == pytest.approx((1000 * ion.x_mm, 1000 * ion.y_mm), abs=40)


@pytest.mark.parametrize("anode", ANODES, ids=["quad", "hex"])
def test_a_known_walk_costs_no_hits_and_an_unknown_one_many(anode: Anode) -> None:
    truth = simulate(SignalModel.of(anode), 60_000, 3)
    flat = anode.model_copy(
        update={
            "layers": {name: layer.model_copy(update={"walk": None}) for name, layer in anode.layers.items()}
        }
    )
    known, unknown = (score(truth, Matcher(one).match(truth.block)) for one in (anode, flat))
    assert known.of_recoverable > 0.945
    assert unknown.ghosts + 1 - unknown.of_recoverable > known.ghosts + 1 - known.of_recoverable + 0.02


def test_beyond_its_table_the_walk_stays_what_it_was_at_its_end() -> None:
    short = {"coordinate_mm": [-10.0, 10.0], "time_sum_ps": [-500.0, 500.0]}
    anode = quad(x={"walk": short})
    model = replace(SignalModel.of(anode), jitter_ps=0.0)
    ((_, _, x_um, _, quality, _),) = rows(
        Matcher(anode).match(ideal_block([Ion(0, 300_000, 30, 0)], 2, model))
    )
    assert quality == 0
    assert x_um == pytest.approx(30_000, abs=12)


def test_the_walk_is_part_of_the_calibration_id() -> None:
    assert quad().calibration_id != quad(x={"walk": WALK}).calibration_id
    assert np.unique([anode.calibration_id for anode in ANODES]).size == 2
