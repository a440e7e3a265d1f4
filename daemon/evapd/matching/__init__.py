"""TDC words to hits."""

from evapd.matching.anode import Anode, Layer
from evapd.matching.matcher import MatchCounters, Matcher
from evapd.matching.quality import Quality
from evapd.matching.workspace import MatchSettings

__all__ = ["Anode", "Layer", "MatchCounters", "MatchSettings", "Matcher", "Quality"]
