"""Writing a journal: a bounded queue, one thread that writes, one that makes what was written durable."""

import errno
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from evapd.errors import RecordError
from evapd.record.journal.layout import HEAD, KIND_OF_TOPIC, check_size, pack_head
from evapd.record.journal.policy import OF_A_RUN, Count, Policy
from evapd.record.journal.sink import SegmentSink, free_bytes, make_durable
from evapd.record.journal.teller import FaultTeller, LossTold
from evapd.stream.frame import EVENT, Frame

_log = logging.getLogger(__name__)
_SYNC_PERIOD_S = 1.0
_BATCH_FRAMES = 64
_BATCH_BYTES = 4 << 20


class JournalWriter(AbstractContextManager["JournalWriter"]):
    """Appends frames to segments `<prefix>-000001.evj` of one folder at a time.

    `append` never waits for the disk. What it refuses is counted in `lost` and told to `on_fault`; what it accepts
    is written in order. A frame counts as `written` when its write has returned: from then on it survives a kill
    of the process; when it is `synced` it survives a loss of power. What was written is synced at least once a
    second, and at once where an event is among it.

    After an error of the disk nothing more is written into the segment: a hole is never followed by data. After a
    failed sync the kernel may have dropped what it held and forgotten that: the file is never synced again, and what
    no earlier sync covered counts as `doubtful`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        prefix: str,
        segment_bytes: int,
        queue_bytes: int,
        reserve_bytes: int,
        on_fault: Callable[[str], None],
        clock: Callable[[], float],
        policy: Policy = OF_A_RUN,
    ) -> None:
        """Create the folder and the first segment, and start both threads.

        Args:
            directory: where segments go; made when absent.
            prefix: name of this series.
            segment_bytes: size at which a new segment begins.
            queue_bytes: bound of what may wait for the disk.
            reserve_bytes: bytes that must be free at the start, and below which `low_space` turns True.
            on_fault: told what happened and what to do, on a thread of its own.
            clock: monotonic seconds.
            policy: what it does by itself.

        Raises:
            RecordError: when the folder cannot be written or too little is free.
        """
        self.prefix, self._clock, self._policy = prefix, clock, policy
        self._segment_bytes = self._roll_at = segment_bytes
        self._queue_bytes, self._reserve_bytes = queue_bytes, reserve_bytes
        self._work = threading.Condition(lock := threading.Lock())  # the writing thread waits here
        self._tick = threading.Condition(lock)  # the syncing thread waits here
        self._done = threading.Condition(lock)  # callers of sync() wait here
        self._queue: deque[Frame | Path] = deque()  # a path is the order to go on in that folder
        self._queued_bytes = self._accepted = 0
        self._sync_goal = 0  # accepted frames that are to be synced without delay
        self._written, self._synced, self.synced_s = Count(), Count(), clock()  # the last sync, monotonic s
        self._lost = self._doubtful = 0
        self._losses = LossTold(clock)
        self._broken = self._sync_failed = self._closing = self._written_all = False
        self._free_bytes: int | None = None
        self._sink = SegmentSink(directory, prefix)
        self._opened = not policy.opens_behind
        if self._opened:
            self._open(directory)
        self._teller = FaultTeller(f"journal-{prefix}-faults", on_fault)
        self._threads = [
            threading.Thread(target=self._write_loop, name=f"journal-{prefix}-write", daemon=True),
            threading.Thread(target=self._sync_loop, name=f"journal-{prefix}-sync", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _open(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._policy.make_room(self.prefix)
            free = free_bytes(self._sink.directory)
            if free < self._reserve_bytes:
                raise RecordError(
                    f"journal {directory}: {free / 1e6:.0f} MB are free, {self._reserve_bytes / 1e6:.0f} MB must be; "
                    "move old runs away or lower record.reserve_mb"
                )
            self._sink.open()
        except OSError as error:
            raise RecordError(
                f"journal {directory}: {error.strerror}; check that the folder may be written"
            ) from error

    @property
    def segment(self) -> Path:
        """Absolute path of the segment being written."""
        return self._sink.path

    @property
    def written(self) -> Count:
        """Frames whose write has returned."""
        return self._written

    @property
    def synced(self) -> Count:
        """Frames that a completed fdatasync covers."""
        return self._synced

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for the disk."""
        return self._queued_bytes

    @property
    def lost(self) -> int:
        """Frames that were not written: the queue was full, the disk failed, or the journal was closed."""
        return self._lost

    @property
    def doubtful(self) -> int:
        """Frames that were written and that a failed sync may have cost: whether they are on the disk is not known."""
        return self._doubtful

    @property
    def faults(self) -> tuple[str, ...]:
        """Every fault told so far, oldest first."""
        return tuple(self._teller.told)

    @property
    def broken(self) -> bool:
        """True when the disk failed and nothing more is written."""
        return self._broken

    @property
    def free_bytes(self) -> int | None:
        """What an ordinary user may still write to this disk, as looked up once a second; None before that."""
        return self._free_bytes

    @property
    def low_space(self) -> bool:
        """True when less than the reserve is free, as looked up once a second."""
        return self._free_bytes is not None and self._free_bytes < self._reserve_bytes

    def append(self, frame: Frame) -> bool:
        """Queue a frame; from any thread, never waiting for the disk.

        Returns:
            False when the frame was refused: queue full, disk failed, or closed. It is counted and told.

        Raises:
            FrameError: when the frame is larger than the protocol allows, or its topic has no place here.
        """
        check_size(frame)
        nbytes = HEAD.size + frame.nbytes
        with self._work:
            full = self._queued_bytes > 0 and self._queued_bytes + nbytes > self._queue_bytes
            if not (full or self._broken or self._closing):
                self._queue.append(frame)
                self._queued_bytes += nbytes
                self._accepted += 1
                if frame.topic == EVENT:
                    self._sync_goal = self._accepted
                self._work.notify()
                return True
            self._lost += 1
            lost = self._losses.due(self._lost) if full else 0  # a broken disk was told when it broke
        if lost:
            self._teller.tell(
                f"journal {self.segment}: the queue of {self._queue_bytes / 1e6:.0f} MB is full, {lost} frames are lost; "
                "the disk is too slow for this rate: lower the rate, switch raw words off, or use a faster disk"
            )
        return False

    def move_to(self, directory: Path) -> None:
        """Go on in another folder, behind everything appended so far; does not wait.

        The present segment ends with a NEXT frame that names the new one. When the new folder cannot be
        written, that is a fault and the journal goes on where it is.
        """
        with self._work:
            self._queue.append(directory)
            self._work.notify()

    def sync(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything accepted so far is durable; False when that did not happen in time."""
        with self._done:
            goal = self._accepted
            if self._synced.frames < goal:
                self._sync_goal = max(goal, self._sync_goal)
                self._tick.notify()
                self._done.wait_for(lambda: self._synced.frames >= goal or self._broken, timeout_s)
            return self._synced.frames >= goal

    def close(self, timeout_s: float = 10.0) -> int:
        """Write what is queued, make it durable, and end both threads; idempotent.

        Returns:
            How many frames were still queued.
        """
        with self._work:
            if self._closing:
                return 0
            self._closing = True
            drained = sum(isinstance(item, Frame) for item in self._queue)
            self._work.notify()
        deadline = self._clock() + timeout_s
        for thread in self._threads:
            thread.join(max(0.1, deadline - self._clock()))
        with self._work:
            stuck = self._accepted - self._written.frames if self._threads[0].is_alive() else 0
            self._lost += stuck
        if any(thread.is_alive() for thread in self._threads):
            self._teller.tell(
                f"journal {self.segment}: the disk did not take the last {stuck} frames, {self._queued_bytes} bytes, "
                f"or not for good, within {timeout_s:g} s of closing; they are lost when this process ends. Check the disk"
            )
        self._teller.close(1.0)
        _log.info("journal %s closed: %d drained, %d written", self.segment, drained, self._written.frames)
        return drained

    def __exit__(self, *_: object) -> None:
        self.close()

    def _break(self, error: OSError, *, syncing: bool = False) -> None:
        """Stop writing for good because the disk failed."""
        with self._work:
            if self._broken:
                return
            left = self._accepted - self._written.frames
            doubtful = self._written.frames - self._synced.frames if syncing else 0
            doubt = f", the last {doubtful} of them perhaps only until the power goes" if doubtful else ""
            # Told before `broken` shows: who sees `broken` finds the reason in `faults`.
            self._teller.tell(
                f"journal {self.segment}: {error.strerror}; writing has stopped, {self._written.frames} frames before "
                f"this are readable{doubt}, {left} accepted ones are lost. " + self._policy.advise(error)
            )
            self._broken, self._sync_failed = True, syncing
            self._lost += left
            self._doubtful += doubtful
            self._accepted = self._written.frames
            # An order to go on elsewhere outlives the frames.
            self._queue = deque([item for item in self._queue if isinstance(item, Path)][-1:])
            self._queued_bytes = 0
            self._work.notify()
            self._done.notify_all()

    def _open_behind(self) -> None:
        try:
            self._open(self._sink.directory)
        except RecordError as error:
            cause = error.__cause__
            self._break(cause if isinstance(cause, OSError) else OSError(errno.ENOSPC, str(error)))
        self._opened = True

    def _write_loop(self) -> None:
        going = True
        if not self._opened:
            self._open_behind()
        while going:
            with self._work:
                self._work.wait_for(lambda: self._queue or self._closing or self._broken)
                broken = self._broken
                batch = [] if broken else self._take_batch()
            if broken:
                going = self._revived()
            elif batch:
                for order in batch:
                    if not self._carry_out(order):
                        break
            else:
                going = False
        with self._tick:
            self._written_all = True
            self._tick.notify()

    def _revived(self) -> bool:
        """Wait, then begin a new segment if the disk takes one; False when this journal is to end."""
        if self._policy.revive_s is None:
            return False
        with self._work:
            if self._work.wait_for(lambda: self._closing, self._policy.revive_s):
                return False
            orders = [item for item in self._queue if isinstance(item, Path)]
        directory = orders[-1] if orders else self._sink.directory
        try:
            self._policy.make_room(self.prefix)
            self._sink.restart(directory)
        except (OSError, RecordError):
            return True  # it stays broken, as was told, and is tried again
        with self._work:
            for order in orders:
                self._queue.remove(order)
            self._broken = self._sync_failed = False
            self._roll_at = self._segment_bytes
            told = self._lost
        self._teller.tell(f"journal {self.segment}: the disk takes frames again; {told} are lost so far")
        return True

    def _take_batch(self) -> list[list[Frame] | Path]:
        """Take what fits one segment and one call, or one order to move, off the queue. The lock is held."""
        if not self._queue:
            return []
        first = self._queue.popleft()
        if isinstance(first, Path):
            return [first]
        group, size = [first], HEAD.size + first.nbytes
        rotate = self._sink.size > 0 and self._sink.size + size > self._roll_at
        room = self._segment_bytes if rotate else self._roll_at - self._sink.size
        while self._queue and len(group) < _BATCH_FRAMES:
            item = self._queue[0]
            if isinstance(item, Path) or size + HEAD.size + item.nbytes > min(room, _BATCH_BYTES):
                break
            group.append(item)
            size += HEAD.size + item.nbytes
            self._queue.popleft()
        return [self._sink.directory, group] if rotate else [group]

    def _carry_out(self, order: list[Frame] | Path) -> bool:
        if isinstance(order, Path):
            return self._change(order)
        parts = [
            (pack_head(KIND_OF_TOPIC[frame.topic], frame.header, frame.payload), frame.header, frame.payload)
            for frame in order
        ]
        whole, error = self._sink.write(parts)
        nbytes = sum(HEAD.size + frame.nbytes for frame in order[:whole])
        with self._work:
            if self._broken:  # by the syncing thread meanwhile, which has counted these as lost
                return False
            self._written += Count(whole, nbytes)
            self._queued_bytes = max(0, self._queued_bytes - nbytes)
            if self._sync_due():
                self._tick.notify()
        if error is not None:
            self._break(error)
        return error is None and not self._broken

    def _change(self, directory: Path) -> bool:
        try:
            ended, error = self._sink.change(directory)
        except OSError as problem:
            # Whether the disk takes nothing more will show: as long as it takes frames, none is given up.
            self._roll_at = self._sink.size + self._segment_bytes
            self._teller.tell(
                f"journal cannot go on in a new segment of {directory}: {problem.strerror}; it goes on in {self.segment}. "
                "Check that the folder may be written and that there is room"
            )
            return True
        self._roll_at = self._segment_bytes
        if error is not None:
            self._teller.tell(
                f"journal {ended}: {error.strerror}; it goes on in {self.segment} without a link to it"
            )
        try:
            self._policy.make_room(self.prefix)
        except (RecordError, OSError) as problem:
            _log.warning("journal %s: old segments cannot be removed: %s", self.segment, problem)
        return True

    def _sync_due(self) -> bool:
        if self._sync_failed:
            return self._written_all
        return self._written_all or self._synced.frames < self._sync_goal <= self._written.frames

    def _sync_loop(self) -> None:
        last = False
        while not last:
            with self._tick:
                self._tick.wait_for(self._sync_due, _SYNC_PERIOD_S)
                last = self._written_all
                failed = self._sync_failed or self._sink.closed
                covered = self._written  # before the files are asked for: these frames lie in them
            if failed:  # the next sync of these files would succeed, and mean nothing
                continue
            try:
                self._free_bytes = free = free_bytes(self._sink.directory)
                make_durable(self._sink.unsynced())
                self._sink.check_still_there()
            except OSError as error:
                self._break(error, syncing=True)
                continue
            with self._done:
                if not self._sync_failed:
                    self._synced, self.synced_s = covered, self._clock()
                self._done.notify_all()
            if self.low_space and self._policy.ends_at_reserve:
                self._break(OSError(errno.ENOSPC, f"only {free / 1e6:.0f} MB are free"))
        self._sink.close()
