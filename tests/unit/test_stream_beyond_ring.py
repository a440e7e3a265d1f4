"""A subscriber that stalled far longer than the ring reaches ends up with every hit, once and in order."""

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from evapd.client import Client
from evapd.record.journal import segments
from evapd.stream import fetch
from evapd.stream.frame import EVENT, HITS, LOOP, STATE, WORDS, Message, decode
from evapd.stream.replay import MAX_RANGE
from evapd.stream.subscriber import Subscriber
from evapd.stream.tracker import Gap
from support.stream_journal import Scribe, beating
from support.stream_parts import make_hits, make_words, wait_for

LIMIT_S = 30.0
SMALL_RING = {"budget_bytes": 400_000, "grace_s": 0.3}
BLOCKS = [make_hits(100, seed) for seed in range(50)]
LONG = MAX_RANGE + 9_000  # frames


@pytest.fixture
def scribe(tmp_path: Path) -> Iterator[Scribe]:
    made = Scribe(tmp_path, publisher=SMALL_RING)
    yield made
    made.close()


def emit(scribe: Scribe, count: int) -> None:
    for block in itertools.islice(itertools.cycle(BLOCKS), count):
        scribe.emit(scribe.framer.hits(block))


def beats(scribe: Scribe, count: int = 2) -> None:
    scribe.settle()
    for _ in range(count):
        scribe.bus.beat()


def joined(scribe: Scribe, *topics: str, budget_bytes: int = 400_000) -> Subscriber:
    made = Subscriber(
        scribe.publisher.address, scribe.publisher.replay_address, topics, budget_bytes=budget_bytes
    )
    assert made.await_welcome(LIMIT_S)
    return made


def everything(scribe: Scribe, subscriber: Subscriber) -> list[Message]:
    """Read on beside beats, until two of them in a row bring nothing."""
    got, quiet = [], 0
    while quiet < 2:
        beats(scribe, 1)
        more = list(iter(lambda: subscriber.receive(0.5), None))
        quiet = 0 if more else quiet + 1
        got += more
    return got


def test_the_shipped_client_gets_every_hit_exactly_once_and_its_user_notices_nothing(scribe):
    scribe.begin_run(2_000_000)
    addresses = {"stream": scribe.publisher.address, "replay": scribe.publisher.replay_address}
    with Client("tcp://127.0.0.1:1", **addresses) as client, client.hits(timeout_s=2.0) as blocks:
        emit(scribe, LONG)
        scribe.settle()
        with beating(scribe):
            sums = [int(block.tof_ps.sum()) for block in blocks]
        assert client.lost_frames == 0
        assert blocks.counts.recovered[HITS] > MAX_RANGE
    assert sums == [int(block.tof_ps.sum()) for block in itertools.islice(itertools.cycle(BLOCKS), LONG)]


class Foreign:
    """A program that knows the page only: a SUB and a DEALER socket."""

    def __init__(self, scribe: Scribe) -> None:
        self.context = zmq.Context()
        self.sub, self.dealer = self.context.socket(zmq.SUB), self.context.socket(zmq.DEALER)
        for socket in (self.sub, self.dealer):
            socket.linger, socket.rcvhwm, socket.rcvtimeo = 0, 16, 30_000
        self.sub.connect(scribe.publisher.address)
        self.dealer.connect(scribe.publisher.replay_address)
        for topic in (b"hits.", b"beat.", b"welcome.0123abcd"):
            self.sub.subscribe(topic)
        self.welcome = decode(*self.sub.recv_multipart()).document

    def read(self, most: float = float("inf")) -> list[tuple[bytes, bytes, bytes]]:
        got: list[tuple[bytes, bytes, bytes]] = []
        while len(got) < most and self.sub.poll(1000):
            got.append(tuple(self.sub.recv_multipart()))
        return got

    def request(self, first: int, last: int, **changes: Any) -> None:
        request = {
            "v": 1, "id": "r", "instance": "first-start", "topic": HITS, "first_seq": first, "last_seq": last,
        }  # fmt: skip
        self.dealer.send(json.dumps(request | changes).encode())

    def answer(self) -> tuple[list[Message], dict[str, Any]]:
        messages = []
        while (message := decode(*self.dealer.recv_multipart())).topic != "replay.":
            messages.append(message)
        return messages, message.document

    def ask(self, first: int, last: int, **changes: Any) -> tuple[list[Message], dict[str, Any]]:
        self.request(first, last, **changes)
        return self.answer()

    def close(self) -> None:
        self.context.destroy(linger=0)


