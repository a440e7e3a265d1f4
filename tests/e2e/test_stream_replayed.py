"""Replay in the whole daemon: what its subscribers got is what can be asked for again, whichever process said it."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from evapd.stream.frame import EVENT, HITS, LOOP, SLOW, STATE, WORDS
from support.daemon import Daemon, daemon
from support.wait import wait_for

SMALL = {"sockets": {"stream_budget_mb": 0.05}}  # the ring holds a second or less of everything
TOPICS = (HITS, WORDS, LOOP, SLOW, EVENT, STATE)
FRAMES = 60  # of hits: some seconds of a run


class Listener:
    """A plain subscriber that keeps up, and a plain DEALER."""

    def __init__(self, rig: Daemon) -> None:
        sockets = rig.loaded.rig.sockets
        self._context = zmq.Context()
        self._sub, self._dealer = self._context.socket(zmq.SUB), self._context.socket(zmq.DEALER)
        self._sub.linger = self._dealer.linger = 0
        self._dealer.rcvtimeo = 30_000
        self._sub.connect(sockets.stream)
        self._dealer.connect(sockets.replay)
        for topic in (*TOPICS, "welcome.12345678"):
            self._sub.subscribe(topic)
        self.instance = json.loads(self._sub.recv_multipart()[1])["instance"]
        self.heard: dict[str, dict[int, list[bytes]]] = {topic: {} for topic in TOPICS}

    def listen(self) -> None:
        """Keep what has come."""
        while self._sub.poll(10):
            parts = self._sub.recv_multipart()
            if (topic := parts[0].decode()) in self.heard:
                self.heard[topic][json.loads(parts[1])["seq"]] = parts

    def ask(self, topic: str, first: int, last: int) -> tuple[dict[int, list[bytes]], dict[str, Any]]:
        """Frames by number, and the end of the answer."""
        request = {"v": 1, "id": "r", "instance": self.instance, "topic": topic}
        self._dealer.send(json.dumps(request | {"first_seq": first, "last_seq": last}).encode())
        frames: dict[int, list[bytes]] = {}
        while (parts := self._dealer.recv_multipart())[0] != b"replay.":
            frames[json.loads(parts[1])["seq"]] = parts
        return frames, json.loads(parts[2])

    def close(self) -> None:
        self._context.destroy(linger=0)


@pytest.fixture(scope="module")
def ended() -> Iterator[tuple[Daemon, Listener]]:
    """A daemon after a run, and somebody who has heard all of it."""
    with daemon(SMALL) as rig:
        listener = Listener(rig)
        rig.start_run()
        begun = max(listener.heard[HITS], default=0)
        wait_for(
            lambda: listener.listen() or max(listener.heard[HITS], default=0) > begun + FRAMES,
            "hits of a run",
            30.0,
            every_s=0.0,
        )
        rig.ask("stop", reason="heard enough")
        wait_for(
            lambda: listener.listen() or rig.ask("status")["run_state"] == "idle", "the end of the run", 60.0
        )
        deadline_s = time.monotonic() + 1.5
        wait_for(lambda: listener.listen() or time.monotonic() > deadline_s, "frames after the run")
        yield rig, listener
        listener.close()


@pytest.mark.parametrize("topic", [HITS, WORDS, LOOP, SLOW])
def test_a_topic_is_replayed_byte_for_byte_from_its_first_frame(ended, topic):
    _, listener = ended
    heard = listener.heard[topic]
    frames, end = listener.ask(topic, min(heard), max(heard))
    assert end["error"] == ""
    assert end["missing"] == []
    assert frames == {seq: frames[seq] for seq in range(min(heard), max(heard) + 1)}
    assert {seq: frames[seq] for seq in heard} == heard


@pytest.mark.parametrize("topic", [EVENT, STATE])
def test_of_a_run_nothing_is_missing_where_two_processes_speak(ended, topic):
    """Between runs acquire writes no journal: what it said then may be missing, what it said in the run may not."""
    _, listener = ended
    heard = listener.heard[topic]
    frames, _ = listener.ask(topic, min(heard), max(heard))
    in_run = {seq: parts for seq, parts in heard.items() if json.loads(parts[1])["run"]}
    assert len(in_run) > 2
    assert {seq: frames.get(seq) for seq in in_run} == in_run
    assert all(heard.get(seq, parts) == parts for seq, parts in frames.items())
