"""Bytes that no honest client sends, at every socket of a daemon, with keys and without; what is served goes on."""

import random
import socket
import struct
from contextlib import ExitStack, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evapd.rpc import Command, NoArgs, Requester, Service
from evapd.security.roles import Role
from evapd.stream import sockets
from evapd.stream.frame import EVENT
from evapd.stream.publisher import Publisher
from evapd.stream.subscriber import Subscriber
from support.keyring import Keyring
from support.raw_zmtp import SIGNATURE, command, dial, enter, greeting, hangs_up, message, ready

TCP = "tcp://127.0.0.1:*"
HELLO = command(b"HELLO", b"\x01\x00" + bytes(192))
ZMTP_1 = b"\x01\x00" + b"\x06\x00hello"
ZMTP_2 = SIGNATURE + b"\x01\x05\x00\x00" + b"\x00\x05hello"
STRANGE = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), b"\0" * 500,
    b"\xff" * 500, ZMTP_1, ZMTP_2, b"\x0b\x00user.hello\n" * 20, greeting(b"CURVE") + HELLO,
    greeting(b"CURVE") + HELLO + command(b"INITIATE", bytes(248)), greeting(b"PLAIN") + command(b"HELLO", b"\x01a\x01b"),
    greeting(b"CURVE", as_server=True), greeting(version=b"\x03\xff"), greeting(version=b"\xff\x00") * 3,
    greeting() + command(b"READY", b"\xff" * 20), greeting() + b"\x06" + struct.pack(">Q", 2**63) + b"READY",
    greeting() + command(b"ERROR", b"\x03no!"), greeting() + ready(Socket_Type=b"\xff\xfe"),
    greeting() + ready(Socket_Type=b"SUB") + b"\x02" + struct.pack(">Q", 2**62),
]  # fmt: skip


class Daemon:
    """A control socket and the three of the stream, with keys or without."""

    def __init__(self, opened, ring, *, keyed):
        access = ring.access() if keyed else None
        self.keys = access.own if access else None
        self.asked = 0
        self.service = opened.enter_context(
            Service(TCP, [Command("look", NoArgs, self._look, who=Role.READ)], access=access)
        )
        self.publisher = opened.enter_context(
            Publisher(
                TCP, TCP, TCP, instance="i", budget_bytes=10**6, snapshot=dict, next_seq=dict, access=access
            )
        )

    def _look(self, _):
        self.asked += 1
        return {}

    @property
    def ports(self):
        addresses = (
            self.service.address,
            self.publisher.address,
            self.publisher.live_address,
            self.publisher.replay_address,
        )
        return [int(address.rpartition(":")[2]) for address in addresses]

    def serves_on(self):
        with Requester(self.service.address, 20.0, keys=self.keys) as requester:
            requester.request("look")
        with Subscriber(self.publisher.address, None, (EVENT,), keys=self.keys) as subscriber:
            return subscriber.await_welcome(30.0) and self.publisher.alive and self.service.alive


@pytest.fixture(params=[True, False], ids=["keys", "no keys"])
def daemon(request, tmp_path, monkeypatch):
    monkeypatch.setattr(sockets, "HANDSHAKE_MS", 500)
    with ExitStack() as opened:
        yield Daemon(opened, Keyring(tmp_path), keyed=request.param)


def test_strange_bytes_at_every_socket_reach_nobody_and_end_the_connection(daemon):
    with ExitStack() as opened:
        links = []
        for port in daemon.ports:
            for said in STRANGE:
                link = opened.enter_context(dial(port))
                with suppress(OSError):
                    link.sendall(said)
                links.append(link)
        assert [link for link in links if not hangs_up(link, 3.0)] == []
    assert (daemon.asked, daemon.service.rejected) == (0, 0)
    assert daemon.publisher.stats().subscribers == {}
    assert daemon.serves_on()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_handshake_reaches_nobody(daemon, data):
    whole = bytearray(
        greeting(data.draw(st.sampled_from([b"NULL", b"CURVE", b"PLAIN"])))
        + HELLO
        + ready(Socket_Type=b"REQ")
    )
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=8)):
        whole[place] = data.draw(st.integers(0, 255))
    with dial(data.draw(st.sampled_from(daemon.ports))) as link, suppress(OSError):
        link.sendall(bytes(whole)[: data.draw(st.integers(0, len(whole)))])
    assert (daemon.asked, daemon.service.rejected) == (0, 0)


def test_what_was_damaged_before_is_served_on(daemon):
    dice = random.Random(6)
    for _ in range(200):
        with dial(dice.choice(daemon.ports)) as link, suppress(OSError):
            link.sendall(dice.randbytes(dice.randrange(300)))
            if dice.random() < 0.5:  # not even a goodbye: the other side sees a reset
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert daemon.serves_on()


@pytest.mark.parametrize("daemon", [False], indirect=True)
def test_a_part_that_is_too_long_ends_the_connection(daemon):
    for port, limit in zip(daemon.ports, (128 * 1024, 256, 256, 1024), strict=True):
        with dial(port) as link:
            enter(link, Socket_Type=b"SUB" if limit == 256 else b"DEALER", Identity=b"")
            with suppress(OSError):
                link.sendall(message(bytes(limit + 1)))
            assert hangs_up(link, 3.0)
    assert daemon.serves_on()
