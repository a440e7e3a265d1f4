"""Who gets in over real sockets: roles, revocation, strangers, and a gate that fails."""

import logging
import socket
import time
from contextlib import ExitStack, closing

import pytest
import zmq

from evapd.errors import ConfigError, RequestError, RequestTimeout
from evapd.rpc import Command, NoArgs, Requester, Service
from evapd.security import folder
from evapd.security.access import Access
from evapd.security.gate import _SAY_EVERY_S, Gate
from evapd.security.keys import ClientKeys
from evapd.security.listener import Listener
from evapd.security.roles import Role
from evapd.stream import sockets
from evapd.stream.frame import EVENT
from evapd.stream.publisher import Publisher
from evapd.stream.sockets import bind, open_socket
from evapd.stream.subscriber import Subscriber
from support.keyring import Keyring
from support.raw_zmtp import dial, enter, greeting, hangs_up, message, ready
from support.wait import wait_for

PATIENCE_S = 30.0  # for what does come
TCP = "tcp://127.0.0.1:*"
COMMANDS = [
    Command("look", NoArgs, lambda _: {"seen": True}, who=Role.READ),
    Command("touch", NoArgs, lambda _: {"touched": True}),
    Command("abort", NoArgs, lambda _: {"accepted": True}, always=True),
]


@pytest.fixture
def ring(tmp_path):
    return Keyring(tmp_path)


@pytest.fixture(autouse=True)
def _short_handshakes(monkeypatch):
    """A refused client tries again when this time is over."""
    monkeypatch.setattr(sockets, "HANDSHAKE_MS", 300)


@pytest.fixture
def opened():
    with ExitStack() as stack:
        yield stack


def port_of(service):
    return int(service.address.rpartition(":")[2])


def router_in(context):
    return open_socket(context, zmq.ROUTER, max_message_bytes=1000, send_hwm=10, receive_hwm=10)


def ask(service, keys, command="look", timeout_s=PATIENCE_S):
    with Requester(service.address, timeout_s, keys=keys) as requester:
        return requester.request(command)


def publisher(access, framer_instance="i"):
    return Publisher(
        TCP, TCP, TCP, instance=framer_instance, budget_bytes=1_000_000, snapshot=lambda: {"who": "daemon"},
        next_seq=dict, access=access,
    )  # fmt: skip


# -- roles -------------------------------------------------------------------------------------------------------


def test_a_reader_looks_and_aborts_but_does_not_touch(ring, opened):
    alice = ring.client("alice", "read")
    service = opened.enter_context(Service(TCP, COMMANDS, access=ring.access()))
    assert ask(service, alice) == {"seen": True}
    assert ask(service, alice, "abort") == {"accepted": True}
    with pytest.raises(RequestError) as refused:
        ask(service, alice, "touch")
    assert refused.value.kind == "Forbidden"


def test_an_operator_and_the_daemons_own_programs_may_do_everything(ring, opened):
    access = ring.access()
    service = opened.enter_context(Service(TCP, COMMANDS, access=access))
    for keys in (ring.client("olga", "operate"), access.own):
        wait_for(lambda: access.peer(keys.public.decode()), "the list to be read")  # noqa: B023 - used at once
        assert ask(service, keys, "touch") == {"touched": True}


def test_a_client_that_is_allowed_while_the_daemon_runs_gets_in(ring, opened):
    service = opened.enter_context(Service(TCP, COMMANDS, access=ring.access()))
    bob = ring.client("bob")
    with pytest.raises(RequestTimeout):
        ask(service, bob, timeout_s=0.4)
    folder.allow(ring.server, bob.public.decode(), "bob", Role.READ)
    assert ask(service, bob, timeout_s=PATIENCE_S) == {"seen": True}


def test_another_role_holds_for_a_connection_that_stands(ring, opened):
    alice = ring.client("alice", "operate")
    service = opened.enter_context(Service(TCP, COMMANDS, access=ring.access()))
    requester = opened.enter_context(Requester(service.address, PATIENCE_S, keys=alice))
    assert requester.request("touch")
    folder.allow(ring.server, alice.public.decode(), "alice", Role.READ)

    def forbidden():
        try:
            return not requester.request("touch")
        except RequestError as error:
            return error.kind == "Forbidden"

    wait_for(forbidden, "the new role to hold")
    assert requester.request("look")


# -- strangers ---------------------------------------------------------------------------------------------------


