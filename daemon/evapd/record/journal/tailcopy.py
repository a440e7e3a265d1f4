"""Copying segments that another process is writing, as they grow: the same bytes, a moment later."""

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from evapd.errors import RecordError
from evapd.record.journal.segments import segments
from evapd.record.journal.sink import free_bytes
from evapd.record.wholefile import write_whole

_PIECE_BYTES = 1 << 20


class TailCopier:
    """Follows a folder's segments and a few small files into another folder, on a thread of its own.

    A target that cannot be written is told once, and tried again until it can: nothing is lost by that as long as the
    source stays. Bytes that are there already are not compared.
    """

    def __init__(
        self,
        source: Path,
        target: Path,
        *,
        prefix: str,
        small: Sequence[tuple[Path, Path]] = (),
        reserve_bytes: int = 0,
        period_s: float = 0.5,
        on_fault: Callable[[str], None],
    ) -> None:
        """Start the thread.

        Args:
            source: folder of segments; may not exist yet.
            target: folder that gets the same segments; made when absent.
            prefix: of the series.
            small: files, and where each is copied whole when it has changed.
            reserve_bytes: bytes that must stay free on the target's disk.
            period_s: pause between two looks.
            on_fault: told on that thread what keeps it from copying, once until it copies again.
        """
        self.copied_bytes = 0
        self.problem = ""  # why the last look could not be carried out, "" when it could
        self._source, self._target, self._prefix = source, target, prefix
        self._small, self._seen = tuple(small), dict[Path, tuple[int, int]]()
        self._reserve_bytes, self._period_s, self._on_fault = reserve_bytes, period_s, on_fault
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tail-{prefix}", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Copy what is there now, then end; False when that took too long or failed."""
        self._ending.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and not self.problem

    def _run(self) -> None:
        ending = False
        while not ending:
            ending = self._ending.wait(self._period_s)
            try:
                self._copy_all()
                self.problem = ""
            except (OSError, RecordError) as error:
                told, self.problem = (
                    self.problem,
                    f"{self._target}: {getattr(error, 'strerror', None) or error}",
                )
                if not told:
                    self._on_fault(self.problem)

    def _copy_all(self) -> None:
        self._target.mkdir(parents=True, exist_ok=True, mode=0o750)
        if free_bytes(self._target) < self._reserve_bytes:
            raise OSError(errno.ENOSPC, f"less than {self._reserve_bytes / 1e6:.0f} MB are free")
        for path in segments(self._source, self._prefix):
            copied = copy_tail(path, self._target / path.name)
            self.copied_bytes += copied
        for source, target in self._small:
            if source.exists():
                status_of = source.stat()
                stamp = (status_of.st_mtime_ns, status_of.st_size)
                if self._seen.get(source) != stamp:
                    target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
                    write_whole(target, source.read_bytes())
                    self._seen[source] = stamp


def copy_tail(source: Path, target: Path) -> int:
    """Append to `target` what `source` holds beyond its length, make it durable, and give how many bytes that were.

    Raises:
        OSError: when one cannot be read or the other not be written.
    """
    with source.open("rb", buffering=0) as read, target.open("ab", buffering=0) as write:
        begun = done = os.fstat(write.fileno()).st_size
        if done == 0:
            target.chmod(0o640)
        while piece := os.pread(read.fileno(), _PIECE_BYTES, done):
            done += os.write(write.fileno(), piece)  # may be short: the next piece begins where it ended
        if done > begun:
            os.fdatasync(write.fileno())
    return done - begun
