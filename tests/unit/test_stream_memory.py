"""What stalled subscribers and displays may cost, in bytes of the publishing process; and what a slow display sees."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from evapd.client.live import LiveSource
from support.stream_parts import wait_for

BUDGET_BYTES = 4_000_000
SLACK_BYTES = 16_000_000  # of the allocator, which keeps what was freed in pieces
TESTS = Path(__file__).parents[1]


class Source:
    """The publishing process, and stalled programs that have connected to it."""

    def __init__(self) -> None:
        script = TESTS / "support" / "stream_source.py"
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(BUDGET_BYTES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={"PYTHONPATH": str(TESTS)},
        )  # fmt: skip
        self.context, self.sockets = zmq.Context(), []
        self.addresses = self._line()

    def _line(self) -> dict[str, Any]:
        return json.loads(self.process.stdout.readline())

    def order(self, text: str) -> dict[str, Any]:
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self._line()

    def join(self, address: str, topic: bytes, **options: int) -> "zmq.Socket[bytes]":
        """A program that reads only when the test does."""
        socket = self.context.socket(zmq.SUB)
        socket.linger = 0
        for name, value in ({"rcvhwm": 1} | options).items():
            setattr(socket, name, value)
        socket.connect(self.addresses[address])
        socket.subscribe(topic)
        self.sockets.append(socket)
        return socket

    def close(self) -> None:
        self.context.destroy(linger=0)
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source()
    yield made
    made.close()


def joined(source: Source, topic: str, count: int) -> None:
    wait_for(lambda: source.order("nothing")["subscribers"].get(topic) == count)


@pytest.mark.parametrize("order", ["hits 100 10000", "words 40 50000"], ids=["hits", "large words"])
def test_three_stalled_subscribers_cost_three_budgets_beside_ring_and_queue(source, order):
    topic, _, size = order.split()
    before = source.order(f"{topic} 2 {size}")["resident"]
    for count in (1, 2, 3):  # one after the other, so that each holds frames of its own
        source.join("stream", topic.encode() + b".")
        joined(source, f"{topic}.", count)
        after = source.order(order)["resident"]
    print(f"growth {(after - before) / 1e6:.1f} MB")
    assert after - before <= 5 * BUDGET_BYTES + SLACK_BYTES


def test_a_frame_is_encoded_once_for_any_number_of_subscribers(source):
    sockets = [source.join("stream", b"hits.", rcvhwm=1000) for _ in range(5)]
    joined(source, "hits.", 5)
    for number in range(1, 51):  # one at a time: a queue that is full is another matter
        assert source.order("hits 1 10")["encoded"] == number
        for socket in sockets:
            assert socket.poll(20_000)
            socket.recv_multipart()


def number(socket: "zmq.Socket[bytes]") -> int:
    return int(json.loads(socket.recv().removeprefix(b"live."))["number"])


def test_a_display_that_stalled_reads_the_newest_first_when_it_asks_for_that_alone(source):
    display = source.join("live", b"live.", conflate=1)
    wait_for(lambda: source.order("live 1 10") and display.poll(10))
    source.order("live 300 100000 1")
    wait_for(lambda: number(display) == 299 if display.poll(100) else False, 30.0)


def test_a_display_that_reads_all_there_is_sees_the_next_document_at_once(source):
    display = source.join("live", b"live.", rcvhwm=2)
    wait_for(lambda: source.order("live 1 10") and display.poll(10))
    source.order("live 300 100000 1")
    old = []
    while display.poll(50):
        old.append(number(display))
    assert old[-1] < 299, "it did not stall"
    assert len(old) < 100  # some megabytes of buffers between two kernels
    source.order("live 7 10 20")
    assert number(display) == 0


def test_the_client_of_a_display_that_stalled_gets_one_of_the_two_newest_first(source):
    display = LiveSource(source.addresses["live"], keys=None, context=source.context)
    wait_for(lambda: source.order("live 1 10") and display.receive(0.01))
    source.order("live 300 2000 1")
    wait_for(lambda: (display.receive(1.0) or {}).get("number", 0) >= 298, 30.0)
    assert display.counts.received <= 4
    display.close()


def test_stalled_displays_cost_a_few_documents_each(source):
    before = source.order("live 2 300000")["resident"]
    displays = [source.join("live", b"live.") for _ in range(3)]
    wait_for(lambda: source.order("live 1 10") and all(display.poll(10) for display in displays))
    growth = source.order("live 200 300000")["resident"] - before
    print(f"growth {growth / 1e6:.1f} MB")
    assert growth <= 3 * 4 * 300_000 + SLACK_BYTES
