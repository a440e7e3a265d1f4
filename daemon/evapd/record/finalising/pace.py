"""How far finalising is, how fast it goes, and how long it will take."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_EVERY_S = 0.2
_SURE_S = 0.5  # before this nothing is said about what remains


@dataclass(frozen=True, slots=True)
class Advance:
    """One moment."""

    part: float  # 0 to 1
    hits: int
    hits_per_s: float | None = None  # None: too early to say
    remaining_s: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "progress": round(self.part, 4),
            "hits": self.hits,
            "hits_per_s": None if self.hits_per_s is None else round(self.hits_per_s),
            "remaining_s": None if self.remaining_s is None else round(self.remaining_s, 1),
        }

    def pace(self) -> str:
        """Say how fast it goes and how long it will take, where that is known."""
        speed = f"{self.hits_per_s / 1e6:.2f} Mhit/s" if self.hits_per_s else ""
        return speed if self.remaining_s is None else f"{speed}  {self.remaining_s:.0f} s left".strip()

    def __str__(self) -> str:
        return f"finalising {self.part:6.1%}  {self.pace()}".rstrip()


class Pace:
    """Tells advances a few times per second, and the last one."""

    def __init__(self, show: Callable[[Advance], None], clock: Callable[[], float]) -> None:
        self._show, self._clock = show, clock
        self._begin: tuple[float, float, int] | None = None  # time, part, hits: work done before is no pace
        self._told_s = float("-inf")

    def __call__(self, part: float, hits: int) -> None:
        """Take where it stands."""
        now_s = self._clock()
        if self._begin is None:
            self._begin = (now_s, part, hits)
        if part < 1.0 and now_s - self._told_s < _EVERY_S:
            return
        self._told_s = now_s
        begin_s, begin_part, begin_hits = self._begin
        passed_s = now_s - begin_s
        if passed_s < _SURE_S or part <= begin_part:
            self._show(Advance(part, hits))
            return
        remaining_s = passed_s * (1.0 - part) / (part - begin_part)
        self._show(Advance(part, hits, (hits - begin_hits) / passed_s, remaining_s))
