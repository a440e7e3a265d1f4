"""`python -m evapd.alarms CONFIG [--folder DIR]`: the alarm process alone, as a service starts it."""

import sys

from evapd.alarms.process import main
from evapd.process import start

sys.exit(start("evapd alarms serve", __doc__, main))
