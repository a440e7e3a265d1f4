"""A lease in the client: kept alive by itself, given back, and its loss stops the commands before they are sent."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from evapd.client import AsyncClient, Client, LeaseHeld, LeaseLost
from evapd.client.lease_term import Term
from evapd.errors import RequestTimeout, StateError
from evapd.rpc import Args, Command, Dispatcher, NoArgs, Service
from evapd.rpc.lease import Lease
from evapd.rpc.lease_commands import lease_commands
from support.scripted_service import ScriptedService, scripted
from support.stream_parts import wait_for

HELD = {
    "kind": "LeaseHeld",
    "message": "anna commands",
    "holder": "anna",
    "client": "sweep",
    "remaining_s": 9,
}


class Note(Args):
    text: str


@pytest.fixture
def address() -> Iterator[str]:
    """A control socket with a lease, `note` that needs it, and `stop` that does not."""
    lease = Lease()
    commands = [
        Command("note", Note, lambda _: {}),
        Command("stop", Note, lambda _: {}, lease=False),
        Command("status", NoArgs, lambda _: {"instance": "i", "run_state": "idle"}),
        *lease_commands(lease),
    ]
    with Service("tcp://127.0.0.1:*", Dispatcher(commands, lease=lease)) as service:
        yield service.address


def until_taken_over(**replies: dict[str, Any]) -> AbstractContextManager[ScriptedService]:
    return scripted(lambda request: replies.get(request["cmd"], {"result": {}}))


@pytest.fixture(autouse=True)
def _renewed_often(monkeypatch):
    """A lease that lasts long enough for a busy machine is renewed often enough for a test."""
    for module in ("lease", "aio_lease"):
        monkeypatch.setattr(f"evapd.client.{module}.RENEWALS", 200)


def test_while_one_holds_the_lease_another_may_not_command(address):
    with Client(address, name="first") as first, Client(address, name="second") as second:
        with first.lease():
            first.note("mine")
            with pytest.raises(LeaseHeld) as caught:
                second.note("theirs")
            assert caught.value.client == first.name
        second.note("now I may")


def test_a_lease_taken_by_force_is_lost_to_its_holder(address):
    with Client(address, name="first") as first, Client(address, name="second") as second:
        lease = first.lease(ttl_s=10)
        with pytest.raises(LeaseLost, match="second"):  # noqa: SIM117 - the end of the lease raises it
            with lease, second.lease(force=True):
                wait_for(lambda: lease.lost)


def test_it_renews_itself_and_is_given_back():
    with until_taken_over() as service, Client(service.address) as evapd:
        with evapd.lease(ttl_s=10):
            wait_for(lambda: service.count("lease_renew") >= 4)
            evapd.note("still mine")
        assert service.count("lease_release") == 1


def test_after_the_loss_nothing_is_sent_but_what_lowers_the_energy():
    with until_taken_over(lease_renew={"error": HELD}) as service, Client(service.address) as evapd:
        lease = evapd.lease(ttl_s=10)
        lease.__enter__()
        wait_for(lambda: lease.lost)
        with pytest.raises(LeaseLost):
            evapd.set(target_rate=0.1)
        evapd.hold()
        evapd.stop()
        with pytest.raises(LeaseLost, match="anna"):
            lease.__exit__(None, None, None)
        assert service.count("set") == 0
        assert service.count("hold") == service.count("stop") == 1
        assert service.count("lease_release") == 0


def test_an_error_in_the_block_is_not_hidden_by_the_loss():
    def fail_once_lost(lease: Lease) -> None:
        wait_for(lambda: lease.lost)
        raise ZeroDivisionError

    with (
        until_taken_over(lease_renew={"error": HELD}) as service,
        Client(service.address) as evapd,
        pytest.raises(ZeroDivisionError),
        evapd.lease(ttl_s=10) as lease,
    ):
        fail_once_lost(lease)


def test_a_daemon_that_confirms_no_renewal_costs_the_lease():
    with (
        scripted(lambda request: {"result": {}} if request["cmd"] == "lease_take" else None) as service,
        Client(service.address) as evapd,
        pytest.raises(LeaseLost, match="no renewal"),
        evapd.lease(ttl_s=0.06) as lease,
    ):
        wait_for(lambda: lease.lost)


def test_a_lease_that_somebody_has_is_not_entered():
    with until_taken_over(lease_take={"error": HELD}) as service, Client(service.address) as evapd:
        with pytest.raises(LeaseHeld, match="anna"), evapd.lease():
            pytest.fail("entered")
        evapd.note("unhindered by a lease that never was")


def test_a_client_has_one_lease_at_a_time(address):
    with Client(address) as evapd, evapd.lease(), pytest.raises(StateError, match="already"):
        evapd.lease()


def test_the_waiting_client_renews_gives_back_and_tells_of_the_loss():
    async def command_until_lost(evapd: AsyncClient) -> None:
        async with evapd.lease(ttl_s=10):
            while True:
                await evapd.note("until it is lost")
                await asyncio.sleep(0.01)

    async def main() -> None:
        async with AsyncClient(service.address) as evapd:
            async with evapd.lease(ttl_s=10):
                await evapd.note("mine")
                while service.count("lease_renew") < 3:  # noqa: ASYNC110 - another thread counts
                    await asyncio.sleep(0.01)
            answers["lease_renew"] = {"error": HELD}
            with pytest.raises(LeaseLost, match="anna"):
                await command_until_lost(evapd)

    answers: dict[str, dict[str, Any]] = {}
    with scripted(lambda request: answers.get(request["cmd"], {"result": {}})) as service:
        asyncio.run(main(), debug=True)
    assert service.count("lease_release") == 1


def test_a_term_ends_when_it_was_last_asked_for_not_when_it_was_answered():
    term = Term(10.0, now_s=100.0)
    term.renewed(105.0)
    term.check(115.0)
    with pytest.raises(LeaseLost):
        term.check(115.1)
    term.renewed(115.2)  # an answer that comes late brings nothing back
    assert term.lost(115.3)


def test_nobody_to_take_it_from_is_a_time_out():
    with Client("tcp://127.0.0.1:9", timeout_s=0.05) as evapd, pytest.raises(RequestTimeout), evapd.lease():
        pytest.fail("entered")
