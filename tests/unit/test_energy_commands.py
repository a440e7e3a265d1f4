"""Pages, sockets, command line and client name the same commands, and the page of states is the table that is followed."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evapd.acquire import commands as public
from evapd.cli import app
from evapd.client import Client
from evapd.errors import StateError
from evapd.guard import requests
from evapd.guard.energy import EnergyEvent
from evapd.guard.energy_page import LEGEND, markdown
from evapd.rpc import Service

DOCS = Path(__file__).parents[2] / "docs"
CONTROL = (DOCS / "protocols" / "control.md").read_text()
ENERGY = ("pause", "align", "resume", "hold", "inhibit", "acknowledge")


class Conductor:
    """Remembers what is forwarded to the guard."""

    def __init__(self) -> None:
        self.forwarded: list[tuple[str, dict[str, Any]]] = []

    def forward(self, command: str, **args: Any) -> dict[str, Any]:
        if command == "align":
            raise StateError("'align' is not possible while the energy state is 'evaporating'")
        self.forwarded.append((command, args))
        return {"accepted": True, "energy_state": "paused"}


@pytest.fixture
def served():
    conductor = Conductor()
    with Service("tcp://127.0.0.1:*", public.make_commands(conductor, conductor)) as service:
        yield conductor, service.address


def section(title: str) -> str:
    return CONTROL.split(f"## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("command", public.make_commands(None, None), ids=lambda command: command.name)
def test_every_command_of_acquire_stands_in_its_table_with_its_arguments(command):
    [row] = [
        line
        for line in section("Commands of acquire").splitlines()
        if line.startswith(f"| `{command.name}` |")
    ]
    for name in command.model.model_fields:
        assert f"`{name}`" in row


@pytest.mark.parametrize("command", requests.make_commands(None), ids=lambda command: command.name)
def test_every_command_of_the_guard_is_on_the_page(command):
    assert f"`{command.name}`" in section("Commands of the guard")


@pytest.mark.parametrize("name", ENERGY)
def test_acquire_and_guard_both_serve_it(name):
    for made in (public.make_commands(None, None), requests.make_commands(None)):
        assert name in [command.name for command in made]


@pytest.mark.parametrize("name", ["pause", "resume", "inhibit", "acknowledge"])
def test_the_client_s_word_reaches_the_guard(served, name):
    conductor, address = served
    with Client(address, timeout_s=5.0) as client:
        getattr(client, name)()
    assert conductor.forwarded[0][0] == name


@pytest.mark.parametrize("name", ["pause", "resume", "hold", "inhibit", "acknowledge"])
def test_the_command_line_tells_the_energy_state(served, name):
    conductor, address = served
    result = CliRunner().invoke(app, [name, "--control", address])
    assert result.exit_code == 0, result.output
    assert "paused" in result.output
    assert conductor.forwarded[0][0] == name


def test_a_refusal_reaches_the_command_line_in_words(served):
    _, address = served
    result = CliRunner().invoke(app, ["align", "--control", address])
    assert "not possible" in str(result.exception)


def test_the_states_of_the_page_are_the_table_that_the_guard_follows():
    page = (DOCS / "operating.md").read_text()
    table = page.split("<!-- states: begin -->\n")[1].split("<!-- states: end -->")[0]
    assert table == markdown(), "run `evapd states` and put its table into docs/operating.md"


def test_every_event_is_explained():
    assert set(LEGEND) == set(EnergyEvent)


def test_the_command_line_prints_the_table():
    assert CliRunner().invoke(app, ["states"]).output == markdown()
