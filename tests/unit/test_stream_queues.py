"""Queues of a stream are measured once: no frame, however large, leaves a subscriber without a word for ever."""

import pytest

from evapd.stream.frame import HITS, LOOP
from evapd.stream.publisher import Publisher
from evapd.stream.subscriber import Subscriber
from support.stream_parts import make_framer, make_hits

TCP = "tcp://127.0.0.1:*"
SMALL = 100  # fewer than are acknowledged at once, more than large ones may wait


@pytest.mark.parametrize("rows", [30_000, 250_000])
def test_after_a_frame_that_is_larger_than_usual_a_subscriber_hears_all_that_comes(rows):
    framer = make_framer()
    with (
        Publisher(
            TCP, TCP, TCP, instance=framer.instance, budget_bytes=64_000_000, snapshot=dict, next_seq=framer.next_seq
        ) as publisher,
        Subscriber(publisher.address, None, (HITS, LOOP)) as subscriber,
    ):  # fmt: skip
        assert subscriber.await_welcome(30.0)
        for size in [10] * SMALL + [rows] * 2 + [10] * SMALL:
            publisher.publish(framer.hits(make_hits(size)))
            message = subscriber.receive(5.0)
            assert message is not None
            assert message.header["n"] == size
        assert subscriber.counts.lost == {}


def test_a_reader_that_is_busy_is_never_ended_by_a_heartbeat():
    # libzmq's issue 3937: a heartbeat that expires while the receiving queue is full ends the process.
    with Subscriber("tcp://127.0.0.1:9", None, (HITS,)) as subscriber:
        assert subscriber._socket.heartbeat_ivl == 0
        assert subscriber._socket.tcp_keepalive == 1
