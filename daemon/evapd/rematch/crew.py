"""Workers that match pieces of words, each task anew; results come in the order of the tasks.

Pieces that are only descriptions of places on the disk go to worker processes, which read the words themselves: one
thread for each sends it a task and waits for the result. Words that exist as arrays in this process are matched by
the threads: the kernels hold no GIL, and to send the words would take longer than to match them.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from evapd.matching import Anode, MatchSettings
from evapd.record.words import Piece
from evapd.rematch.pieces import Matched, match_pieces
from evapd.rematch.worker import Worker, interrupt_held

_AHEAD = 2  # tasks per worker under way: one at work, one waiting


class Crew:
    """Some workers; a context manager. A single one is this process itself."""

    def __init__(self, anode: Anode, settings: MatchSettings, workers: int, *, threads: bool) -> None:
        self._anode, self._settings = anode, settings
        self._size, self._limit = workers, _AHEAD * workers
        self._under_way: deque[Callable[[], Matched]] = deque()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="rematch") if workers > 1 else None
        self._processes = workers > 1 and not threads
        self._workers: list[Worker] = []
        self._free: SimpleQueue[Worker] = SimpleQueue()
        self._begun = False

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
        # Where there are processes the first task of all is done here: were no kernel compiled yet, every worker
        # would do it, all at once.
        if self._pool is None or (self._processes and not self._begun):
            self._begun = True
            done = self._match(pieces)
            self._under_way.append(lambda: done)
            return
        if self._processes and not self._workers:
            self._start()
        task = self._pool.submit(self._ask if self._processes else self._match, pieces)
        self._under_way.append(task.result)

    def take(self) -> Matched:
        """Wait for the result of the oldest task.

        Raises:
            EvapdError: when a worker process has ended.
            RecordError: when the words cannot be read.
        """
        return self._under_way.popleft()()

    def _start(self) -> None:
        with interrupt_held():
            for _ in range(self._size):
                self._workers.append(Worker(self._anode, self._settings))
                self._free.put(self._workers[-1])

    def _match(self, pieces: Sequence[Piece]) -> Matched:
        return match_pieces(pieces, self._anode, self._settings)

    def _ask(self, pieces: Sequence[Piece]) -> Matched:
        worker = self._free.get()  # never waits: there are as many as threads
        try:
            return worker.match(pieces)
        finally:
            self._free.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.close()
