"""Serves a simulated instrument on a socket or a pseudo-terminal, with the line's speed and its faults."""

import os
import queue
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Self

from evapd.config.descriptor import PtyDescriptor, SerialDescriptor
from evapd.errors import ConfigError
from evapd_sim.wire.base import Wire
from evapd_sim.wire.endpoint import Endpoint, SocketEndpoint, parse_endpoint
from evapd_sim.wire.faults import Faults
from evapd_sim.wire.pacer import Pacer
from evapd_sim.wire.pty_endpoint import PtyEndpoint

_PATIENCE_S = 10.0
Tick = Callable[[float], None]


class WireServer(Faults):
    """One instrument on one endpoint, with one thread. Made by `serve_wire`."""

    def __init__(
        self,
        wire: Wire,
        endpoint: Endpoint,
        *,
        byte_s: float,
        clock: Callable[[], float],
        on_tick: Tick | None,
    ) -> None:
        super().__init__()
        self.wire = wire
        self._endpoint = endpoint
        self._clock = clock
        self._on_tick = on_tick
        self._incoming = Pacer(byte_s)
        self._outgoing = Pacer(byte_s)
        self._baud = wire.baud
        self._unsent: deque[memoryview] = deque()
        self._plugged = True
        self._stop = False
        self._tasks: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]] = queue.SimpleQueue()
        self._wake_lock = threading.Lock()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name=f"wire {endpoint.address}", daemon=True)

    @property
    def address(self) -> str:
        """Descriptor by which a driver connects."""
        return self._endpoint.address

    def start(self) -> None:
        """Begin to serve."""
        self.wire.wake = self._wake
        self._thread.start()

    def close(self) -> None:
        """Cut the cable, remove what was made for it, and end the thread; idempotent."""
        self._stop = True
        self._wake()
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            raise RuntimeError(f"the server of {self.address} does not end")
        with self._wake_lock:
            if self._wake_fd >= 0:
                os.close(self._wake_fd)
                self._wake_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def unplug(self) -> None:
        """Pull the cable: the client sees the link break and cannot connect again."""
        self._do(self._unplug)

    def replug(self) -> None:
        """Put the cable back, at the same address."""
        self._do(self._replug)

    # -- the thread -------------------------------------------------------------------------------------------------

    def _do(self, task: Callable[[], None]) -> None:
        """Have the server's thread carry out `task` and wait for it."""
        if not self._thread.is_alive():
            raise RuntimeError(f"the server of {self.address} has ended")
        future: Future[None] = Future()
        self._tasks.put((task, future))
        self._wake()
        future.result(_PATIENCE_S)

    def _wake(self) -> None:
        with self._wake_lock:
            if self._wake_fd >= 0:
                os.eventfd_write(self._wake_fd, 1)

    def _run(self) -> None:
        try:
            while not self._stop:
                self._wait()
                self._carry_out()
                self._turn()
        finally:
            self._endpoint.close()

    def _wait(self) -> None:
        now_s = self._clock()
        # What cannot be written now must not be asked for again and again: the line itself tells when there is room.
        due_s = float("inf") if self._line_is_busy() else self.wire.due_s(now_s)
        due_s = min(due_s, self._incoming.due_s(), self._outgoing.due_s(), now_s + 10 * self.wire.tick_s)
        if self._on_tick is not None:
            due_s = min(due_s, now_s + self.wire.tick_s)
        poller = select.poll()
        poller.register(self._wake_fd, select.POLLIN)
        if self._plugged:
            for fd in self._endpoint.listening():
                poller.register(fd, select.POLLIN)
            if self._unsent and self._endpoint.writing() >= 0:
                poller.register(self._endpoint.writing(), select.POLLIN | select.POLLOUT)
        for fd, _ in poller.poll(max(0.0, due_s - now_s) * 1e3):
            if fd == self._wake_fd:
                os.eventfd_read(fd)

    def _carry_out(self) -> None:
        while not self._tasks.empty():
            task, future = self._tasks.get()
            try:
                task()
            except OSError as error:
                future.set_exception(error)
            else:
                future.set_result(None)

    def _turn(self) -> None:
        now_s = self._clock()
        if self._on_tick is not None:
            self._on_tick(now_s)
        if self._plugged:
            self._hear(now_s)
        heard = self._incoming.take(now_s)
        if heard:
            if self.echo:
                self._outgoing.push(heard, now_s)
            self._say(self.wire.receive(heard, now_s), now_s)
        if not self._line_is_busy():
            self._say(self.wire.poll(now_s), now_s)
        self._send(now_s)
        if self.wire.baud != self._baud and not self._line_is_busy():
            self._change_speed()

    def _change_speed(self) -> None:
        """Let the line be as fast as the instrument is from now on; what it said before has left at its old speed."""
        self._baud = self.wire.baud
        if isinstance(self._endpoint, PtyEndpoint):
            self._endpoint.baud = self._baud
            self._incoming.byte_s = self._outgoing.byte_s = self.wire.bits_per_byte / self._baud

    def _line_is_busy(self) -> bool:
        return bool(self._unsent) or (self._outgoing.byte_s > 0 and bool(self._outgoing))

    def _hear(self, now_s: float) -> None:
        data, left = self._endpoint.read()
        if left:
            self._forget()
        elif data and not self._endpoint.understands():
            # Neither side can read the other: the instrument sees framing errors, its answer is noise.
            self._outgoing.push(self.noise(len(data)), now_s)
        elif not self.deaf:
            self._incoming.push(data, now_s)

    def _say(self, reply: bytes, now_s: float) -> None:
        spoilt = self.spoil(reply)
        if spoilt and self._plugged and not self._endpoint.understands():
            spoilt = self.noise(len(spoilt))
        self._outgoing.push(spoilt, now_s + self.delay_s)

    def _send(self, now_s: float) -> None:
        ready = self._outgoing.take(now_s)
        if not self._plugged or self._endpoint.writing() < 0:
            self._unsent.clear()  # nobody there
            return
        if ready:
            self._unsent.append(memoryview(ready))
        while self._unsent:
            data = self._unsent[0]
            written = self._endpoint.write(data)
            if written < len(data):
                self._unsent[0] = data[written:]
                return
            self._unsent.popleft()

    def _forget(self) -> None:
        self._incoming.clear()
        self._outgoing.clear()
        self._unsent.clear()
        self.wire.disconnected()

    def _unplug(self) -> None:
        if self._plugged:
            self._plugged = False
            self._endpoint.close()
            self._forget()

    def _replug(self) -> None:
        if not self._plugged:
            self._endpoint.open()
            self._plugged = True


