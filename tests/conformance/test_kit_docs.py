"""The page on the kit: its worked example passes as it stands, its tables are those of the kit."""

import os
import re
import subprocess
import sys
from pathlib import Path

from evapd.device.conformance import laws

PAGE = (Path(__file__).parents[2] / "docs" / "drivers" / "conformance.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"`(\w+\.py)`[^`]*```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_worked_example_passes_as_it_stands(tmp_path):
    assert [name for name, _ in EXAMPLE] == ["walker.py", "walker_sim.py", "test_walker.py"]
    for name, code in EXAMPLE:
        (tmp_path / name).write_text(code, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rs",
            "-p",
            "no:cacheprovider",
            "--import-mode=prepend",
            tmp_path,
        ],
        cwd=tmp_path,
        env=os.environ | {"EVAPD_CONFORMANCE_REPLIES": "20"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "1 skipped" in done.stdout
    assert "Walker: the controller has a network socket only" in done.stdout


def test_the_page_has_the_laws_of_the_kit():
    assert laws() in PAGE
