"""The dead-time shadow test: is a missing signal missing because its channel had fired just before?"""

import numpy as np

from evapd.compiled import compiled


@compiled
def in_shadow(a: np.record, s: np.record, channel: int, t: float) -> bool:
    """Whether a signal at t would fall into the dead time of one that was seen on its channel."""
    for k in range(s.seen_filled[channel]):
        gap = t - s.seen[channel, k]
        if -a.shadow_margin < gap < a.dead + a.shadow_margin:
            return True
    return False
