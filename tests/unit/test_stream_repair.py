"""What was missed is fetched again in order; what cannot be is counted; a restart is told."""

import json
import tracemalloc
from collections.abc import Iterator

import pytest
import zmq

from evapd.errors import ConfigError
from evapd.stream.frame import BEAT, EVENT, HITS, LOOP, Frame, decode
from evapd.stream.publisher import Publisher
from evapd.stream.ring import Ring
from evapd.stream.subscriber import Subscriber
from support.stream_parts import make_framer, make_hits, wait_for

TCP = "tcp://127.0.0.1:*"
LIMIT_S = 30.0


class Wire:
    """The sockets of a publisher, moved by hand: what is lost on the way is decided by the test."""

    def __init__(self, replay: str | None = None) -> None:
        self.framer = make_framer()
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.linger = 0
        self.socket.xpub_verboser = True
        self.socket.bind(TCP)
        address = self.socket.last_endpoint.decode()
        self.subscriber = Subscriber(address, replay, (HITS, EVENT))
        self.welcome_topic = self._welcome_topic()
        self.welcome()

    def _welcome_topic(self) -> bytes:
        while True:
            subscription = self.socket.recv()
            if subscription.startswith(b"\x01welcome."):
                return subscription[1:]

    def welcome(self, instance: str | None = None) -> None:
        frame = self.framer.document(EVENT, {"next_seq": self.framer.next_seq(), "state": None})
        self.framer._next[EVENT] -= 1
        header = json.loads(frame.header) | {"instance": instance or self.framer.instance, "seq": 0}
        self.socket.send_multipart([self.welcome_topic, json.dumps(header).encode(), frame.payload])
        self.subscriber.welcome = None
        wait_for(lambda: self.subscriber.receive(0.005) is None and self.subscriber.welcome)

    def send(self, frame: Frame) -> None:
        self.socket.send_multipart(frame.parts())

    def hits(self, count: int = 1) -> list[Frame]:
        return [self.framer.hits(make_hits(2)) for _ in range(count)]

    def close(self) -> None:
        self.subscriber.close()
        self.context.destroy(linger=0)


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


def kinds(subscriber: Subscriber) -> list[str]:
    return [notice.kind for notice in subscriber.take_notices()]


def test_a_frame_that_was_lost_is_counted(wire):
    first, _, third = wire.hits(3)
    wire.send(first)
    wire.send(third)
    assert [wire.subscriber.receive(LIMIT_S).seq for _ in range(2)] == [0, 2]
    assert wire.subscriber.counts.lost == {HITS: 1}
    assert kinds(wire.subscriber) == ["welcome", "lost"]


def test_a_frame_that_comes_twice_is_delivered_once(wire):
    first, second = wire.hits(2)
    for frame in (first, first, second):
        wire.send(frame)
    assert [wire.subscriber.receive(LIMIT_S).seq for _ in range(2)] == [0, 1]
    assert wire.subscriber.counts.duplicates == 1


def test_a_lost_tail_is_found_by_the_beats(wire):
    wire.hits(3)
    for _ in range(2):
        wire.send(wire.framer.beat())
    wait_for(lambda: wire.subscriber.receive(0.02) is None and wire.subscriber.counts.lost == {HITS: 3})


def test_a_restart_is_told_and_counting_begins_afresh(wire):
    wire.send(wire.hits(5)[4])
    assert wire.subscriber.receive(LIMIT_S).instance == "first-start"
    wire.subscriber.counts.lost.clear()
    wire.framer = make_framer("second-start")
    wire.welcome()
    wire.send(wire.hits()[0])
    assert wire.subscriber.receive(LIMIT_S).instance == "second-start"
    assert wire.subscriber.counts.lost == {}
    assert wire.subscriber.counts.restarts == 1
    assert "restart" in kinds(wire.subscriber)


@pytest.mark.parametrize(
    "parts",
    [
        [b"hits."],
        [b"hits.", b"{}", b""],
        [b"hits.", b"\xff", b"x", b"y"],
        [
            b"beat.",
            b'{"v":1,"instance":"first-start","seq":0,"n":1,"columns":[]}',
            b'{"last_seq":{"hits.":"x"}}',
        ],
        [b"beat.", b'{"v":1,"instance":"first-start","seq":0,"n":1,"columns":[]}', b"[]"],
        [b"hits.more", b'{"v":1,"instance":"first-start","seq":0,"n":1,"columns":[]}', b"[]"],
    ],
)
def test_bytes_that_are_not_a_frame_are_counted_and_skipped(wire, parts):
    wire.socket.send_multipart(parts)
    wire.send(wire.hits()[0])
    assert wire.subscriber.receive(LIMIT_S).seq == 0
    assert wire.subscriber.counts.garbage == 1


def test_a_number_from_the_far_future_does_not_hang_the_subscriber(wire):
    frame = wire.hits()[0]
    header = json.dumps(json.loads(frame.header) | {"seq": 2**53 - 1}).encode()
    wire.send(Frame(HITS, header, frame.payload))
    assert wire.subscriber.receive(LIMIT_S).seq == 2**53 - 1
    assert wire.subscriber.counts.lost == {HITS: 2**53 - 1}


