"""The display's server in front of somebody who means harm."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from evapd.security.roles import Role
from evapd.web import bodies, server
from evapd.web.access import Access, Refusal, Viewer
from evapd.web.bodies import parse
from evapd.web.tokens import Tokens, new_token
from support.stream_daemon import Daemon
from support.wait import wait_for
from support.web_server import WebServer

NOTE = b'{"cmd": "note", "args": {"text": "smuggled"}}'


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon() as one:
        yield one


@pytest.fixture
def web(daemon: Daemon, tmp_path: Path) -> Iterator[WebServer]:
    with WebServer(daemon, tmp_path, max_clients=1) as one:
        yield one


def opened(web: WebServer) -> socket.socket:
    return socket.create_connection(web.address.split(":"), timeout=30)


def request(web: WebServer, first: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([first, f"Host: {web.address}", *headers, "", ""]).encode() + body


def note(web: WebServer) -> bytes:
    return request(
        web, "POST /api/command HTTP/1.1", "Content-Type: application/json", f"Content-Length: {len(NOTE)}", body=NOTE
    )  # fmt: skip


def until_closed(raw: socket.socket) -> bytes:
    said = b""
    try:
        while more := raw.recv(65536):
            said += more
    except ConnectionError:
        return said
    return said


def test_a_request_with_two_lengths_is_refused_and_nothing_behind_it_is_read(
    web: WebServer, daemon: Daemon
) -> None:
    both = request(
        web,
        "POST /api/command HTTP/1.1",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        body=b"0\r\n\r\n",
    )
    with opened(web) as raw:
        raw.sendall(both + note(web))
        said = until_closed(raw)
    assert said.startswith(b"HTTP/1.1 400")
    assert said.count(b"HTTP/1.1") == 1
    assert daemon.calls == []


def test_what_hides_behind_a_proxys_request_is_never_taken_for_local(web: WebServer, daemon: Daemon) -> None:
    with opened(web) as raw:
        raw.sendall(request(web, "GET /api/session HTTP/1.1", "X-Forwarded-For: 203.0.113.1") + note(web))
        said = until_closed(raw)
    assert said.startswith(b"HTTP/1.1 401")
    assert said.count(b"HTTP/1.1") == 1
    assert daemon.calls == []


@pytest.mark.parametrize(
    "twice",
    [
        ("Origin: http://evil.example", "Origin: http://{here}"),
        ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-origin"),
        ("Authorization: Bearer x", "Authorization: Basic x"),
    ],
)
def test_a_header_that_stands_twice_is_refused(web: WebServer, twice: tuple[str, str]) -> None:
    headers = [one.replace("{here}", web.address) for one in twice]
    with opened(web) as raw:
        raw.sendall(request(web, "GET /api/session HTTP/1.1", *headers))
        assert until_closed(raw).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X-Forwarded-Port", "X-Client-IP", "CF-Connecting-IP"])
def test_whatever_a_proxy_adds_a_token_is_needed(web: WebServer, name: str) -> None:
    assert web.ask("/api/session", headers={name: "x"})[0] == 401


def test_a_proxy_that_adds_nothing_and_speaks_the_old_http_is_not_local(web: WebServer) -> None:
    with opened(web) as raw:
        raw.sendall(request(web, "GET /api/session HTTP/1.0"))
        assert until_closed(raw).startswith(b"HTTP/1.1 401")


def test_under_the_name_that_a_proxy_serves_nobody_is_local(tmp_path: Path) -> None:
    token = new_token(tmp_path / "tokens.yaml", "kiosk", Role.READ)
    access = Access("127.0.0.1:17606", Tokens(tmp_path / "tokens.yaml"), ("probe.example",), Role.OPERATE)
    asked = access.judge({"host": "probe.example"}, "127.0.0.1", "")
    assert isinstance(asked, Refusal)
    assert asked.status == 401
    assert access.judge({"host": "probe.example"}, "127.0.0.1", token) == Viewer("kiosk", Role.READ)


@pytest.mark.parametrize(
    "body",
    [b'{"cmd": "alarms_acknowledge", "args": {"id": 1e400}}', b'{"cmd": "set", "args": {"target_rate": NaN}}',
     b'{"cmd": "set", "args": {"target_rate": -Infinity}}', b'{"cmd": "set", "args": ' + b"[" * 40 + b"]" * 40 + b"}"],
)  # fmt: skip
def test_a_number_that_is_none_is_not_passed_on_as_nothing(body: bytes) -> None:
    assert isinstance(parse(body), Refusal)


def test_an_abort_is_taken_whatever_stands_beside_it(web: WebServer, daemon: Daemon) -> None:
    body = b'{"cmd": "abort", "args": {"reason": "\\ud800", "x": NaN}}'
    assert web.ask("/api/command", body)[0] == 200
    assert [name for name, _ in daemon.calls] == ["abort"]


def test_a_body_that_never_becomes_whole_is_given_up(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_S", 0.2)
    with opened(web) as raw:
        raw.sendall(note(web)[:-5])
        assert until_closed(raw).startswith(b"HTTP/1.1 408")


def test_half_of_a_second_request_does_not_hold_a_connection(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_S", 0.3)
    with opened(web) as raw:
        raw.sendall(request(web, "GET /api/session HTTP/1.1"))
        assert raw.recv(65536).startswith(b"HTTP/1.1 200")
        raw.sendall(b"GET / HT")
        until_closed(raw)  # ends, or the socket's own time-out fails the test


def test_who_holds_every_connection_keeps_no_abort_out(web: WebServer, daemon: Daemon) -> None:
    held = [opened(web) for _ in range(100)]  # the server is for 20
    try:
        assert web.command("abort")[0] == 200
    finally:
        for one in held:
            one.close()
    assert [name for name, _ in daemon.calls] == ["abort"]


@pytest.mark.parametrize(
    "frame", [b"\x89\xfd\0\0\0\0" + b"p" * 125, b"\x00\x80\0\0\0\0"], ids=["pings", "fragments"]
)
def test_a_viewer_who_floods_below_the_level_of_messages_is_put_out(web: WebServer, frame: bytes) -> None:
    with connect(f"ws://{web.address}/ws", max_size=None, open_timeout=20) as viewer:
        viewer.recv(timeout=20)
        raw = viewer.socket
        start = b"" if frame[0] == 0x89 else b"\x02\x80" + struct.pack(">I", 0)
        with contextlib.suppress(OSError):  # put out while still shouting
            raw.sendall(start + frame * 20_000)
        wait_for(lambda: web.hub.viewers == 0, "the end of the flood", 30.0)


@pytest.mark.parametrize("path", ["/static", "/api/runs/"])
def test_nobody_is_sent_on_to_a_host_that_the_request_names(web: WebServer, path: str) -> None:
    assert web.ask(path, headers={"Host": "evil.example"})[0] == 404
