"""The cable between a driver and its instrument: real transports, and every fault that a cable can have."""

import contextlib
import time
from collections.abc import Callable
from enum import Enum, auto

import numpy as np

from evapd.device.opening import open_transport
from evapd.device.transport import BufferedTransport, Terms, Transport
from evapd.errors import DeviceLost, DeviceTimeout

_DRIP = 0.7  # of the deadline passes before each byte: the second one is too late
_HALF_BYTES = 40  # at most: where several frames come at once, the first of them is cut
_GRACE_S = 0.02  # real time in which a healthy simulation has answered; the rest of a deadline need not be waited for


class Fault(Enum):
    """What is wrong with the cable."""

    NONE = auto()
    SILENT = auto()  # the instrument hears and acts, nothing comes back
    GARBAGE = auto()  # replies are random bytes of the same length
    HALF = auto()  # only the first half of a reply comes
    LATE = auto()  # replies come after the deadline, behind the next question
    DRIP = auto()  # one byte at a time, each in time, all of them too slow
    DOUBLED = auto()  # every reply comes twice
    ECHO = auto()  # what is sent comes back before the answer
    FLIPPED = auto()  # the first byte that comes back has a wrong bit
    SPOILT = auto()  # replies are what `Cable.spoil` makes of them
    CUT = auto()  # unplugged


class SkippingClock:
    """Monotonic seconds in which a wait that is known to be in vain can be skipped."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def __call__(self) -> float:
        """Give the time in s."""
        return time.monotonic() + self._skipped_s

    def skip(self, s: float) -> None:
        """Let time pass."""
        self._skipped_s += max(0.0, s)


class Cable:
    """Given to a driver as its `transport_factory`; keeps what was sent, and lays a fault over what comes back.

    Attributes:
        sent: every piece that drivers have written, in order.
        opened: how many transports were opened.
        spoil: what becomes of a reply where the fault is `SPOILT`.
        held: replies that are still to come.
        rng: of the noise.
    """

    def __init__(self, clock: SkippingClock, seed: int = 0) -> None:
        self.clock = clock
        self._fault = Fault.NONE
        self._healthy = 0  # questions that are still answered well
        self.sent: list[bytes] = []
        self.opened = 0
        self.spoil: Callable[[bytes], bytes] = lambda reply: reply
        self.held = b""
        self.rng = np.random.default_rng(seed)

    @property
    def fault(self) -> Fault:
        """What is wrong now; set it to begin at once."""
        return self._fault if self._healthy <= 0 else Fault.NONE

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault, self._healthy = fault, 0

    def break_at(self, fault: Fault, question: int) -> None:
        """Let `fault` begin with the answer to a question that is still to come: 0 is the next one."""
        self._fault, self._healthy = fault, question + 1

    def note(self, data: bytes) -> None:
        """Take note of a question."""
        self.sent.append(data)
        self._healthy -= 1

    def open(self, descriptor: str, timeout_s: float) -> Transport:
        """Open the link that a descriptor names."""
        self.opened += 1
        if self.fault is Fault.CUT:
            raise DeviceLost(f"{descriptor}: unplugged")
        return _Faulty(descriptor, self, open_transport(descriptor, timeout_s, self.clock), timeout_s)


class _Faulty(BufferedTransport):
    """A transport that the cable's fault lies over."""

    def __init__(self, name: str, cable: Cable, inner: Transport, timeout_s: float) -> None:
        super().__init__(name, Terms(timeout_s, cable.clock))
        self._cable = cable
        self._inner = inner
        self._ready = b""  # to be given before anything else
        self._answered = False  # since the last question

    def _send(self, data: bytes, timeout_s: float) -> None:  # noqa: ARG002 - the inner transport has its own
        cable = self._cable
        self._whole()
        cable.note(data)
        self._inner.write(data)
        self._answered = False
        if cable.fault is Fault.ECHO:
            self._ready += data
        elif cable.fault is not Fault.LATE:
            # What was late comes now, behind the question that follows it and before its answer.
            self._ready, cable.held = self._ready + cable.held, b""

    def _receive(self, limit: int, timeout_s: float) -> bytes:
        self._whole()
        if not self._ready:
            self._ready = self._spoilt(self._come(limit, timeout_s))
        if self._cable.fault is Fault.DRIP and self._ready:
            limit = 1 if timeout_s >= _DRIP * self.timeout_s else 0
            self._cable.clock.skip(min(timeout_s, _DRIP * self.timeout_s))
        data, self._ready = self._ready[:limit], self._ready[limit:]
        return data

    def _come(self, limit: int, timeout_s: float) -> bytes:
        """Give what the instrument sent; where the rest of the time would pass in vain, skip it."""
        fault, wait_s = self._cable.fault, timeout_s
        if fault is not Fault.NONE:
            wait_s = 0.0 if self._answered else min(timeout_s, _GRACE_S)
        data = b""
        with contextlib.suppress(DeviceTimeout):
            data = self._inner.read_some(limit, wait_s)
            self._answered = True
        if (fault is not Fault.NONE and not data) or fault in {Fault.SILENT, Fault.LATE}:
            self._cable.clock.skip(timeout_s - wait_s)
        return data

    def _spoilt(self, data: bytes) -> bytes:
        cable = self._cable
        match cable.fault:
            case Fault.SILENT:
                data = b""
            case Fault.LATE:
                cable.held, data = cable.held + data, b""
            case Fault.GARBAGE:
                data = cable.rng.bytes(len(data))
            case Fault.HALF:
                data = data[: min(len(data) // 2, _HALF_BYTES)]
            case Fault.DOUBLED:
                data = data * 2
            case Fault.FLIPPED:
                data = bytes(byte ^ (place == 0) for place, byte in enumerate(data))
            case Fault.SPOILT if data:
                data = cable.spoil(data)
        return data

    def _whole(self) -> None:
        if self._cable.fault is Fault.CUT:
            self._shut()
            raise DeviceLost(f"{self.name}: the link broke")

    def _shut(self) -> None:
        self._inner.close()
