"""The guard's rules: each one small named class, all of them in one table. A rule can only lower energy."""

from evapd.guard.rules.base import Effect, Finding, Rule, View
from evapd.guard.rules.table import make_rules

__all__ = ["Effect", "Finding", "Rule", "View", "make_rules"]