@pytest.fixture
def foreign(scribe: Scribe) -> Iterator[Foreign]:
    made = Foreign(scribe)
    yield made
    made.close()


def test_a_foreign_program_gets_every_hit_exactly_once_over_a_dealer(scribe, foreign):
    scribe.begin_run(500_000)
    emit(scribe, 3_000)
    messages = [decode(*parts) for parts in foreign.read()]
    beats(scribe, 1)
    [beat] = [decode(*parts) for parts in foreign.read()]
    last = beat.document["last_seq"][HITS]
    frames = {message.seq: message for message in messages if message.topic == HITS}
    lacking = [seq for seq in range(foreign.welcome["next_seq"][HITS], last + 1) if seq not in frames]
    assert len(lacking) > 500, "it did not stall"
    found, end = foreign.ask(lacking[0], lacking[-1])
    assert end["missing"] == []
    for message in found:
        assert frames.setdefault(message.seq, message).payload == message.payload
    expected = [int(block.tof_ps.sum()) for block in itertools.islice(itertools.cycle(BLOCKS), 3_000)]
    assert [int(frames[seq].columns["tof_ps"].sum(dtype="i8")) for seq in sorted(frames)] == expected


def test_every_topic_is_repaired_in_its_order(scribe):
    scribe.begin_run()
    subscriber = joined(scribe, HITS, EVENT, LOOP, budget_bytes=1)
    for number in range(400):
        scribe.bus.event("test", "info", f"{number} {'x' * 20_000}")
        scribe.guard_says(scribe.guard_framer.document(LOOP, {"number": number}))
        emit(scribe, 3)
    beats(scribe)
    got = everything(scribe, subscriber)
    assert subscriber.counts.lost == {}
    assert min(subscriber.counts.recovered.get(topic, 0) for topic in (HITS, EVENT, LOOP)) > 0
    for topic, count in ((HITS, 1200), (EVENT, 400), (LOOP, 400)):
        assert [message.seq for message in got if message.topic == topic] == list(range(count))
    subscriber.close()


def test_a_tail_that_was_dropped_is_found_by_the_beat_and_fetched_from_the_journal(scribe):
    scribe.begin_run()
    subscriber = joined(scribe, HITS, budget_bytes=1)
    emit(scribe, 2_000)
    beats(scribe)
    assert [message.seq for message in everything(scribe, subscriber)] == list(range(2_000))
    assert subscriber.counts.recovered[HITS] > 0
    subscriber.close()


def test_the_tail_of_a_run_is_fetched_after_its_end(scribe):
    scribe.begin_run()
    subscriber = joined(scribe, HITS, budget_bytes=1)
    emit(scribe, 2_000)
    scribe.end_run()
    beats(scribe)
    assert [message.seq for message in everything(scribe, subscriber)] == list(range(2_000))
    subscriber.close()


def test_a_repair_holds_a_few_megabytes_however_long_the_gap(scribe, monkeypatch):
    monkeypatch.setattr(fetch, "AT_ONCE_BYTES", 50_000)
    held = []
    ask = fetch.Fetcher.fetch

    def fetched(self: fetch.Fetcher, gap: Any) -> fetch.Answer:
        answer = ask(self, gap)
        held.append(sum(len(message.payload) for message in answer.messages))
        return answer

    monkeypatch.setattr(fetch.Fetcher, "fetch", fetched)
    scribe.begin_run(2_000_000)
    for seed in range(60):
        scribe.emit(scribe.framer.words(make_words(2_000, seed)))
        scribe.settle()  # of a frame that its queue has no room for the publisher itself tells the subscriber
    with joined(scribe, WORDS) as subscriber:
        subscriber._backlog.append(Gap("first-start", WORDS, 0, 59))
        assert [message.seq for message in everything(scribe, subscriber)] == list(range(60))
    assert len(held) > 10
    assert max(held) <= 50_000 + 27_000


