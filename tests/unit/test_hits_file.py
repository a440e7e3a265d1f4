"""Hits files: numpy reads them, they come back, and there is never half of one."""

import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evapd.blocks import HIT_COLUMNS, HitBlock
from evapd.errors import RecordError
from evapd.record.hitsfile import read_hits, write_hits
from evapd.record.newfile import new_file, refuse_existing
from support.blocks import hits
from support.signals import rows

BLOCK = hits(100, 199, [(0, 5), (7, 6), (7, 9), (99, 1)])
NEXT = hits(200, 299, [(1, 3)])


def test_numpy_reads_what_was_written(tmp_path: Path) -> None:
    assert write_hits(tmp_path / "h.npz", [BLOCK, NEXT]) == 5
    with np.load(tmp_path / "h.npz") as found:
        assert set(found.files) == {column.name for column in HIT_COLUMNS} | {"first_pulse"}
        assert all(found[column.name].dtype.str == column.dtype for column in HIT_COLUMNS)
        assert found["first_pulse"] == 100
        assert found["pulse"].tolist() == [0, 7, 7, 99, 101]
        assert found["tof_ps"].tolist() == [5, 6, 9, 1, 3]


@pytest.mark.parametrize("max_hits", [1, 3, 100])
def test_hits_come_back(tmp_path: Path, max_hits: int) -> None:
    write_hits(tmp_path / "h.npz", [BLOCK, NEXT])
    found = list(read_hits(tmp_path / "h.npz", max_hits=max_hits))
    assert [row for block in found for row in rows(block)] == rows(BLOCK) + rows(NEXT)


def test_the_bytes_do_not_depend_on_how_the_hits_came(tmp_path: Path) -> None:
    one = [
        replace(BLOCK, **{c.name: getattr(BLOCK, c.name)[k : k + 1] for c in HIT_COLUMNS}) for k in range(4)
    ]
    write_hits(tmp_path / "a.npz", [BLOCK, NEXT])
    write_hits(tmp_path / "b.npz", [*one, hits(150, 160), NEXT])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_file_without_hits_has_empty_columns(tmp_path: Path) -> None:
    assert write_hits(tmp_path / "h.npz", [], first_pulse=7) == 0
    assert list(read_hits(tmp_path / "h.npz")) == []
    with np.load(tmp_path / "h.npz") as found:
        assert (found["pulse"].dtype, len(found["x_um"]), found["first_pulse"]) == (np.uint32, 0, 7)


def test_hits_further_apart_than_32_bits_count_have_wider_pulses(tmp_path: Path) -> None:
    far = hits(2**40, 2**40 + 9, [(3, 3)])
    write_hits(tmp_path / "h.npz", [BLOCK, far])
    with np.load(tmp_path / "h.npz") as found:
        assert found["pulse"].dtype == np.uint64
    assert [row for block in read_hits(tmp_path / "h.npz") for row in rows(block)] == rows(BLOCK) + rows(far)


def test_hits_that_do_not_ascend_are_refused(tmp_path: Path) -> None:
    write_hits(tmp_path / "h.npz", [NEXT, BLOCK], first_pulse=0)
    with pytest.raises(RecordError, match="do not ascend"):
        list(read_hits(tmp_path / "h.npz"))


def test_a_writer_that_fails_leaves_nothing_and_an_older_file_as_it_was(tmp_path: Path) -> None:
    def failing() -> Iterator[HitBlock]:
        yield BLOCK
        raise KeyboardInterrupt

    write_hits(tmp_path / "h.npz", [NEXT])
    before = (tmp_path / "h.npz").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_hits(tmp_path / "h.npz", failing())
    assert [path.name for path in tmp_path.iterdir()] == ["h.npz"]
    assert (tmp_path / "h.npz").read_bytes() == before


def test_a_disk_that_takes_no_more_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(RecordError, match=r"h\.npz.*make room"):
            write_hits(tmp_path / "h.npz", [hits(k, k, [(0, 5)] * 1000) for k in range(100)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_part_left_by_a_kill_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "h.npz.part").write_bytes(b"left by a kill" * 1000)
    write_hits(tmp_path / "h.npz", [BLOCK])
    assert [path.name for path in tmp_path.iterdir()] == ["h.npz"]
    assert rows(next(read_hits(tmp_path / "h.npz"))) == rows(BLOCK)


def test_two_writers_of_one_file_never_mix(tmp_path: Path) -> None:
    with new_file(tmp_path / "h.npz") as file:
        file.write(b"first")
        with pytest.raises(RecordError, match="by another process"), new_file(tmp_path / "h.npz"):
            pass
    assert (tmp_path / "h.npz").read_bytes() == b"first"


@pytest.mark.parametrize(
    ("name", "force", "said"),
    [("there", False, "--force"), ("folder", True, "is a folder"), ("absent/h.npz", False, "does not exist")],
)
def test_what_is_there_is_not_replaced_by_mistake(tmp_path: Path, name: str, force: bool, said: str) -> None:
    (tmp_path / "there").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(RecordError, match=said):
        refuse_existing(tmp_path / name, force=force)
    refuse_existing(tmp_path / "there", force=True)
    refuse_existing(tmp_path / "fresh")
