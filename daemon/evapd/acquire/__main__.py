"""`python -m evapd.acquire CONFIG [--folder DIR]`: the acquire process alone, as a service starts it."""

import sys

from evapd.acquire.process import main
from evapd.process import start

sys.exit(start("evapd acquire", __doc__, main))
