"""The page's part of the alarms, in front of a real alarm service."""

import json
import time
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from evapd.alarms.delivery import Outcome
from evapd.alarms.ears import Heard
from evapd.alarms.office import Office
from evapd.alarms.service import make_commands
from evapd.config import load_rig
from evapd.errors import StreamError
from evapd.rpc import Args, Command, NoArgs, Service
from evapd.security.roles import Role
from evapd.web import alarms
from evapd.web.alarms import page_listing
from support.rig_files import rig_folder, write_rig
from support.stream_daemon import Daemon
from support.wait import wait_for
from support.web_server import WebServer

HOOKS = {"near": {"kind": "command", "argv": ["/bin/true"]}}
EVIL = "<img src=x onerror=alert(1)>"


def guard(*names: str) -> Heard:
    listed = [
        {"name": name, "severity": "alarm", "what": EVIL, "active": True, "latch": True} for name in names
    ]
    return Heard(
        "guard",
        {"instance": "g", "energy_state": "safe", "v_dc_v": 0.0, "alarm_list": listed},
        time.monotonic(),
    )


class Place:
    """A rig's alarm office, and a display before it."""

    def __init__(self, loaded, web):
        self.loaded, self.web = loaded, web
        self.office = Office(loaded, lambda *_: Outcome(True, "sent", 0.0))

    def told(self, holds, timeout_s=30.0):
        """Look until the page has been told what holds."""
        until_s = time.monotonic() + timeout_s
        with connect(f"ws://{self.web.address}/ws", max_size=None, open_timeout=10) as viewer:
            while time.monotonic() < until_s:
                message = json.loads(viewer.recv(timeout=20))
                if message["kind"] == "alarms" and holds(message["data"]):
                    return message["data"]
        raise AssertionError("the page was not told")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "ASK_S", 0.1)


@pytest.fixture
def place() -> Iterator[Place]:
    with rig_folder() as folder, Daemon() as daemon:
        loaded = load_rig(write_rig(folder, {"alarms": {"hooks": HOOKS}}))
        loaded.layout.make()
        with WebServer(daemon, folder, alarms_ipc=loaded.layout.alarms_ipc) as web:
            place = Place(loaded, web)
            yield place
            place.office.close()


@pytest.fixture
def served(place: Place) -> Iterator[Place]:
    with Service(place.loaded.layout.alarms_ipc, make_commands(place.office)):
        yield place


def test_open_alarms_reach_the_page_and_an_acknowledged_one_names_who(served: Place) -> None:
    served.office.turn([guard("arc")])
    shown = served.told(lambda data: data["alarms"])["alarms"][0]
    assert (shown["name"], shown["severity"], shown["open"], shown["by"]) == ("arc", "alarm", True, "")
    assert served.web.command("alarms_acknowledge", {"id": shown["id"]})[0] == 200
    seen = served.told(lambda data: data["alarms"] and data["alarms"][0]["by"])["alarms"][0]
    assert (seen["by"], seen["open"]) == ("local (display)", False)


def test_all_that_were_shown_are_acknowledged_and_what_came_since_is_not(served: Place) -> None:
    served.office.turn([guard("arc")])
    served.office.turn([guard("arc", "later")])
    status, answer = served.web.command("alarms_acknowledge", {"up_to": 1, "for_s": 1800})
    assert (status, answer["result"]) == (200, {"acknowledged": [1]})
    found = served.told(lambda data: len(data["alarms"]) == 2)["alarms"]
    assert [(one["name"], one["silent_min"]) for one in found] == [("later", None), ("arc", 30)]


