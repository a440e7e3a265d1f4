"""`evapd check` tells what stands against recording in the folders that a rig names, and writes nothing to find out."""

import errno
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evapd.cli import app
from evapd.config import load_rig
from evapd.report.named_folders import warnings_of
from support.rig_files import write_rig


def warned(folder: Path, **record: object) -> list[str]:
    told = CliRunner().invoke(app, ["check", "--json", str(write_rig(folder, {"record": record}))])
    assert told.exit_code == 0, told.output
    return list(json.loads(told.stdout)["warnings"])


def test_folders_that_can_be_made_need_no_word(tmp_path: Path) -> None:
    assert warned(tmp_path) == []
    assert not (tmp_path / "data").exists()


def test_a_second_copy_on_the_disk_of_the_first_is_told(tmp_path: Path) -> None:
    (told,) = warned(tmp_path, second_copy=str(tmp_path / "copies"))
    assert "same disk" in told
    assert not (tmp_path / "copies").exists()


@pytest.mark.parametrize("kind", ["file", "dangling"])
def test_a_place_that_is_no_folder_is_told(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "disk"
    if kind == "file":
        place.touch()
    else:
        place.symlink_to(tmp_path / "gone")
    (told,) = warned(tmp_path, second_copy=str(place / "copies"))
    assert "is no folder" in told
    assert "without a second copy" in told


def test_a_disk_without_the_room_that_is_kept_free_is_told_for_both(tmp_path: Path) -> None:
    told = warned(tmp_path, second_copy=str(tmp_path / "copies"), reserve_mb=1e9)
    assert [one.split(":")[0].split(" /")[0] for one in told] == [
        "no run can be recorded in",
        "record.second_copy",
    ]
    assert all("MB are free there" in one for one in told)


def test_runs_on_a_disk_that_is_not_there_are_told_beside_a_good_second_copy(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "unplugged")
    (told,) = warned(tmp_path, second_copy=str(tmp_path / "copies"))
    assert told.startswith("no run can be recorded in")


def test_a_disk_that_gives_an_error_is_told_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_rig(write_rig(tmp_path))

    def gone(_: Path) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    monkeypatch.setattr(Path, "lstat", gone)
    (told,) = warnings_of(loaded)
    assert "Transport endpoint is not connected" in told


def test_a_folder_that_others_own_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_rig(write_rig(tmp_path))
    # Whoever runs the tests may be root, who may write everywhere.
    monkeypatch.setattr("os.access", lambda *_: False)
    (told,) = warnings_of(loaded)
    assert "cannot be written by this user" in told