@pytest.fixture
def store() -> Iterator[Publisher]:
    framer = make_framer()
    settings = {"instance": framer.instance, "snapshot": dict, "next_seq": framer.next_seq}
    with Publisher(TCP, TCP, TCP, budget_bytes=400_000, **settings) as running:
        running.framer = framer
        yield running


@pytest.fixture
def repaired(store: Publisher) -> Iterator[Wire]:
    made = Wire(replay=store.replay_address)
    yield made
    made.close()


def test_lost_frames_are_fetched_again_in_order(store, repaired):
    frames = repaired.hits(100)
    for frame in frames:
        store.publish(frame)
    repaired.send(frames[0])
    repaired.send(frames[-1])
    assert [repaired.subscriber.receive(LIMIT_S).seq for _ in range(100)] == list(range(100))
    assert repaired.subscriber.counts.recovered == {HITS: 98}
    assert repaired.subscriber.counts.lost == {}


def test_a_tail_that_only_the_beats_know_of_is_fetched(store, repaired):
    for frame in repaired.hits(3):
        store.publish(frame)
    for _ in range(2):
        repaired.send(repaired.framer.beat())
    assert [repaired.subscriber.receive(LIMIT_S).seq for _ in range(3)] == [0, 1, 2]


def test_what_left_the_ring_is_lost_and_the_rest_is_fetched(store, repaired):
    frames = [repaired.framer.hits(make_hits(10_000)) for _ in range(5)]  # two of them fit the ring
    for frame in frames:
        store.publish(frame)
    repaired.send(frames[-1])
    assert [repaired.subscriber.receive(LIMIT_S).seq for _ in range(2)] == [3, 4]
    assert repaired.subscriber.counts.lost == {HITS: 3}


def test_a_silent_replay_socket_costs_a_second_once():
    context = zmq.Context()
    silent = context.socket(zmq.ROUTER)
    silent.bind(TCP)
    wire = Wire(replay=silent.last_endpoint.decode())
    frames = wire.hits(20)
    for frame in frames[::2]:
        wire.send(frame)
    assert [wire.subscriber.receive(LIMIT_S).seq for _ in range(10)] == list(range(0, 20, 2))
    assert wire.subscriber.counts.lost == {HITS: 9}
    assert silent.poll(30_000)
    silent.recv_multipart()
    assert not silent.poll(50), "it was asked once only"
    wire.close()
    context.destroy(linger=0)


def ask(store: Publisher, *requests: bytes, answers: int = 1) -> list[tuple[str, dict]]:
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    dealer.rcvtimeo = 30_000
    dealer.connect(store.replay_address)
    for request in requests:
        dealer.send(request)
    got = []
    while answers:
        message = decode(*dealer.recv_multipart())
        answers -= message.topic == "replay."
        got.append((message.topic, message.document if message.topic == "replay." else message.header))
    context.destroy(linger=0)
    return got


def replay_request(first: int, last: int, **changes: object) -> bytes:
    request = {
        "v": 1,
        "id": "r",
        "instance": "first-start",
        "topic": HITS,
        "first_seq": first,
        "last_seq": last,
    }
    return json.dumps(request | changes).encode()


def test_the_end_of_a_replay_says_what_was_missing(store):
    for _ in range(5):
        store.publish(store.framer.hits(make_hits(10_000)))
    answers = ask(store, replay_request(0, 7))
    assert [header["seq"] for topic, header in answers if topic == HITS] == [3, 4]
    assert answers[-1][1]["missing"] == [[0, 2], [5, 7]]
    assert answers[-1][1]["sent"] == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"topic": "x."},
        {"instance": "older-start"},
        {"last_seq": 10_001},
        {"first_seq": 9, "last_seq": 1},
    ],
)
def test_a_replay_that_cannot_be_served_says_why(store, changes):
    [(topic, document)] = ask(store, replay_request(0, 1, **changes))
    assert topic == "replay."
    assert document["error"]


def test_hostile_replay_requests_are_counted_and_the_next_is_served(store):
    store.publish(store.framer.document(LOOP, {}))
    hostile = [
        b"",
        b"\xff" * 50,
        b"[1]",
        b"{}",
        replay_request(-1, 5),
        replay_request(0, 2**60),
        replay_request(True, 1),
    ]
    answers = ask(store, *hostile, replay_request(0, 0, topic=LOOP))
    assert [topic for topic, _ in answers] == [LOOP, "replay."]
    assert store._replay.rejected == len(hostile)


def test_too_many_requests_of_one_client_are_refused_not_queued(store):
    for _ in range(1000):
        store.publish(store.framer.document(EVENT, {}))
    answers = ask(store, *[replay_request(0, 999, topic=EVENT)] * 20, answers=20)
    refused = [document for topic, document in answers if topic == "replay." and document["error"]]
    assert refused
    assert "ask again later" in refused[0]["error"]


