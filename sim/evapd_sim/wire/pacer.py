"""The speed of a line: bytes come out one after the other, each when its last bit has passed."""

from collections import deque


class Pacer:
    """Delays bytes by the time that a line needs for them.

    Args:
        byte_s: time of one character in s; 0 = a network, where all of a chunk arrives together.
    """

    def __init__(self, byte_s: float = 0.0) -> None:
        self.byte_s = byte_s
        self._chunks: deque[tuple[float, bytes]] = deque()  # start of the first bit, bytes
        self._free_s = 0.0  # when the line is free again

    def __bool__(self) -> bool:
        return bool(self._chunks)

    def push(self, data: bytes, now_s: float) -> None:
        """Put bytes on the line, not before `now_s` and not before those that are on it."""
        if not data:
            return
        start_s = max(now_s, self._free_s)
        self._free_s = start_s + len(data) * self.byte_s
        self._chunks.append((start_s, data))

    def take(self, now_s: float) -> bytes:
        """Take the bytes that have come out by `now_s`."""
        out: list[bytes] = []
        while self._chunks:
            start_s, data = self._chunks[0]
            # The nanosecond absorbs the rounding of sums of character times.
            passed = len(data) if self.byte_s == 0 else int((now_s - start_s + 1e-9) / self.byte_s)
            if now_s < start_s or passed <= 0:
                break
            self._chunks.popleft()
            out.append(data[:passed])
            if passed < len(data):
                self._chunks.appendleft((start_s + passed * self.byte_s, data[passed:]))
                break
        return b"".join(out)

    def due_s(self) -> float:
        """Give when the next byte comes out; infinity when none is on the line."""
        return self._chunks[0][0] + self.byte_s if self._chunks else float("inf")

    def clear(self) -> None:
        """Lose what is on the line."""
        self._chunks.clear()
        self._free_s = 0.0
