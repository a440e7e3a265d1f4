"""A process dies: the hook is told which, and what the others did about it."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from evapd.errors import StreamError
from evapd.rpc import Requester
from support.daemon import Daemon, daemon
from support.patience import ANSWER_S
from support.wait import wait_for

_KEEP = "import sys, pathlib; pathlib.Path('told').open('a').write(sys.stdin.read() + '\\n')"
_HOOK = {"kind": "command", "argv": [sys.executable, "-c", _KEEP], "severity_min": "info", "quiet_s": 1}


@pytest.fixture(scope="module")
def rig() -> Iterator[Daemon]:
    """A rig whose one hook writes down what it is told."""
    with daemon({"alarms": {"hooks": {"keep": _HOOK}}}) as made:
        yield made


def told(rig: Daemon, name: str, kind: str = "alarm") -> list[dict[str, Any]]:
    """Every message about an alarm."""
    path = rig.config.parent / "told"
    messages = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [
        one for one in messages if one["kind"] == kind and name in [alarm["name"] for alarm in one["alarms"]]
    ]


def await_message(rig: Daemon, name: str, kind: str = "alarm") -> dict[str, Any]:
    """Wait until an alarm was told."""
    wait_for(lambda: told(rig, name, kind), lambda: f"{name} {kind}\n{rig.logs()}", 60.0, every_s=0.05)
    return told(rig, name, kind)[0]


def ask(rig: Daemon, command: str, **args: Any) -> dict[str, Any] | None:
    """Ask the alarm process; None when it does not answer."""
    with Requester(rig.loaded.layout.alarms_ipc, ANSWER_S) as requester:
        try:
            return requester.request(command, args)
        except StreamError:
            return None


def start_alarms(rig: Daemon) -> None:
    """Start it, and wait until it has heard of acquire."""
    rig.spawn("alarms")
    wait_for(lambda: (ask(rig, "list") or {}).get("heard", {}).get("acquire"), rig.logs, 60.0, every_s=0.1)


def test_the_alarm_process_killed_its_successor_knows_what_was_told_and_does_not_repeat_it(
    rig: Daemon,
) -> None:
    start_alarms(rig)
    rig.ask_guard("abort", reason="a test of the alarms")
    await_message(rig, "abort")
    wait_for(lambda: _is_kept(rig), rig.logs, 30.0, every_s=0.05)
    rig.kill("alarms")
    rig.reap("alarms")
    assert rig.ask("status")["guard"] is not None
    start_alarms(rig)
    assert "abort" in [one["name"] for one in (ask(rig, "list") or {})["alarms"]]
    assert len(told(rig, "abort")) == 1


def test_acquire_killed_in_a_run_the_hook_is_told_so_and_what_the_guard_did(rig: Daemon) -> None:
    rig.ask_guard("acknowledge")
    run = rig.start_run()
    rig.kill("acquire")
    rig.reap("acquire")
    message = await_message(rig, "acquire-gone")
    assert message["energy_state"] in ("ramping_down", "safe", "standby")
    assert run["id"] in message["text"]
    assert (ask(rig, "acknowledge") or {})["acknowledged"]
    rig.spawn("acquire")
    await_message(rig, "acquire-restarted")
    await_message(rig, "acquire-gone", "over")
    rig.processes["alarms"].terminate()
    assert rig.reap("alarms") == 0


def _is_kept(rig: Daemon) -> bool:
    path = rig.loaded.layout.alarms_state
    kept = json.loads(path.read_text())["alarms"] if path.exists() else []
    return any(one["name"] == "abort" and one["told"] for one in kept)
