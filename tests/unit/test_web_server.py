"""The display's server, over real sockets, in front of a daemon without instruments."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from evapd.security.roles import Role
from evapd.web import server
from evapd.web.tokens import Tokens, new_token
from support.stream_daemon import Daemon
from support.wait import wait_for
from support.web_server import WebServer


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon() as one:
        yield one


@pytest.fixture
def web(daemon: Daemon, tmp_path: Path) -> Iterator[WebServer]:
    with WebServer(daemon, tmp_path) as one:
        yield one


def viewing(web: WebServer, **options: object) -> ClientConnection:
    return connect(f"ws://{web.address}/ws", max_size=None, open_timeout=10, **options)  # type: ignore[arg-type]


def kinds(viewer: ClientConnection, until: str) -> dict[str, dict]:
    """Give the newest message of each kind until one of `until` came."""
    found = {}
    while until not in found:
        message = json.loads(viewer.recv(timeout=20))
        found[message["kind"]] = message["data"]
    return found


def test_the_page_and_what_it_needs_come_from_here_alone(web: WebServer) -> None:
    status, headers, body = web.ask("/")
    assert status == 200
    assert b"<title>evapd</title>" in body
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert b"http://" not in body.replace(b"http://www.w3.org", b"")
    assert web.ask("/plotly.min.js")[0] == 200


def test_the_page_holds_no_inline_script(web: WebServer) -> None:
    body = web.ask("/")[2]
    assert body.count(b"<script") == 1
    assert b'<script type="module" src="/static/js/main.js"></script>' in body
    assert b"onclick" not in body


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/runs/..%2f..%2fetc/report",
        "/runs/%00/report",
        "/nothing",
    ],
)
def test_nothing_else_is_served(web: WebServer, path: str) -> None:
    status, _, body = web.ask(path)
    assert status == 404
    assert b"import" not in body


def test_a_command_goes_to_the_daemon_and_its_answer_back(web: WebServer, daemon: Daemon) -> None:
    status, answer = web.command("set", {"target_rate": 0.02})
    assert (status, answer["ok"]) == (200, True)
    assert daemon.calls == [("set", {"target_rate": 0.02, "hold": None})]


def test_what_the_daemon_refuses_is_told_in_its_words(web: WebServer) -> None:
    status, answer = web.command("start", {"name": "second"})
    assert status == 409
    assert answer["error"] == {"kind": "StateError", "message": answer["error"]["message"]}
    assert "under way" in answer["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_nothing_is_controlled_but_by_post(web: WebServer, daemon: Daemon, method: str) -> None:
    assert web.ask("/api/command?cmd=abort", method=method)[0] == 405
    assert daemon.calls == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"X-Forwarded-For": "203.0.113.1"},
        {"Authorization": "Bearer wrong"},
    ],
)
def test_another_site_or_a_stranger_controls_nothing(
    web: WebServer, daemon: Daemon, headers: dict[str, str]
) -> None:
    status, _, _ = web.ask("/api/command", {"cmd": "abort", "args": {}}, headers)
    assert status in {401, 403, 415}
    assert daemon.calls == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"cmd": 3}',
        b'{"cmd": "set", "args": []}',
        b"[" * 30_000,
        b"\xff\xfe",
        b'{"cmd":"abort","args":' + b"1" * 70_000,
    ],
)
def test_what_is_no_request_is_refused_and_does_nothing(web: WebServer, daemon: Daemon, body: bytes) -> None:
    assert web.ask("/api/command", body)[0] in {400, 413}
    assert daemon.calls == []


def test_a_command_that_the_page_has_no_use_for_is_refused(web: WebServer) -> None:
    assert web.command("run_begin")[0] == 403
    assert web.command("trace", {"device": "io"})[0] == 403


def test_who_may_only_look_may_abort_and_nothing_else(daemon: Daemon, tmp_path: Path) -> None:
    with WebServer(daemon, tmp_path, role=Role.READ) as web:
        assert web.command("set", {"target_rate": 0.02})[0] == 403
        assert web.command("status")[0] == 200
        assert web.command("abort")[0] == 200
    assert [name for name, _ in daemon.calls] == ["abort"]


def test_a_token_gives_its_role_also_to_the_websocket(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    token = new_token(path, "kiosk", Role.READ)
    with WebServer(daemon, tmp_path, tokens=Tokens(path)) as web:
        assert (
            json.loads(web.ask("/api/session", headers={"Authorization": f"Bearer {token}"})[2])["role"]
            == "read"
        )
        with viewing(web, subprotocols=["evapd.1", f"evapd.token.{token}"]) as viewer:
            assert viewer.subprotocol == "evapd.1"  # a token is never sent back
            assert kinds(viewer, "hello")["hello"]["name"] == "kiosk"


def test_the_live_document_arrives_as_it_was_sent(web: WebServer, daemon: Daemon) -> None:
    with viewing(web) as viewer:
        wait_for(
            lambda: daemon.publisher.publish_live({"hits": 7, "text": "é"}) or web.relay_has_heard(),
            "the live frame",
            30.0,
            every_s=0.05,
        )
        found = kinds(viewer, "live")
    assert found["live"] == {"hits": 7, "text": "é"}


def test_the_points_that_came_are_there_for_a_page_that_is_opened_late(
    web: WebServer, daemon: Daemon
) -> None:
    packed = {
        "n": 1,
        "xyz_nm": {"dtype": "<f4", "shape": [1, 3], "data": "AACAPwAAAEAAAEBA"},
        "ion": {"data": "Ag=="},
    }
    live = {"n": 4, "instance": "i", "analysis": {"run": "r"}, "points": packed}
    wait_for(
        lambda: daemon.publisher.publish_live(live) or b'"run": "r"' in web.ask("/api/points")[2],
        "the points",
        20.0,
    )
    status, headers, body = web.ask("/api/points")
    assert (status, headers["cache-control"]) == (200, "no-store")
    assert body.endswith(bytes.fromhex("0000803f 00000040 00004040 02"))
    assert web.ask("/api/points", headers={"Origin": "http://evil.example"})[0] == 403


def test_silence_of_the_daemon_is_told(web: WebServer) -> None:
    with viewing(web) as viewer:
        assert kinds(viewer, "daemon")["daemon"]["present"] is False


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"X-Forwarded-For": "203.0.113.1"}])
def test_a_websocket_of_a_stranger_is_refused(web: WebServer, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus), viewing(web, additional_headers=headers):
        pass
    assert web.hub.viewers == 0


def test_a_viewer_who_sends_garbage_or_floods_harms_nobody(web: WebServer, daemon: Daemon) -> None:
    with viewing(web) as good:
        with viewing(web) as bad:
            for _ in range(200):
                bad.send(b"\x00garbage")
            bad.send(bytes(1_000_000))
            with pytest.raises(ConnectionClosed):
                kinds(bad, "what never comes")
        with socket.create_connection(web.address.split(":"), timeout=10) as raw:
            raw.sendall(b"\x16\x03\x01 not http at all \r\n\r\n")
        wait_for(
            lambda: daemon.publisher.publish_live({"hits": 1}) or web.relay_has_heard(),
            "the live frame",
            30.0,
            every_s=0.05,
        )
        assert kinds(good, "live")["live"] == {"hits": 1}
        wait_for(lambda: web.hub.viewers == 1, "the bad viewer's leaving", 30.0)


def test_viewers_beyond_the_limit_are_told_to_come_later(daemon: Daemon, tmp_path: Path) -> None:
    with WebServer(daemon, tmp_path, max_clients=1) as web, viewing(web) as first:
        kinds(first, "hello")
        with pytest.raises(InvalidStatus), viewing(web):
            pass


@pytest.mark.parametrize("words", [b"", b"GET / HTTP/1.1\r\nHost: "])
def test_a_request_that_never_becomes_whole_is_ended(
    web: WebServer, monkeypatch: pytest.MonkeyPatch, words: bytes
) -> None:
    monkeypatch.setattr(server, "REQUEST_S", 0.2)
    with viewing(web) as viewer, socket.create_connection(web.address.split(":"), timeout=20) as raw:
        raw.sendall(words)
        assert raw.recv(100) == b""
        kinds(viewer, "daemon")  # who asked for the feed in time keeps it


def test_the_server_ends_while_viewers_are_connected(daemon: Daemon, tmp_path: Path) -> None:
    web = WebServer(daemon, tmp_path).__enter__()
    with viewing(web) as viewer:
        kinds(viewer, "hello")
        web.__exit__(None, None, None)
        with pytest.raises(ConnectionClosed):
            kinds(viewer, "what never comes")
    assert not any(thread.name == "web server" for thread in threading.enumerate())
