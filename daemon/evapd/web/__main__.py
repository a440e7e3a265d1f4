"""`python -m evapd.web CONFIG [--folder DIR]`: the display's process alone, as a service starts it."""

import sys

from evapd.process import start
from evapd.web.process import main

sys.exit(start("evapd web", __doc__, main))