def test_who_is_not_on_the_list_has_no_key_or_mistakes_the_daemon_gets_no_answer(ring, opened):
    alice, mallory = ring.client("alice", "operate"), ring.client("mallory")
    service = opened.enter_context(Service(TCP, COMMANDS, access=ring.access()))
    wrong_daemon = ClientKeys(alice.public, mallory.public, alice.secret)
    stolen_public = ClientKeys(alice.public, alice.server, mallory.secret)
    for keys in (mallory, None, wrong_daemon, stolen_public):
        with pytest.raises(RequestTimeout):
            ask(service, keys, timeout_s=0.5)
    assert ask(service, alice) == {"seen": True}


@pytest.mark.parametrize("mechanism", [b"NULL", b"PLAIN", b"GSSAPI", b"", b"\xff" * 20])
@pytest.mark.parametrize("keyed", [True, False])
def test_a_raw_peer_of_another_mechanism_is_sent_away(ring, opened, mechanism, keyed):
    service = opened.enter_context(Service(TCP, COMMANDS, access=ring.access() if keyed else None))
    link = opened.enter_context(dial(port_of(service)))
    link.sendall(greeting(mechanism) + ready(Socket_Type=b"DEALER", Identity=b""))
    if mechanism == b"NULL" and not keyed:
        got = b""  # greeting and READY come in one piece or in several
        while b"READY" not in got:
            got += link.recv(200) or pytest.fail(f"hung up after {got!r}")
    else:
        assert hangs_up(link, PATIENCE_S)


def test_a_peer_that_claims_another_user_id_is_who_its_connection_proves(opened):
    context = opened.enter_context(zmq.Context())
    gate = Gate(context, Access())
    opened.callback(gate.close)
    router = opened.enter_context(router_in(context))
    door = bind(router, TCP, gate)
    link = opened.enter_context(dial(int(door.endpoint.rpartition(":")[2])))
    enter(link, Socket_Type=b"DEALER", Identity=b"", User_Id=b"operator")
    link.sendall(message(b"hello"))
    assert router.poll(1000 * PATIENCE_S)
    frame = router.recv_multipart(copy=False)[-1]
    assert (frame.bytes, frame.get("User-Id")) == (b"hello", "local")


def test_without_keys_another_address_than_this_machines_is_refused():
    for address in (
        "tcp://0.0.0.0:*",
        "tcp://*:*",
        "tcp://[::]:*",
        "tcp://192.0.2.2:5",
        "tcp://example.org:5",
    ):
        with pytest.raises(ConfigError, match="no keys"):
            Service(address, COMMANDS).open()


@pytest.mark.parametrize(
    "address", ["tcp://0.0.0.0:*", "tcp://*:*", "tcp://[::]:*", "tcp://localhost:*", "tcp://[::1]:*"]
)
def test_with_keys_every_address_serves_those_that_have_one(ring, opened, address):
    alice = ring.client("alice", "read")
    service = opened.enter_context(Service(address, COMMANDS, access=ring.access()))
    host = "[::1]" if address == "tcp://[::1]:*" else "127.0.0.1"
    with Requester(f"tcp://{host}:{port_of(service)}", PATIENCE_S, keys=alice) as requester:
        assert requester.request("look") == {"seen": True}
    with pytest.raises(RequestTimeout), Requester(f"tcp://{host}:{port_of(service)}", 0.3) as stranger:
        stranger.request("look")


def test_a_unix_socket_needs_no_keys_and_is_its_groups_alone(ring, opened, tmp_path):
    service = opened.enter_context(Service(f"ipc://{tmp_path / 's'}", COMMANDS, access=ring.access()))
    assert ask(service, ring.client("alice"), "touch") == {"touched": True}
    assert ask(service, None, "touch") == {"touched": True}
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660


# -- revocation --------------------------------------------------------------------------------------------------


def test_a_revoked_key_is_not_answered_any_more_on_a_connection_that_stands(ring, opened):
    alice = ring.client("alice", "operate")
    service = opened.enter_context(Service(TCP, COMMANDS, access=ring.access()))
    requester = opened.enter_context(Requester(service.address, PATIENCE_S, keys=alice))
    assert requester.request("touch")
    folder.remove(ring.server, "alice")

    def silent():
        try:
            return not requester.request("touch", timeout_s=0.5)
        except RequestTimeout:
            return True

    wait_for(silent, "the end of the answers")


