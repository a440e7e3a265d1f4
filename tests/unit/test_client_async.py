"""The waiting client: many requests at a time, none answered by another's reply, and nothing left behind."""

import asyncio
import gc
import inspect
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from evapd.blocks import Column
from evapd.client import AsyncClient, Client, RequestError, RequestTimeout
from evapd.config.layout import Layout
from evapd.errors import FrameError, StreamError
from evapd.rpc import Args, Command, Service
from evapd.stream.frame import HITS, LOOP
from evapd.stream.jsontext import from_json, to_json
from support.scripted_service import scripted
from support.stream_daemon import Daemon
from support.stream_parts import make_hits

NOBODY = "tcp://127.0.0.1:9"  # the discard port: nobody listens


def client_of(daemon: Daemon, **options: Any) -> AsyncClient:
    publisher = daemon.publisher
    return AsyncClient(
        daemon.service.address, publisher.address, publisher.replay_address, **{"timeout_s": 5.0, **options}
    )


@pytest.fixture
def run(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[Coroutine[Any, Any, None]], None]]:
    """Runs a coroutine in debug mode; warnings, complaints of the loop and threads that are left are failures."""
    before = set(threading.enumerate())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield lambda coroutine: asyncio.run(coroutine, debug=True)
        gc.collect()
    assert [str(one.message) for one in caught] == []
    complaints = [
        one.message for one in caplog.records if one.name == "asyncio" and "took" not in one.message
    ]
    assert [
        one for one in complaints if not one.startswith("Using selector")
    ] == []  # slow callbacks: a busy machine
    assert set(threading.enumerate()) - before == set()


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon() as running:
        yield running


def test_both_clients_have_the_same_commands_with_the_same_signatures():
    def signatures(kind: type) -> dict[str, inspect.Signature]:
        made = kind()
        found = {name: getattr(made, name) for name in dir(kind) if not name.startswith("_")}
        if isinstance(made, Client):
            made.close()
        else:
            asyncio.run(made.aclose())
        return {
            name: inspect.signature(one)
            for name, one in found.items()
            if hasattr(one, "__wrapped__")
        }  # fmt: skip

    blocking, waiting = signatures(Client), signatures(AsyncClient)
    assert blocking == waiting
    assert {"status", "start", "stop", "abort", "set", "note", "resume"} <= set(blocking)
    assert str(blocking["note"]) == "(text: str) -> evapd.client.status.Outcome"


def test_the_client_is_imported_without_asyncio_and_without_kernels():
    code = "import sys, evapd.client; print([m for m in ('asyncio', 'numba', 'h5py', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_commands_and_refusals_are_those_of_the_blocking_client(run, daemon):
    async def main() -> None:
        async with client_of(daemon) as evapd:
            assert (await evapd.status()).run_state == "running"
            await evapd.start("W110", notes="first")
            with pytest.raises(RequestError, match="under way"):
                await evapd.start("second")
            assert (await evapd.abort("arc seen")).via == "acquire"

    run(main())
    assert daemon.calls == [("start", {"name": "W110", "notes": "first"}), ("abort", {"reason": "arc seen"})]


def test_a_hundred_requests_at_a_time_each_get_their_own_answer(run, daemon):
    async def main() -> None:
        async with client_of(daemon) as evapd, asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(evapd.note(str(number)))
                group.create_task(evapd.status())

    run(main())
    assert sorted(int(args["text"]) for _, args in daemon.calls) == list(range(50))


def test_no_reply_is_overlooked_among_many_that_cross_with_requests(run):
    async def ask(evapd: AsyncClient) -> None:
        for n in range(500):
            assert await evapd.request("number", n=n) == {"n": n}

    async def main() -> None:
        async with AsyncClient(service.address, timeout_s=5.0) as evapd, asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(ask(evapd))

    with scripted(lambda request: {"result": request["args"]}) as service:
        run(main())


