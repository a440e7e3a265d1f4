"""Key files: private from their first byte, read only while they are, and never shown."""

import os
import pickle
import stat
import string

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from zmq.utils import z85

from evapd.errors import ConfigError
from evapd.security.files import private_folder, replace, write_new
from evapd.security.keys import ClientKeys, ServerKeys, is_key, keys_from_environment
from support.keyring import Keyring


@pytest.fixture
def ring(tmp_path):
    return Keyring(tmp_path)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_its_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        ring = Keyring(tmp_path)
        ring.client("alice")
    finally:
        os.umask(before)
    assert mode(ring.server) == mode(tmp_path / "alice") == 0o700
    assert mode(ring.server / "server.key") == mode(tmp_path / "alice" / "client.key") == 0o600
    assert mode(ring.server / "allowed") == 0o600


def test_a_pair_is_never_overwritten(ring):
    held = (ring.server / "server.key").read_bytes()
    with pytest.raises(ConfigError, match="never overwritten"):
        Keyring(ring.path)
    assert (ring.server / "server.key").read_bytes() == held


def test_the_file_has_its_mode_before_its_first_byte(tmp_path, monkeypatch):
    seen = []
    make = os.open

    def watch(path, flags, mode=0o777, *, dir_fd=None):
        seen.append((path, flags & os.O_EXCL, mode))
        return make(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", watch)
    with private_folder(tmp_path / "k", make=True) as opened:
        write_new(opened, tmp_path / "k" / "some.key", "x")
    assert seen[-1] == ("some.key", os.O_EXCL, 0o600)


@pytest.mark.parametrize("kind", ["server", "client"])
@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o666, 0o611])
def test_a_key_file_that_others_can_get_at_is_refused(ring, kind, bits):
    ring.client("alice")
    path = ring.path / ("server" if kind == "server" else "alice") / f"{kind}.key"
    path.chmod(bits)
    with pytest.raises(ConfigError, match=r"others may .*chmod 600"):
        (ServerKeys if kind == "server" else ClientKeys).load(path.parent)


def test_a_folder_that_others_can_get_at_is_refused(ring):
    ring.server.chmod(0o750)
    with pytest.raises(ConfigError, match="chmod 700"):
        ServerKeys.load(ring.server)


def test_a_key_file_of_somebody_else_is_refused(ring, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConfigError, match="belongs to user"):
        ServerKeys.load(ring.server)


@pytest.mark.parametrize("what", ["symlink", "fifo", "folder", "device", "missing"])
def test_what_is_no_plain_file_is_refused_at_once(ring, what):
    path = ring.server / "server.key"
    path.rename(ring.path / "elsewhere.key")
    make = {
        "symlink": lambda: path.symlink_to(ring.path / "elsewhere.key"),
        "fifo": lambda: os.mkfifo(path, 0o600),
        "folder": lambda: path.mkdir(0o700),
        "device": lambda: path.symlink_to("/dev/zero"),
        "missing": lambda: None,
    }
    make[what]()
    with pytest.raises(ConfigError):
        ServerKeys.load(ring.server)


@pytest.mark.parametrize(
    "content",
    [b"", b"secret", b"\xff" * 100, b"x" * 100_000, b"\0" * 200, b"public: 'a'\nsecret: 'b'\n",
     b"public: '%b'\nsecret: '%b'\n" % (b"0" * 39, b"0" * 40), b"public: '%b'\nsecret: '%b'\n" % (b"#" * 40, b"#" * 40)],
)  # fmt: skip
def test_a_damaged_key_file_is_refused_with_its_name(ring, content):
    (ring.server / "server.key").write_bytes(content)
    with pytest.raises(ConfigError, match=r"server\.key"):
        ServerKeys.load(ring.server)


def test_no_message_repeats_what_a_key_file_holds(ring):
    path = ring.server / "server.key"
    (secret,) = ring.secrets()
    for damaged in (path.read_text().replace("secret:", "secrets:"), path.read_text().replace("'\n", "x'\n")):
        path.write_text(damaged)
        with pytest.raises(ConfigError) as refused:
            ServerKeys.load(ring.server)
        assert secret.decode()[:20] not in str(refused.value)


def test_halves_of_different_pairs_are_refused(ring):
    other, _ = zmq.curve_keypair()
    path = ring.server / "server.key"
    path.write_text(path.read_text().replace(ring.public, other.decode()))
    with pytest.raises(ConfigError, match="do not belong together"):
        ServerKeys.load(ring.server)


def test_a_secret_shows_itself_nowhere(ring):
    keys, client = ServerKeys.load(ring.server), ring.client("alice")
    for secret in ring.secrets():
        shown = f"{keys!r} {client!r} {keys.secret} {client.secret!r} {vars(Keyring)}"
        assert secret.decode() not in shown
    with pytest.raises(TypeError):
        pickle.dumps(client)


def test_a_client_needs_the_daemons_public_key(ring):
    ring.client("alice")
    (ring.path / "alice" / "server.pub").unlink()
    with pytest.raises(ConfigError, match=r"server\.pub is missing"):
        ClientKeys.load(ring.path / "alice")


def test_the_environment_names_a_clients_keys(ring, monkeypatch):
    monkeypatch.delenv("EVAPD_KEYS", raising=False)
    assert keys_from_environment() is None
    alice = ring.client("alice")
    monkeypatch.setenv("EVAPD_KEYS", str(ring.path / "alice"))
    assert keys_from_environment().public == alice.public


def test_a_list_that_is_written_anew_is_the_old_one_or_the_new_one(ring):
    with private_folder(ring.server) as opened:
        replace(opened, ring.server / "allowed", "# new\n")
    assert (ring.server / "allowed").read_text() == "# new\n"
    assert [path.name for path in ring.server.iterdir() if path.name.startswith(".")] == []


@given(st.binary(min_size=32, max_size=32))
def test_every_32_bytes_are_a_key(key):
    assert is_key(z85.encode(key).decode())


@given(st.text(alphabet=string.printable, max_size=60) | st.just("#" * 40))
def test_what_z85_cannot_read_is_no_key(text):
    try:
        fits = len(z85.decode(text.encode())) == 32 and len(text) == 40
    except Exception:  # noqa: BLE001 - pyzmq's decoder raises what it likes
        fits = False
    assert is_key(text) == fits
