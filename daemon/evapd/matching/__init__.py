"""TDC words to hits."""

from typing import TYPE_CHECKING, Any

from evapd.matching.anode import Anode, Layer
from evapd.matching.quality import Quality
from evapd.matching.settings import MatchSettings

if TYPE_CHECKING:
    from evapd.matching.matcher import MatchCounters, Matcher

__all__ = ["Anode", "Layer", "MatchCounters", "MatchSettings", "Matcher", "Quality"]


def __getattr__(name: str) -> Any:
    # The matcher brings numba, which costs 0.3 s: whoever checks an anode file or finalises a run does without.
    if name in {"MatchCounters", "Matcher"}:
        from evapd.matching import matcher  # noqa: PLC0415 - late on purpose, see above

        return getattr(matcher, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
