"""The way out: journal first, then stream. One lock keeps the order of frames of one topic."""

import logging
import threading
from typing import Any, Protocol

from evapd.device.tracing import KIND as TRACE
from evapd.logging import present_run
from evapd.record.journal.older import OlderFrames
from evapd.rpc.audit import KIND as COMMAND
from evapd.stream.frame import EVENT, STATE, Frame, Framer, Message

_log = logging.getLogger(__name__)
_NOT_LOGGED = {TRACE, COMMAND}  # bytes are not for the log, and the audit has one of its own
_ENDED_BY_NEWS = {"device", "time_sum"}
_OUTLIVES_A_RUN = "guard"  # ended by the guard's answer alone
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "alarm": logging.ERROR}


class Journal(Protocol):
    """What the bus needs of a journal."""

    def append(self, frame: Frame) -> bool:
        """Take a frame; False when the queue is full."""
        ...


class Outlet(Protocol):
    """What the bus needs of the stream."""

    def publish(self, frame: Frame) -> None:
        """Publish a frame."""
        ...


class Bus:
    """Gives every frame of this process to the journal of the run, if one is open, and to the stream.

    `older` learns where frames lie that are asked for again after they have left the memory.
    """

    def __init__(self, framer: Framer, outlet: Outlet, older: OlderFrames | None = None) -> None:
        self.framer = framer
        self.older = older if older is not None else OlderFrames(framer.instance)
        self.alarms: dict[str, str] = {}  # present alarms by kind, newest text
        self._outlet = outlet
        self._journal: Journal | None = None
        self._lock = threading.Lock()

    def open_journal(self, journal: Journal, run: str) -> None:
        """From now on frames belong to this run."""
        with self._lock:
            self._journal, self.framer.run, self.framer.segment = journal, run, 0
        present_run(run)

    def close_journal(self) -> None:
        """From now on frames belong to no run."""
        with self._lock:
            self._journal, self.framer.run, self.framer.segment = None, "", 0
        present_run("")

    @property
    def recording(self) -> bool:
        """Whether what is told now belongs to a run's record."""
        return self._journal is not None

    def emit(self, frame: Frame) -> None:
        """Journal and publish; an overflow of the journal is told by the journal itself."""
        if self._journal is not None:
            self._journal.append(frame)
        self._outlet.publish(frame)

    def relay(self, message: Message) -> None:
        """Publish what another process said and has on disk already, under our own sequence number."""
        with self._lock:
            frame = self.framer.restamp(message)
            self.older.relayed(frame, message.instance, message.seq)
            self._outlet.publish(frame)

    def event(self, kind: str, severity: str, what: str, **extra: Any) -> None:
        """Say that something happened: to the log, the run and the stream.

        Good news of a device, or of the time sums, end their alarm.
        """
        if kind not in _NOT_LOGGED:
            _log.log(_LEVELS[severity], "%s: %s", kind, what)
        if severity == "alarm":
            self.alarms[kind] = what
        elif kind in _ENDED_BY_NEWS:
            self.alarms.pop(kind, None)
        content = {"kind": kind, "severity": severity, "what": what, "source": "acquire", **extra}
        with self._lock:
            self.emit(self.framer.document(EVENT, content))

    def alarm_list(self) -> list[dict[str, Any]]:
        """Give the present alarms of this process for programs."""
        listed = sorted(self.alarms.copy().items())
        return [
            {
                "source": "acquire",
                "name": kind,
                "severity": "alarm",
                "what": what,
                "active": True,
                "latch": False,
            }
            for kind, what in listed
        ]

    def forget_alarms(self) -> None:
        """Forget what belonged to the last run; that nobody guards the specimen is no matter of a run."""
        for kind in set(self.alarms) - {_OUTLIVES_A_RUN}:
            self.alarms.pop(kind, None)

    def state(self, content: dict[str, Any]) -> None:
        """Tell the present state."""
        with self._lock:
            self.emit(self.framer.document(STATE, content))

    def beat(self) -> None:
        """Tell the last sequence numbers."""
        with self._lock:
            self._outlet.publish(self.framer.beat())
