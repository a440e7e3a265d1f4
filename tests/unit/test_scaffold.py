"""`evapd new-driver`: what it makes passes the kit, the linter and the type checker as made."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evapd.cli import app
from evapd.errors import ConfigError
from evapd.scaffold import kinds, make_driver

REPOSITORY = Path(__file__).parents[2]


def done(command, folder, **environment):
    """Run a program in a folder; its output when it fails."""
    ended = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    return ended.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A package of every kind."""
    folder = tmp_path_factory.mktemp("made")
    return [make_driver(kind, f"walker-{kind}", folder) for kind in kinds()]


def test_every_kind_of_instrument_can_be_made():
    assert set(kinds()) == {
        "hv",
        "pulser",
        "amplitude",
        "laser",
        "stage",
        "gauge",
        "thermometer",
        "io",
        "tdc",
        "detector",
    }


def test_every_package_passes_the_kit_as_made(packages):
    told = done(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--import-mode=importlib",
            "-W",
            "error",
        ]
        + [str(package / "tests") for package in packages],
        packages[0].parent,
        PYTHONPATH=os.pathsep.join([*sys.path, *(str(package / "src") for package in packages)]),
        EVAPD_CONFORMANCE_REPLIES="10",
    )
    assert "skipped" not in told


def test_every_package_passes_linter_and_type_checker_as_made(packages):
    for package in packages:
        done(
            [sys.executable, "-m", "ruff", "check", "--select", "E4,E7,E9,F,I,B,UP,SIM", "."],
            package,
        )
    done(
        [sys.executable, "-m", "mypy", "--config-file", str(REPOSITORY / "pyproject.toml")]
        + [part for package in packages for part in ("-p", next((package / "src").iterdir()).name)],
        packages[0].parent,
        MYPYPATH=os.pathsep.join(
            [*(str(package / "src") for package in packages)]
            + [str(REPOSITORY / part) for part in ("daemon", "drivers", "sim")]
        ),
    )


def test_a_wheel_of_it_can_be_built_and_names_its_driver_and_its_instrument(packages):
    text = (packages[0] / "pyproject.toml").read_text(encoding="utf-8")
    kind = packages[0].name.removeprefix("evapd-walker-")
    assert f'walker-{kind} = "evapd_walker_{kind}.driver:Walker{kind.capitalize()}"' in text
    assert '[project.entry-points."evapd.wires"]' in text


@pytest.mark.parametrize("name", ["", "Acme", "acme--2", "-a", "a b", "../x", "9lives", "a" * 31])
def test_a_name_that_cannot_be_one_is_refused_and_nothing_is_written(name, tmp_path):
    with pytest.raises(ConfigError, match="cannot be a driver's name"):
        make_driver("hv", name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_never_overwritten(tmp_path):
    made = make_driver("gauge", "acme", tmp_path)
    (made / "README.md").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="is there already"):
        make_driver("gauge", "acme", tmp_path)
    assert (made / "README.md").read_text(encoding="utf-8") == "mine"


def test_the_command_says_what_to_do_next(tmp_path):
    told = CliRunner().invoke(app, ["new-driver", "pulser", "acme-p1", "--into", str(tmp_path)])
    assert told.exit_code == 0
    assert "python -m pytest" in told.output
    assert (tmp_path / "evapd-acme-p1/src/evapd_acme_p1/driver.py").exists()


def test_an_unknown_kind_is_a_usage_error_that_lists_the_kinds(tmp_path):
    told = CliRunner().invoke(app, ["new-driver", "toaster", "acme", "--into", str(tmp_path)])
    assert told.exit_code == 2
    assert "thermometer" in told.output
    shutil.rmtree(tmp_path)
