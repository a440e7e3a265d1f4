"""The six commands of docs/security.md as they stand there, and no secret in anything that the daemon writes or sends."""

import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from evapd.errors import StreamError
from evapd.rpc import Requester
from evapd.security.keys import ClientKeys
from evapd.stream.frame import TOPICS
from evapd.stream.subscriber import Subscriber
from support.kernels import NUMBA_CACHE
from support.rig_files import rig_folder, write_rig
from support.wait import wait_for

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"


def commands(control):
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [line.replace("tcp://127.0.0.1:17604", control) for line in block.splitlines()]


def evapd(line, folder):
    words = shlex.split(line)
    assert words[0] == "evapd"
    environment = {key: value for key, value in os.environ.items() if key != "EVAPD_KEYS"}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, timeout=60, env=environment,
        check=False,
    )  # fmt: skip


@contextmanager
def running(line, folder):
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *shlex.split(line)],
            cwd=folder,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(NUMBA_CACHE)},
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def secrets_in(folder):
    return [re.search(rb"secret: '(.*)'", path.read_bytes())[1] for path in folder.glob("*keys/*.key")]


def test_the_six_commands_of_the_page_make_a_daemon_that_knows_its_clients_and_tells_no_secret():
    with rig_folder() as folder:
        config = write_rig(folder, {"sockets": {"keys": "keys"}, "start": {"automatic": True}})
        addresses = dict(re.findall(r"(stream|replay|control): (tcp://\S+)", config.read_text()))
        new, alice, allow, check, run, status = commands(addresses["control"])
        assert evapd(check, folder).stdout.startswith(f"{config}:{place_of(config)}: sockets.keys: ")
        shown = [evapd(line, folder) for line in (new, alice, allow, check)]
        assert [done.returncode for done in shown] == [0, 0, 0, 0], [done.stderr for done in shown]
        keys = ClientKeys.load(folder / "alice-keys")
        heard = []
        with running(run, folder) as daemon, Requester(addresses["control"], 20.0, keys=keys) as requester:
            wait_for(lambda: hits(requester) or daemon.poll() is not None, "a run that takes data", 90.0)
            asked = evapd(status, folder)
            assert asked.returncode == 0, asked.stderr
            refused = evapd(status.partition(" --keys")[0], folder)
            assert refused.returncode == 1
            assert "it demands keys" in refused.stderr
            shown += [asked, refused]
            heard += [json.dumps(requester.request(command)).encode() for command in ("status", "describe")]
            with Subscriber(addresses["stream"], addresses["replay"], TOPICS, keys=keys) as subscriber:
                assert subscriber.await_welcome(30.0)
                heard.append(json.dumps(subscriber.welcome).encode())
                for _ in range(40):
                    message = subscriber.receive(2.0)
                    heard.append(repr(message and (message.header, message.document)).encode())
            heard += [environment_of(daemon.pid)]
        told = [text.encode() for done in shown for text in (done.stdout, done.stderr)]
        written = [
            path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".key"
        ]
        assert len(written) > 5
        secrets = secrets_in(folder)
        assert len(secrets) == 2
        assert [secret for secret in secrets for text in [*heard, *told, *written] if secret in text] == []


def place_of(config):
    """Line and column of `keys:` in a rig file."""
    for number, line in enumerate(config.read_text().splitlines(), 1):
        if line.strip().startswith("keys:"):
            return f"{number}:{line.index('keys:') + 7}"
    raise AssertionError("no keys in the rig file")


def hits(requester):
    try:
        return requester.request("status").get("hits")
    except StreamError:
        return None


def environment_of(process):
    return Path(f"/proc/{process}/environ").read_bytes() + Path(f"/proc/{process}/cmdline").read_bytes()
