"""Section `live` of a rig file: its range file is found, checked and named with its place."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from evapd.config import check_rig, load_rig
from evapd.report.named_files import problems_in
from support.rig_files import CONFIG

RRNG = "[Ions]\nNumber=1\nIon1=Al\n[Ranges]\nNumber=1\nRange1=26.8 27.4 Vol:0 Al:1 Color:00FF00\n"


def rig_file(folder: Path, ranges: str, content: str | None = RRNG) -> Path:
    rig = yaml.safe_load((CONFIG / "sim.yaml").read_text())
    rig |= {
        "folder": str(folder / "d"),
        "anode": str(CONFIG / rig["anode"]),
        "live": {"ranges": ranges, "recent_s": "20 s"},
    }
    if content is not None:
        (folder / "alloy.rrng").write_text(content)
    path = folder / "rig.yaml"
    path.write_text(yaml.safe_dump(rig, sort_keys=False))
    return path


def test_the_range_file_lies_relative_to_the_rig_file(tmp_path: Path) -> None:
    loaded = load_rig(rig_file(tmp_path, "alloy.rrng"))
    assert loaded.ranges_path == tmp_path / "alloy.rrng"
    assert loaded.rig.live.recent_s == 20.0
    assert problems_in(loaded) == []


@pytest.mark.parametrize("ranges", ["nothing.rrng", ".", "a\0b"])
def test_a_range_file_that_is_not_there_is_told_with_its_place(tmp_path: Path, ranges: str) -> None:
    loaded, problems = check_rig(rig_file(tmp_path, ranges))
    assert loaded is None
    assert [problem.where for problem in problems] == ["live.ranges"]


def test_what_is_wrong_in_the_range_file_is_told_by_check_with_its_line(tmp_path: Path) -> None:
    path = rig_file(tmp_path, "alloy.rrng", RRNG.replace("27.4", "x"))
    done = subprocess.run(
        [sys.executable, "-m", "evapd", "check", str(path), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert "alloy.rrng:6: '26.8 x' are not two masses" in json.loads(done.stdout)["problems"][0]


def test_a_rig_without_the_section_works(tmp_path: Path) -> None:
    assert load_rig(CONFIG / "sim.yaml", tmp_path).ranges_path is None
