"""`python -m evapd.guard CONFIG [--folder DIR]`: the guard process alone, as a service starts it."""

import sys

from evapd.guard.process import main
from evapd.process import start

sys.exit(start("evapd guard", __doc__, main))
