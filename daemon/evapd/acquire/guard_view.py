"""Acquire's view of the guard: its journal is followed and published, its status is asked, commands are forwarded."""

import logging
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evapd.acquire.bus import Bus
from evapd.errors import EvapdError, RequestTimeout
from evapd.live.voltages import Voltages
from evapd.record.journal import JournalFollower
from evapd.record.journal.segments import segment_number
from evapd.record.run import GUARD_PREFIX
from evapd.rpc import Requester
from evapd.rpc.caller import served
from evapd.stream.frame import EVENT, LOOP, SLOW, Message

_log = logging.getLogger(__name__)
POLL_S = 0.02
STATUS_EVERY_S = 0.5
TIMEOUT_S = 0.5
_ALWAYS_TRIED = ("abort", "inhibit", "hold", "pause", "stage_stop", "detector_off")  # what leads down
_BY_HAND = (
    "nobody guards the specimen, which may stand under voltage: start the guard again, "
    "or stop the pulser and switch the supply off by hand"
)


class GuardView:
    """Follows the guard on a thread of its own; keeps the newest of what it said."""

    def __init__(self, address: str, bus: Bus, on_segment: Callable[[dict[str, Any]], None]) -> None:
        self.status: dict[str, Any] | None = None  # None: the guard does not answer
        self.loop: dict[str, float] = {}
        self.slow: dict[str, Any] = {}
        self.v_dc, self.v_p = Voltages(), Voltages()  # readings with their times
        self._bus, self._on_segment = bus, on_segment
        # Made once: to bring the voltage down must not depend on what the process can still open.
        self._requester = Requester(address, TIMEOUT_S, client=f"acquire-{bus.framer.instance}"[:64])
        self._follower: JournalFollower | None = None
        self._instance = ""
        self._fault = ""  # of following, as last told
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="guard-view", daemon=True)

    @property
    def energy_state(self) -> str:
        """The specimen's energy state, or `unknown` when the guard does not answer."""
        return str(self.status["energy_state"]) if self.status else "unknown"

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End; nobody may ask any more."""
        self._ending.set()
        self._thread.join(2.0)
        self._requester.close()

    def ask(self, cmd: str, **args: Any) -> dict[str, Any]:
        """Send one request to the guard and give its result; raises StreamError when it refuses or is silent.

        What is passed on for a client carries who that is.
        """
        caller = served()
        if caller is not None and self.status is None and cmd not in _ALWAYS_TRIED:
            # It does not answer our own questions either: who waits for it here keeps an abort waiting.
            raise RequestTimeout("the guard does not answer; nothing was passed on to it", sent=False)
        return self._requester.request(
            cmd, args, asked_by=caller.as_asked_by() if caller is not None else None
        )

    def _run(self) -> None:
        countdown_s = 0.0
        try:
            while not self._ending.wait(POLL_S):
                countdown_s -= POLL_S
                if countdown_s <= 0.0:
                    self._ask_status()
                    countdown_s = STATUS_EVERY_S
                self._follow()
        finally:
            self._stop_following()

    def _ask_status(self) -> None:
        try:
            status = self.ask("status")
            instance, journal = str(status["instance"]), str(status["journal"])
        except (EvapdError, KeyError, TypeError) as error:
            if self.status is not None:
                self._bus.event("guard", "alarm", f"the guard does not answer: {error}; {_BY_HAND}")
            self.status = None
            return
        if self.status is None:
            self._bus.alarms.pop("guard", None)
        self.status = status
        if instance != self._instance:
            self._instance = instance
            self._stop_following()
            self._bus.event("guard", "info", f"guard {instance} answers, {self.energy_state}")
        if self._follower is None and journal:  # a guard whose disk does not answer yet has none
            path = Path(journal)
            self._follower = JournalFollower(path)
            self._bus.older.follow(path.parent, GUARD_PREFIX, least_number=segment_number(path))

    def _follow(self) -> None:
        """Relay what is new; this thread also notices the guard's death, so it goes on whatever a journal holds."""
        if self._follower is None:
            return
        try:
            for message in self._follower.poll():
                self._relay(message)
            fault = ""
        except (EvapdError, OSError, KeyError, TypeError, ValueError) as error:
            fault = f"the guard's journal cannot be followed: {type(error).__name__}: {error}; it is still being written"
        if fault and fault != self._fault:
            self._bus.event("guard journal", "alarm", fault)
        self._fault = fault

    def _stop_following(self) -> None:
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    def _relay(self, message: Message) -> None:
        if message.topic == LOOP and message.header["n"]:
            columns = message.columns
            self.loop = {name: float(column[-1]) for name, column in columns.items()}
            self.v_dc.take(columns["v_dc_t_us"], columns["v_dc_v"])
            self.v_p.take(columns["v_p_t_us"], columns["v_p_v"])
        elif message.topic == SLOW:
            self.slow = message.document
        elif message.topic == EVENT and message.document.get("kind") == "segment":
            self._on_segment(message.document)
        self._bus.relay(message)

    def v_dc_v(self) -> float:
        """Newest measured V_dc in V, NaN when there is none."""
        return self.loop.get("v_dc_v", math.nan)
