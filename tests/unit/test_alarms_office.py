import io
import json
import threading
import time

import pytest
from typer.testing import CliRunner

from evapd.alarms.delivery import Outcome
from evapd.alarms.ears import Heard
from evapd.alarms.office import FAILING, Office
from evapd.alarms.service import make_commands
from evapd.cli import app
from evapd.cli_alarms import seconds
from evapd.config import load_rig
from evapd.errors import StateError
from evapd.rpc import Requester, Service
from evapd.supervisor.progress import Progress
from evapd.supervisor.supervisor import Supervisor
from support.rig_files import rig_folder, write_rig
from support.wait import wait_for

HOOKS = {
    "near": {"kind": "command", "argv": ["/bin/true"]},
    "far": {"kind": "command", "argv": ["/bin/true"], "delay_s": 600},
    "stuck": {"kind": "command", "argv": ["/bin/true"], "severity_min": "info", "only": ["nothing-else"]},
}
GUARD = {"instance": "g", "energy_state": "evaporating", "v_dc_v": 3000.0, "alarm_list": []}


class Post:
    """Sends nothing; keeps what it was given, and fails or hangs for hooks that it is told."""

    def __init__(self):
        self.sent, self.fails, self.opened = [], False, threading.Event()
        self.opened.set()

    def __call__(self, hook, message, base, hidden):
        assert self.opened.wait(20.0)
        self.sent.append(message)
        return Outcome(not self.fails, "no way" if self.fails else "done", 0.01)

    def titles(self):
        return [message.title for message in self.sent]


@pytest.fixture
def place():
    with rig_folder() as folder:
        loaded = load_rig(write_rig(folder, {"alarms": {"hooks": HOOKS}}))
        loaded.layout.make()
        yield loaded


def arc(active=True):
    now_s = time.monotonic()
    listed = (
        [{"name": "arc", "severity": "alarm", "what": "it arcs", "active": True, "latch": True}]
        if active
        else []
    )
    return Heard("guard", GUARD | {"alarm_list": listed}, now_s)


def test_an_alarm_is_told_by_the_hook_that_has_no_delay(place):
    post = Post()
    office = Office(place, post)
    office.turn([arc()])
    wait_for(lambda: post.sent, "a message")
    office.close()
    assert post.titles() == [f"[{place.rig.name}] ALARM arc: it arcs"]
    assert post.sent[0].document["energy_state"] == "evaporating"


def test_what_was_told_and_acknowledged_outlives_the_process(place):
    post = Post()
    office = Office(place, post)
    office.turn([arc()])
    wait_for(lambda: post.sent, "a message")
    assert office.acknowledge(1, None) == {"acknowledged": [1]}
    office.close()
    successor = Office(place, post)
    successor.turn([arc()])
    listed = successor.listing()["alarms"]
    assert [(one["id"], one["acknowledged"], one["told"]) for one in listed] == [(1, True, ["near"])]
    assert len(post.sent) == 1


def test_a_state_file_of_garbage_stops_nobody(place):
    place.layout.alarms_state.parent.mkdir()
    place.layout.alarms_state.write_bytes(b"\x00 not ours")
    post = Post()
    office = Office(place, post)
    office.turn([arc()])
    wait_for(lambda: post.sent, "a message")
    office.close()
    assert json.loads(place.layout.alarms_state.read_text())["alarms"]


def test_a_state_that_cannot_be_kept_is_said_and_stops_nobody(place):
    place.layout.alarms_state.parent.write_text("a file where the folder should be")
    post = Post()
    office = Office(place, post)
    office.turn([arc()])
    wait_for(lambda: post.sent, "a message")
    office.close()
    assert office.listing()["state_fault"]


def test_a_hook_that_hangs_holds_up_neither_the_loop_nor_a_listing(place):
    post = Post()
    post.opened.clear()
    office = Office(place, post)
    began_s = time.monotonic()
    for _ in range(50):
        office.turn([arc()])
    assert office.busy
    assert office.listing()["alarms"]
    assert time.monotonic() - began_s < 5.0
    post.opened.set()
    office.close()


def test_a_hook_that_fails_again_and_again_is_an_alarm_for_the_others(place, monkeypatch):
    monkeypatch.setattr("evapd.alarms.escalation.RETRY_S", (0.0,))
    post = Post()
    post.fails = True
    office = Office(place, post)

    def failing():
        office.turn([arc()])
        return "hook-failing" in [one["name"] for one in office.listing()["alarms"]]

    wait_for(failing, f"{FAILING} failures")
    post.fails = False
    wait_for(lambda: (office.turn([arc()]), office.escalation.failures("near") == 0)[1], "a success")
    office.close()


