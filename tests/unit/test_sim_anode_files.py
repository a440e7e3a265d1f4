"""Anode files as the twin reads them: the examples, walk tables, and what is wrong with the others."""

from pathlib import Path

import pytest

from evapd.errors import ConfigError
from evapd.matching import Anode
from evapd_sim.anode import load_anode
from support.anodes import hexanode, quad
from support.signals import SignalModel

CONFIG = Path(__file__).parents[2] / "config"
WALKING = """
kind: quad
radius_mm: 40
layers:
  x: {{ time_sum_ps: 110000, mm_per_ns: 0.8 }}
  y: {{ time_sum_ps: 112000, mm_per_ns: 0.8, walk: {{ coordinate_mm: {coordinate}, time_sum_ps: {time_sum} }} }}
"""


@pytest.mark.parametrize(
    ("name", "anode"), [("anode-dld80.yaml", quad()), ("anode-hex80.yaml", hexanode())], ids=["quad", "hex"]
)
def test_an_example_anode_is_the_same_to_daemon_and_twin(name: str, anode: Anode) -> None:
    assert Anode.load(CONFIG / name).calibration_id == anode.calibration_id
    twin, model = load_anode(CONFIG / name), SignalModel.of(anode)
    assert [(layer.time_sum_ps, layer.mm_per_ns) for layer, _ in twin.lines()] == list(
        zip(model.time_sum_ps, model.mm_per_ns, strict=True)
    )
    assert tuple(angle_deg for _, angle_deg in twin.lines()) == model.angle_deg


def test_a_walk_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "anode.yaml"
    path.write_text(WALKING.format(coordinate=[-20, 0, 20], time_sum=[300, 0, -100]))
    walk = load_anode(path).layers["y"].walk
    assert walk is not None
    assert (walk.coordinate_mm, walk.time_sum_ps) == ((-20, 0, 20), (300, 0, -100))


@pytest.mark.parametrize(
    ("coordinate", "time_sum"), [([0, 0], [1, 2]), ([20, 10], [1, 2]), ([0, 10], [1]), ([0], [1])]
)
def test_a_walk_table_that_is_no_curve_is_refused_with_its_place(
    tmp_path: Path, coordinate: list[int], time_sum: list[int]
) -> None:
    path = tmp_path / "anode.yaml"
    path.write_text(WALKING.format(coordinate=coordinate, time_sum=time_sum))
    with pytest.raises(ConfigError, match=r"anode\.yaml:6"):
        load_anode(path)
