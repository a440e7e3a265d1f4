"""`python -m evapd.web CONFIG [--folder DIR]`: the display's process alone, as a service starts it."""

import argparse
import sys
from pathlib import Path

from evapd.web.process import main

parser = argparse.ArgumentParser(prog="evapd web", description=__doc__)
parser.add_argument("config", type=Path)
parser.add_argument("--folder", type=Path)
arguments = parser.parse_args()
sys.exit(main(arguments.config, arguments.folder))