def test_a_test_of_one_hook_does_not_count_as_an_alarm(place):
    post = Post()
    office = Office(place, post)
    assert office.test("near") == {"testing": ["near"]}
    wait_for(lambda: office.listing()["hooks"]["near"]["test"], "the outcome")
    assert office.listing()["alarms"] == []
    assert "TEST" in post.titles()[0]
    with pytest.raises(StateError, match="no hook 'else'"):
        office.test("else")


def test_the_process_is_started_where_there_are_hooks_and_only_there(place):
    with rig_folder() as folder:
        silent = Supervisor(load_rig(write_rig(folder)), Progress(io.StringIO()))
    speaking = Supervisor(place, Progress(io.StringIO()))
    try:
        assert ("alarms" in silent.children, "alarms" in speaking.children) == (False, True)
    finally:
        silent.stop()
        speaking.stop()


# The command line.


@pytest.fixture
def served(place):
    post = Post()
    office = Office(place, post)
    with Service(place.layout.alarms_ipc, make_commands(office)):
        yield place, office, post
    office.close()


def run(*words):
    return CliRunner().invoke(app, ["alarms", *map(str, words)])


def test_list_and_acknowledge_from_the_command_line(served):
    place, office, post = served
    office.turn([arc()])
    wait_for(lambda: post.sent, "a message")
    folder = ("--folder", place.layout.folder)
    assert "arc: it arcs" in run("list", *folder).output
    assert json.loads(run("list", "--json", *folder).output)["alarms"][0]["name"] == "arc"
    assert "acknowledged: 1" in run("ack", "1", *folder).output
    assert run("ack", "99", *folder).exit_code == 1
    assert run("ack", "some", *folder).exit_code == 2
    assert "silent for" in (run("ack", "all", "--for", "2h", *folder), run("list", *folder))[1].output


def test_a_test_says_what_came_of_it_and_fails_when_one_did_not_arrive(served):
    place, _, post = served
    good = run("test", "near", "--folder", place.layout.folder)
    post.fails = True
    bad = run("test", "near", "--folder", place.layout.folder)
    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert "near: sent" in good.output
    assert "near: FAILED" in bad.output
    assert "no way" in bad.output


def test_a_test_from_the_rig_file_needs_no_process(place):
    done = run("test", "--config", place.path, "--json")
    assert done.exit_code == 0
    assert json.loads(done.output)["near"]["ok"]


def test_without_a_process_the_command_line_says_what_to_do(place):
    done = run("list", "--folder", place.layout.folder)
    assert done.exit_code == 1
    assert "evapd run" in done.output


@pytest.mark.parametrize(
    ("text", "value"), [("2h", 7200.0), ("30min", 1800.0), ("90s", 90.0), ("1d", 86400.0), ("0.5 h", 1800.0)]
)
def test_durations_are_read(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "2", "h", "-1h", "0s", "8d", "1e9s", "2 weeks"])
def test_what_is_no_duration_is_refused(text):
    assert run("ack", "all", "--for", text).exit_code == 2


def test_every_alarm_is_listed_by_name():
    assert "acquire-gone" in run("names").output
    assert len(json.loads(run("names", "--json").output)) > 60


def test_the_listing_names_who_has_acknowledged(served):
    place, office, _ = served
    office.turn([arc()])
    asked_by = {"name": "anna\n"}
    with Requester(place.layout.alarms_ipc, 30.0, client="display") as requester:
        requester.request("acknowledge", {"id": 1}, asked_by=asked_by)
        listed = requester.request("list")["alarms"][0]
    assert (listed["acknowledged_by"], listed["open"]) == ("anna  (display)", False)
    assert listed["acknowledged_for_s"] >= 0.0


def test_who_acknowledged_outlives_the_process(place):
    office = Office(place, Post())
    office.turn([arc()])
    office.acknowledge(1, None)
    office.close()
    assert Office(place, Post()).listing()["alarms"][0]["acknowledged_by"] == "somebody"


def test_all_up_to_a_number_leaves_out_what_came_later(place):
    office = Office(place, Post())
    later = {"name": "later", "severity": "alarm", "what": "it burns", "active": True, "latch": True}
    heard = arc()
    office.turn([heard])
    heard.content["alarm_list"].append(later)
    office.turn([heard])
    assert office.acknowledge(None, None, 1) == {"acknowledged": [1]}
    assert [one["acknowledged"] for one in office.listing()["alarms"]] == [True, False]
    office.close()