def serve_wire(
    wire: Wire, endpoint: str, *, clock: Callable[[], float] = time.monotonic, on_tick: Tick | None = None
) -> WireServer:
    """Serve `wire` on `endpoint` by a thread of its own.

    Args:
        wire: the instrument.
        endpoint: `tcp:127.0.0.1:PORT` (port 0 = any free one, see `address`), `unix:PATH`, `pty:PATH` (a pseudo-terminal at the
            instrument's own speed), or `serial:PATH:BAUD-8N1` (a pseudo-terminal, and the instrument is set to that).
        clock: monotonic time in s that is given to the instrument.
        on_tick: called by the server's thread with the time, at least every `wire.tick_s`.

    Raises:
        ConfigError: when it is not possible to listen there.
    """
    target = parse_endpoint(endpoint)
    byte_s = 0.0
    served: Endpoint
    if isinstance(target, PtyDescriptor | SerialDescriptor):
        if isinstance(target, SerialDescriptor):
            wire.baud = target.baud
            wire.bits_per_byte = 1 + target.bits + (target.parity != "N") + round(target.stop + 0.25)
        byte_s = wire.bits_per_byte / wire.baud
        served = PtyEndpoint(target.path, wire.baud)
    else:
        wire.serial_line = False
        served = SocketEndpoint(target)
    try:
        served.open()
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {endpoint}: {error}; stop the other program or choose another address"
        ) from error
    server = WireServer(wire, served, byte_s=byte_s, clock=clock, on_tick=on_tick)
    server.start()
    return server
