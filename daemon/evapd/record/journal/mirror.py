"""Two journals of the same frames: what happens to the second is no matter of the first."""

import threading

from evapd.record.journal.writer import JournalWriter
from evapd.stream.frame import Frame


class Mirror:
    """Gives every frame to both writers, in one order, so that both write the same segments byte by byte."""

    def __init__(self, first: JournalWriter, second: JournalWriter) -> None:
        self.first, self.second = first, second
        self._lock = threading.Lock()  # `append` of both waits for nothing

    def append(self, frame: Frame) -> bool:
        """Queue a frame in both; gives what the first says of it. The second counts its own losses.

        Raises:
            FrameError: when the frame is larger than the protocol allows, or its topic has no place here.
        """
        with self._lock:
            accepted = self.first.append(frame)
            self.second.append(frame)
        return accepted
