"""run.json is always whole, and says so when it is not."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from evapd.errors import RecordError
from evapd.record.run import (
    Condition,
    Note,
    RunInfo,
    RunStore,
    Segment,
    digest,
    list_runs,
    new_run_folder,
    present_versions,
    utc_text,
)

T_UTC = 1_795_207_200_000_000  # 2026-11-20T20:40:00Z


def make_store(tmp_path: Path, name: str = "w-tip") -> RunStore:
    store = RunStore(new_run_folder(tmp_path, name, T_UTC))
    store.create(RunInfo(id=store.folder.name, name=name, t_start_utc=T_UTC, t_start_mono_us=5))
    return store


def test_a_run_folder_is_named_by_its_start_and_name(tmp_path: Path) -> None:
    store = make_store(tmp_path)

    assert store.folder.name == "20261120T204000Z-w-tip"
    assert store.guard_journal.is_dir()
    assert store.load().id == store.folder.name


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "...", "Ärger am Gerät", "x" * 300, "a\0b\n"])
def test_no_name_leads_out_of_the_runs_folder(tmp_path: Path, name: str) -> None:
    folder = new_run_folder(tmp_path, name, T_UTC)

    assert folder.parent == tmp_path
    assert folder.name.startswith("20261120T204000Z-")
    assert len(folder.name) < 120
    folder.mkdir()


def test_two_runs_within_a_second_get_two_folders(tmp_path: Path) -> None:
    assert make_store(tmp_path).folder != make_store(tmp_path).folder


def test_a_folder_is_never_taken_over(tmp_path: Path) -> None:
    store = make_store(tmp_path)

    with pytest.raises(RecordError, match="exists already"):
        RunStore(store.folder).create(store.load())


def test_what_is_updated_comes_back_and_the_rest_stays(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    segment = Segment(number=1, first_pulse=0, t_mono_us=6, t_utc=T_UTC, settings={"target_rate": 0.01})

    store.update(state="running", segments=(segment,), notes=(Note(text="hello", t_utc=T_UTC, pulse=3),))

    info = store.load()
    assert (info.state, info.name, info.segments) == ("running", "w-tip", (segment,))
    assert info.notes[0].pulse == 3
    assert not info.finished


@pytest.mark.parametrize("changes", [{"state": "flying"}, {"no_such_field": 1}, {"t_start_utc": "soon"}])
def test_an_update_that_does_not_fit_changes_nothing(tmp_path: Path, changes: dict) -> None:
    store = make_store(tmp_path)
    before = store.path.read_bytes()

    with pytest.raises(RecordError, match="left as it is"):
        store.update(**changes)
    assert store.path.read_bytes() == before


def test_updates_of_several_threads_are_all_kept(tmp_path: Path) -> None:
    store = make_store(tmp_path)

    def count(name: str) -> None:
        for i in range(10):
            RunStore(store.folder).change(
                lambda info, key=f"{name}{i}": {"counters": {**info.counters, key: 1}}
            )

    threads = [threading.Thread(target=count, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(store.load().counters) == 30


KILLED = """
import sys
from pathlib import Path
from evapd.record.run import RunStore
store = RunStore(Path(sys.argv[1]))
for i in range(10**9):
    store.update(end_reason="x" * (i % 5000))
    print(i, flush=True)
"""


def test_a_kill_in_the_middle_of_an_update_leaves_a_whole_file(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", KILLED, store.folder], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        for _ in range(20):
            process.stdout.readline()
        process.kill()
        process.wait()

    assert set(store.load().end_reason) <= {"x"}
    store.update(state="finished")  # and leaves no lock


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe", b"null"])
def test_a_damaged_file_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    store = make_store(tmp_path)
    store.path.write_bytes(content)

    with pytest.raises(RecordError, match=r"run\.json"):
        store.load()


def test_a_newer_format_asks_for_a_newer_program(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    store.path.write_text(json.dumps({"format": 2}))

    with pytest.raises(RecordError, match="newer evapd"):
        store.load()


def test_runs_are_listed_oldest_first_and_broken_ones_with_their_problem(tmp_path: Path) -> None:
    make_store(tmp_path)
    (tmp_path / "19990101T000000Z-broken").mkdir()

    first, second = list_runs(tmp_path)

    assert first.info is None
    assert "does not exist" in first.problem
    assert second.info is not None
    assert list_runs(tmp_path / "absent") == []


def test_good_gives_way_to_any_other_flag(tmp_path: Path) -> None:
    info = make_store(tmp_path).load()

    assert info.with_conditions() == (Condition.GOOD,)
    assert info.with_conditions(Condition.RECOVERED, Condition.INTERRUPTED) == ("INTERRUPTED", "RECOVERED")


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})


def test_versions_name_programs_and_machine() -> None:
    assert {"evapd", "python", "numpy", "platform"} <= set(present_versions())


def test_times_are_written_in_utc() -> None:
    assert utc_text(T_UTC) == "2026-11-20T20:40:00.000000+00:00"
