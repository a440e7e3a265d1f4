"""The page of requests names every command, kind of error, limit and key that there is."""

from pathlib import Path

import pytest

from evapd import errors
from evapd.acquire import commands
from evapd.control import LAWS
from evapd.errors import EvapdError, RequestError
from evapd.guard import requests
from evapd.guard.energy import EnergyState
from evapd.rpc.arguments import Law
from evapd.rpc.audit import EVENTS_HZ
from evapd.rpc.bucket import BURST, RATE_HZ, Buckets
from evapd.rpc.description import ERRORS, describe
from evapd.rpc.memory import CLIENTS, PER_CLIENT
from evapd.rpc.replies import EnergyStateName
from evapd.rpc.request import ASKED_BY, ENVELOPE

PAGE = (Path(__file__).parents[2] / "docs" / "protocols" / "control.md").read_text()
COMMANDS = {one.name for one in (*commands.make_commands(None, None), *requests.make_commands(None))}


@pytest.mark.parametrize("name", sorted({*COMMANDS, "history", *ERRORS, *ENVELOPE, *ASKED_BY}))
def test_it_is_on_the_page(name):
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize(
    "words",
    [f"{RATE_HZ:.0f} commands a second", f"{BURST} at once", f"last {PER_CLIENT} commands", f"{CLIENTS} clients",
     f"exceeds {EVENTS_HZ:.0f} events a second"],
)  # fmt: skip
def test_its_numbers_are_those_of_the_code(words):
    assert words in " ".join(PAGE.split())


def test_every_error_that_evapd_raises_has_a_meaning():
    own = {
        one.__name__ for one in vars(errors).values() if isinstance(one, type) and issubclass(one, EvapdError)
    }
    bases = {
        "EvapdError",
        "RequestError",
        "LeaseLost",
    }  # never raised as they are, or on the asking side alone
    assert own - bases - {"FrameError"} <= set(ERRORS)
    assert issubclass(errors.LeaseHeld, RequestError)


def test_the_names_of_laws_and_states_are_those_that_are_followed():
    assert set(Law.__args__) == set(LAWS)
    assert set(EnergyStateName.__args__) == {state.label for state in EnergyState}


def test_the_sections_of_a_description_are_on_the_page():
    described = describe([], Buckets(), leased=True)
    for key in (*described, *described["limits"], "parameters"):
        assert f"`{key}`" in PAGE
