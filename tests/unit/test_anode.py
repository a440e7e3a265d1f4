"""The anode file."""

import subprocess
import sys
from pathlib import Path

import pytest

from evapd.errors import ConfigError
from evapd.matching import Anode
from support.anodes import quad

GOOD = """\
kind: quad
radius_mm: 40
centre_mm: [1, -2]
dead_time_ps: 10 ns
jitter_ps: 100
layers:
  x: { time_sum_ps: 110000, mm_per_ns: 0.8, offset_ps: 30 }
  y: { time_sum_ps: 112000, mm_per_ns: 0.8, offset_ps: 0, angle_deg: 90 }
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "anode.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Anode.load(write(folder, text))
    return str(caught.value)


def test_a_good_file_gives_its_numbers(tmp_path: Path) -> None:
    anode = Anode.load(write(tmp_path, GOOD))
    assert (anode.kind, anode.radius_mm, anode.centre_mm, anode.dead_time_ps) == ("quad", 40, (1, -2), 10_000)
    assert anode.layers["x"].offset_ps == 30


def test_the_example_anodes_load() -> None:
    for path in sorted(Path("config").glob("anode-*.yaml")):
        anode = Anode.load(path)
        assert anode.calibration_id.startswith(f"{anode.kind}-")


def test_the_angle_of_a_layer_has_a_default_by_its_name() -> None:
    assert quad().angle_deg("x") == 0
    assert quad().angle_deg("y") == 90


@pytest.mark.parametrize(
    ("angle", "axis"), [(0, (1, 0)), (90, (0, 1)), (180, (-1, 0)), (-90, (0, -1)), (270, (0, -1))]
)
def test_axes_at_right_angles_are_exact(angle: float, axis: tuple[float, float]) -> None:
    other = {"x": {"angle_deg": angle}, "y": {"angle_deg": angle + 90 if angle < 270 else 0}}
    assert quad(**other).axis("x") == axis


def test_an_unknown_key_is_refused_where_it_stands(tmp_path: Path) -> None:
    message = refusal(tmp_path, GOOD.replace("radius_mm", "raduis_mm"))
    assert "anode.yaml:2:" in message
    assert "raduis_mm" in message


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, GOOD.replace("jitter_ps: 100", "jitter_ps: 0").replace("40", "-1"))
    assert "jitter_ps" in message
    assert "radius_mm" in message


def test_a_quad_file_called_hex_is_told_which_layers_a_hex_anode_has(tmp_path: Path) -> None:
    assert "layers u, v, w" in refusal(tmp_path, GOOD.replace("kind: quad", "kind: hex"))


def test_a_walk_table_that_does_not_ascend_is_refused(tmp_path: Path) -> None:
    walk = "offset_ps: 30, walk: { coordinate_mm: [40, -40], time_sum_ps: [0, 100] }"
    assert "ascend" in refusal(tmp_path, GOOD.replace("offset_ps: 30", walk))


def test_layers_in_one_direction_are_refused(tmp_path: Path) -> None:
    assert "degrees apart" in refusal(tmp_path, GOOD.replace("angle_deg: 90", "angle_deg: 185"))


def test_a_missing_layer_is_named(tmp_path: Path) -> None:
    assert "layers x, y" in refusal(tmp_path, GOOD.replace("  y:", "  w:"))


def test_a_missing_file_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        Anode.load(tmp_path / "nowhere.yaml")


def test_the_calibration_id_depends_on_content_only(tmp_path: Path) -> None:
    anode = Anode.load(write(tmp_path, GOOD))
    lines = GOOD.splitlines()
    reordered = Anode.load(write(tmp_path, "\n".join(["# a comment", *lines[5:], *reversed(lines[:5])])))
    assert anode.calibration_id == reordered.calibration_id


def test_any_change_of_calibration_changes_its_id() -> None:
    ids = {
        anode.calibration_id
        for anode in (
            quad(),
            quad(radius_mm=41),
            quad(x={"offset_ps": 1}),
            quad(y={"angle_deg": 89}),
            quad(jitter_ps=99),
        )
    }
    assert len(ids) == 5


def test_a_default_written_out_keeps_the_id() -> None:
    assert quad().calibration_id == quad(x={"offset_ps": 0, "angle_deg": 0}).calibration_id


def test_anode_files_are_checked_and_runs_finalised_without_loading_numba() -> None:
    code = "import sys, evapd.record.finalise, evapd.matching.anode; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
