"""What is wrong with the files that a rig names, besides whether they are there."""

from evapd.config import LoadedRig, Problem
from evapd.config.document import read_document
from evapd.config.load import mark_of
from evapd.errors import ConfigError
from evapd.matching.anode import Anode
from evapd.security.access import Access
from evapd.spectrometry.ranges import load_ranges


def problems_in(loaded: LoadedRig) -> list[str]:
    """Read the anode file, the range file and the folder of keys; gives every problem as a line for a person, empty when all is well."""
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
    try:
        Access.load(loaded.rig.sockets.keys)
    except ConfigError as error:
        root, _ = read_document(loaded.path)
        at = ("sockets", "keys")
        place = (0, 0) if root is None else mark_of(root, at)
        found += [
            str(Problem(str(loaded.path), *place, ".".join(at), what)) for what in str(error).splitlines()
        ]
    return found
