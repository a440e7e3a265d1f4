"""Tailing a journal that another process is writing."""

import os
import time
from pathlib import Path
from typing import BinaryIO, Self

from evapd.errors import FrameError
from evapd.record.journal.layout import NEXT, RawFrame
from evapd.record.journal.reader import JournalReport, find_frame, frame_at
from evapd.record.journal.segments import segment_number, segments
from evapd.stream.frame import Message

_SETTLED_NS = 100_000_000


class JournalFollower:
    """Gives the whole frames of a live journal as they appear; never a part of one.

    It goes from segment to segment by the NEXT frames, into other folders too. Where a writer was killed and left
    no NEXT frame, it goes on with the first newer segment of the folder it was given, or of the folder it is in,
    but only after everything readable of the present one.

    A poll without news costs one fstat and at most two stats. Not for several threads at once.
    """

    def __init__(self, path: Path, *, prefix: str | None = None, from_end: bool = False) -> None:
        """Prepare to follow; nothing is opened before the first poll.

        Args:
            path: a folder of segments (the oldest comes first), or the segment to begin with.
            prefix: only segments of this prefix, where the folder holds several series.
            from_end: begin behind what the newest segment holds at the first poll.
        """
        begin_with_file = path.suffix == ".evj"
        self.home = path.parent if begin_with_file else path
        self.report = JournalReport()
        self.restarts = 0  # the present file was truncated or replaced under us
        self._first: Path | None = path if begin_with_file else None
        self._prefix = prefix
        self._from_end = from_end
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._inode = 0
        self._offset = 0
        self._searched = 0  # size up to which a damaged place was searched in vain
        self._home_number = 0  # newest segment of `home` that was followed
        self._seen_mtime: dict[Path, int] = {}

    @property
    def path(self) -> Path | None:
        """The segment being read; None before the first one exists."""
        return self._path

    def poll(self) -> list[Message]:
        """Give the messages that became whole since the last poll; empty when there are none.

        Raises:
            OSError: when a segment exists and cannot be read.
        """
        messages: list[Message] = []
        if self._file is None and not self._begin():
            return messages
        while True:
            # Look for a newer segment before reading: what was written before it appeared is then read first.
            newer = self._newer()
            following = self._read(messages)
            target = following if following is not None else newer
            if target is None or not self._open(target):
                return messages

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> bool:
        if self._first is not None:
            opened = self._open(self._first)
        else:
            found = segments(self.home, self._prefix)
            opened = bool(found) and self._open(found[-1] if self._from_end else found[0])
        if opened and self._from_end and self._file is not None:
            self._skip_to_end()
        self._from_end = self._from_end and not opened
        return opened

    def _skip_to_end(self) -> None:
        # By whole frames, so that a frame being written now is not cut.
        assert self._file is not None  # noqa: S101 - _begin opened it
        size = os.fstat(self._file.fileno()).st_size
        while (frame := self._whole(size)) is not None and frame.kind != NEXT:
            self._offset = frame.offset + frame.nbytes

    def _open(self, path: Path) -> bool:
        try:
            file = path.open("rb", buffering=0)
        except FileNotFoundError:
            return False
        self.close()
        self._path, self._file, self._offset, self._searched = path, file, 0, 0
        self._inode = os.fstat(file.fileno()).st_ino
        self.report.segments += 1
        if path.parent == self.home.absolute() or path.parent == self.home:
            self._home_number = max(self._home_number, segment_number(path))
        self._seen_mtime.clear()
        return True

    def _newer(self) -> Path | None:
        assert self._path is not None  # noqa: S101 - poll opened it
        beside = self._path.parent
        found = self._newer_in(beside, segment_number(self._path))
        if found is None and beside.absolute() != self.home.absolute():
            found = self._newer_in(self.home, self._home_number)
        return found

    def _newer_in(self, folder: Path, number: int) -> Path | None:
        try:
            changed = folder.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if self._seen_mtime.get(folder) == changed:
            return None
        found = next((path for path in segments(folder, self._prefix) if segment_number(path) > number), None)
        # A folder's time goes in steps of the kernel's tick: a change right after this look might not show in it.
        if found is None and time.time_ns() - changed > _SETTLED_NS:
            self._seen_mtime[folder] = changed
        return found

    def _read(self, messages: list[Message]) -> Path | None:
        assert self._file is not None  # noqa: S101 - poll opened it
        assert self._path is not None  # noqa: S101 - poll opened it
        self._check_file()
        size = os.fstat(self._file.fileno()).st_size
        while (frame := self._whole(size)) is not None:
            self._offset = frame.offset + frame.nbytes
            self.report.frames += 1
            self.report.bytes += frame.nbytes
            try:
                if frame.kind == NEXT:
                    return frame.next_path(self._path)
                message = frame.message()
            except FrameError as error:
                self.report.undecodable += 1
                self.report.problems.append(f"{self._path}: frame at byte {frame.offset}: {error}")
                continue
            self.report.count(message)
            messages.append(message)
        return None

    def _whole(self, size: int) -> RawFrame | None:
        assert self._file is not None  # noqa: S101 - poll opened it
        frame, _ = frame_at(self._file, self._offset, size)
        if frame is not None or size <= max(self._offset, self._searched):
            return frame
        # Either the last frame is still being written, or this place is damaged: a whole frame behind it decides.
        frame, failed = find_frame(self._file, self._offset + 1, size)
        self._searched = size
        if frame is not None:
            self.report.crc_errors += failed
            self.report.damaged_bytes += frame.offset - self._offset
            self.report.problems.append(
                f"{self._path}: bytes {self._offset} to {frame.offset - 1} are damaged"
            )
        return frame

    def _check_file(self) -> None:
        assert self._file is not None  # noqa: S101 - poll opened it
        assert self._path is not None  # noqa: S101 - poll opened it
        size = os.fstat(self._file.fileno()).st_size
        if size < self._offset:
            self.restarts += 1
            self.report.problems.append(f"{self._path}: cut to {size} bytes while being read")
            self._offset = size
            self._searched = 0
        try:
            inode = self._path.stat().st_ino
        except FileNotFoundError:  # removed: what we hold open stays readable
            return
        if inode != self._inode:
            self.restarts += 1
            self.report.problems.append(f"{self._path}: replaced by another file while being read")
            self._open(self._path)
