"""One thread per device: it opens, reads, commands and reopens, so that nobody else ever waits for an instrument."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from evapd.device.commands import Call, CommandQueue
from evapd.device.protocols import Device
from evapd.device.readings import Identity, Reading, not_finite
from evapd.device.snapshot import DeviceState, Snapshot
from evapd.device.trace import ByteTrace
from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused, LimitError

Event = Callable[[str, str, str], None]

FIRST_RETRY_S = 0.1
LONGEST_RETRY_S = 5.0
SAFE_RETRY_S = 0.5  # while it waits to be made safe

_log = logging.getLogger("evapd.device")


class DeviceWorker:
    """Runs one driver on a thread of its own and keeps its newest reading.

    All methods but `step` and `stop` return at once and may be called from any thread. After a time-out, a lost link or a
    reply that makes no sense the link is closed and reopened, with pauses from 0.1 s doubling to 5 s until a link
    lasts; the instrument that answers must then be the one that answered first.
    """

    def __init__(
        self,
        name: str,
        driver: Device,
        *,
        period_s: float,
        stale_s: float,
        clock: Callable[[], float] = time.monotonic,
        on_event: Event | None = None,
        trace: ByteTrace | None = None,
    ) -> None:
        """Prepare; nothing is opened before `start`.

        Args:
            name: of the device, for messages.
            driver: closed; the worker alone calls it from now on.
            period_s: seconds from one reading to the next, commands apart.
            stale_s: a reading older than this makes the state UNKNOWN.
            clock: monotonic time in s, the same that the driver stamps its readings with.
            on_event: called as `on_event(name, kind, message)` with the kinds `online`, `error` (once until it
                changes), `refused`, `dropped`, `cancelled`, `safe`, `hung`; on the worker's thread, `dropped` and
                `cancelled` also on the caller's. It must not block.
            trace: what the driver's transports were made with, see `build_device`.
        """
        self.name = name
        self._driver = driver
        self._period_s = period_s
        self._stale_s = stale_s
        self._clock = clock
        self._on_event = on_event
        self._trace = trace
        self._thread: threading.Thread | None = None
        # Guarded by `_changed`, except what only the thread touches.
        self._changed = threading.Condition()
        self._queue = CommandQueue()
        self._woken = False
        self._read_now = False
        self._hurry = False
        self._stopping = False
        self._reading: Reading | None = None
        self._fresh_s = self._online_s = self._connecting_s = clock()
        self._online = False
        self._identity: Identity | None = None
        self._errors: Counter[str] = Counter()
        self._last_error = ""
        self._told: set[str] = set()  # keys whose loss was reported in this outage
        self._last_command_s: float | None = None
        self._longest_command_s: float | None = None
        # The thread's own.
        self._open = False
        self._first_identity: Identity | None = None
        self._retry_s = self._next_read_s = self._fresh_s
        self._pause_s = FIRST_RETRY_S
        self._reported = ""

    # -- for everybody ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        with self._changed:
            self._fresh_s = self._connecting_s = self._clock()
        self._thread = threading.Thread(target=self._run, name=f"device-{self.name}", daemon=True)
        self._thread.start()

    def command(self, key: str, call: Call) -> bool:
        """Queue a call of the driver; the newest per key wins, in the order in which the keys first came.

        Returns:
            False when it was dropped because the device is not ONLINE; that is counted, and reported once per
            outage and key.
        """
        with self._changed:
            accepted = self._state(self._clock()) is DeviceState.ONLINE and not self._stopping
            if accepted:
                self._queue.put(key, call)
                self._wake()
        if not accepted:
            self._drop((key,))
        return accepted

    def safe(self) -> None:
        """Make the device safe: overtakes and cancels every queued command, and is retried until it has gone through."""
        with self._changed:
            cancelled = self._queue.clear()
            if self._queue.ask_safe():
                self._hurry = True  # do not wait for the end of a pause between two attempts
            self._wake()
        if cancelled:
            self._tell("cancelled", f"{', '.join(cancelled)} cancelled: the device is made safe instead")

    def safe_done(self) -> bool:
        """Whether the newest request of `safe` was accepted by the device; readings must still confirm it."""
        with self._changed:
            return self._queue.safe_done

    def wake(self) -> None:
        """Read at once, where the link is open, instead of at the end of the period."""
        with self._changed:
            self._read_now = True
            self._wake()

    def trace(self, *, on: bool, to_log: bool = False) -> ByteTrace | None:
        """Keep the bytes both ways from now on, or no longer; gives them, or None where this device has no trace."""
        if self._trace is not None:
            self._trace.switch(on=on, to_log=to_log)
        return self._trace

    def latest(self) -> Snapshot:
        """Give state and newest reading; a hung thread shows as UNKNOWN when its reading is stale."""
        with self._changed:
            now_s = self._clock()
            state = self._state(now_s)
            since_s = {
                DeviceState.ONLINE: self._online_s,
                DeviceState.CONNECTING: self._connecting_s,
                DeviceState.UNKNOWN: self._fresh_s + self._stale_s,
            }[state]
            return Snapshot(
                state=state,
                reading=self._reading,
                age_s=None if self._reading is None else now_s - min(now_s, self._reading.t_mono_s),
                identity=self._identity,
                errors=dict(self._errors),
                last_error=self._last_error,
                since_s=now_s - since_s,
                last_command_s=self._last_command_s,
                longest_command_s=self._longest_command_s,
            )

    def stop(self, timeout_s: float) -> bool:
        """End the thread, which tries a waiting `make_safe` once more and closes the driver.

        Returns:
            False when the driver hangs: that is reported, and its thread is left behind.
        """
        with self._changed:
            self._stopping = True
            self._wake()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._tell("hung", f"the driver did not return within {timeout_s:g} s; its thread is left behind")
            return False
        return True

    # -- the thread's side ------------------------------------------------------------------------------------

    def step(self) -> float:
        """Do what is due; gives the seconds until the next step. For the worker's thread, and for tests without one."""
        with self._changed:
            hurry, self._hurry = self._hurry, False
        if not self._open and (hurry or self._clock() >= self._retry_s):
            self._attempt(self._connect)
        if self._open:
            self._attempt(self._work)
        due_s = self._next_read_s if self._open else self._retry_s
        return max(0.0, due_s - self._clock())

    def _run(self) -> None:
        while True:
            wait_s = self.step()
            with self._changed:
                if not self._woken:
                    self._changed.wait(wait_s)
                self._woken = False
                if self._stopping:
                    break
        with self._changed:
            safe_waits = self._queue.safe_waits
        if self._open and safe_waits:
            self._attempt(self._make_safe)
        self._close()

    def _connect(self) -> None:
        identity = self._driver.open()
        first = self._first_identity or identity
        if (identity.model, identity.serial) != (first.model, first.serial):
            raise DeviceIdentityError(
                f"{identity} answers where {first} did; nothing was sent, check the cable"
            )
        self._open, self._first_identity = True, first
        self._next_read_s = self._clock()
        with self._changed:
            self._identity = identity

    def _work(self) -> None:
        began_s = self._clock()
        acted = self._act()
        with self._changed:
            read_now, self._read_now = self._read_now, False
        if acted or read_now or began_s >= self._next_read_s:
            self._read()
            if acted:
                self._time_command(self._clock() - began_s)

    def _act(self) -> bool:
        """Make safe where asked, else run the commands that wait now; those that come meanwhile wait for the next step."""
        refused = acted = False
        with self._changed:
            left = len(self._queue)
        while True:
            with self._changed:
                safe_waits = self._queue.safe_waits and not refused
                taken = self._queue.take() if left > 0 else None
            if safe_waits:
                refused = not self._make_safe()
            elif taken is not None:
                left -= 1
                self._call(*taken)
            else:
                return acted
            acted = True

    def _make_safe(self) -> bool:
        accepted = self._call("make_safe", self._driver.make_safe)
        if accepted:
            with self._changed:
                self._queue.safe_went_through()
            self._tell("safe", "make_safe was accepted")
        return accepted

    def _call(self, key: str, call: Call) -> bool:
        """Run one command; a refusal is reported and leaves the link open, everything else is a fault of the link."""
        try:
            call()
        except (LimitError, DeviceRefused) as error:
            text = f"{key}: {error}"
            self._count(error, text)
            self._tell("refused", text)
            return False
        except DeviceError as error:
            error.add_note(f"during {key}")
            raise
        return True

    def _read(self) -> None:
        reading = self._driver.read()
        if nonsense := not_finite(reading):
            raise DeviceProtocolError(f"{nonsense} is no number: not taken as a reading")
        now_s = self._clock()
        # On the grid of the period, unless a command or a slow reply has moved us off it.
        on_grid_s = self._next_read_s + self._period_s
        self._next_read_s = (
            on_grid_s if now_s < on_grid_s <= now_s + self._period_s else now_s + self._period_s
        )
        with self._changed:
            self._reading = reading
            self._fresh_s = min(now_s, reading.t_mono_s)
            came, self._online = not self._online, True
            if came:
                self._online_s = now_s
                self._told.clear()
        if now_s - self._online_s >= self._pause_s:
            self._pause_s = (
                FIRST_RETRY_S  # only a link that lasts: one that answers and fails in turn keeps its pause
            )
        if came:
            self._reported = ""
            self._tell("online", f"{self._identity} answers")

    def _time_command(self, took_s: float) -> None:
        with self._changed:
            self._last_command_s = took_s
            self._longest_command_s = max(took_s, self._longest_command_s or 0.0)

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, its thread goes on: it may have to make safe
            self._fault(error)

    def _fault(self, error: Exception) -> None:
        """Note an error of the link, close it, and choose when to try again."""
        foreign = not isinstance(error, DeviceError)
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        text = f"{type(error).__name__}: {error}{notes}" if foreign else f"{error}{notes}"
        if foreign:
            text += "; this is a fault in the driver, report it"
        self._close()
        now_s = self._clock()
        with self._changed:
            longest_s = SAFE_RETRY_S if self._queue.safe_waits else LONGEST_RETRY_S
        self._retry_s = now_s + min(self._pause_s, longest_s)
        self._pause_s = min(2.0 * self._pause_s, longest_s)
        self._count(error, text)
        with self._changed:
            if self._online:
                self._online, self._connecting_s = False, now_s
            if isinstance(error, DeviceIdentityError):
                # Another instrument sits there: what the old one said last holds no longer.
                self._fresh_s = min(self._fresh_s, now_s - self._stale_s)
            lost = self._queue.clear()
        reported = f"{type(error).__name__}: {text}"
        if reported != self._reported:
            self._reported = reported
            self._tell("error", text)
            if foreign:
                _log.error("%s: traceback of the driver", self.name, exc_info=error)
        if lost:
            self._drop(lost)

    def _close(self) -> None:
        self._open = False
        try:
            self._driver.close()
        except Exception as error:  # noqa: BLE001 - as above, and the contract says that close never raises
            self._count(error, f"close: {type(error).__name__}: {error}")
            _log.exception("%s: the driver failed to close", self.name)

    # -- shared -----------------------------------------------------------------------------------------------

    def _state(self, now_s: float) -> DeviceState:
        if now_s - self._fresh_s >= self._stale_s:
            return DeviceState.UNKNOWN
        return DeviceState.ONLINE if self._online else DeviceState.CONNECTING

    def _wake(self) -> None:
        self._woken = True
        self._changed.notify_all()

    def _drop(self, keys: tuple[str, ...]) -> None:
        with self._changed:
            self._errors["dropped"] += len(keys)
            new = [key for key in keys if key not in self._told]
            self._told.update(keys)
        if new:
            self._tell("dropped", f"{', '.join(new)} not sent: the device is not online")

    def _count(self, error: Exception, text: str) -> None:
        with self._changed:
            self._errors[type(error).__name__] += 1
            self._last_error = text

    def _tell(self, kind: str, message: str) -> None:
        _log.log(
            logging.INFO if kind in {"online", "safe"} else logging.WARNING,
            "%s: %s: %s",
            self.name,
            kind,
            message,
        )
        if self._on_event is not None:
            try:
                self._on_event(self.name, kind, message)
            except Exception:  # noqa: BLE001 - a fault in the receiver must not cost us the device
                _log.exception("%s: the receiver of events failed", self.name)
