import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from evapd.guard.rules.page import BEGIN, END, markdown

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "config" / "systemd"


def unit(name):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNITS / name)
    return parser


@pytest.mark.parametrize("name", ["evapd-guard.service", "evapd-acquire.service"])
def test_a_service_tells_its_readiness_and_feeds_a_watchdog(name):
    service = unit(name)["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) <= 10
    assert service["StateDirectory"] == "evapd"
    assert "78" in service["RestartPreventExitStatus"].split()


def test_the_guard_is_restarted_without_limit_and_may_be_on_time():
    guard = unit("evapd-guard.service")
    assert guard["Unit"]["StartLimitIntervalSec"] == "0"
    assert guard["Service"]["Restart"] == "always"
    assert guard["Service"]["LimitRTPRIO"] == "20"
    assert "RestrictRealtime" not in guard["Service"]


def test_the_guard_stops_last_and_nobody_s_end_takes_it_down():
    guard, acquire = unit("evapd-guard.service"), unit("evapd-acquire.service")
    assert acquire["Unit"]["After"] == "evapd-guard.service"  # stop order is the reverse of start order
    assert not {"Requires", "BindsTo", "PartOf"} & {
        key for key, value in guard["Unit"].items() if "evapd-acquire" in value
    }
    assert guard["Service"]["KillMode"] == "mixed"


def test_systemd_finds_nothing_wrong_with_the_units():
    if shutil.which("systemd-analyze") is None:
        for path in UNITS.iterdir():
            assert unit(path.name).sections(), f"{path.name} cannot be read"
        return
    paths = sorted(UNITS.iterdir())
    done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "evapd" not in done.stderr


def test_the_page_on_safety_lists_every_rule_as_it_is():
    page = (ROOT / "docs" / "safety.md").read_text()
    printed = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert printed == markdown(), "print it anew: .venv/bin/python -m evapd rules --markdown"
