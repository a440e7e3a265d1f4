"""The notebook of the documentation, executed as a person would, against a daemon that waits for it."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from evapd.record.run import RunStore, list_runs
from support.daemon import daemon

NOTEBOOKS = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
# Ions come low and soon, so that nobody waits for the demo's whole ramp.
SOON = {
    "control": {"v_start_v": 2550, "max_slew_up_hunting": 0.03},
    "guard": {"start_ramp_v_per_s": 4000.0},
}


@pytest.mark.timeout(600)  # pictures are drawn while it runs, and a busy machine draws slowly
def test_the_first_run_is_what_the_notebook_says(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(NOTEBOOKS / "first-run.ipynb", as_version=4)
    with daemon(SOON) as rig:
        monkeypatch.setenv("EVAPD_RIG", str(rig.config))
        monkeypatch.setenv("EVAPD_HITS", "1500")
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
        (entry,) = list_runs(rig.loaded.layout.runs)
        info = RunStore(entry.folder).load()
    text = "".join(str(out.get("text", "")) for cell in notebook.cells for out in cell.get("outputs", []))
    assert f"{info.counters['hits']:,} hits over the stream, {info.counters['hits']:,} in the file" in text
    assert info.counters["hits"] >= 1500
    assert [segment.settings["target_rate"] for segment in info.segments][-1] == 0.005
    assert any("half the rate" in str(note) for note in info.notes)


def test_notebooks_are_committed_without_outputs() -> None:
    for path in NOTEBOOKS.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs"), f"{path.name}: clear all outputs before you commit"
            assert cell.get("execution_count") is None
