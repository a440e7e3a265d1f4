"""The page on the client is true: every block of it runs, in order, against a daemon that demands keys."""

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from evapd.client import Client, connection
from evapd.security import folder as keys_folder
from evapd.security.roles import Role
from support.daemon import Daemon, daemon

PAGE = Path(__file__).resolve().parents[2] / "docs" / "client.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Ions come low and soon.
SOON = {
    "control": {"v_start_v": 2550, "max_slew_up_hunting": 0.03},
    "guard": {"start_ramp_v_per_s": 4000.0},
}


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon whose sockets demand keys, a client's keys beside its rig file, and its ports in place of the usual ones."""
    with daemon({**SOON, "sockets": {"keys": "evapd-keys"}}, start=False) as made:
        here = made.config.parent
        monkeypatch.chdir(here)
        server = keys_folder.new_server(here / "evapd-keys")
        public = keys_folder.new_client(here / "keys-of-anna", server)
        keys_folder.allow(here / "evapd-keys", public, "anna", Role.OPERATE)
        made.loaded.layout.make()
        made.twin.start()
        made.spawn("guard")
        made.spawn("acquire")
        monkeypatch.setattr(connection, "_DEFAULT", made.loaded.rig.sockets)
        with Client.from_rig(made.config, retry_s=60.0) as evapd:
            evapd.status()
        yield made


def test_every_block_of_the_page_runs(rig: Daemon) -> None:
    text, space, said = PAGE.read_text(), {"__name__": "page"}, io.StringIO()
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) == text.count("```python") > 8
    with redirect_stdout(said):
        for block in blocks:
            line = text[: block.start()].count("\n") + 1
            code = "\n" * line + block[1].replace("192.168.1.20", "127.0.0.1")
            exec(compile(code, str(PAGE), "exec"), space)
    told = said.getvalue()
    for expected in (
        "running",
        "['GOOD']",
        "hits of 56Fe2+",
        " V: ",
        "up to pulse",
        "refused:",
        "acquire",
        "sweep-",
        "False",
    ):
        assert expected in told, told
