"""A subscriber in C, made from the protocol page alone, sees exactly what was published."""

import ctypes.util
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from evapd.stream.frame import BEAT, EVENT, HITS, LOOP, SLOW, STATE, WORDS
from support.stream_journal import Scribe, beating
from support.stream_parts import make_hits, make_words

SOURCE = Path(__file__).parents[1] / "support" / "stream_subscriber.c"
FLAGS = ("-O2", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror")


def libzmq() -> str:
    """The library that comes with pyzmq, or the machine's own."""
    bundled = sorted((Path(zmq.__file__).parents[1] / "pyzmq.libs").glob("libzmq*.so*"))
    found = str(bundled[0]) if bundled else ctypes.util.find_library("zmq")
    assert found, "there is no libzmq on this machine"
    return found


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("subscriber") / "stream_subscriber"
    subprocess.run(["cc", *FLAGS, "-o", str(made), str(SOURCE), "-ldl"], check=True)
    return made


@pytest.fixture
def scribe(tmp_path: Path) -> Iterator[Scribe]:
    made = Scribe(tmp_path, publisher={"budget_bytes": 400_000})
    yield made
    made.close()


def test_it_reads_hits_checks_numbers_and_repairs_what_it_missed(scribe, program):
    for number in range(3):
        scribe.bus.state({"before": number})  # of no concern to who comes later
    command = [str(program), libzmq(), scribe.publisher.address, scribe.publisher.replay_address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "welcome\n"  # and now it stalls
        scribe.begin_run(1_000_000)
        blocks = [make_hits(200, seed, first_pulse=10_000 * seed) for seed in range(2_000)]
        for number, block in enumerate(blocks):
            scribe.emit(scribe.framer.hits(block))
            if number % 20 == 0:
                scribe.emit(scribe.framer.words(make_words(100)))
                scribe.bus.event("test", "info", 'a text with "quotes", [brackets] and {"kind": "end"}')
                scribe.guard_says(scribe.guard_framer.document(SLOW, {"number": number}))
        scribe.bus.event("end", "info", "the last one")
        scribe.settle()
        with beating(scribe):
            running.stdin.write("go\n")
            running.stdin.flush()
            told = json.loads(running.stdout.readline())
    assert told["ended"]
    assert told["instance"] == scribe.framer.instance
    assert told["hits"] == sum(block.n for block in blocks)
    assert told["tof_sum"] == sum(int(block.tof_ps.sum(dtype="i8")) for block in blocks)
    assert told["pulses"] == sum(block.last_pulse - block.first_pulse + 1 for block in blocks)
    assert told["inhibited"] == sum(block.inhibited_pulses for block in blocks)
    frames = {topic: count for topic, count in told["frames"].items() if topic != BEAT}
    assert frames == {HITS: 2000, WORDS: 100, SLOW: 100, EVENT: 101, LOOP: 0, STATE: 0}
    assert told["gaps"] > 0, "it did not stall"
    assert told["repaired"] > 0
    assert (told["lost"], told["duplicates"], told["restarts"]) == (0, 0, 0)
