"""Kernels that tell sound words from damaged ones: impossible channel, pulse, time, or order."""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evapd.compiled import compiled, entry
from evapd.matching.words import Words

AllSound = Callable[[Words, np.uint64, np.uint64, int, int], bool]
MarkSound = Callable[[Words, np.uint64, np.uint64, int, int, NDArray[np.bool_]], int]


@compiled
def possible(words: Words, i: int, low: np.uint64, high: np.uint64, channels: int, limit: int) -> bool:
    """Whether a word could exist at all, whatever its neighbours are."""
    pulse, channel, time = words
    return bool(low <= pulse[i] <= high and channel[i] < channels and -limit <= time[i] <= limit)


@compiled
def earlier(words: Words, i: int, j: int) -> bool:
    """Whether word i belongs before word j."""
    pulse, _, time = words
    return bool(pulse[i] < pulse[j] or (pulse[i] == pulse[j] and time[i] < time[j]))


def _make_all_sound(source_digest: int) -> AllSound:
    def all_sound(words: Words, low: np.uint64, high: np.uint64, channels: int, limit: int) -> bool:
        _ = source_digest
        pulse, channel, time = words
        n = len(pulse)
        bad = False
        for i in range(n):
            bad |= channel[i] >= channels
            bad |= (time[i] > limit) | (time[i] < -limit)
        for i in range(1, n):
            bad |= pulse[i] < pulse[i - 1]
            bad |= (pulse[i] == pulse[i - 1]) & (time[i] < time[i - 1])
        # The pulses ascend, so the ends of the range are enough.
        return not bad and (n == 0 or (pulse[0] >= low and pulse[n - 1] <= high))

    return all_sound


def _make_mark_sound(source_digest: int) -> MarkSound:
    def mark_sound(
        words: Words, low: np.uint64, high: np.uint64, channels: int, limit: int, sound: NDArray[np.bool_]
    ) -> int:
        _ = source_digest
        n = len(words[0])
        last = -1
        kept = 0
        for i in range(n):
            sound[i] = False
            if not possible(words, i, low, high, channels, limit):
                continue
            if last >= 0 and earlier(words, i, last):
                continue
            j = i + 1
            while j < n and not possible(words, j, low, high, channels, limit):
                j += 1
            # One word far ahead of both neighbours is the damaged one, not everything that follows it.
            if j < n and earlier(words, j, i) and (last < 0 or not earlier(words, j, last)):
                continue
            sound[i] = True
            last = i
            kept += 1
        return kept

    return mark_sound


all_sound = entry(_make_all_sound)
"""Whether every word is possible and in order.

Args:
    words: columns pulse, channel, time.
    low, high: first and last pulse that the words may have.
    channels: number of channels; a word's channel is below.
    limit: largest magnitude of a time, in bins.
"""

mark_sound = entry(_make_mark_sound)
"""Mark the words that are possible and in order in `sound`; give their number. Arguments as for `all_sound`."""
