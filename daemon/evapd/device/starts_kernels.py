"""Kernels that turn a time tagger's words, starts among them, into words with pulse numbers.

`in_order` says whether a run of words needs no care at all, `put_in_time` looks at every word where it does,
`count_starts` numbers the pulses and refers the stops to them.
"""

# ruff: noqa: PLR0917 - kernels hand over plain numbers and columns: a record would be made anew for every call

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd.compiled import entry, inlined

I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

# Between kernels: the time stamps jumped here, the last start is no longer one. Hardware has no such channel.
JUMP = -(2**31)
# Time of the last start when there is none: every word lies before it.
NO_START = 2**62
INT32_MAX = 2**31 - 1
RUN = 8  # words looked at together
UNKNOWN, START = -1, -2  # entries of the channel table that are not a channel of the block

# Fields of the clock's state, carried from call to call.
SEEN, RAW, HIGH, WAITING, WAITING_RAW, WAITING_CHANNEL, DAMAGED, DISORDERED, JUMPS = range(9)
CLOCK_FIELDS = 9
# Fields of the pulses' state, carried from call to call.
START_TIME, PULSE, STARTS, DUPLICATES, MISSING, STOPS, ORPHANS, LATE, IMPOSSIBLE = range(9)
PULSE_FIELDS = 9


class Clock(NamedTuple):
    """What two time stamps may be apart; in bins."""

    mask: int  # largest time stamp: 2^bits - 1
    half: int  # 2^(bits - 1)
    reorder: int  # a word may lie so much before the newest one
    quick: int  # a word may lie so much behind the newest one without being confirmed by its successor
    silence: int  # longest silence that is not a jump


class Starts(NamedTuple):
    """How starts and stops are told apart; times in bins."""

    low: int  # channel number of the table's first entry
    start: int  # channel number of the starts
    period: int  # 0: not known
    most_missing: int


InOrder = Callable[[I8, int, int, int], bool]
PutInTime = Callable[[I4, I8, Clock, I8, I4, I8, int], int]
CountStarts = Callable[
    [I4, I8, int, Starts, NDArray[np.int16], I8, I8, NDArray[np.uint64], NDArray[np.uint8], I4, int],
    tuple[int, int],
]


@inlined
def ahead(raw: int, reference: int, clock: Clock) -> int:
    """Bins from one time stamp to another, the shorter way round the counter."""
    return ((raw - reference + clock.half) & clock.mask) - clock.half


def _make_in_order(source_digest: int) -> InOrder:
    def in_order(time: I8, newest: int, quick: int, mask: int) -> bool:
        _ = source_digest
        n = len(time)
        if n == 0:
            return True
        first, last = int(time[0]), int(time[n - 1])
        bad = first < newest or first - newest > quick or last < first or last > mask
        for i in range(1, n):
            step = int(time[i]) - int(time[i - 1])
            bad |= (step < 0) | (step > quick)
        return not bad

    return in_order


def _make_put_in_time(source_digest: int) -> PutInTime:
    def put_in_time(
        channel: I4, time: I8, clock: Clock, state: I8, out_channel: I4, out_time: I8, n: int
    ) -> int:
        _ = source_digest
        for i in range(len(time)):
            raw, c = int(time[i]), int(channel[i])
            if raw < 0 or raw > clock.mask or c == JUMP:
                state[DAMAGED] += 1
                continue
            if state[SEEN] == 0:
                state[SEEN], state[RAW], state[HIGH] = 1, raw, raw
            step = ahead(raw, int(state[RAW]), clock)
            if step < -clock.reorder and step >= -clock.quick:
                state[DAMAGED] += 1  # too late to be put where it belongs
                continue
            if step < -clock.reorder or step > clock.quick:
                # Damage, a long silence or a jump of the counter: the word that follows tells which.
                confirms = -clock.half - 1
                if state[WAITING] == 1:
                    confirms = ahead(raw, int(state[WAITING_RAW]), clock)
                if confirms < -clock.reorder or confirms > clock.silence:
                    state[DAMAGED] += state[WAITING]
                    state[WAITING], state[WAITING_RAW], state[WAITING_CHANNEL] = 1, raw, c
                    continue
                silence = ahead(int(state[WAITING_RAW]), int(state[RAW]), clock)
                if 0 <= silence <= clock.silence:
                    state[HIGH] += silence
                else:
                    # Time goes on behind everything seen so far.
                    state[JUMPS] += 1
                    state[HIGH] += clock.reorder + 1
                    out_channel[n], out_time[n] = JUMP, state[HIGH]
                    n += 1
                out_channel[n], out_time[n] = state[WAITING_CHANNEL], state[HIGH]
                n += 1
                state[RAW] = state[WAITING_RAW]
                state[WAITING] = 0
                if confirms > clock.quick:
                    state[WAITING], state[WAITING_RAW], state[WAITING_CHANNEL] = 1, raw, c
                    continue
                step = confirms
            state[DAMAGED] += state[WAITING]
            state[WAITING] = 0
            out_channel[n], out_time[n] = c, state[HIGH] + step
            n += 1
            if step < 0:
                state[DISORDERED] += 1
            else:
                state[HIGH] += step
                state[RAW] = raw
        return n

    return put_in_time


