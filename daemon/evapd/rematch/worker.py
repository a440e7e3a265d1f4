"""A worker process: asked for one task at a time, over a pipe that it shares with its parent alone.

There is no queue or lock that a dying worker could leave taken, or a message that others wait to see ended: when a
worker ends, however it ends, its pipe ends, and whoever waits for its answer is told.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait

from evapd.errors import EvapdError
from evapd.matching import Anode, MatchSettings
from evapd.record.words import Piece
from evapd.rematch.pieces import Matched, match_pieces


class Worker:
    """A worker process; one thread may ask it at a time. To be started while `interrupt_held`."""

    def __init__(self, anode: Anode, settings: MatchSettings) -> None:
        context = multiprocessing.get_context("spawn")  # a process with threads must not be forked
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, anode, settings), daemon=True)
        self._process.start()
        theirs.close()  # so that the pipe ends with the worker

    def match(self, pieces: Sequence[Piece]) -> Matched:
        """Have a task done; waits for its result.

        Raises:
            EvapdError: when the worker has ended.
            RecordError: when the words cannot be read.
        """
        try:
            self._pipe.send(pieces)
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise EvapdError(
                "a worker process ended before its work was done (killed, or out of memory: see the system's log); "
                "nothing was written. Start again, with fewer --workers or a smaller --block-words when memory is short"
            ) from error
        if isinstance(answer, EvapdError):
            raise answer
        assert isinstance(answer, Matched)  # noqa: S101 - the worker gives nothing else
        return answer

    def kill(self) -> None:
        """End the process whatever it does; who waits for its answer is told."""
        self._process.kill()

    def close(self) -> None:
        """Wait for the end of a process that was killed."""
        self._process.join()
        self._process.close()
        self._pipe.close()


@contextmanager
def interrupt_held() -> Iterator[None]:
    """Ctrl-C waits: it does not stop a process half way into its start, and those that start never see it.

    They inherit that the signal is blocked. For this process that is not enough: another thread, of a numerical
    library perhaps, takes the signal instead, and its handler would run here all the same.
    """
    resource_tracker.ensure_running()  # its own start would unblock the signal again
    came = threading.Event()
    here = threading.current_thread() is threading.main_thread()  # handlers run nowhere else
    handler = signal.signal(signal.SIGINT, lambda *_: came.set()) if here else None
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        if came.is_set():
            signal.raise_signal(signal.SIGINT)


def _serve(pipe: Connection, anode: Anode, settings: MatchSettings) -> None:
    """Answer until nobody asks. Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), name="parent", daemon=True).start()
    while True:
        try:
            pieces = pipe.recv()
        except (EOFError, OSError):
            return
        answer: Matched | EvapdError
        try:
            answer = match_pieces(pieces, anode, settings)
        except EvapdError as error:
            answer = error
        try:
            pipe.send(answer)
        except OSError:
            return


def _end_with(sentinel: int) -> None:
    """A parent that was killed leaves nobody behind, not even at work on a long task."""
    wait([sentinel])
    os._exit(1)