@pytest.mark.parametrize("args", [{"id": 99}, {"id": "1"}, {"for_s": -1}, {"for_s": 1e9}, {"up_to": 0}])
def test_what_the_alarm_process_refuses_is_told_in_its_words(served: Place, args: dict) -> None:
    status, answer = served.web.command("alarms_acknowledge", args)
    assert (status, answer["ok"]) == (409, False)
    assert answer["error"]["message"]


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_another_site_acknowledges_nothing(served: Place, headers: dict[str, str]) -> None:
    served.office.turn([guard("arc")])
    assert served.web.command("alarms_acknowledge", {"id": 1}, **headers)[0] == 403
    assert served.office.listing()["alarms"][0]["open"]


def test_who_may_only_look_acknowledges_nothing(place: Place, tmp_path) -> None:
    with Daemon() as daemon, WebServer(daemon, tmp_path, role=Role.READ) as web:
        status, answer = web.command("alarms_acknowledge", {"id": 1})
    assert status == 403
    assert "may look and abort" in answer["error"]["message"]


def test_an_alarm_process_that_is_gone_is_said_in_words(place: Place) -> None:
    assert place.told(lambda data: data["words"]) == {
        "words": alarms.ABSENT, "alarms": [], "hooks": 0, "fault": ""
    }  # fmt: skip
    assert place.web.command("alarms_acknowledge", {"id": 1})[1]["error"]["message"] == alarms.ABSENT


def test_a_rig_without_hooks_is_told_that_nobody_is_told(tmp_path) -> None:
    with Daemon() as daemon, WebServer(daemon, tmp_path) as web:
        place = Place.__new__(Place)
        place.web = web
        assert place.told(lambda data: data["words"])["words"] == alarms.NOT_SET_UP


def test_an_alarm_process_that_hangs_holds_up_neither_commands_nor_the_feed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "_MOST_ASKED", 0)
    service = Service(place.loaded.layout.alarms_ipc, make_commands(place.office))
    service.open()  # bound, and answers nobody
    try:
        assert place.told(lambda data: data["words"] == alarms.HUNG)
        assert place.web.command("status")[0] == 200
        assert place.web.command("alarms_acknowledge", {})[0] == 504  # too many wait: told at once
    finally:
        service.close()


class Anything(Args):
    """Takes none."""


@pytest.mark.parametrize("listing", [{}, {"alarms": 3, "hooks": {}}, {"alarms": [{"id": "x"}], "hooks": {}}])
def test_a_process_that_answers_no_listing_is_said_in_words(place: Place, listing: dict) -> None:
    commands = [Command("list", NoArgs, lambda _: listing, who=Role.READ)]
    with Service(place.loaded.layout.alarms_ipc, commands):
        assert place.told(lambda data: data["words"])["words"] == alarms.STRANGE


@pytest.mark.parametrize(
    "value", [None, [], "x", {"alarms": [None], "hooks": {}}, {"alarms": {}, "hooks": 3}]
)
def test_what_is_no_listing_is_refused(value: object) -> None:
    with pytest.raises(StreamError):
        page_listing(value, 0.0)  # type: ignore[arg-type]


def test_what_does_not_change_is_told_once(served: Place) -> None:
    served.office.turn([guard("arc")])
    first = page_listing(served.office.listing(), 1000.0)
    assert page_listing(served.office.listing(), 1000.0) == first


def test_nobody_who_comes_later_is_shown_what_was_so_long_ago(served: Place) -> None:
    served.office.turn([guard("arc")])
    served.told(lambda data: data["alarms"])
    wait_for(lambda: "alarms" not in served.web.hub._greeting, "the last list forgotten", 30.0)


@pytest.mark.parametrize(("seen_s", "rows"), [(5.0, 1), (3600.0, 0)])
def test_what_is_over_stays_in_sight_for_a_while_after_somebody_has_seen_it(seen_s: float, rows: int) -> None:
    alarm = {"id": 1, "name": "arc", "severity": "alarm", "what": "", "active": False, "open": False, "times": 1,
             "since_utc": 1.0, "acknowledged": True, "acknowledged_for_s": seen_s, "told": []}  # fmt: skip
    assert len(page_listing({"alarms": [alarm], "hooks": {}}, 10_000.0)["alarms"]) == rows