@inlined
def only_starts(
    channel: I4, time: I8, shift: int, first: int, start: int, own: int, shortest: int, longest: int
) -> bool:
    """Whether RUN words from `first` on are starts as they should be: most of a stream that holds all of them."""
    gap = int(time[np.uint64(first)]) + shift - start
    odd = (gap - shortest) | (longest - gap)
    mixed = int(channel[np.uint64(first)]) ^ own
    for i in range(first + 1, first + RUN):
        gap = int(time[np.uint64(i)]) - int(time[np.uint64(i - 1)])
        odd |= (gap - shortest) | (longest - gap)
        mixed |= int(channel[np.uint64(i)]) ^ own
    return odd >= 0 and mixed == 0


@inlined
def missing_starts(gap: int, s: Starts) -> int:
    """How many starts must have been in a gap between two."""
    if s.period == 0:
        return 0
    periods = (gap + s.period // 2) // s.period
    whole = 10 * abs(gap - periods * s.period) <= s.period
    return periods - 1 if whole and 2 <= periods <= s.most_missing + 1 else 0


def _make_count_starts(source_digest: int) -> CountStarts:
    def count_starts(
        channel: I4,
        time: I8,
        shift: int,
        s: Starts,
        table: NDArray[np.int16],
        limits: I8,
        state: I8,
        out_pulse: NDArray[np.uint64],
        out_channel: NDArray[np.uint8],
        out_time: I4,
        n: int,
    ) -> tuple[int, int]:
        _ = source_digest
        closed, begin, starts = 0, n, 0
        start, pulse, unknown = int(state[START_TIME]), int(state[PULSE]), len(table) - 1
        words, own = len(time), np.uint64(s.start - s.low)
        shortest, longest = int(limits[own, 0]), int(limits[own, 1])
        for first in range(0, words, RUN):
            end = min(first + RUN, words)
            if end - first == RUN and only_starts(
                channel, time, shift, first, start, s.start, shortest, longest
            ):
                starts += RUN
                pulse += RUN
                start, closed = int(time[np.uint64(end - 1)]) + shift, n
                continue
            for i in range(first, end):
                # No branch between starts and stops as they should be: which of them comes next cannot be foretold.
                c, t = int(channel[np.uint64(i)]), int(time[np.uint64(i)]) + shift
                slot = c - s.low
                at = np.uint64(slot if 0 <= slot < unknown else unknown)
                kind = int(table[at])
                gap = t - start
                if (gap >= limits[at, 0]) & (gap <= limits[at, 1]):
                    row, is_start = np.uint64(n), int(kind == START)
                    out_pulse[row], out_channel[row], out_time[row] = pulse, kind & 0xFF, gap & INT32_MAX
                    starts += is_start
                    pulse += is_start
                    start ^= (start ^ t) & -is_start
                    closed ^= (closed ^ n) & -is_start
                    n += 1 - is_start
                    continue
                if kind == START:
                    if start != NO_START and gap < limits[at, 0]:
                        state[DUPLICATES] += 1
                        continue
                    if start != NO_START:
                        missing = missing_starts(gap, s)
                        pulse += missing
                        state[MISSING] += missing
                    starts += 1
                    pulse += 1
                    start, closed = t, n
                elif kind != UNKNOWN:
                    state[ORPHANS if start == NO_START else LATE] += 1
                elif c == JUMP:
                    start = NO_START
                else:
                    state[IMPOSSIBLE] += 1
        state[START_TIME], state[PULSE] = start, pulse
        state[STARTS] += starts
        state[STOPS] += n - begin
        return n, closed

    return count_starts


in_order = entry(_make_in_order)
"""Whether time stamps ascend from `newest` in steps of at most `quick`, and none is above `mask`."""

put_in_time = entry(_make_put_in_time)
"""Unwrap the counter and set aside words whose time is impossible.

Args:
    channel, time: words as they came.
    clock: limits.
    state: the clock's fields.
    out_channel, out_time: room from `n` on for the words and a JUMP for each.
    n: words already there.

Returns:
    Number of words in the output, in the order of their arrival.
"""

count_starts = entry(_make_count_starts)
"""Number the starts and write the stops with their pulse, channel and time after the start.

Args:
    channel, time: words, ascending in time.
    shift: added to every time.
    s: how starts and stops are told apart.
    table: channel of the block for each channel of the hardware from `s.low` on, or START or UNKNOWN; UNKNOWN at the end.
    limits: for each of them the time after the last start, from and to, that needs no closer look; shape (n, 2).
    state: the pulses' fields.
    out_pulse, out_channel, out_time: room from `n` on for as many stops as there are words.
    n: stops already there.

Returns:
    Number of stops in the output, and how many of them belong to pulses that are over (0 without a new start).
"""
