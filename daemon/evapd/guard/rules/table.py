"""The one table of rules, in the order in which they are looked at."""

from evapd.guard.rules.arc import ARC_RULES
from evapd.guard.rules.base import Rule
from evapd.guard.rules.contacts import CONTACT_RULES
from evapd.guard.rules.course import COURSE_RULES
from evapd.guard.rules.data import DATA_RULES
from evapd.guard.rules.detector import DETECTOR_RULES
from evapd.guard.rules.laser import LASER_RULES
from evapd.guard.rules.law import LAW_RULES
from evapd.guard.rules.load import LOAD_RULES
from evapd.guard.rules.people import PEOPLE_RULES
from evapd.guard.rules.plant import PLANT_RULES
from evapd.guard.rules.quality import QUALITY_RULES
from evapd.guard.rules.silence import SILENCE_RULES
from evapd.guard.rules.specimen import SPECIMEN_RULES
from evapd.guard.rules.stage import STAGE_RULES
from evapd.guard.rules.supply import SUPPLY_RULES

RULES: tuple[type[Rule], ...] = (
    *SUPPLY_RULES,
    *SILENCE_RULES,
    *DATA_RULES,
    *LOAD_RULES,
    *QUALITY_RULES,
    *SPECIMEN_RULES,
    *ARC_RULES,
    *LAW_RULES,
    *LASER_RULES,
    *PLANT_RULES,
    *STAGE_RULES,
    *PEOPLE_RULES,
    *CONTACT_RULES,
    *DETECTOR_RULES,
    *COURSE_RULES,
)


def make_rules() -> list[Rule]:
    """Make one of each."""
    return [rule() for rule in RULES]
