"""`python -m evapd.alarms CONFIG [--folder DIR]`: the alarm process alone, as a service starts it."""

import argparse
import os
import sys
from pathlib import Path

from evapd.alarms.process import main

parser = argparse.ArgumentParser(prog="evapd alarms serve", description=__doc__)
parser.add_argument("config", type=Path)
parser.add_argument("--folder", type=Path)
parser.add_argument("--log-format", choices=("text", "json"), help="instead of what EVAPD_LOG says")
arguments = parser.parse_args()
if arguments.log_format:
    os.environ["EVAPD_LOG"] = arguments.log_format
sys.exit(main(arguments.config, arguments.folder))
