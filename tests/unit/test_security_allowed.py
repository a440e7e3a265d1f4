"""The allow-list: readable, strict, read again when it changes; what is wrong in it lets nobody in."""

import os

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import ConfigError
from evapd.security import folder
from evapd.security.access import Access
from evapd.security.allowed import AllowList, parse
from evapd.security.roles import LOCAL, Peer, Role
from support.keyring import Keyring

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
OTHER = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"


@pytest.fixture
def ring(tmp_path):
    return Keyring(tmp_path)


def test_a_line_says_name_role_and_key():
    good, bad = parse(f"# head\n\nalice operate {KEY}\nbob\tread  {OTHER}\n", "allowed")
    assert [(entry.name, entry.role, entry.key) for entry in good] == [
        ("alice", Role.OPERATE, KEY),
        ("bob", Role.READ, OTHER),
    ]
    assert bad == []


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (f"alice operate {KEY[:-1]}", "1:15: the third"), (f"alice admin {KEY}", "1:7: the second"),
        (f"alice Operate {KEY}", "1:7: the second"), ("alice", "1:1: 1 words"), (f"a b read {KEY}", "1:1: 4 words"),
        (f"local operate {KEY}", "1:1: the first"), (f"server read {KEY}", "1:1: the first"),
        (f"al\x1bice read {KEY}", "1:1: the first"), (f"alice read {'#' * 40}", "1:12: the third"),
    ],
)  # fmt: skip
def test_a_line_that_is_not_right_lets_nobody_in_and_says_where(line, place):
    good, (problem,) = parse(line, "allowed")
    assert good == []
    assert problem.startswith(f"allowed:{place}")
    assert "\x1b" not in problem


@pytest.mark.parametrize("second", [f"alice read {OTHER}", f"bob read {KEY}"])
def test_a_name_and_a_key_stand_once(second):
    good, (problem,) = parse(f"alice operate {KEY}\n{second}\n", "allowed")
    assert [entry.name for entry in good] == ["alice"]
    assert "stands above already" in problem


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error(text):
    good, problems = parse(text, "allowed")
    assert all(entry.line for entry in good)
    assert all(problem.startswith("allowed:") for problem in problems)


def test_a_change_is_seen_and_a_revocation_counted(ring):
    ring.client("alice", "read")
    listed = AllowList(ring.server)
    assert listed.refresh()
    assert not listed.refresh()
    assert set(listed.peers.values()) == {Peer("alice", Role.READ)}
    folder.remove(ring.server, "alice")
    assert listed.refresh()
    assert (dict(listed.peers), listed.revoked) == ({}, 1)


@pytest.mark.parametrize("harm", ["missing", "writable", "fifo", "symlink", "folder open"])
def test_a_list_that_cannot_be_trusted_lets_nobody_in(ring, harm):
    ring.client("alice", "operate")
    listed, path = AllowList(ring.server), ring.server / "allowed"
    listed.refresh()
    if harm == "writable":
        path.chmod(0o666)
    elif harm == "folder open":
        ring.server.chmod(0o777)
    else:
        path.rename(ring.path / "gone")
        if harm == "fifo":
            os.mkfifo(path, 0o600)
        elif harm == "symlink":
            path.symlink_to(ring.path / "gone")
    assert listed.refresh()
    assert dict(listed.peers) == {}
    assert listed.problems


def test_what_was_repaired_holds_again(ring):
    ring.client("alice", "operate")
    listed, path = AllowList(ring.server), ring.server / "allowed"
    path.rename(ring.path / "gone")
    listed.refresh()
    (ring.path / "gone").rename(path)
    listed.refresh()
    assert [peer.name for peer in listed.peers.values()] == ["alice"]


def test_keys_without_a_sound_list_do_not_start(ring):
    (ring.server / "allowed").write_text("alice\n")
    with pytest.raises(ConfigError, match=r"allowed:1:1: "):
        Access.load(ring.server)


def test_comments_stay_when_clients_come_and_go(ring):
    path = ring.server / "allowed"
    path.write_text(path.read_text() + "# the laptop in 1.17\n")
    ring.client("alice", "read")
    folder.remove(ring.server, "alice")
    assert "# the laptop in 1.17\n" in path.read_text()
    assert "alice" not in path.read_text()


def test_a_role_may_change_but_a_name_keeps_its_key(ring):
    alice = ring.client("alice", "read")
    assert folder.allow(ring.server, alice.public.decode(), "alice", Role.OPERATE)
    assert not folder.allow(ring.server, alice.public.decode(), "alice", Role.OPERATE)
    with pytest.raises(ConfigError, match="another key"):
        folder.allow(ring.server, OTHER, "alice", Role.READ)
    with pytest.raises(ConfigError, match="that of alice"):
        folder.allow(ring.server, alice.public.decode(), "bob", Role.READ)


@pytest.mark.parametrize("name", ["", "local", "server", "a b", "-x", "ä", "a\n", "a" * 33, "../x"])
def test_a_name_that_could_mislead_is_refused(ring, name):
    with pytest.raises(ConfigError, match="not a name"):
        folder.allow(ring.server, KEY, name, Role.READ)


def test_the_daemons_own_key_is_not_listed(ring):
    with pytest.raises(ConfigError, match="own key"):
        folder.allow(ring.server, ring.public, "myself", Role.OPERATE)


# -- who is let in -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "let_in"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("localhost:0:0:77", True),
     ("192.168.1.5", False), ("::ffff:192.168.1.5", False), ("", False), ("localhost", False), ("evil", False)],
)  # fmt: skip
def test_without_keys_only_this_machine_is_let_in(address, let_in):
    assert (Access().judge("NULL", address, []) == LOCAL.name) == let_in


@pytest.mark.parametrize(
    ("mechanism", "credentials"),
    [
        ("PLAIN", [b"alice", b"secret"]),
        ("GSSAPI", [b"alice"]),
        ("", []),
        ("CURVE", [b"x" * 32]),
        ("NULL", [b"x"]),
    ],
)
def test_other_mechanisms_are_refused_without_keys(mechanism, credentials):
    assert Access().judge(mechanism, "127.0.0.1", credentials) is None


def test_with_keys_no_tcp_connection_comes_in_without_one(ring):
    access = ring.access()
    assert access.judge("NULL", "127.0.0.1", []) is None
    assert access.judge("NULL", "localhost:1000:1000:5", []) == LOCAL.name


def test_a_key_is_judged_by_the_list_as_it_is_now(ring):
    alice, mallory = ring.client("alice", "read"), ring.client("mallory")
    access = ring.access()
    raw = {keys: zmq.utils.z85.decode(keys.public) for keys in (alice, mallory)}
    assert access.peer(access.judge("CURVE", "10.0.0.9", [raw[alice]])) == Peer("alice", Role.READ)
    assert access.judge("CURVE", "10.0.0.9", [raw[mallory]]) is None
    folder.remove(ring.server, "alice")
    access.refresh()
    assert access.judge("CURVE", "10.0.0.9", [raw[alice]]) is None
    assert access.peer(alice.public.decode()) is None


def test_the_daemons_own_programs_are_let_in(ring):
    access = ring.access()
    assert access.peer(access.own.public.decode()) == Peer("server", Role.OPERATE)