def test_a_revoked_subscriber_is_cut_off_and_the_others_come_back(ring, opened):
    alice, bob, access = ring.client("alice", "read"), ring.client("bob", "read"), ring.access()
    stream = opened.enter_context(publisher(access))
    heard = {}
    for name, keys in (("alice", alice), ("bob", bob)):
        heard[name] = Subscriber(stream.address, stream.replay_address, (EVENT,), keys=keys)
        opened.callback(heard[name].close)
        assert heard[name].await_welcome(30.0)
        assert heard[name].welcome["state"] == {"who": "daemon"}
    folder.remove(ring.server, "alice")
    wait_for(lambda: access.revoked, "the list to be read")
    live = access.counts.admitted
    stream.publish_live({})  # the publisher wakes
    wait_for(lambda: access.counts.admitted > live, "bob to come again")
    wait_for(lambda: access.counts.refused, "alice to be refused")

    def one_left():
        heard["alice"].receive(0.01)  # libzmq subscribes again only while its user listens
        heard["bob"].receive(0.01)
        return stream.stats().subscribers.get(EVENT) == 1

    wait_for(one_left, "one subscriber")


# -- a gate that fails -------------------------------------------------------------------------------------------


class Broken(Access):
    def judge(self, mechanism, address, credentials):
        raise RuntimeError("broken")


def test_what_cannot_be_judged_is_refused_and_the_gate_goes_on(opened):
    access = Broken()
    service = opened.enter_context(Service(TCP, COMMANDS, access=access))
    with pytest.raises(RequestTimeout):
        ask(service, None, timeout_s=0.4)
    wait_for(lambda: access.counts.faults, "the stranger to be judged")
    access.judge = Access().judge
    assert ask(service, None, timeout_s=PATIENCE_S)


def test_a_gate_whose_thread_fails_lets_nobody_in_and_opens_again(opened, monkeypatch, caplog):
    context = opened.enter_context(zmq.Context())
    gate = Gate(context, Access())
    failing = [True]
    monkeypatch.setattr(gate, "_limit", lambda: 1 // (not failing[0]))
    opened.callback(gate.close)
    router = opened.enter_context(router_in(context))
    door = bind(router, TCP, gate)
    with caplog.at_level(logging.CRITICAL):
        wait_for(lambda: "the gate failed" in caplog.text, "the failure to be told")
    dealer = opened.enter_context(
        open_socket(
            opened.enter_context(zmq.Context()), zmq.DEALER, max_message_bytes=99, send_hwm=9, receive_hwm=9
        )
    )
    dealer.immediate, dealer.reconnect_ivl = True, 50
    dealer.connect(door.endpoint)
    failing[0] = False
    assert dealer.poll(1000 * PATIENCE_S, zmq.POLLOUT)


def test_without_a_handler_libzmq_lets_nobody_in(ring, opened):
    for access in (Access(), ring.access()):
        context = opened.enter_context(zmq.Context())
        gate = Gate(context, access)
        router = opened.enter_context(router_in(context))
        door = bind(router, TCP, gate)
        opened.callback(gate.close)
        gate._stop.set()
        gate._thread.join()
        link = opened.enter_context(dial(int(door.endpoint.rpartition(":")[2])))
        link.sendall(greeting() + ready(Socket_Type=b"DEALER", Identity=b"") + message(b"hello"))
        assert hangs_up(link, PATIENCE_S)
        assert not router.poll(100)


def test_strangers_cannot_fill_the_log(opened, caplog):
    service = opened.enter_context(Service(TCP, COMMANDS, access=Broken()))
    with caplog.at_level(logging.WARNING, "evapd.security.gate"):
        began_s = time.monotonic()
        for _ in range(8):
            with dial(port_of(service)) as link:
                link.sendall(greeting() + ready(Socket_Type=b"DEALER", Identity=b"\x1b[2J\n" * 40))
                hangs_up(link, 1.0)
    refusals = [record for record in caplog.records if "refused: " in record.getMessage()]
    assert len(refusals) <= 1 + (time.monotonic() - began_s) / _SAY_EVERY_S
    assert "\x1b" not in caplog.text


def test_what_the_kernel_holds_for_a_connection_is_bounded_where_it_was_asked_for():
    listener = Listener("tcp://127.0.0.1:*", 100_000)
    with (
        closing(listener),
        socket.socket(fileno=listener.duplicate()) as accepting,
        socket.create_connection(("127.0.0.1", listener.port)),
        accepting.accept()[0] as link,
    ):  # the kernel counts its own needs, too
        assert link.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 200_000
