"""`evapd keys`, and `--keys` of the commands that ask a daemon."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from evapd.cli import app
from evapd.errors import ConfigError
from evapd.rpc import Args, Command, NoArgs, Service
from support.keyring import Keyring


class Reason(Args):
    reason: str


@pytest.fixture(autouse=True)
def _no_keys_yet(monkeypatch):
    monkeypatch.setenv("EVAPD_KEYS", "x")  # restored after the test, also when a command changes it
    monkeypatch.delenv("EVAPD_KEYS")


def run(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)
    if isinstance(done.exception, ConfigError):
        return str(done.exception)
    assert done.exit_code == code, done.output
    return done.output


def test_keys_come_and_go_for_people_and_programs(tmp_path):
    server, alice = tmp_path / "s", tmp_path / "a"
    made = json.loads(run("keys", "new", "--keys", server, "--json"))
    assert made["kind"] == "server"
    hers = json.loads(run("keys", "new", "alice", "--server", made["public"], "--keys", alice, "--json"))
    allowed = json.loads(
        run("keys", "allow", hers["public"], "--name", "alice", "--role", "read", "--keys", server, "--json")
    )
    assert allowed == {"name": "alice", "role": "read", "changed": True}
    listed = json.loads(run("keys", "list", "--keys", server, "--json"))
    assert listed["clients"] == [{"name": "alice", "role": "read", "key": hers["public"]}]
    assert json.loads(run("keys", "list", "--keys", alice, "--json"))["server"] == made["public"]
    assert "no more" in run("keys", "remove", "alice", "--keys", server)
    assert json.loads(run("keys", "list", "--keys", server, "--json"))["clients"] == []


def test_no_command_shows_a_secret(tmp_path):
    ring = Keyring(tmp_path)
    ring.client("alice", "read")
    shown = run("keys", "list", "--keys", ring.server) + run(
        "keys", "list", "--keys", tmp_path / "alice", "--json"
    )
    shown += run("keys", "new", "bob", "--keys", tmp_path / "bob") + run("keys", "new", "--keys", ring.server)
    assert [secret for secret in ring.secrets() if secret.decode() in shown] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["new", "local"], "not a name"), (["new", "a b"], "not a name"), (["new", "bob", "--server", "short"], "neither a public key"),
        (["allow", "x" * 39, "--name", "bob", "--role", "read"], "neither a public key"), (["remove", "nobody"], "has no client"),
        (["list"], "cannot be opened"), (["allow", "/dev/zero", "--name", "b", "--role", "read"], "neither a public key"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_message(tmp_path, words, said):
    if words[0] == "remove":
        Keyring(tmp_path)
    assert said in run("keys", *words, "--keys", tmp_path / "server")


def test_an_unknown_role_is_a_usage_error(tmp_path):
    assert "admin" in run("keys", "allow", "x", "--name", "b", "--role", "admin", "--keys", tmp_path, code=2)


def test_a_damaged_list_fails_with_its_place(tmp_path):
    ring = Keyring(tmp_path)
    (ring.server / "allowed").write_text("alice\n")
    assert f"{ring.server / 'allowed'}:1:1: " in run("keys", "list", "--keys", ring.server, code=1)


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_command_asks_with_the_keys_it_is_given(tmp_path, monkeypatch, by):
    ring = Keyring(tmp_path)
    ring.client("olga", "operate")
    with Service(
        "tcp://127.0.0.1:*", [Command("note", NoArgs, lambda _: {})], access=ring.access()
    ) as service:
        words = ["note", "hello", "--control", service.address]
        if by == "option":
            words += ["--keys", tmp_path / "olga"]
        else:
            monkeypatch.setenv("EVAPD_KEYS", str(tmp_path / "olga"))
        done = CliRunner().invoke(app, [str(word) for word in words])
    assert "InvalidRequest" in str(done.exception)  # the daemon answered: this one's note takes no text


def test_every_command_with_a_control_address_takes_keys():
    for name in (
        "status",
        "start",
        "stop",
        "abort",
        "set",
        "note",
        "watch",
        "pause",
        "resume",
        "hold",
        "trace",
    ):
        assert "--keys" in run(name, "--help")


def test_an_abort_with_keys_that_cannot_be_read_still_goes_to_the_guard(tmp_path):
    folder = tmp_path / "rig"
    (folder / "run").mkdir(parents=True)
    abort = Command("abort", Reason, lambda _: {"accepted": True, "energy_state": "ramping_down"})
    with Service(f"ipc://{folder / 'run' / 'guard.ipc'}", [abort]):
        done = subprocess.run(
            [sys.executable, "-m", "evapd", "abort", "--control", "tcp://127.0.0.1:9", "--folder", str(folder)],
            env={**os.environ, "EVAPD_KEYS": str(tmp_path / "nowhere")}, capture_output=True, text=True, check=False,
            timeout=30,
        )  # fmt: skip
    assert "going on without keys" in done.stderr
    assert "aborted through guard" in done.stdout, done.stderr