def test_a_client_that_leaves_in_the_middle_of_a_replay_harms_nobody(store):
    for _ in range(2):
        store.publish(store.framer.hits(make_hits(10_000)))
    context = zmq.Context()
    for _ in range(20):
        leaver = context.socket(zmq.DEALER)
        leaver.connect(store.replay_address)
        leaver.send(replay_request(0, 1))
        leaver.close(linger=50)
    assert [topic for topic, _ in ask(store, replay_request(0, 1))] == [HITS, HITS, "replay."]
    context.destroy(linger=0)


def test_beyond_the_ring_the_journal_is_read():
    framer = make_framer()
    journal = [framer.hits(make_hits(1)) for _ in range(10)]
    settings = {"instance": framer.instance, "snapshot": dict, "next_seq": framer.next_seq}
    older = lambda topic, first, last: [f for f in journal[:8] if topic == HITS and first <= f.seq <= last]  # noqa: E731
    with Publisher(TCP, TCP, TCP, budget_bytes=1_000_000, older=older, **settings) as store:
        for frame in (journal[4], journal[9]):
            store.publish(frame)
        answers = ask(store, replay_request(1, 9))
    assert [header["seq"] for topic, header in answers if topic == HITS] == [1, 2, 3, 4, 5, 6, 7, 9]
    assert answers[-1][1]["missing"] == [[8, 8]]


def test_frames_that_are_not_on_the_disk_yet_are_asked_for_again():
    framer, asked = make_framer(), []
    journal = [framer.hits(make_hits(1)) for _ in range(10)]

    def older(topic: str, first: int, last: int) -> Iterator[Frame | None]:
        asked.append(first)
        there = journal[first : min(last + 1, 3 * len(asked))]  # three more whenever somebody asks
        yield from there
        if len(there) <= last - first:
            yield None

    settings = {"instance": framer.instance, "snapshot": dict, "next_seq": framer.next_seq}
    with Publisher(TCP, TCP, TCP, budget_bytes=1_000_000, older=older, **settings) as store:
        store.publish(journal[9])
        wire = Wire(replay=store.replay_address)
        wire.send(journal[9])
        assert [wire.subscriber.receive(LIMIT_S).seq for _ in range(10)] == list(range(10))
        wire.close()
    assert asked == [0, 3, 6]


def test_a_journal_that_fails_is_told_and_the_next_request_is_served(caplog):
    framer = make_framer()

    def older(topic: str, first: int, last: int) -> list[Frame]:
        raise OSError("disk gone")

    settings = {"instance": framer.instance, "snapshot": dict, "next_seq": framer.next_seq}
    with Publisher(TCP, TCP, TCP, budget_bytes=1_000_000, older=older, **settings) as store:
        for _ in range(2):
            [(_, document)] = ask(store, replay_request(0, 1))
            assert "disk gone" in document["error"]
            assert document["missing"] == [[0, 1]]


def test_the_ring_keeps_the_newest_within_its_budget_and_events_apart_from_bulk():
    framer, ring = make_framer(), Ring(bulk_bytes=400_000, other_bytes=100_000)
    ring.add(0, framer.document(EVENT, {}))
    for seq in range(10):
        ring.add(seq, framer.hits(make_hits(10_000)))
    assert [ring.get(HITS, seq) is not None for seq in (7, 8, 9)] == [False, True, True]
    assert ring.get(EVENT, 0) is not None
    assert ring.nbytes <= 500_000


def test_small_frames_cost_the_process_no_more_than_the_ring_counts():
    framer, ring, block = make_framer(), Ring(bulk_bytes=4_000_000, other_bytes=100_000), make_hits(1)
    tracemalloc.start()
    for seq in range(8_000):
        ring.add(seq, framer.hits(block))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ring.get(HITS, 0) is None  # it has turned over
    assert held < 1.1 * 4_000_000


def test_a_restarted_daemon_is_found_again(tmp_path):
    addresses = [f"ipc://{tmp_path}/{name}.ipc" for name in ("stream", "live", "replay")]
    with Subscriber(addresses[0], addresses[2], (BEAT, HITS)) as subscriber:
        for name in ("first-start", "second-start"):
            framer = make_framer(name)
            settings = {"instance": name, "snapshot": dict, "next_seq": framer.next_seq}
            with Publisher(*addresses, budget_bytes=1_000_000, **settings) as publisher:
                wait_for(lambda name=name: subscriber.receive(0.01) is None and subscriber.instance == name)
                publisher.publish(framer.hits(make_hits(1)))
                assert subscriber.receive(LIMIT_S).instance == name
        assert subscriber.counts.restarts == 1


@pytest.mark.parametrize("topics", [(), ("hit.",), ("hits.", "")])
def test_unknown_topics_are_refused(topics):
    with pytest.raises(ConfigError, match="topics"):
        Subscriber("tcp://127.0.0.1:17601", None, topics)
