"""What is wrong with the files that a rig names, besides whether they are there."""

from evapd.config import LoadedRig
from evapd.errors import ConfigError
from evapd.matching.anode import Anode
from evapd.spectrometry.ranges import load_ranges


def problems_in(loaded: LoadedRig) -> list[str]:
    """Read the anode file and the range file; gives every problem as a line for a person, empty when all is well."""
    found: list[str] = []
    try:
        Anode.load(loaded.anode_path)
    except ConfigError as error:
        found += str(error).splitlines()
    try:
        if loaded.ranges_path is not None:
            load_ranges(loaded.ranges_path)
    except ConfigError as error:
        found += str(error).splitlines()
    return found