def test_a_replay_beside_a_growing_journal_crosses_from_segment_to_segment(scribe, foreign):
    scribe.begin_run(20_000)
    emit(scribe, 500)
    writing = threading.Event()

    def write() -> None:
        while not writing.wait(0.001):
            emit(scribe, 5)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            found, end = foreign.ask(0, 499)
            while end["busy"]:  # the memory is short, the disk is slow: some are on their way
                more, end = foreign.ask(end["through"] + 1, 499)
                found += more
            assert [message.seq for message in found] == list(range(500))
            assert end["missing"] == []
    finally:
        writing.set()
        writer.join()


def test_a_run_that_is_removed_while_it_is_replayed_ends_in_missing_ranges(scribe, foreign):
    scribe.begin_run(1_000_000)
    for seed in range(150):
        scribe.emit(scribe.framer.hits(make_hits(10_000, seed)))
    scribe.settle()
    foreign.request(0, 149)
    first = decode(*foreign.dealer.recv_multipart())
    for path in segments(scribe.journal.segment.parent, "acquire")[:-1]:
        path.unlink()
    rest, end = foreign.answer()
    given = [first.seq, *(message.seq for message in rest)]
    missing = [seq for low, high in end["missing"] for seq in range(low, high + 1)]
    assert missing
    assert sorted(given + missing) == list(range(150))
    assert end["error"] == ""


def test_an_answer_ends_at_the_bytes_that_were_asked_for(scribe, foreign):
    scribe.begin_run()
    emit(scribe, 100)
    scribe.settle()
    found, end = foreign.ask(0, 99, max_bytes=5_000)
    assert 0 < len(found) < 20
    assert end["through"] == found[-1].seq
    assert end["missing"] == []


def test_an_answer_tells_the_newest_number(scribe, foreign):
    emit(scribe, 3)
    assert foreign.ask(0, 9_999)[1]["newest"] == 2
    assert foreign.ask(0, 0, topic=STATE)[1]["newest"] == -1


def test_a_number_from_the_far_future_is_lost_at_once_not_asked_for_range_by_range(scribe):
    subscriber = joined(scribe, HITS)
    emit(scribe, 1)
    assert subscriber.receive(LIMIT_S).seq == 0
    subscriber._backlog.append(Gap("first-start", HITS, 1, 2**53 - 2))
    assert subscriber.receive(0.2) is None
    assert subscriber.counts.lost == {HITS: 2**53 - 2}
    subscriber.close()


def test_a_client_that_never_reads_costs_a_few_megabytes_and_nobody_else_waits(scribe, foreign):
    scribe.begin_run(5_000_000)
    for seed in range(100):
        scribe.emit(scribe.framer.hits(make_hits(10_000, seed)))
    scribe.settle()
    hostile = scribe.publisher._context.socket(zmq.DEALER)
    hostile.linger, hostile.rcvhwm = 0, 1
    hostile.connect(scribe.publisher.replay_address)
    for number in range(4):
        request = {"v": 1, "id": f"{number}", "instance": "first-start", "topic": HITS}
        hostile.send(json.dumps(request | {"first_seq": 0, "last_seq": 99}).encode())
    wait_for(lambda: len(scribe.publisher._replay._jobs) == 4)
    found, _ = foreign.ask(0, 99)
    assert [message.seq for message in found] == list(range(100))
    assert len(scribe.publisher._replay._jobs) == 4, "they still wait for their client"
    hostile.close()


