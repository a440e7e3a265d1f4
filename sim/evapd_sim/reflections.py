"""Reflections: copies of signals that come back from a badly terminated end of a line or cable."""

import numpy as np
from numpy.typing import NDArray

from evapd_sim.converter import NO_OWNER, Signals
from evapd_sim.effects import SignalEffects


def reflect(
    rng: np.random.Generator,
    effects: SignalEffects,
    signals: Signals,
    heights: NDArray[np.float64] | None,
) -> Signals:
    """The signals and the copies that follow some of them; a copy is no arrival's own signal.

    `heights` are those of the signals, in mean heights; without them every copy is seen.
    """
    copied = rng.random(len(signals.pulse)) < effects.reflections
    if heights is not None:
        copied &= heights * effects.reflection_height > effects.threshold
    copies = signals.take(copied)
    n = len(copies.pulse)
    delay_ps = rng.normal(effects.reflection_delay_ps, effects.reflection_spread_ps, n)
    other_end = (rng.random(n) < effects.reflection_opposite) & (copies.channel > 0)
    return Signals(
        np.concatenate((signals.pulse, copies.pulse)),
        np.concatenate((signals.channel, np.where(other_end, opposite(copies.channel), copies.channel))),
        np.concatenate((signals.t_ps, copies.t_ps + np.maximum(delay_ps, 0.0))),
        np.concatenate((signals.owner, np.full(n, NO_OWNER))),
    )


def opposite(channel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Channels of the other ends: 1 and 2 belong together, 3 and 4, 5 and 6."""
    ends: NDArray[np.uint8] = np.where(channel % 2 == 1, channel + 1, channel - 1).astype(np.uint8)
    return ends
