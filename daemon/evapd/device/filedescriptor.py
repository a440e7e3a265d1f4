"""Bytes through a non-blocking file descriptor: serial ports and stream sockets alike."""

import os
import select
from collections.abc import Callable

from evapd.device.portlock import PortLock
from evapd.device.transport import BufferedTransport, Terms
from evapd.errors import DeviceLost, DeviceTimeout


class FileTransport(BufferedTransport):
    """A transport on a non-blocking file descriptor, which `shut` closes."""

    def __init__(
        self,
        name: str,
        fd: int,
        shut: Callable[[], object],
        lock: PortLock,
        terms: Terms,
    ) -> None:
        super().__init__(name, terms)
        self._fd = fd
        self._close_fd = shut
        self._lock = lock

    def _receive(self, limit: int, timeout_s: float) -> bytes:
        if not self._wait(select.POLLIN, timeout_s):
            return b""
        try:
            data = os.read(self._fd, limit)
        except BlockingIOError:
            return b""
        except OSError as error:  # a terminal whose other end is gone answers EIO
            raise DeviceLost(f"{self.name}: the link broke: {error.strerror}") from error
        if not data:
            raise DeviceLost(f"{self.name}: the other side closed the link")
        return data

    def _send(self, data: bytes, timeout_s: float) -> None:
        deadline_s = self._clock() + timeout_s
        rest = memoryview(data)
        while rest:
            if not self._wait(select.POLLOUT, max(0.0, deadline_s - self._clock())):
                raise DeviceTimeout(
                    f"{self.name}: the other side took {len(data) - len(rest)} of {len(data)} bytes in {timeout_s:g} s"
                )
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise DeviceLost(f"{self.name}: the link broke: {error.strerror}") from error

    def _wait(self, event: int, timeout_s: float) -> bool:
        poll = select.poll()  # select() refuses file descriptors above 1023
        poll.register(self._fd, event)
        return bool(poll.poll(timeout_s * 1000.0))  # hang-up and error wake it too; the next call says which

    def _shut(self) -> None:
        self._close_fd()
        self._lock.release()
