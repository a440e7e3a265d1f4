"""Retention: a journal goes only when its finalised file is proved to hold the same, oldest first, and never by mistake."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evapd.cli import app
from evapd.config.record import Retention
from evapd.errors import RecordError
from evapd.record.finalise import finalise
from evapd.record.journal import JournalReport, read_journal, segments
from evapd.record.recover import recover_run
from evapd.record.retention import KEEP, Removal, main, prune
from evapd.record.run import RunStore
from evapd.stream.frame import HITS, WORDS
from support.recorded_runs import T_UTC, Recorder, record_run
from support.stream_parts import make_words

DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def finalised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finalised run with raw words, to be copied."""
    store, _ = record_run(tmp_path_factory.mktemp("made"), 0.3)
    words = Recorder.at(store.journal, "acquire", store.folder.name)
    for seed in range(5):
        words.journal.append(words.framer.words(make_words(2000, seed)))
    words.journal.close()
    recover_run(store.folder)
    finalise(store.folder)
    return store.folder


@pytest.fixture
def runs(tmp_path: Path, finalised: Path):
    """Make runs that ended so many days before day 100."""

    def make(*ages_days: float) -> list[RunStore]:
        stores = []
        for number, age in enumerate(ages_days):
            folder = tmp_path / "runs" / f"20260101T00000{number}Z-tip"
            shutil.copytree(finalised, folder)
            (folder / f"{finalised.name}.nxs").rename(folder / f"{folder.name}.nxs")
            text = json.loads((folder / "run.json").read_text())
            text |= {"id": folder.name, "t_end_utc": T_UTC + round((100 - age) * DAY_US)}
            (folder / "run.json").write_text(json.dumps(text))
            stores.append(RunStore(folder))
        return stores

    return make


def pruned(stores: list[RunStore], *, dry_run: bool = False, **rules: float) -> list[Removal]:
    return prune(stores[0].folder.parent, Retention(**rules), T_UTC + 100 * DAY_US, dry_run=dry_run)


def journals(stores: list[RunStore]) -> list[bool]:
    return [any(store.folder.rglob("*.evj")) for store in stores]


def test_only_what_is_older_goes_and_what_was_found_stays(runs) -> None:
    stores = runs(40, 20)
    (removal,) = pruned(stores, keep_days=30)
    assert journals(stores) == [False, True]
    assert (removal.run, removal.what) == (stores[0].folder.name, "journal")
    info = stores[0].load()
    assert (info.pruned[0].what, info.pruned[0].bytes) == ("journal", removal.bytes)
    assert "keep_days is 30" in info.pruned[0].why
    assert stores[0].nexus_path.exists()
    assert pruned(stores, keep_days=30) == []


def test_the_oldest_go_until_all_are_within_the_size(runs) -> None:
    stores = runs(5, 30, 20)
    size = sum(path.stat().st_size for path in stores[0].folder.rglob("*.evj"))
    pruned(stores, keep_gb=1.5 * size / 1e9)
    assert journals(stores) == [True, False, False]


def test_a_dry_run_says_the_same_and_removes_nothing(runs) -> None:
    stores = runs(40, 50)
    would = pruned(stores, keep_days=30, dry_run=True)
    assert journals(stores) == [True, True]
    assert stores[0].load().pruned == ()
    assert pruned(stores, keep_days=30) == would


def test_without_rules_nothing_goes(runs) -> None:
    stores = runs(4000)
    assert pruned(stores) == []
    assert not Retention().active


