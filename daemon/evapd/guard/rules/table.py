"""The one table of rules, in the order in which they are looked at."""

from evapd.guard.rules.base import Rule
from evapd.guard.rules.contacts import CONTACT_RULES
from evapd.guard.rules.data import DATA_RULES
from evapd.guard.rules.detector import DETECTOR_RULES
from evapd.guard.rules.plant import PLANT_RULES
from evapd.guard.rules.silence import SILENCE_RULES
from evapd.guard.rules.supply import SUPPLY_RULES

RULES: tuple[type[Rule], ...] = (
    *SUPPLY_RULES,
    *SILENCE_RULES,
    *DATA_RULES,
    *PLANT_RULES,
    *CONTACT_RULES,
    *DETECTOR_RULES,
)


def make_rules() -> list[Rule]:
    """Make one of each."""
    return [rule() for rule in RULES]
