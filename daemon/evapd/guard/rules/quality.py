"""Rules on what the counts are worth: do the signals belong together, do the ions belong to the pulses."""

import math
from typing import NamedTuple

from evapd.guard.energy import PULSING, EnergyState
from evapd.guard.rules.base import Effect, Finding, Measured, View
from evapd.link import LinkFlag

_SPAN_S = 2.0
_HITS = 200
_YIELD_S = 1.0
_WORDS = 100
_LEARN_S = 5.0
_MEMORY_S = 20.0
_LOST = 0.4
_WORDS_STAY = 0.8
_SIGMAS = 3.0
_DARKS = 5.0  # so many times the dark counts of the span must be seen before their share says anything


class TimeSums(Measured):
    """The signals of the delay lines do not belong together any more: hits are lost, the rate is too low a number."""

    name = "time-sums"
    trigger = "acquire reports that the time sums are not where the calibration has them"
    effect = Effect.FREEZE
    release = "by itself, when they are back"
    advice = "look at thresholds, delays and cables; `evapd calibrate`, then match the words again"
    watches = PULSING

    def load(self, view: View) -> float | None:
        """1 while they are lost."""
        newest = view.rates.newest
        return None if newest is None else float(LinkFlag.TIME_SUMS_LOST in newest.flags)

    def found(self, view: View) -> Finding:  # noqa: ARG002 - the signature of every rule
        """Say it."""
        return Finding("the time sums are lost: hits are missing, so the rate may not raise the voltage")


class Uncorrelated(Measured):
    """Most ions do not come with the pulse: the rate says little about the pulse, and more voltage is not the answer."""

    name = "uncorrelated"
    trigger = (
        "background above uncorrelated_max of the hits in the window over 2 s, with at least 200 hits and five times "
        "the dark counts; only where a background window is set"
    )
    effect = Effect.NO_RISE
    release = "by itself"
    advice = "pulses lost on their way, fraction too low, bad vacuum or a light on: raise the fraction, not the voltage"
    keys = ("uncorrelated_max", "control.dark_rate_hz")
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Share of background over the limit; None with too few counts to say."""
        share = self._share(view)
        return None if share is None else share / view.guard.uncorrelated_max

    def found(self, view: View) -> Finding:
        """Say how large."""
        return Finding(f"{100 * (self._share(view) or 0.0):.0f} % of the hits do not come with the pulse")

    def _share(self, view: View) -> float | None:
        window = view.rates.recent(_SPAN_S)
        if window is None or view.settings.background_ratio <= 0.0:
            return None
        if window.hits < max(_HITS, _DARKS * view.settings.rig.control.dark_rate_hz * window.dt_s):
            return None
        return max(0.0, window.background) / window.hits


class HitsPerWord(Measured):
    """The plates see as many ions as before, fewer of them become hits: a signal is missing, and the rate is too low a number."""

    name = "hits-per-word"
    trigger = (
        "hits per word of the MCP, over 1 s with at least 100 words, below 0.6 of what they were (mean of 20 s) and by more than "
        "chance, while the words themselves are not below 0.8 of what they were; then until the hits are back, whatever the words do"
    )
    effect = Effect.NO_RISE
    release = "by itself, when the hits are back, or with the next pulses after a hold or a pause"
    advice = "a delay-line signal has gone or lost height: look at amplifiers, thresholds and cables before anything else"
    watches = PULSING | {
        EnergyState.INHIBITED
    }  # what a rule stops for a moment does not make a lost signal the usual one

    def __init__(self) -> None:
        self._memory: _Yield | None = None
        self._began_s = self._last_s = 0.0
        self._load: float | None = None

    def load(self, view: View) -> float | None:
        """What is missing of the hits per word, over 40 %; 0 where words are missing, too: that is the ions' affair.

        Once they are missing, fewer words are no good news, nor are too few to tell: the tip blunts while the voltage stands.
        """
        if view.now_s != self._last_s:
            self._look(view)
        return self._load

    def found(self, view: View) -> Finding:  # noqa: ARG002 - the signature of every rule
        """Say how much is left."""
        left = 1.0 - _LOST * (self._load or 0.0)
        return Finding(
            f"as many words of the MCP make {100 * left:.0f} % of the hits that they made: the rate may not raise the voltage"
        )

    def forget(self) -> None:
        """Begin anew."""
        self._memory = self._load = None

    def _look(self, view: View) -> None:
        window = view.rates.recent(_YIELD_S)
        dt_s, self._last_s = view.now_s - self._last_s, view.now_s
        lost = self._load is not None and self._load >= 1.0
        stopped = view.state is EnergyState.INHIBITED
        if stopped or window is None or window.lossy or window.triggers < _WORDS or window.dt_s <= 0.0:
            self._load = self._load if lost else None
            return
        now = _Yield(window.total / window.triggers, window.triggers / window.dt_s)
        if self._memory is None:
            self._memory, self._began_s = now, view.now_s
        self._load = None
        if view.now_s - self._began_s >= _LEARN_S:
            self._load = self._missing(now, self._memory, window.triggers, lost=lost)
        if self._load is None or self._load < 1.0:
            self._memory = self._memory.towards(now, min(1.0, dt_s / _MEMORY_S))

    @staticmethod
    def _missing(now: "_Yield", usual: "_Yield", words: int, *, lost: bool) -> float:
        """Give what is missing over 40 %; until they are lost also over what chance may take."""
        if usual.hits_per_word <= 0.0:
            return 0.0
        load = max(0.0, 1.0 - now.hits_per_word / usual.hits_per_word) / _LOST
        if lost:
            return load
        expected = usual.hits_per_word * words
        chance = _SIGMAS * math.sqrt(expected) / expected
        enough = now.words_hz >= _WORDS_STAY * usual.words_hz
        return min(load, load * _LOST / chance) if enough else 0.0


class _Yield(NamedTuple):
    """Hits per word of the MCP, and words per second."""

    hits_per_word: float
    words_hz: float

    def towards(self, other: "_Yield", part: float) -> "_Yield":
        """Give what lies between the two."""
        return _Yield(*(mine + part * (theirs - mine) for mine, theirs in zip(self, other, strict=True)))


QUALITY_RULES = (TimeSums, Uncorrelated, HitsPerWord)
