"""The minute before a trip is kept, whatever trips it; the loop never waits for a disk."""

import threading

import numpy as np
import pytest

from evapd.errors import RecordError
from evapd.guard.blackbox import AFTER_S, BEFORE_S, FOLDER, BlackBox
from evapd.guard.boxfile import read_box
from evapd.guard.energy import EnergyState as S
from evapd.guard.rules.table import RULES
from support.guard_bench import Bench

NAMES = [rule.name for rule in RULES]


class Recorder:
    """A bench whose every step goes into a black box."""

    def __init__(self, folder, run=None):
        self.told = []
        self.box = BlackBox(
            folder,
            NAMES,
            lambda kind, severity, what: self.told.append((kind, severity, what)),
            lambda: 1.7e9,
        )
        self.bench = Bench()
        if run is not None:
            self.box.run_begins(run)
        carry_out = self.bench.carry_out

        def note(decision):
            carry_out(decision)
            margins = list(self.bench.core.lookout.margins().values()) if decision.sample else None
            self.box.note(self.bench.now_s, self.inputs, decision, margins)

        inputs = self.bench.inputs

        def gather(records=()):
            self.inputs = inputs(records)
            return self.inputs

        self.bench.carry_out, self.bench.inputs = note, gather

    def tripped(self, before_s, after_s=AFTER_S + 0.2):
        self.bench.evaporating()
        self.bench.run_s(before_s)
        self.trip_s = self.bench.now_s
        self.bench.state_flags = {"tripped": True}
        self.bench.run_s(after_s)
        return self

    def closed(self):
        self.box.close()
        return self


def files(folder):
    return sorted((folder / FOLDER).iterdir()) if (folder / FOLDER).exists() else []


def test_a_trip_leaves_the_minute_before_it_and_the_five_seconds_after(tmp_path):
    recorder = Recorder(tmp_path).tripped(70.0).closed()
    (path,) = files(tmp_path)
    box = read_box(path)
    trip_us = box.causes[0]["t_mono_us"]
    assert abs(trip_us / 1e6 - recorder.trip_s) < 0.1
    for rows in (box.records, box.ticks):
        assert rows["t_mono_us"][0] / 1e6 == pytest.approx(trip_us / 1e6 - BEFORE_S, abs=0.1)
        assert rows["t_mono_us"][-1] / 1e6 == pytest.approx(trip_us / 1e6 + AFTER_S, abs=0.1)
        assert np.all(np.diff(rows["t_mono_us"]) >= 0)
    assert len(box.records) == pytest.approx(6500, abs=20)


def test_what_no_box_can_hold_any_more_is_forgotten(tmp_path, monkeypatch):
    # The bench reads so often that the limit would hide it; devices that are read less often need an hour to reach it.
    monkeypatch.setattr("evapd.guard.blackbox._READINGS", 10**6)
    recorder = Recorder(tmp_path)
    recorder.bench.evaporating()
    recorder.bench.run_s(72.0)
    held = len(recorder.box._readings)
    recorder.bench.run_s(30.0)
    assert len(recorder.box._readings) == pytest.approx(held, rel=0.02)
    recorder.closed()


def test_a_box_holds_causes_margins_readings_and_events(tmp_path):
    recorder = Recorder(tmp_path).tripped(3.0).closed()
    box = read_box(files(tmp_path)[0])
    assert box.causes[0]["rule"] == "supply-state"
    assert box.rules == NAMES
    assert box.margins.shape == (len(box.ticks), len(NAMES))
    margin = box.margins[:, NAMES.index("supply-state")]
    after = box.ticks["t_mono_us"] >= box.causes[0]["t_mono_us"]
    assert np.nanmin(margin[~after]) == 1.0
    assert {row["device"] for row in box.readings} == {"hv", "trigger", "amplitude", "gauge", "cryo"}
    assert S.EVAPORATING in box.ticks["energy_state"]
    assert S.FAULT_LATCHED in box.ticks["energy_state"]
    assert any(event["kind"] == "energy" for event in box.events)
    assert recorder.box.written == 1


def test_in_a_run_the_box_lies_in_the_run_s_folder(tmp_path):
    run = tmp_path / "run-1"
    run.mkdir()
    recorder = Recorder(tmp_path, run).tripped(2.0, after_s=1.0)
    recorder.box.run_ends()
    recorder.bench.run_s(5.0)
    recorder.bench.core.acknowledge(recorder.bench.now_s)
    recorder.bench.state_flags = {}
    recorder.bench.run_s(1.0)
    recorder.bench.v_v, recorder.bench.v_set_v, recorder.bench.output_on = 500.0, 500.0, True
    recorder.bench.until(S.RAMPING_DOWN, 2.0)
    recorder.closed()
    assert [path.name for path in files(run)] == ["20231114T221320Z-supply-state.npz"]
    assert [path.name for path in files(tmp_path)] == ["20231114T221320Z-unasked-voltage.npz"]


