"""Worker processes: what happens to the one who waits when something else happens to them."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event, Thread

import pytest

from evapd.blocks import TdcBlock
from evapd.errors import EvapdError, RecordError
from evapd.matching import MatchSettings
from evapd.record.words import Reading
from evapd.rematch.crew import Crew
from evapd.rematch.worker import interrupt_held
from support.anodes import quad


@dataclass(frozen=True)
class Piece:
    """A piece of no words, of which the reading does something else."""

    does: str
    words: int = 0
    continues: bool = False

    def blocks(self, reading: Reading) -> Iterator[TdcBlock]:
        reading.damaged += 1
        if self.does == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.does == "refuse":
            raise RecordError("these words cannot be read")
        yield from ()


NOTHING = Piece("nothing")


def crew() -> Crew:
    return Crew(quad(), MatchSettings(), 2, threads=False)


def test_a_worker_that_dies_ends_the_wait_for_its_result() -> None:
    with crew() as workers, pytest.raises(EvapdError, match="a worker process ended"):  # noqa: PT012 - either may tell
        for what in (NOTHING, NOTHING, Piece("die"), NOTHING):
            workers.give([what])
        while not workers.idle:
            workers.take()


def test_what_a_worker_cannot_read_is_raised_where_the_result_is_taken() -> None:
    with crew() as workers:
        for what in (NOTHING, Piece("refuse"), NOTHING):
            workers.give([what])
        assert workers.take().reading.damaged == 1
        with pytest.raises(RecordError, match="these words cannot be read"):
            workers.take()
        assert workers.take().reading.damaged == 1


def test_a_crew_that_is_left_with_work_under_way_ends() -> None:
    with crew() as workers:
        for _ in range(4):
            workers.give([NOTHING] * 1000)
        assert workers.full


def test_ctrl_c_waits_while_it_is_held_also_when_another_thread_takes_it() -> None:
    held, came = Event(), Event()
    before = signal.signal(signal.SIGINT, lambda *_: came.set())
    other = Thread(target=lambda: held.wait(10.0) and os.kill(os.getpid(), signal.SIGINT))
    try:
        other.start()  # before the signal is blocked: it does not inherit that
        with interrupt_held():
            held.set()
            other.join()
            assert not came.is_set()
        assert came.is_set()
    finally:
        signal.signal(signal.SIGINT, before)
