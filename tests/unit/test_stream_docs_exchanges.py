"""The welcome and the replay that the protocol page shows in bytes are what goes over the sockets."""

import re
from pathlib import Path

import pytest
import zmq

from evapd.stream.frame import HITS, TOPICS
from evapd.stream.publisher import Publisher
from support.stream_page import hex_dump, worked_example
from support.stream_parts import wait_for

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "stream.md"
DEFAULTS = [b"tcp://127.0.0.1:17602", b"tcp://127.0.0.1:17603"]
REQUEST = b'{"v":1,"id":"r-1","instance":"0123456789abcdef0123456789abcdef","topic":"hits.","first_seq":40,"last_seq":42}'


def exchange() -> list[bytes]:
    """Topic, header and payload of a welcome; a request; topic, header and payload of the end of its answer."""
    frame, context = worked_example(), zmq.Context()
    asker, dealer = context.socket(zmq.SUB), context.socket(zmq.DEALER)
    asker.linger = dealer.linger = 0
    numbers = dict.fromkeys(TOPICS, 0) | {HITS: 41}
    settings = {
        "snapshot": lambda: {"run_state": "running"},
        "budget_bytes": 1_000_000,
        "next_seq": lambda: numbers,
    }
    instance = "0123456789abcdef0123456789abcdef"
    with Publisher(*["tcp://127.0.0.1:*"] * 3, instance=instance, **settings) as publisher:
        publisher.publish(frame)
        wait_for(lambda: publisher.stats().frames == 1)
        asker.connect(publisher.address)
        asker.subscribe(b"welcome.0a1b2c3d")
        welcome = asker.recv_multipart()
        for real, shown in zip((publisher.live_address, publisher.replay_address), DEFAULTS, strict=True):
            welcome[2] = welcome[2].replace(real.encode(), shown)
        dealer.connect(publisher.replay_address)
        dealer.send(REQUEST)
        assert dealer.recv_multipart() == [bytes(part) for part in frame.parts()]
        end = dealer.recv_multipart()
    context.destroy(linger=0)
    return [*welcome, REQUEST, *end]


@pytest.fixture(scope="module")
def exchanged() -> list[bytes]:
    return exchange()


@pytest.mark.parametrize("part", range(7))
def test_the_exchanges_of_the_page_are_what_the_sockets_say(exchanged, part):
    dumps = re.findall(r"```hexdump\n(.*?)\n```", PAGE.read_text(), re.DOTALL)
    assert dumps[3 + part] == hex_dump(exchanged[part])


def test_every_part_of_the_exchanges_is_on_the_page(exchanged):
    assert PAGE.read_text().count("```hexdump") == 3 + len(exchanged)
