"""The guide on writing a driver: what stands on the page is a package that passes, from `evapd new-driver` to the last file."""

import os
import re
import subprocess
import sys
from pathlib import Path

from evapd.scaffold import kinds, make_driver

PAGE = (Path(__file__).parents[2] / "docs" / "drivers" / "writing.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`((?:src|tests)/\S+)`:\n\n```(?:python|yaml)\n(.*?)```", PAGE, re.DOTALL))


def test_the_guide_makes_a_package_that_passes(tmp_path):
    package = make_driver("thermometer", "mercury-itc", tmp_path)
    made = {str(path.relative_to(package)) for path in package.rglob("*.*")}
    assert len(FILES) == 5
    assert set(FILES) <= made
    for name, text in FILES.items():
        (package / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=package,
        env=os.environ | {"EVAPD_CONFORMANCE_REPLIES": "10"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "skipped" not in done.stdout


def test_the_guide_names_every_kind():
    assert set(re.findall(r"`(\w+)`", PAGE.partition("Kinds are")[2].partition(". From")[0])) == set(kinds())
