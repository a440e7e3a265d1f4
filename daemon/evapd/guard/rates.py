"""From cumulative counters to rates: windows between records, sums of the last second, one observation per tick."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from evapd.link import LinkFlag, LinkRecord
from evapd.units import NS_PER_S

_LOSSY = LinkFlag.SATURATED | LinkFlag.LOSS
_SPAN_S = 2.0


@dataclass(frozen=True, slots=True)
class Window:
    """Counts between two records that followed each other; `background` is scaled to the time-of-flight window."""

    t_s: float
    dt_s: float
    pulses: int
    hits: int
    background: float
    lossy: bool = False  # saturated or lost: counts are a lower bound
    jump: bool = False
    triggers: int = 0  # raw words of the busiest channel
    early: int = 0  # hits before the time-of-flight window
    total: int = 0  # hits whatever their time of flight


class _Flags(NamedTuple):
    """How often a flag was seen until a record."""

    lossy: int
    jump: int


class RateMeter:
    """Takes records, oldest first, and gives sums of windows. A new arming or a restarted acquire begins anew.

    Counters are cumulative, so a sum over any span is a difference of two records: its cost does not grow with the span.
    """

    def __init__(self, background_ratio: float) -> None:
        """Take the ratio of the widths of the time-of-flight window and the background window."""
        self._ratio = background_ratio
        self._windows: deque[Window] = deque()
        self._records: deque[tuple[LinkRecord, _Flags]] = deque()  # one more than windows: each begins one
        self._tick: list[Window] = []
        self._sums: dict[tuple[float, float], Window | None] = {}  # asked for since the newest record
        self.newest: LinkRecord | None = None
        self.irregular_s: float | None = None  # time of the newest record that came twice or late

    def take(self, records: Iterable[LinkRecord]) -> None:
        """Take in the records that arrived; one that comes twice or late is left out."""
        for record in records:
            before = self.newest
            if before is not None and record.seq <= before.seq and record.t_mono_ns <= before.t_mono_ns:
                self.irregular_s = before.t_mono_ns / NS_PER_S
                self.rebase()
                continue
            self.newest = record
            self._sums.clear()
            if before is None or not _continues(before, record):
                self.rebase()
                continue
            if not self._records:
                self._records.append((before, _Flags(0, 0)))
            seen = self._records[-1][1]
            lossy, jump = bool(record.flags & _LOSSY), LinkFlag.COUNTER_JUMP in record.flags
            window = self._window(before, record, lossy=lossy, jump=jump)
            self._records.append((record, _Flags(seen.lossy + window.lossy, seen.jump + window.jump)))
            self._windows.append(window)
            self._tick.append(window)
            while self._windows[-1].t_s - self._windows[0].t_s > _SPAN_S:
                self._windows.popleft()
                self._records.popleft()

    def rebase(self) -> None:
        """Forget what was counted; pulses were stopped or let through again meanwhile."""
        self._windows.clear()
        self._records.clear()
        self._tick.clear()
        self._sums.clear()

    def since_tick(self) -> Window | None:
        """Sum of the windows since the last call, None when no record came."""
        windows, self._tick = self._tick, []
        return _sum(windows) if windows else None

    def recent(self, span_s: float) -> Window | None:
        """Sum of the newest windows that reach back `span_s` at most; None without any."""
        return self.earlier(span_s, 0.0)

    def earlier(self, from_s: float, to_s: float) -> Window | None:
        """Sum of the windows that ended less than `from_s` and at least `to_s` before the newest; None without any."""
        key = from_s, to_s
        if key not in self._sums:
            self._sums[key] = self._earlier(from_s, to_s)
        return self._sums[key]

    def _earlier(self, from_s: float, to_s: float) -> Window | None:
        if not self._windows:
            return None
        end_s = self._windows[-1].t_s
        first = bisect_right(self._windows, end_s - from_s, key=_time)
        last = len(self._windows) if to_s <= 0.0 else bisect_right(self._windows, end_s - to_s, key=_time)
        if first >= last:
            return None
        (begin, before), (end, after) = self._records[first], self._records[last]
        lossy, jump = after.lossy > before.lossy, after.jump > before.jump
        return self._window(begin, end, lossy=lossy, jump=jump)

    @property
    def windows(self) -> int:
        """How many windows are known."""
        return len(self._windows)

    def newest_first(self) -> Iterable[Window]:
        """Single windows, newest first."""
        return reversed(self._windows)

    def _window(self, before: LinkRecord, record: LinkRecord, *, lossy: bool, jump: bool) -> Window:
        return Window(
            t_s=record.t_mono_ns / NS_PER_S,
            dt_s=(record.t_mono_ns - before.t_mono_ns) / NS_PER_S,
            pulses=record.live_pulses - before.live_pulses,
            hits=record.hits_window - before.hits_window,
            background=(record.background_hits - before.background_hits) * self._ratio,
            lossy=lossy,
            jump=jump,
            triggers=record.triggers - before.triggers,
            early=record.early_hits - before.early_hits,
            total=record.hits_total - before.hits_total,
        )

    def record_age_s(self, now_s: float) -> float:
        """Age of the newest record; infinite when there is none."""
        return float("inf") if self.newest is None else now_s - self.newest.t_mono_ns / NS_PER_S

    def heartbeat_age_s(self, now_s: float) -> float:
        """Age of the last TDC heartbeat; infinite when none is known."""
        if self.newest is None:
            return float("inf")
        return self.record_age_s(now_s) + self.newest.heartbeat_age_us * 1e-6


def _continues(before: LinkRecord, record: LinkRecord) -> bool:
    return (
        LinkFlag.ARMED in before.flags
        and LinkFlag.ARMED in record.flags
        and record.t_mono_ns > before.t_mono_ns
        and record.pulse_counter >= before.pulse_counter
        and record.live_pulses >= before.live_pulses
        and record.hits_window >= before.hits_window
        and record.background_hits >= before.background_hits
        and record.triggers >= before.triggers
        and record.early_hits >= before.early_hits
    )


def _sum(windows: list[Window]) -> Window:
    return Window(
        t_s=windows[-1].t_s,
        dt_s=sum(window.dt_s for window in windows),
        pulses=sum(window.pulses for window in windows),
        hits=sum(window.hits for window in windows),
        background=sum(window.background for window in windows),
        lossy=any(window.lossy for window in windows),
        jump=any(window.jump for window in windows),
        triggers=sum(window.triggers for window in windows),
        early=sum(window.early for window in windows),
        total=sum(window.total for window in windows),
    )


def _time(window: Window) -> float:
    return window.t_s
