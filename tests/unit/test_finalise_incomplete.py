"""Finalising what is not whole: runs without hits or guard, gaps, damage, full disks; and its command."""

import contextlib
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from evapd.blocks import NO_ANCHOR, Loss
from evapd.errors import RecordError
from evapd.record.finalise import finalise
from evapd.record.hdf5file import GuardedFile
from evapd.record.journal import segments
from evapd.record.nxs import open_run
from evapd.record.run import RunStore
from support.recorded_runs import (
    Recorder,
    blocks,
    info_of,
    record_acquire,
    record_guard,
    record_run,
)


def test_finalising_again_gives_the_same_data_and_leaves_no_part(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 2.0)
    store.nexus_path.with_suffix(".nxs.part").write_bytes(b"left by a kill")
    finalise(store.folder)
    with open_run(store.folder) as file:
        before = file.hits().tof_ps

    finalise(store.folder)

    with open_run(store.folder) as file:
        np.testing.assert_array_equal(file.hits().tof_ps, before)
    assert not list(store.folder.glob("*.part"))


def empty_store(tmp_path: Path, **changes) -> RunStore:
    store = RunStore(tmp_path / "20261120T204000Z-tip")
    store.create(info_of(store.folder, **changes))
    return store


def test_a_run_without_anything_finalises(tmp_path: Path) -> None:
    store = empty_store(tmp_path, configuration={}, specimen={}, segments=())

    finalise(store.folder)

    with open_run(store.folder) as file:
        assert file.n_hits == 0
        assert file.hits().n == 0
        assert file.histories() == {}
        assert file.loop() == {}
        assert file.hits().mass_to_charge_da is None
    assert store.load().nexus.bytes_per_hit is None


def test_without_the_guards_journal_voltages_are_unknown_and_never_guessed(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    record_acquire(store, 1.0)

    finalise(store.folder)

    with open_run(store.folder) as file:
        hits = file.hits()
        assert hits.n > 1000
        assert np.isnan(hits.v_dc_v).all()
        assert np.isnan(hits.mass_to_charge_da).all()
        assert file.losses()["hits_without_voltage"] == hits.n


def test_without_hits_the_histories_are_kept(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    record_guard(store, 1.0)

    finalise(store.folder)

    with open_run(store.folder) as file:
        assert file.n_hits == 0
        assert len(file.histories()["voltage"].value) > 20


@pytest.mark.parametrize(
    ("pulse", "known"),
    [
        ({"mode": "laser", "rate_hz": 2e5}, True),
        ({"mode": "voltage", "rate_hz": 2e5, "fraction": 0.0}, True),
        ({"mode": "voltage", "rate_hz": 2e5, "fraction": 0.2}, False),
    ],
)
def test_an_amplitude_that_nobody_measured_is_zero_only_where_there_is_none(
    tmp_path: Path, pulse, known
) -> None:
    store = empty_store(tmp_path)
    configuration = {**store.load().configuration, "pulse": pulse}
    store.update(configuration=configuration)
    record_guard(store, 1.0, v_p=False)
    record_acquire(store, 1.0)

    finalise(store.folder)

    with open_run(store.folder) as file:
        assert np.isfinite(file.hits().mass_to_charge_da).all() == known


def test_a_reflectron_gets_no_straight_path_masses(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    configuration = dict(store.load().configuration)
    configuration["instrument"] = {**configuration["instrument"], "flight_path_kind": "reflectron"}
    store.update(configuration=configuration)
    record_acquire(store, 0.5)

    with h5py.File(finalise(store.folder)) as file:
        assert "mass_to_charge_conversion" not in file["entry1/atom_probe1"]
        assert b"reflectron" in file["entry1/evapd/mass_to_charge_left_out"][()]
        assert file["entry1/measurement/instrument/reflectron/applied"][()]


def test_lost_pulses_show_and_the_rest_is_kept(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    made = list(blocks(1.0))
    made[5] = dataclasses.replace(made[5], loss=Loss.WORDS_LOST, anchor=NO_ANCHOR)
    acquire = Recorder.at(store.journal, "acquire", store.folder.name)
    for number, block in enumerate(made):
        frame = acquire.framer.hits(block)
        if number != 3:
            acquire.journal.append(frame)
    acquire.journal.close()

    finalise(store.folder)

    with open_run(store.folder) as file:
        losses = file.losses()
        assert losses["uncovered_pulses"] == 10_000
        assert losses["lossy_blocks"] == 1
        assert losses["journal_acquire"]["gaps"] == {"hits.": 1}
        assert 3 in file.pulses()["kind"]
        assert file.n_hits == sum(block.n for number, block in enumerate(made) if number != 3)


def test_a_damaged_journal_finalises_with_what_is_whole(tmp_path: Path) -> None:
    store, made = record_run(tmp_path, 2.0)
    for path in (*segments(store.journal), *segments(store.guard_journal)):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x40
        path.write_bytes(data[:-7])

    finalise(store.folder)

    with open_run(store.folder) as file:
        assert 0 < file.n_hits < sum(block.n for block in made)
        assert file.losses()["journal_acquire"]["torn_bytes"] > 0
        assert len({len(values) for values in file.loop().values()}) == 1


def test_a_full_disk_says_so_and_leaves_no_broken_file(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 5.0)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "from evapd.record.finalise import main; sys.exit(main(sys.argv[1:]))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, store.folder], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 1
    assert "make room" in done.stderr.splitlines()[-1]
    assert not list(store.folder.glob("*.nxs*"))


def test_the_command_tells_its_progress_line_by_line(tmp_path: Path) -> None:
    store, made = record_run(tmp_path, 2.0)
    command = [sys.executable, "-m", "evapd.record.finalise", "--json", store.folder]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    progress = [line["progress"] for line in lines]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert lines[-1]["hits"] == sum(block.n for block in made)
    assert Path(lines[-1]["path"]) == store.nexus_path


def test_the_command_fails_with_one_clear_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evapd.record.finalise", tmp_path]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "run.json" in done.stderr


@pytest.mark.parametrize("content", [b"", b"not HDF5", None])
def test_a_file_that_is_no_run_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.nxs"
    if content is None:
        with h5py.File(path, "w") as file:
            file["entry1/a"] = 1
    else:
        path.write_bytes(content)

    with pytest.raises(RecordError, match=r"x\.nxs"):
        open_run(path)
    with pytest.raises(RecordError, match="not finalised"):
        open_run(tmp_path)


def test_a_run_that_another_process_finalises_is_left_to_it(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 0.2)
    part = store.nexus_path.with_suffix(".nxs.part")
    with contextlib.closing(GuardedFile(part)) as other:
        other.write(b"the other one's bytes")
        with pytest.raises(RecordError, match="is being finalised by another process"):
            finalise(store.folder)
        assert part.read_bytes() == b"the other one's bytes"
    assert finalise(store.folder).exists()
