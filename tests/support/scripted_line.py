"""A cable between a driver and a scripted peer without sockets or threads, on which silence costs no time."""

import time
from collections.abc import Callable

from evapd.device.transport import BufferedTransport, Terms
from evapd.errors import DeviceLost


class ScriptedTime:
    """Monotonic time in s that goes on by itself, and jumps over whatever would only be waited for."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return time.monotonic() + self._skipped_s

    def sleep(self, s: float) -> None:
        """Let time pass at once."""
        self._skipped_s += max(0.0, s)


class ScriptedLine:
    """The far end of a cable: `feed` takes what the driver sends and gives what is answered, in the same moment.

    A reply that is due is there before the driver waits for it, however busy the machine is; where none is due the
    clock jumps to the driver's deadline. So time-outs of drivers can be as long as those at a rig.

    Attributes:
        clock: the driver's clock, and its `sleep`.
        hung_up: whether the far end is gone.
        babble: bytes that come again every 10 ms of waiting.
    """

    def __init__(self, feed: Callable[[bytes], bytes]) -> None:
        self.feed = feed
        self.clock = ScriptedTime()
        self.hung_up = False
        self.babble = b""
        self._waiting = b""

    def open(self, connect: str, timeout_s: float) -> "LineTransport":
        """Make a transport; what the one before has not read is gone."""
        self._waiting = b""
        return LineTransport(connect, Terms(timeout_s, self.clock, None), self)

    def push(self, data: bytes) -> None:
        """Send bytes that nobody asked for."""
        self._waiting += data

    def take(self, limit: int) -> bytes:
        """Give what the driver has not read yet."""
        if self.hung_up:
            raise DeviceLost("the other side closed the link")
        data, self._waiting = self._waiting[:limit], self._waiting[limit:]
        return data

    def give(self, data: bytes) -> None:
        """Take what the driver sends."""
        if self.hung_up:
            raise DeviceLost("the link broke")
        self._waiting += self.feed(data)


class LineTransport(BufferedTransport):
    """The driver's end."""

    def __init__(self, name: str, terms: Terms, line: ScriptedLine) -> None:
        super().__init__(name, terms)
        self._line = line

    def _send(self, data: bytes, timeout_s: float) -> None:
        self._line.give(data)

    def _receive(self, limit: int, timeout_s: float) -> bytes:
        data = self._line.take(limit)
        if data or timeout_s <= 0.0:
            return data
        babble = self._line.babble
        self._line.clock.sleep(min(timeout_s, 0.01) if babble else timeout_s)
        return babble

    def _shut(self) -> None:
        pass