def spoil(store: RunStore, how: str, tmp_path: Path) -> None:
    if how == "open":
        store.update(state="running")
    elif how == "pending":
        store.update(recovery={"pending": True})
    elif how == "marked":
        store.update(keep=True)
    elif how == "file":
        (store.folder / KEEP).touch()
    elif how == "not finalised":
        store.update(nexus=None)
    elif how == "no nxs":
        store.nexus_path.unlink()
    elif how == "cut nxs":
        store.nexus_path.write_bytes(store.nexus_path.read_bytes()[:-1])
    elif how == "copy":
        store.update(configuration={"record": {"second_copy": str(tmp_path)}})
    elif how == "counts":
        more = Recorder.at(store.journal, "acquire", store.folder.name)
        # Numbers of its own: a frame that is there twice counts once.
        more.framer.instance = "another start"
        message = next(m for m in read_journal(store.journal, "acquire") if m.topic == HITS)
        more.journal.append(more.framer.hits(message.hit_block()))
        more.journal.close()
    elif how == "damaged":
        (path, *_) = segments(store.journal)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("open", "not closed"),
        ("pending", "not recovered yet"),
        ("marked", "marked to be kept"),
        ("file", "marked to be kept"),
        ("not finalised", "not finalised"),
        ("no nxs", "not there"),
        ("cut nxs", "not of the length"),
        ("copy", "second copy is not whole"),
        ("counts", "hits are in its journal"),
        ("damaged", "damaged"),
    ],
)
def test_a_run_whose_file_may_not_stand_for_its_journal_stays_and_says_why(
    runs, tmp_path: Path, how: str, why: str
) -> None:
    stores = runs(40)
    spoil(stores[0], how, tmp_path)
    (removal,) = pruned(stores, keep_days=30)
    assert removal.what == ""
    assert why in removal.why
    assert journals(stores) == [True]


def test_raw_words_go_earlier_and_the_hits_stay(runs) -> None:
    stores = runs(10)
    before = [m.seq for m in read_journal(stores[0].journal, "acquire") if m.topic == HITS]
    (removal,) = pruned(stores, raw_words_days=5, keep_days=30)
    report = JournalReport()
    left = list(read_journal(stores[0].journal, "acquire", report))
    assert [m.seq for m in left if m.topic == HITS] == before
    assert not [m for m in left if m.topic == WORDS]
    assert report.whole
    assert (removal.what, stores[0].load().pruned[0].bytes) == ("words", removal.bytes)
    assert removal.bytes > 100_000
    assert pruned(stores, raw_words_days=5) == []


def test_a_removal_that_died_half_done_is_finished(runs) -> None:
    stores = runs(40)
    pruned(stores, keep_days=30)
    left = stores[0].journal / "acquire-000002.evj"
    left.write_bytes(b"x" * 100)
    (removal,) = pruned(stores, keep_days=30)
    assert (removal.bytes, journals(stores)) == (100, [False])
    assert len(stores[0].load().pruned) == 1


def test_a_clock_that_is_wrong_removes_nothing(runs) -> None:
    stores = runs(40)
    with pytest.raises(RecordError, match="set the clock"):
        prune(stores[0].folder.parent, Retention(keep_days=1), T_UTC)
    assert journals(stores) == [True]


def test_the_commands_keep_list_and_prune(runs) -> None:
    stores = runs(4000, 3000)
    rig, ids = stores[0].folder.parent.parent, [store.folder.name for store in stores]
    run = CliRunner().invoke
    assert run(app, ["runs", "keep", ids[0], str(rig)]).exit_code == 0
    assert [row["id"] for row in json.loads(run(app, ["runs", str(rig), "--json"]).output)] == ids
    told = json.loads(run(app, ["runs", "prune", str(rig), "--keep-days", "1", "--dry-run", "--json"]).output)
    assert [(one["run"], one["what"]) for one in told["removals"]] == [(ids[0], ""), (ids[1], "journal")]
    assert run(app, ["runs", "prune", str(rig), "--keep-days", "1"]).exit_code == 0
    assert journals(stores) == [True, False]
    assert run(app, ["runs", "keep", ids[0], str(rig), "--release"]).exit_code == 0
    assert not stores[0].load().keep
    assert run(app, ["runs", "prune", str(rig)]).exit_code == 1
    assert run(app, ["runs", "keep", "../..", str(rig)]).exit_code == 1


def test_the_module_applies_rules_and_prints_lines(runs, capsys, monkeypatch) -> None:
    monkeypatch.setattr("os.nice", lambda _: 0)  # of the whole test process, for good
    stores = runs(4000)
    assert main(["--json", "--keep-days", "1", str(stores[0].folder.parent)]) == 0
    assert json.loads(capsys.readouterr().out)["what"] == "journal"
    assert main(["--keep-days", "1", str(stores[0].folder / "absent")]) == 1


def test_a_file_whose_journal_went_is_never_made_anew_of_nothing(runs) -> None:
    stores = runs(40)
    pruned(stores, keep_days=30)
    before = stores[0].nexus_path.read_bytes()
    with pytest.raises(RecordError, match="removed by rule"):
        finalise(stores[0].folder)
    assert stores[0].nexus_path.read_bytes() == before
