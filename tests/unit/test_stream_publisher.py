"""The stream over real sockets: what a subscriber is owed, and what no subscriber can do to the daemon."""

import json
import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq

from evapd.errors import ConfigError, StateError, StreamError
from evapd.stream.frame import BEAT, EVENT, HITS, TOPICS, Framer, decode
from evapd.stream.publisher import Publisher
from evapd.stream.subscriber import Subscriber
from support.stream_parts import make_framer, make_hits, wait_for

TCP = "tcp://127.0.0.1:*"
LIMIT_S = 30.0


def make_publisher(
    framer: Framer, addresses: tuple[str, str, str] = (TCP, TCP, TCP), **options: Any
) -> Publisher:
    settings = {"budget_bytes": 8_000_000, "snapshot": lambda: {"run_state": "idle"}} | options
    return Publisher(*addresses, instance=framer.instance, next_seq=framer.next_seq, **settings)


def welcomed(publisher: Publisher, topics: tuple[str, ...] = TOPICS, *, replay: bool = False) -> Subscriber:
    subscriber = Subscriber(publisher.address, publisher.replay_address if replay else None, topics)
    wait_for(lambda: subscriber.receive(0.01) is None and subscriber.welcome)
    return subscriber


@pytest.fixture
def framer() -> Framer:
    return make_framer()


@pytest.fixture
def publisher(framer: Framer) -> Iterator[Publisher]:
    with make_publisher(framer) as running:
        yield running


def drain(subscriber: Subscriber) -> int:
    received = 0
    while subscriber.receive(1.0):
        received += 1
    return received


Join = Callable[[int, str], "zmq.Socket[bytes]"]


