"""Workers that match pieces of words, each task anew; results come in the order of the tasks.

Workers are processes, spawned and never forked from a process with threads; only descriptions of pieces go to them,
over the private pipes between parent and child, and they read the words themselves. They end with their parent,
however it ends. Words that exist as arrays in this process are matched by threads: the kernels hold no GIL, and to
send the words would take longer than to match them.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from types import TracebackType
from typing import Self

from evapd.errors import EvapdError
from evapd.matching import Anode, MatchSettings
from evapd.record.words import Piece
from evapd.rematch.pieces import Matched, match_pieces

_AHEAD = 2  # tasks per worker under way: one at work, one waiting


class Crew:
    """Some workers; a context manager. A single one is this process itself."""

    def __init__(self, anode: Anode, settings: MatchSettings, workers: int, *, threads: bool) -> None:
        self._anode, self._settings = anode, settings
        self._limit = _AHEAD * workers
        self._under_way: deque[Callable[[], Matched]] = deque()
        self._pool: Executor | None = None
        self._warm = threads
        if workers > 1 and threads:
            self._pool = ThreadPoolExecutor(workers, thread_name_prefix="rematch")
        elif workers > 1:
            self._pool = ProcessPoolExecutor(
                workers, multiprocessing.get_context("spawn"), initializer=_begin
            )

    @property
    def full(self) -> bool:
        """Whether a result must be taken before the next task is given."""
        return len(self._under_way) >= self._limit

    @property
    def idle(self) -> bool:
        """Whether there is no result to wait for."""
        return not self._under_way

    def give(self, pieces: Sequence[Piece]) -> None:
        """Give the next task."""
        if self._pool is None or not self._warm:
            # The first task of all is done here: were no kernel compiled yet, every worker would do it, all at once.
            self._warm = True
            done = match_pieces(pieces, self._anode, self._settings)
            self._under_way.append(lambda: done)
            return
        try:
            with _interrupt_held():
                task = self._pool.submit(match_pieces, pieces, self._anode, self._settings)
            self._under_way.append(task.result)
        except BrokenProcessPool as error:
            raise _died() from error

    def take(self) -> Matched:
        """Wait for the result of the oldest task.

        Raises:
            EvapdError: when a worker process has died.
            RecordError: when the words cannot be read.
        """
        try:
            return self._under_way.popleft()()
        except BrokenProcessPool as error:
            raise _died() from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupt_held() -> Iterator[None]:
    """Ctrl-C waits: processes that start meanwhile never see it, not even before they can say that they ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _died() -> EvapdError:
    return EvapdError(
        "a worker process ended before its work was done (killed, or out of memory: see the system's log); "
        "nothing was written. Start again, with fewer --workers or a smaller --block-words when memory is short"
    )


def _begin() -> None:
    """Set up a worker: Ctrl-C is the parent's to handle, and a parent that was killed leaves nobody behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), name="parent", daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
