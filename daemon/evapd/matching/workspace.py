"""Memory of the kernels, made once: scratch for the pulse at hand, and columns of the hits under construction."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Bounds that keep the cost of any pulse finite, whatever the noise; passing one sets Loss.SATURATED. A cluster is a
# stretch of a pulse that shares no ion with the rest of it.
MAX_WORDS = 8192  # per pulse; later ones are not used
MAX_SIGNALS = 64  # per channel and cluster, a bit for each; later ones are not used
MAX_PAIRS = 32  # of the ends of one layer for one time
MAX_OPTIONS = MAX_PAIRS + 2 * MAX_SIGNALS + 1  # of one layer for one time: pairs, single ends, nothing
MAX_CANDIDATES = 512  # of hits with one number of signals, per cluster
MAX_SEARCHED = 64  # candidates among which the best set is searched; of more, the best is taken first
MAX_NODES = 2000  # of that search
MAX_FREE = 16  # left-over signals per channel from which hits with missing signals are made
MAX_STEPS = 50_000  # combinations looked at per cluster and number of signals

# Outside this a hit's time would not fit into int32 picoseconds.
TIME_LIMIT_PS = 2_000_000_000

QUALITIES = 256


# One record in an array of its own: to hand over the record itself costs numba a hundred times as much.
Records = NDArray[Any]


def record_layout(fields: list[tuple[Any, ...]]) -> np.dtype[Any]:
    """A record whose fields are attributes, laid out as in C."""
    return np.dtype((np.record, np.dtype(fields, align=True)))


@cache
def _layout(channels: int) -> np.dtype[Any]:
    layers = (channels - 1) // 2
    return record_layout(
        [
            # counts, the only fields that outlive a pulse
            ("hits", "i8", (QUALITIES,)),  # by quality
            ("used", "i8"),  # words in them
            ("repeated", "i8"),  # words too soon after another
            # signals of the pulse by channel, ascending: those still free, and all that were seen
            ("time", "f8", (channels, MAX_SIGNALS)),
            ("filled", "i8", (channels,)),
            ("seen", "f8", (channels, MAX_SIGNALS)),
            ("seen_filled", "i8", (channels,)),
            ("left", "u8", (channels,)),  # a bit for each free one: not in the hits under discussion
            ("one", "f8", (channels,)),  # one signal per channel, to be fitted
            ("reduced", "f8", (channels,)),  # the same without what does not depend on time and place
            # pairs of ends that fit one time, by layer
            ("pair_1", "i8", (layers, MAX_PAIRS + 1)),
            ("pair_2", "i8", (layers, MAX_PAIRS + 1)),
            ("pair_r", "f8", (layers, MAX_PAIRS + 1)),  # deviation of the time sum
            ("pair_u", "f8", (layers, MAX_PAIRS + 1)),  # um along the axis
            # what a layer can give at one time: pairs first, then single ends, then nothing
            ("option_1", "i8", (layers, MAX_OPTIONS)),  # signal of the first end, -1 without
            ("option_2", "i8", (layers, MAX_OPTIONS)),
            ("option_u", "f8", (layers, MAX_OPTIONS)),
            ("option_end", "i8", (layers, 3)),  # end of the pairs, of the single ends, of all
            ("steps", "i8"),  # left of MAX_STEPS
            # candidates for hits
            ("chosen", "i8", (MAX_CANDIDATES, channels)),  # signal on each channel, -1 without
            (
                "signals",
                "u8",
                (MAX_CANDIDATES,),
            ),  # a digest of the chosen: without a common bit, none is shared
            ("cost", "f8", (MAX_CANDIDATES,)),  # negative log-likelihood
            ("t", "f8", (MAX_CANDIDATES,)),
            ("x", "f8", (MAX_CANDIDATES,)),
            ("y", "f8", (MAX_CANDIDATES,)),
            ("state", "i8", (MAX_CANDIDATES,)),
            ("taken", "i8", (MAX_CANDIDATES,)),  # candidates that become hits
            # the search for the best set: candidates by cost, who excludes whom, and the present branch by depth
            ("order", "i8", (MAX_SEARCHED,)),
            ("excludes", "u8", (MAX_SEARCHED,)),
            ("open", "u8", (MAX_SEARCHED + 1,)),
            ("picked", "i8", (MAX_SEARCHED + 1,)),
            ("gain", "f8", (MAX_SEARCHED + 1,)),
        ]
    )


def make_scratch(channels: int) -> Records:
    """Scratch for an anode with `channels` channels, MCP included; shape (1,)."""
    return np.zeros(1, _layout(channels))


class Columns(NamedTuple):
    """Columns of the hits under construction."""

    pulse: NDArray[np.uint32]
    tof_ps: NDArray[np.int32]
    x_um: NDArray[np.int32]
    y_um: NDArray[np.int32]
    quality: NDArray[np.uint8]
    multiplicity: NDArray[np.uint8]


def make_columns(n: int) -> Columns:
    """Room for `n` hits."""
    return Columns(
        pulse=np.empty(n, np.uint32),
        tof_ps=np.empty(n, np.int32),
        x_um=np.empty(n, np.int32),
        y_um=np.empty(n, np.int32),
        quality=np.empty(n, np.uint8),
        multiplicity=np.empty(n, np.uint8),
    )