class LateService:
    """Answers each request, but keeps the answers back until it is told to give them, last first."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"tcp://127.0.0.1:{port}"
        self.kept: list[list[bytes]] = []

    def take(self, count: int) -> None:
        while len(self.kept) < count and self.socket.poll(30_000):
            self.kept.append(self.socket.recv_multipart())

    def answer(self) -> None:
        for routing_id, body in reversed(self.kept):
            request = from_json(body)
            reply = {"v": 1, "id": request["id"], "ok": True, "result": request["args"]}
            self.socket.send_multipart([routing_id, to_json(reply)])
        self.kept.clear()

    def close(self) -> None:
        self.context.destroy(linger=0)


@pytest.fixture
def late() -> Iterator[LateService]:
    service = LateService()
    yield service
    service.close()


def test_the_late_reply_to_a_cancelled_request_never_answers_the_next(run, late):
    async def main() -> None:
        async with AsyncClient(late.address, timeout_s=5.0) as evapd:
            first = asyncio.create_task(evapd.request("number", n=1))
            await asyncio.to_thread(late.take, 1)
            first.cancel()
            await asyncio.wait([first])
            second = asyncio.create_task(evapd.request("number", n=2))
            await asyncio.to_thread(late.take, 2)
            late.answer()
            assert await second == {"n": 2}
            assert first.cancelled()

    run(main())


def test_replies_out_of_order_find_their_requests_also_beside_one_that_timed_out(run, late):
    async def main() -> None:
        async with AsyncClient(late.address, timeout_s=0.3) as hasty:
            hasty._timeout_s = 0.3
            lost = asyncio.create_task(hasty.request("number", n=0))
            await asyncio.to_thread(late.take, 1)
            await asyncio.wait([lost])
            hasty._timeout_s = 5.0
            others = [asyncio.create_task(hasty.request("number", n=n)) for n in (1, 2, 3)]
            await asyncio.to_thread(late.take, 4)
            late.answer()
            assert await asyncio.gather(*others) == [{"n": 1}, {"n": 2}, {"n": 3}]
            with pytest.raises(RequestTimeout) as caught:
                await lost
            assert caught.value.sent

    run(main())


def test_a_request_that_never_left_says_so(run):
    async def main() -> None:
        async with AsyncClient(NOBODY, NOBODY, NOBODY, timeout_s=0.05) as evapd:
            with pytest.raises(RequestTimeout, match="not sent") as caught:
                await evapd.note("x")
            assert not caught.value.sent
            with pytest.raises(RequestTimeout, match="nobody streams"):
                await anext(evapd.hits())

    run(main())


def test_closing_ends_a_request_under_way(run, late):
    async def main() -> None:
        evapd = AsyncClient(late.address, timeout_s=5.0)
        asked = asyncio.create_task(evapd.request("number", n=1))
        await asyncio.to_thread(late.take, 1)
        await evapd.aclose()
        with pytest.raises(StreamError, match="closed"):
            await asked

    run(main())


def test_several_feeds_and_commands_go_side_by_side(run, daemon):
    async def follow(evapd: AsyncClient, ready: asyncio.Event) -> list[int]:
        async with evapd.hits(timeout_s=5) as blocks:
            ready.set()
            return [(await anext(blocks)).n for _ in range(3)]

    async def main() -> None:
        async with client_of(daemon) as evapd, asyncio.TaskGroup() as group:
            ready = [asyncio.Event() for _ in range(3)]
            tasks = [group.create_task(follow(evapd, one)) for one in ready]
            for one in ready:
                await one.wait()
            for n in (1, 2, 3):
                daemon.publisher.publish(daemon.framer.hits(make_hits(n)))
            await evapd.status()
            assert [await task for task in tasks] == [[1, 2, 3]] * 3

    run(main())


def test_a_feed_ends_after_silence_and_can_be_left_early(run, daemon):
    async def main() -> None:
        async with client_of(daemon) as evapd:
            assert [block async for block in evapd.hits(timeout_s=0.05)] == []
            feed = evapd.hits()
            async with feed:
                daemon.publisher.publish(daemon.framer.hits(make_hits(9)))
                async for block in feed:
                    np.testing.assert_array_equal(block.tof_ps, make_hits(9).tof_ps)
                    break
            with pytest.raises(StopAsyncIteration):
                await anext(feed)

    run(main())


def test_a_cancelled_wait_for_hits_loses_none(run, daemon):
    async def main() -> None:
        async with client_of(daemon) as evapd, evapd.hits() as blocks:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(blocks), 0.02)
            for n in (1, 2, 3):
                daemon.publisher.publish(daemon.framer.hits(make_hits(n)))
            assert [(await anext(blocks)).n for _ in range(3)] == [1, 2, 3]

    run(main())


def test_a_feed_that_is_never_closed_ends_with_its_client(run, daemon):
    async def main() -> None:
        async with client_of(daemon) as evapd:
            daemon.publisher.publish(daemon.framer.hits(make_hits(1)))
            waiting = asyncio.create_task(anext(evapd.hits()))
            await asyncio.sleep(0)
        with pytest.raises((StopAsyncIteration, RequestTimeout)):
            await waiting

    run(main())


def test_a_failure_of_the_source_is_raised_where_the_items_are_awaited(run, daemon):
    async def main() -> None:
        async with client_of(daemon) as evapd, evapd.loop() as samples:
            samples._convert = lambda message: message.hit_block()
            daemon.publisher.publish(daemon.framer.samples(LOOP, {Column("v_dc_v", "<f8", "V"): [1.0]}))
            with pytest.raises(FrameError):
                await anext(samples)

    run(main())


def test_missed_frames_are_fetched_again_and_told(run, daemon):
    heard: list[str] = []

    async def main() -> None:
        async with (
            client_of(daemon) as evapd,
            evapd.hits(timeout_s=5, on_notice=lambda notice: heard.append(notice.kind)) as blocks,
        ):
            for n in (1, 2, 3):
                frame = daemon.framer.hits(make_hits(n))
                if n != 2:  # numbered, but neither sent nor kept
                    daemon.publisher.publish(frame)
            assert [(await anext(blocks)).n for _ in range(2)] == [1, 3]
            assert blocks.counts.lost == {HITS: 1}
            assert evapd.lost_frames == 1

    run(main())
    assert heard == ["welcome", "lost"]


def test_abort_goes_straight_to_the_guard_when_acquire_is_gone(run, tmp_path: Path):
    class Reason(Args):
        reason: str = ""

    taken: list[str] = []

    def take(args: dict[str, Any]) -> dict[str, Any]:
        taken.append(args["reason"])
        return {"energy_state": "ramping_down"}

    async def main() -> None:
        async with AsyncClient(NOBODY, guard=Layout(tmp_path).guard_ipc) as evapd:
            assert (await evapd.abort("arc seen")).via == "guard"

    Layout(tmp_path).make()
    with Service(Layout(tmp_path).guard_ipc, [Command("abort", Reason, take)]):
        run(main())
    assert taken == ["arc seen"]