@pytest.fixture
def join() -> Iterator[Join]:
    """Makes plain sockets, as a program in another language would."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets = []

    def make(kind: int, address: str) -> "zmq.Socket[bytes]":
        sockets.append(context.socket(kind))
        sockets[-1].linger = 0
        sockets[-1].connect(address)
        return sockets[-1]

    yield make
    context.destroy(linger=0)


def test_a_block_arrives_as_it_was_published(publisher, framer):
    with welcomed(publisher) as subscriber:
        publisher.publish(framer.hits(make_hits(1000)))
        message = subscriber.receive(LIMIT_S)
        assert message.hit_block().x_um.tolist() == make_hits(1000).x_um.tolist()


def test_only_the_topics_asked_for_arrive(publisher, framer):
    with welcomed(publisher, (EVENT,)) as subscriber:
        publisher.publish(framer.hits(make_hits(10)))
        publisher.publish(framer.document(EVENT, {"what": "x"}))
        assert subscriber.receive(LIMIT_S).topic == EVENT
        assert subscriber.receive(0.05) is None


def test_a_welcome_tells_the_present_state_and_what_comes_next(publisher, framer):
    for _ in range(3):
        publisher.publish(framer.hits(make_hits(1)))
    wait_for(lambda: publisher.stats().frames == 3)
    with welcomed(publisher) as subscriber:
        assert subscriber.welcome["state"] == {"run_state": "idle"}
        assert subscriber.welcome["next_seq"] == dict.fromkeys(TOPICS, 0) | {HITS: 3}
        assert subscriber.welcome["replay"] == publisher.replay_address
        assert subscriber.instance == framer.instance


def test_frames_before_the_welcome_are_not_missing(publisher, framer):
    publisher.publish(framer.hits(make_hits(1)))
    with welcomed(publisher) as subscriber:
        publisher.publish(framer.hits(make_hits(1)))
        assert subscriber.receive(LIMIT_S).seq == 1
        assert subscriber.counts.lost == {}


def test_a_welcome_reaches_nobody_else(publisher, join):
    listener = join(zmq.SUB, publisher.address)
    listener.subscribe(b"welcome.somebody-else-x")
    with welcomed(publisher):
        parts = [listener.recv_multipart() for _ in range(1)]
        assert [part[0] for part in parts] == [b"welcome.somebody-else-x"]
        assert not listener.poll(50)


def test_a_snapshot_that_fails_is_told_and_the_stream_goes_on(framer, caplog):
    def fail() -> dict[str, Any]:
        raise KeyError("no state")

    with make_publisher(framer, snapshot=fail) as publisher, welcomed(publisher) as subscriber:
        assert subscriber.welcome["state"] is None
        assert "no state" in subscriber.welcome["state_error"]
        publisher.publish(framer.beat())
        assert subscriber.receive(LIMIT_S).topic == BEAT
    assert "KeyError" in caplog.text


@pytest.mark.parametrize(
    "nonce", [b"", b"short", b"x" * 65, b"bad chars!", b"new\nline....", b"\xff" * 8, b"../../../etc"]
)
def test_a_nonce_that_is_not_one_gets_no_welcome(publisher, join, nonce):
    asker = join(zmq.SUB, publisher.address)
    asker.subscribe(b"welcome." + nonce)
    with welcomed(publisher):
        # Longer topics reach shorter subscriptions: only one of exactly this name would be an answer.
        answers = [asker.recv_multipart()[0] for _ in range(5) if asker.poll(10)]
        assert b"welcome." + nonce not in answers


def test_random_subscriptions_and_messages_change_nothing(publisher, framer, join):
    rng = random.Random(1)
    hostile = join(zmq.XSUB, publisher.address)
    for _ in range(300):
        hostile.send_multipart([rng.randbytes(rng.randrange(0, 200)) for _ in range(rng.randrange(1, 4))])
    hostile.send(b"\x01" + b"x" * 100_000)
    with welcomed(publisher) as subscriber:
        publisher.publish(framer.beat())
        assert subscriber.receive(LIMIT_S).topic == BEAT
    assert publisher.alive


def test_raw_bytes_on_every_port_change_nothing(publisher, framer):
    rng = random.Random(2)
    for address in (publisher.address, publisher.live_address, publisher.replay_address):
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as scanner:
                scanner.sendall(rng.randbytes(500))
    with welcomed(publisher) as subscriber:
        publisher.publish(framer.beat())
        assert subscriber.receive(LIMIT_S).topic == BEAT
    assert publisher.stats().subscribers.keys() <= set(TOPICS)


def test_a_stalled_subscriber_neither_blocks_nor_hurts_another(framer):
    with make_publisher(framer, budget_bytes=2_000_000) as publisher:
        stalled = Subscriber(publisher.address, None, (HITS,), budget_bytes=2_000_000)
        with stalled, welcomed(publisher, (HITS,)) as fast:
            wait_for(lambda: publisher.stats().subscribers.get(HITS) == 2)
            block, numbers = make_hits(10_000), []
            for _ in range(200):  # 36 MB, far beyond budget and socket buffers
                publisher.publish(framer.hits(block))
                numbers.append(fast.receive(LIMIT_S).seq)
            assert numbers == list(range(200))
            assert publisher.dropped == 0
            got = drain(stalled)
            for _ in range(2):
                publisher.publish(framer.beat())
            got += drain(stalled)
            assert stalled.counts.lost == {HITS: 200 - got}
            assert got < 200


def test_a_full_queue_drops_counts_and_leaves_the_frame_in_the_ring(framer):
    publisher = make_publisher(framer, budget_bytes=500_000)
    for _ in range(3):
        publisher.publish(framer.hits(make_hits(10_000)))  # nobody sends: the publisher was not started
    assert publisher.dropped == 1
    assert publisher.stats().dropped == {HITS: 1}
    publisher.stop()


def test_bulk_that_fills_the_queue_does_not_drop_events(framer):
    publisher = make_publisher(framer, budget_bytes=200_000)
    for _ in range(3):
        publisher.publish(framer.hits(make_hits(10_000)))
    publisher.publish(framer.document(EVENT, {"what": "x"}))
    assert publisher.stats().dropped == {HITS: 2}
    publisher.stop()


def test_stop_sends_what_is_queued(framer):
    publisher = make_publisher(framer)
    publisher.start()
    with welcomed(publisher, (HITS,)) as subscriber:
        for _ in range(20):
            publisher.publish(framer.hits(make_hits(10_000)))
        publisher.stop()
        assert [subscriber.receive(LIMIT_S).seq for _ in range(20)] == list(range(20))


def test_the_live_socket_carries_single_part_json(publisher, join):
    display = join(zmq.SUB, publisher.live_address)
    display.subscribe(b"live.")
    wait_for(lambda: publisher.publish_live({"rate": 0.01, "v_dc_v": float("nan")}) or display.poll(20))
    parts = display.recv_multipart()
    assert len(parts) == 1
    assert json.loads(parts[0].removeprefix(b"live.")) == {"rate": 0.01, "v_dc_v": None}


def test_welcomes_are_frames_like_all_others(publisher, join):
    asker = join(zmq.SUB, publisher.address)
    asker.subscribe(b"welcome.12345678")
    assert decode(*asker.recv_multipart()).topic == "welcome.12345678"


def test_subscribers_are_counted_by_topic(publisher):
    with welcomed(publisher, (HITS,)), welcomed(publisher, (HITS, EVENT)):
        wait_for(lambda: publisher.stats().subscribers == {HITS: 2, EVENT: 1, BEAT: 2})
    wait_for(lambda: publisher.stats().subscribers == {})


def test_a_taken_address_is_refused_and_everything_is_given_back(publisher, framer):
    with pytest.raises(StreamError, match="another evapd"):
        make_publisher(framer, (TCP, TCP, publisher.replay_address)).start()
    with pytest.raises(StreamError, match="another evapd"):
        make_publisher(framer, (publisher.address, TCP, TCP)).start()


def test_an_open_address_is_refused(framer):
    with pytest.raises(ConfigError, match="no keys"):
        make_publisher(framer, ("tcp://0.0.0.0:17601", TCP, TCP))


def test_a_publisher_starts_once(publisher):
    with pytest.raises(StateError):
        publisher.start()
