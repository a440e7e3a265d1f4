"""acquire dies by kill -9 under a client's hands: what was under way says so, and everything goes on without a new client."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from evapd.client import AsyncClient, Client, Notice, RequestTimeout
from evapd.stream.frame import STATE
from support.daemon import Daemon, daemon
from support.wait import wait_for


@pytest.fixture(scope="module")
def rig() -> Iterator[Daemon]:
    with daemon() as made:
        yield made


def _all_sent(evapd: AsyncClient) -> bool:
    link = evapd._requester._link
    return link is not None and [one.sent for one in link._waiting.values()] == [True, True]


def restart(rig: Daemon) -> None:
    rig.kill("acquire")
    rig.reap("acquire")
    rig.spawn("acquire")


def test_commands_and_feeds_go_on_over_a_restart_and_say_so(rig: Daemon) -> None:
    heard: list[Notice] = []
    with (
        Client.from_rig(rig.config, retry_s=60.0) as evapd,
        evapd.messages([STATE], timeout_s=60.0, on_notice=heard.append) as states,
    ):
        before = next(states).instance
        restart(rig)
        after = evapd.status().instance  # waits as long as the daemon takes
        wait_for(lambda: next(states).instance == after, f"states of the new start\n{rig.logs()}", 60.0)
        assert before != after
        assert "restart" in [notice.kind for notice in heard]
        assert states.counts.restarts == 1
        assert states.lost_frames == 0


def test_a_command_under_way_when_the_daemon_dies_may_have_been_executed_and_is_not_repeated(
    rig: Daemon,
) -> None:
    async def main() -> None:
        async with AsyncClient.from_rig(rig.config, retry_s=60.0) as evapd:
            await evapd.status()
            rig.kill("acquire", signal.SIGSTOP)
            noted = asyncio.create_task(evapd.note("perhaps"))
            reading = asyncio.create_task(evapd.status())
            async with asyncio.timeout(10.0):
                while not _all_sent(evapd):  # noqa: ASYNC110 - the client tells nobody that a request has left
                    await asyncio.sleep(0)
            restart(rig)
            with pytest.raises(RequestTimeout, match="restarted while 'note'") as caught:
                await noted
            assert caught.value.sent
            assert (await reading).run_state == "idle"

    asyncio.run(main())
