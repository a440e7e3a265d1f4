"""A whole stream of words at once, with its truth: for measuring a matching alone."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from evapd_sim.anode import AnodeFile
from evapd_sim.converter import TdcInputs, Words
from evapd_sim.effects import NO_EFFECTS, SignalEffects
from evapd_sim.events import Events, draw
from evapd_sim.signals import DelayLines
from evapd_sim.true_hits import TrueHits


class Electronics(NamedTuple):
    """Signals and converter; jitter and dead time are the anode file's where they are None."""

    jitter_ps: float | None = None
    dead_time_ps: float | None = None
    missing: float = 0.05  # of every signal
    noise_hz: float = 200.0  # per channel
    bin_ps: Fraction = Fraction(5000, 384)


def lines_of(anode: AnodeFile, electronics: Electronics, effects: SignalEffects = NO_EFFECTS) -> DelayLines:
    """The delay lines of an anode as the electronics see them."""
    return DelayLines(
        anode,
        jitter_ps=anode.jitter_ps if electronics.jitter_ps is None else electronics.jitter_ps,
        missing=electronics.missing,
        noise_hz=electronics.noise_hz,
        effects=effects,
    )


def simulate(
    anode: AnodeFile,
    events: Events,
    electronics: Electronics,
    *,
    pulses: int,
    seed: int,
    effects: SignalEffects = NO_EFFECTS,
    disc_mm: float | None = None,
) -> tuple[Words, TrueHits]:
    """Words of the pulses 0 to `pulses` - 1, and the truth behind them.

    Times count from their own pulse, also beyond the next one. `disc_mm` is the radius on which ions land, by default
    the anode's.
    """
    rng = np.random.default_rng(seed)
    lines = lines_of(anode, electronics, effects)
    inputs = TdcInputs(
        bin_ps=float(electronics.bin_ps),
        dead_time_ps=anode.dead_time_ps if electronics.dead_time_ps is None else electronics.dead_time_ps,
    )
    arrivals = draw(rng, events, pulses, anode.radius_mm if disc_mm is None else disc_mm)
    inputs.push(lines.signals(rng, arrivals))
    inputs.push(lines.noise(rng, pulses / events.pulse_rate_hz, pulses, events.period_ps))
    words = inputs.take(pulses, period_ps=None)
    return words, TrueHits.of(arrivals, words)