def test_what_trips_within_five_seconds_is_one_box(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.bench.sensitivity = 1.0
    recorder.bench.evaporating()
    recorder.bench.burst = 100.0
    recorder.bench.until(S.HOLDING, 10.0)
    recorder.bench.run_s(6.0)
    recorder.closed()
    boxes = [read_box(path) for path in files(tmp_path)]
    assert sum(len(box.causes) for box in boxes) >= 3
    assert len(boxes) < 3


def rules_of(folder):
    return [cause["rule"] for path in files(folder) for cause in read_box(path).causes]


def test_a_hold_because_no_law_works_any_more_leaves_a_box(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.bench.evaporating()
    recorder.bench.core.steering.pilot.exhausted = True
    recorder.bench.until(S.HOLDING, 1.0)
    recorder.bench.run_s(6.0)
    recorder.closed()
    assert rules_of(tmp_path) == ["no-law"]


def test_a_draw_down_that_does_not_come_leaves_a_box(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.bench.threshold_v = 1600.0
    recorder.bench.evaporating()
    recorder.bench.burst = 100.0
    recorder.bench.until(S.INHIBITED, 3.0)
    recorder.bench.burst = 1.0
    recorder.bench.tau_down_s = recorder.bench.core.movement.model.tau_down_s = 1e6
    recorder.bench.until(S.HOLDING, 10.0)
    recorder.bench.run_s(6.0)
    recorder.closed()
    assert rules_of(tmp_path) == ["rate-ceiling", "not-drawn-down"]


def test_a_voltage_lost_in_a_draw_down_leaves_a_box(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.bench.threshold_v, recorder.bench.tau_down_s = 1600.0, 5.0
    recorder.bench.core.movement.model.tau_down_s = 5.0
    recorder.bench.evaporating()
    recorder.bench.burst = 200.0
    recorder.bench.until(S.INHIBITED, 5.0)
    recorder.bench.burst, recorder.bench.v_v = 1.0, 0.0
    recorder.bench.until(S.FAULT_LATCHED, 1.0)
    recorder.closed()
    assert rules_of(tmp_path)[-1] == "lost-output"


def test_a_box_that_breaks_the_writing_is_told_and_the_next_is_written(tmp_path, monkeypatch):
    class Odd:
        def __str__(self):
            raise RuntimeError("cannot be shown")

    recorder = Recorder(tmp_path)
    recorder.bench.core.alarms.say("odd", "info", "odd", what_odd=Odd())
    recorder.tripped(1.0)
    recorder.bench.state_flags = {}
    recorder.bench.core.acknowledge(recorder.bench.now_s)
    monkeypatch.setattr("evapd.guard.blackbox.BEFORE_S", 1.0)  # the odd one is no longer in it
    recorder.bench.run_s(1.5)
    recorder.bench.v_v, recorder.bench.v_set_v, recorder.bench.output_on = 500.0, 500.0, True
    recorder.bench.until(S.RAMPING_DOWN, 2.0)
    recorder.closed()
    assert (recorder.box.written, recorder.box.lost) == (1, 1)
    assert "cannot be shown" in recorder.told[0][2]


def test_a_quiet_run_leaves_no_box(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.bench.evaporating()
    recorder.bench.run_s(5.0)
    recorder.closed()
    assert not files(tmp_path)


def test_a_trip_just_before_the_end_is_still_written(tmp_path):
    Recorder(tmp_path).tripped(2.0, after_s=0.5).closed()
    assert len(files(tmp_path)) == 1


def test_a_folder_that_cannot_be_written_is_told_and_costs_only_the_box(tmp_path):
    (tmp_path / FOLDER).write_text("in the way")
    recorder = Recorder(tmp_path).tripped(1.0).closed()
    assert recorder.box.lost == 1
    assert recorder.told[0][:2] == ("blackbox", "warning")
    assert recorder.bench.state is S.FAULT_LATCHED


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("evapd.guard.boxfile.os.fsync", full)
    recorder = Recorder(tmp_path).tripped(1.0).closed()
    assert files(tmp_path) == []
    assert "No space left" in recorder.told[0][2]


def test_the_loop_never_waits_for_a_disk_that_hangs(tmp_path, monkeypatch):
    gate, done = threading.Event(), []
    monkeypatch.setattr("evapd.guard.boxfile.os.fsync", lambda _: done.append(gate.wait(60.0)))
    recorder = Recorder(tmp_path).tripped(1.0)
    assert done == []
    gate.set()
    recorder.closed()
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"not a box"])
def test_a_file_that_is_no_box_is_refused_in_words(tmp_path, content):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(RecordError, match="black box"):
        read_box(path)


def test_a_box_that_is_not_there_is_refused_in_words(tmp_path):
    with pytest.raises(RecordError, match="black box"):
        read_box(tmp_path / "missing.npz")
