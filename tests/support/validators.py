"""Finished files of every kind through other people's NeXus validators: `make validate`.

    python -m support.validators FOLDER [FILE ...]

FOLDER gets a virtual environment with the validators and the runs. Without files, runs of every kind are recorded and
finalised. A validator's exit code means nothing (0 also for a file that is not valid): its words are read.
"""

import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

from evapd.record.finalise import finalise
from evapd.record.recover import recover_run
from evapd.record.run import RunStore, Segment
from evapd.record.runinfo import present_versions
from support.recorded_runs import INSTRUMENT, T_MONO, T_UTC, info_of, record_run

PACKAGES = ("pynxtools==0.16.0", "nexusformat==2.1.0")
SEGMENTS = (
    Segment(number=0, first_pulse=0, t_mono_us=T_MONO, t_utc=T_UTC),
    Segment(
        number=1,
        first_pulse=200_000,
        t_mono_us=T_MONO + 1_000_000,
        t_utc=T_UTC + 1_000_000,
        settings={"target_rate": 0.02},
        reason="set target_rate",
    ),
)


def configuration(**pulse: object) -> dict[str, object]:
    return {
        "name": "bench rig",
        "instrument": INSTRUMENT,
        "pulse": {"mode": "voltage", "rate_hz": 2e5, "fraction": 0.2} | pulse,
        "control": {"law": "pi-log", "target_rate": 0.01, "v_max_v": 7000.0},
    }


def runs(folder: Path) -> Iterator[Path]:
    """Record and finalise runs of every kind; gives their files."""
    whole = {"state": "finished", "versions": present_versions(), "configuration": configuration()}
    laser = configuration(mode="laser", fraction=0.0, energy_pj=50.0, wavelength_nm=355.0)
    bent = configuration() | {"instrument": INSTRUMENT | {"flight_path_kind": "reflectron"}}
    kinds: dict[str, dict[str, object]] = {
        "voltage": {},
        "laser": {"configuration": laser},
        "aborted": {"conditions": ("ABORTED",)},
        "segments": {"segments": SEGMENTS},
        "reflectron": {"configuration": bent},
        "recovered": {"state": "running"},
    }
    for name, changes in kinds.items():
        store, _ = record_run(folder / name, 2.0, **(whole | changes))
        if name == "recovered":
            recover_run(store.folder)
        yield finalise(store.folder)
    for name, changes in {"empty": whole, "bare": {"configuration": {}, "specimen": {}}}.items():
        store = RunStore(folder / name / "20261120T204000Z-tip")
        store.create(info_of(store.folder, **({"state": "finished"} | changes)))
        yield finalise(store.folder)


def problems(tools: Path, file: Path) -> list[str]:
    """What the validators have against a file."""
    found = []
    said = _said(tools / "pynx", "validate", file)
    if "is valid according to the `NXapm`" not in said:
        found += [
            f"pynx validate: {line}" for line in said.splitlines() if "WARNING" in line or "ERROR" in line
        ]
        found = found or [f"pynx validate: {said.strip()}"]
    said = _said(tools / "nxvalidate", "-e", "-a", "NXapm", file)
    if "Total number of errors: 0" not in said:
        found.append(f"nxvalidate: {said.strip()}")
    return found


def _said(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600, check=False)
    return done.stdout + done.stderr


def main(folder: Path, files: list[Path]) -> int:
    """Validate; 0 when no validator has anything against any file."""
    folder.mkdir(parents=True, exist_ok=True)
    tools = folder / "venv" / "bin"
    if not (tools / "pynx").exists():
        venv.create(folder / "venv", with_pip=True)
        subprocess.run([str(tools / "python"), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    bad = 0
    with tempfile.TemporaryDirectory(dir=folder) as made:
        for file in files or runs(Path(made)):
            found = problems(tools, file)
            bad += bool(found)
            print(f"{'NOT valid' if found else 'valid':9s}  {file}")
            for line in found:
                print(f"           {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