def test_programs_that_never_read_cannot_keep_all_places(scribe, foreign, monkeypatch):
    monkeypatch.setattr("evapd.stream.replay._MAX_JOBS", 4)
    monkeypatch.setattr("evapd.stream.replay._GIVE_WAY_S", 0.05)
    scribe.begin_run(5_000_000)
    for seed in range(100):
        scribe.emit(scribe.framer.hits(make_hits(10_000, seed)))
    scribe.settle()
    hostile = [scribe.publisher._context.socket(zmq.DEALER) for _ in range(4)]
    for dealer in hostile:
        dealer.linger, dealer.rcvhwm = 0, 1
        dealer.connect(scribe.publisher.replay_address)
        request = {"v": 1, "id": "x", "instance": "first-start", "topic": HITS}
        dealer.send(json.dumps(request | {"first_seq": 0, "last_seq": 99}).encode())
    wait_for(lambda: len(scribe.publisher._replay._jobs) == 4)
    wait_for(lambda: foreign.ask(0, 0)[1]["sent"] == 1)
    for dealer in hostile:
        dealer.close()


def test_refusals_that_a_flood_does_not_read_take_no_place_of_others(scribe, foreign):
    scribe.begin_run(5_000_000)
    for seed in range(100):
        scribe.emit(scribe.framer.hits(make_hits(10_000, seed)))
    scribe.settle()
    hostile = scribe.publisher._context.socket(zmq.DEALER)
    hostile.linger, hostile.rcvhwm = 0, 1
    hostile.connect(scribe.publisher.replay_address)
    request = {"v": 1, "id": "x", "instance": "first-start", "topic": HITS}
    for _ in range(2000):
        hostile.send(json.dumps(request | {"first_seq": 0, "last_seq": 99}).encode())
    wait_for(lambda: scribe.publisher._replay.rejected > 1000)
    end = foreign.ask(0, 0)[1]
    assert (end["sent"], end["busy"]) == (1, False)
    hostile.close()


def test_a_request_too_many_is_told_to_come_again_and_the_fetcher_does(scribe, monkeypatch):
    scribe.begin_run()
    emit(scribe, 50)
    scribe.settle()
    subscriber = joined(scribe, HITS)
    subscriber._backlog.append(Gap("first-start", HITS, 0, 49))
    monkeypatch.setattr("evapd.stream.replay._MAX_JOBS_PER_PEER", 0)
    monkeypatch.setattr(fetch, "_BUSY_S", 0.01)
    tries = []

    def give_way(self: fetch.Fetcher, gap: Any) -> Any:
        tries.append(gap)
        if len(tries) == 3:
            monkeypatch.setattr("evapd.stream.replay._MAX_JOBS_PER_PEER", 4)
        return ask(self, gap)

    ask = fetch.Fetcher._ask
    monkeypatch.setattr(fetch.Fetcher, "_ask", give_way)
    assert [message.seq for message in everything(scribe, subscriber)] == list(range(50))
    assert len(tries) == 3
    subscriber.close()


def test_the_tail_at_the_end_of_the_daemon_is_fetched_while_it_ends(scribe):
    """The last frames are dropped on the way; the two beats of the end pass, and the replay socket still answers."""
    publisher, scribe.publisher = scribe.publisher, None
    scribe.begin_run()
    subscriber = Subscriber(publisher.address, publisher.replay_address, (HITS,))
    assert subscriber.await_welcome(LIMIT_S)
    emit(scribe, 100)  # nobody sends these
    scribe.end_run()
    for _ in range(2):
        publisher.publish(scribe.framer.beat())
    ending = threading.Thread(target=publisher.stop)
    ending.start()
    assert [subscriber.receive(LIMIT_S).seq for _ in range(100)] == list(range(100))
    ending.join()
    subscriber.close()


def test_an_end_without_subscribers_waits_for_nobody(tmp_path):
    scribe = Scribe(tmp_path, publisher=SMALL_RING | {"grace_s": 60.0})
    scribe.close()
