"""Makes the `live.` documents on a thread of its own, five times a second; a fault of the analysis costs the analysis, nothing else."""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from evapd.live.analysis import FRAMES_PER_S, LiveAnalysis
from evapd.live.history import History
from evapd.live.tap import HitTap
from evapd.units import US_PER_S

_log = logging.getLogger(__name__)
VERSION = 1
ALARM = "live analysis"
_JOIN_S = 5.0
# Keys that come of hits; null where there is no analysis.
KEYS = (
    "analysis", "ions", "spectrum", "map", "multiplicity", "quality", "uncorrelated", "charge_states", "composition", "points",
)  # fmt: skip


class Tell(Protocol):
    """Where events go."""

    def __call__(self, kind: str, severity: str, what: str, **extra: Any) -> None:
        """Say that something happened."""
        ...


class LiveService:
    """Puts together how everything stands and what the analysis has, keeps histories, and publishes.

    Args:
        present: Gives how everything stands; called five times a second.
        histories_of: Picks the quantities whose histories are kept from a whole document.
        publish: Takes the document.
        analysis: None: nothing is analysed.
        tap: Where hits come from.
        tell: Where an alarm goes.
    """

    def __init__(
        self,
        *,
        present: Callable[[], dict[str, Any]],
        histories_of: Callable[[dict[str, Any]], dict[str, float | None]],
        publish: Callable[[dict[str, Any]], None],
        analysis: LiveAnalysis | None,
        tap: HitTap,
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
        utc_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.history = History()
        self._present, self._histories_of, self._publish = present, histories_of, publish
        self._analysis, self._tap, self._tell = analysis, tap, tell
        self._clock, self._utc_us = clock, utc_us
        self._off = analysis is None  # for the rest of the run: a new one tries again
        self._run, self._n = "", 0
        self._fault = ""  # of what is not the analysis, as last logged
        self.history.begin("", clock(), utc_us())
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="live", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ending.set()
        self._thread.join(_JOIN_S)

    def _serve(self) -> None:
        due_s = self._clock()
        while not self._ending.wait(max(due_s - self._clock(), 0.0)):
            self.tick()
            due_s = max(due_s + 1.0 / FRAMES_PER_S, self._clock())  # what was missed is not made up for

    def tick(self) -> None:
        """Make and publish one document; never raises."""
        try:
            document = self._document()
            self.history.add(self._clock(), self._histories_of(document))
            self._publish(document)
            self._fault = ""
        except Exception as error:  # noqa: BLE001 - displays are told by the silence; the next document may be whole again
            if repr(error) != self._fault:
                self._fault = repr(error)
                _log.exception("a document for displays could not be made")

    def _document(self) -> dict[str, Any]:
        hits = self._analysed()
        self._n += 1
        return {
            "v": VERSION,
            "n": self._n,
            "t_mono_us": round(self._clock() * US_PER_S),
            "t_utc": self._utc_us(),
            **self._present(),
            **hits,
        }

    def _analysed(self) -> dict[str, Any]:
        batch = self._tap.take()
        if batch.began:
            self._run, self._off = batch.run, self._analysis is None
            self.history.begin(batch.run, self._clock(), self._utc_us())
        analysis = self._analysis
        if self._off or analysis is None or not self._run:
            return dict.fromkeys(KEYS)
        if self._tap.fault is not None:
            return self._fail(self._tap.fault)
        try:
            analysis.take(batch)
            return analysis.document()
        except Exception as error:  # noqa: BLE001 - whatever fails here, the run must go on
            _log.exception("live analysis failed")
            return self._fail(error)

    def _fail(self, error: Exception) -> dict[str, Any]:
        self._off = True
        self._say(
            f"nothing is analysed live in the rest of this run: {error!r}; recording, matching and control go on. "
            "The log has the details"
        )
        return dict.fromkeys(KEYS)

    def _say(self, what: str) -> None:
        try:
            self._tell(ALARM, "alarm", what)
        except Exception:  # noqa: BLE001 - it may be the telling that failed
            _log.exception("%s; this could not be told", what)


def finite(value: object) -> float | None:
    """Give a number that is one, else None."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
