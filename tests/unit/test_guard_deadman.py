"""What acts when the guard dies is said: a relay, the supply's own time-out, or plainly nothing."""

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from evapd.cli import app
from evapd.config import load_rig
from evapd.errors import ConfigError
from evapd.guard.deadman import dead_man, dead_man_of
from evapd.report.tables import wiring_lines
from support.detector_rig import detector_rig
from support.guard_bench import make_rig
from support.rig_files import CONFIG, rig_folder, write_rig


def test_without_either_it_says_that_nothing_acts():
    left = dead_man(make_rig(), {"hv": object()})
    assert not left.exists
    assert "nothing acts" in left.text


def test_a_heartbeat_relay_acts_and_is_told_with_its_time():
    left = dead_man(detector_rig(contacts={"relay_s": 0.75}), {"hv": object()})
    assert left.exists
    assert "0.75 s" in left.text


def test_a_relay_that_is_not_read_back_is_told_so():
    contacts = {"inputs": {"door": {"kind": "door"}}}
    assert "not read back" in dead_man(detector_rig(contacts=contacts), {}).text


def test_a_supply_s_own_time_out_acts_too():
    left = dead_man(make_rig(), {"hv": SimpleNamespace(own_timeout_s=5.0)})
    assert left.exists
    assert "by itself after 5 s" in left.text


def test_law_monitor_energises_nothing_and_is_not_warned_about():
    assert "nothing is energised" in dead_man(make_rig(control={"law": "monitor"}), {}).text


def test_the_shipped_rigs_are_what_they_say():
    assert not dead_man_of(load_rig(CONFIG / "sim.yaml")).exists
    assert dead_man_of(load_rig(CONFIG / "guarded.yaml")).relay_s == pytest.approx(0.5)


def test_checking_a_rig_without_a_dead_man_warns_and_is_still_valid():
    done = CliRunner().invoke(app, ["check", str(CONFIG / "sim.yaml")])
    assert done.exit_code == 0
    assert "WARNING: nothing acts" in done.output


COUNTED = {"rated_v": "50 kV", "rated_a": "1 mA"}


@pytest.mark.parametrize(
    ("driver", "settings", "told"),
    [
        ("technix-sr", COUNTED, "when the guard dies: the specimen supply goes down by itself after 5 s"),
        ("glassman", COUNTED, "when the guard dies: the specimen supply goes down by itself after 1.5 s"),
        ("glassman", {**COUNTED, "host_timeout": False}, "WARNING: nothing acts"),
        ("spellman-xrv", {"watchdog_s": 3}, "when the guard dies: the specimen supply goes down by itself after 3 s"),
        ("spellman-xrv", {}, "WARNING: nothing acts"),
        ("heinzinger-pnc", {}, "WARNING: nothing acts"),
    ],
)  # fmt: skip
def test_checking_a_rig_tells_the_time_out_of_the_supply_that_it_names(driver, settings, told):
    supply = {"driver": driver, "settings": {"v_max_v": "12 kV", "i_max_a": "0.3 mA", **settings}}
    with rig_folder() as folder:
        path = write_rig(folder, {"devices": {"specimen-supply": supply}})
        done = CliRunner().invoke(app, ["check", str(path)])
    assert done.exit_code == 0, done.output
    assert f"\n{told}" in done.output


def test_relay_and_time_out_are_both_told():
    left = dead_man(detector_rig(contacts={"relay_s": 0.5}), {"hv": SimpleNamespace(own_timeout_s=1.5)})
    assert "relay drops out after 0.5 s" in left.text
    assert "by itself after 1.5 s" in left.text


def test_turning_the_detector_on_without_a_guard_says_where_it_looked():
    with rig_folder() as folder:
        done = CliRunner().invoke(app, ["detector", "on", "--folder", str(folder)])
    assert done.exit_code == 1
    assert str(folder) in done.output


def test_status_shows_detector_open_contacts_and_the_dead_man():
    wiring = {
        "detector": {"state": "ramping", "step": 3, "steps": 9, "waits_for_specimen": "", "supplies": {"mcp": {"v_v": None}}},
        "contacts": {"door": {"kind": "door", "well": False, "why": "contact 'door' is open"}},
        "heartbeat": {"beating": False, "why": "not started"},
        "crowbar": True,
        "dead_man": {"exists": False, "text": "nothing acts"},
    }  # fmt: skip
    text = "\n".join(wiring_lines(wiring))
    for part in (
        "ramping 3 of 9",
        "mcp unknown",
        "'door' is open",
        "CLOSED",
        "not started",
        "WARNING: nothing acts",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"contacts": {"inputs": {"gate": {"kind": "valve"}}}}, "has 'gate' among its inputs"),
        ({"contacts": {"heartbeat": "pulse"}}, "has 'pulse' among its outputs"),
        ({"contacts": {"crowbar": {"output": "short"}}}, "has 'short' among its outputs"),
        ({"detector": {"supplies": {"vacuum": {"v_v": 100}}}}, "no device 'vacuum' of role mcp"),
        ({"detector": {"wires": ["plates", "nothing"]}}, "wanted are two of the supplies"),
        ({"detector": {"supplies": {"signal-wire": {"v_v": 2400}}}}, "150 V apart when on"),
        ({"detector": {"wire_difference_max_v": 60}}, "while one is a step behind"),
        ({"devices": {"io": {"settings": {"outputs": {"inhibit": {"safe": False}}}}}}, "inhibited"),
    ],
)
def test_a_rig_whose_wiring_cannot_be_meant_is_refused(changes, why):
    with rig_folder() as folder, pytest.raises(ConfigError, match=why):
        load_rig(write_rig(folder, changes, source="guarded.yaml"))
