"""From a stream that holds every start to pulse numbers: for drivers of time taggers without a pulse counter.

The hardware gives flat columns, the channel and the absolute time of every edge, the pulses' own among them. Here the
starts are counted and every stop gets the number of its pulse and its time after it, as a TdcBlock wants it. This module
brings numba: only TDC drivers import it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import NO_ANCHOR, Anchor, Loss, TdcBlock
from evapd.device import starts_kernels as k

CHUNK_WORDS = 65_536  # reduced at a time: memory stays bounded and in the cache
QUICK_PS = 10**9  # a word later than this after the one before must be confirmed by its successor
SILENCE_PS = 10**13  # without a word for longer, the counter has jumped
MOST_MISSING = 16  # missing starts in a row that are counted as pulses; longer pauses are the pulser's
TABLE_CHANNELS = 4096
Stops = tuple[
    NDArray[np.uint64], NDArray[np.uint8], NDArray[np.int32]
]  # pulse, channel, time after the start


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCounters:
    """What became of the words. words = starts + duplicate_starts + stops + orphans + late + damaged + held."""

    words: int
    starts: int
    duplicate_starts: int  # closer to the start before than pulses can be: ignored
    missing_starts: int  # not in the stream, but counted as pulses; needs `period_bins`
    stops: int
    orphans: int  # stops before the first start, or after a jump of the counter
    late: int  # stops outside the window after their start: left out
    damaged: int  # impossible channel, or a time that fits neither to what was before nor to what followed
    disordered: int  # came after a later word, within `reorder_bins`, and were put in their place
    jumps: int  # of the counter
    held: int  # waiting for what follows


class StartReducer:
    """Counts the starts of one TDC and refers its stops to them, call after call; for one thread.

    Blocks cover pulses that are over, without gap or overlap: the words of the last pulse wait for the next start,
    or for `flush`. How the stream is cut into calls changes nothing.

    A time stamp that lies more than 1 ms behind its predecessor, or more than `reorder_bins` before it, is believed
    when its successor fits to it; then it was a silence of up to 10 s, or the counter jumped: `COUNTER_JUMP`, the
    last start is forgotten, and the next start is the next pulse. Otherwise it was damaged. The work per word is
    bounded whatever comes.

    Args:
        start_channel: the hardware's channel of the starts.
        channel_map: channel of the block (0 MCP, 1 and 2 the ends of the first layer, ...) for each of the hardware's;
            words on other channels are damaged.
        bin_ps: width of a bin.
        first_pulse: number of the first start.
        counter_bits: width of the time stamps, 16 to 63; they wrap to 0.
        min_period_bins: a start sooner after the one before is a duplicate of it.
        period_bins: the pulser's period where it is fixed. A gap of a whole number of periods (within a tenth of one) then
            means missing starts: up to 16 are counted as pulses and flagged `WORDS_LOST`. Longer gaps, and all gaps
            without `period_bins`, are pauses of the pulser and count as one pulse.
        window_bins: stops later after their start are left out and counted; at most 2^31 - 1.
        reorder_bins: words come so much out of order, because channels are read out one after another. The newest
            words are held back by as much.

    Raises:
        ValueError: an argument is impossible.
    """

    def __init__(
        self,
        start_channel: int,
        channel_map: Mapping[int, int],
        bin_ps: Fraction,
        *,
        first_pulse: int = 0,
        counter_bits: int = 63,
        min_period_bins: int = 1,
        period_bins: int | None = None,
        window_bins: int = k.INT32_MAX,
        reorder_bins: int = 0,
    ) -> None:
        if not 16 <= counter_bits <= 63:
            raise ValueError(f"counter_bits is {counter_bits}, but counters of 16 to 63 bits are read")
        half = 2 ** (counter_bits - 1)
        period = 0 if period_bins is None else period_bins
        quick = min(max(int(QUICK_PS / bin_ps), 2 * period), half // 2)
        if not 0 <= reorder_bins < quick:
            raise ValueError(f"reorder_bins is {reorder_bins}, but must lie in 0 to {quick - 1}")
        if (
            not 0 <= window_bins <= k.INT32_MAX
            or min_period_bins < 1
            or (period_bins is not None and period < 1)
        ):
            raise ValueError(
                "window_bins must lie in 0 to 2^31 - 1, min_period_bins and period_bins be positive"
            )
        self.bin_ps = bin_ps
        self._clock = k.Clock(
            mask=2 * half - 1,
            half=half,
            reorder=reorder_bins,
            quick=quick,
            silence=min(int(SILENCE_PS / bin_ps), half - 1),
        )
        low, self._table = _channel_table(start_channel, channel_map)
        self._starts = k.Starts(low=low, start=start_channel, period=period, most_missing=MOST_MISSING)
        self._limits = np.tile(np.array([0, window_bins]), (len(self._table), 1))
        self._limits[self._table == k.START] = min_period_bins, period + period // 2 if period else k.NO_START
        self._limits[self._table == k.UNKNOWN] = 0, -1
        self._clock_state = np.zeros(k.CLOCK_FIELDS, np.int64)
        self._pulse_state = np.zeros(k.PULSE_FIELDS, np.int64)
        self._pulse_state[[k.START_TIME, k.PULSE]] = k.NO_START, first_pulse - 1
        self._next = first_pulse  # first pulse that no block has covered
        self._words = 0
        self._pending = (np.zeros(0, np.int32), np.zeros(0, np.int64))  # newest words, not yet in their order
        self._open = _columns(CHUNK_WORDS)  # stops, those of the last pulse at the end
        self._n_open = 0

    @property
    def counters(self) -> StartCounters:
        """A snapshot of the counters."""
        clock, pulses = self._clock_state, self._pulse_state
        return StartCounters(
            words=self._words,
            starts=int(pulses[k.STARTS]),
            duplicate_starts=int(pulses[k.DUPLICATES]),
            missing_starts=int(pulses[k.MISSING]),
            stops=int(pulses[k.STOPS]),
            orphans=int(pulses[k.ORPHANS]),
            late=int(pulses[k.LATE]),
            damaged=int(clock[k.DAMAGED] + pulses[k.IMPOSSIBLE]),
            disordered=int(clock[k.DISORDERED]),
            jumps=int(clock[k.JUMPS]),
            held=int(np.count_nonzero(self._pending[0] != k.JUMP) + clock[k.WAITING]),
        )

    def warm_up(self) -> None:
        """Compile the kernels, or load them from the cache: seconds the first time. Changes no state."""
        trial = StartReducer(0, {1: 0}, self.bin_ps)
        trial.reduce(np.array([0, 1, 0]), np.array([5, 7, 9]))
        trial.reduce(np.array([0, 1, 0]), np.array([9, 7, 9]))

    def reduce(
        self,
        channel: NDArray[np.integer[Any]],
        time: NDArray[np.integer[Any]],
        *,
        anchor: Anchor = NO_ANCHOR,
        loss: Loss = Loss.NONE,
    ) -> TdcBlock:
        """Reduce the next words of the stream.

        Args:
            channel: channel of each word, shape (n,), any integer type within 32 bits.
            time: absolute time of each word in bins, shape (n,).
            anchor: instant known in both clocks, handed on.
            loss: what the hardware says is missing, handed on.

        Returns:
            Stops of the pulses that are over. `loss` has DAMAGED when words were impossible, COUNTER_JUMP when the
            time stamps jumped, WORDS_LOST when starts were missing.
        """
        if len(channel) != len(time):
            raise ValueError(
                f"{len(channel)} channels but {len(time)} times: the columns of one call must agree"
            )
        if channel.dtype.kind not in "iu" or time.dtype.kind not in "iu":
            raise ValueError(f"channel is {channel.dtype} and time {time.dtype}, but both are whole numbers")
        before = self.counters
        self._words += len(time)
        over = []
        # The very first word sets the clock; after it, words in order take the short way.
        lone = 0 if self._clock_state[k.SEEN] else min(1, len(time))
        for a in [*range(lone), *range(lone, len(time), CHUNK_WORDS)]:
            part = slice(a, a + CHUNK_WORDS if a >= lone else lone)
            over += self._take(
                np.ascontiguousarray(channel[part], np.int32), np.ascontiguousarray(time[part], np.int64)
            )
        return self._block(over, int(self._pulse_state[k.PULSE]) - 1, anchor, loss | self._lost_since(before))

    def flush(self) -> TdcBlock:
        """Give the words held back; a word that still waits to be confirmed is damaged. The next call goes on."""
        before = self.counters
        channel, time = self._pending
        self._pending = (channel[:0], time[:0])
        self._clock_state[k.DAMAGED] += self._clock_state[k.WAITING]
        self._clock_state[k.WAITING] = 0
        over = self._count(channel, time, 0)
        over.append(_copy(self._open, self._n_open))
        self._n_open = 0
        # Stops that follow belong to a pulse that was given out: they wait for the next start.
        self._pulse_state[k.START_TIME] = k.NO_START
        return self._block(over, int(self._pulse_state[k.PULSE]), NO_ANCHOR, self._lost_since(before))

    def _take(self, channel: NDArray[np.int32], time: NDArray[np.int64]) -> list[Stops]:
        """Reduce one chunk; give the stops of pulses that are over."""
        clock, state = self._clock, self._clock_state
        if (
            clock.reorder == 0
            and state[k.SEEN] == 1
            and state[k.WAITING] == 0
            and k.in_order(time, int(state[k.RAW]), clock.quick, clock.mask)
        ):
            shift = int(state[k.HIGH]) - int(state[k.RAW])
            state[k.RAW] = time[-1]
            state[k.HIGH] = int(time[-1]) + shift
            return self._count(channel, time, shift)
        held = len(self._pending[0])
        room = held + 2 * len(time) + 1
        new_channel, new_time = np.empty(room, np.int32), np.empty(room, np.int64)
        new_channel[:held], new_time[:held] = self._pending
        n = k.put_in_time(channel, time, clock, state, new_channel, new_time, held)
        new_channel, new_time = new_channel[:n], new_time[:n]
        if np.any(new_time[1:] < new_time[:-1]):
            order = np.argsort(new_time, kind="stable")
            new_channel, new_time = new_channel[order], new_time[order]
        final = int(np.searchsorted(new_time, int(state[k.HIGH]) - clock.reorder, "right"))
        self._pending = (new_channel[final:].copy(), new_time[final:].copy())
        return self._count(new_channel[:final], new_time[:final], 0)

    def _count(self, channel: NDArray[np.int32], time: NDArray[np.int64], shift: int) -> list[Stops]:
        """Number the pulses of words in order; give the stops of those that are over, keep the others."""
        held = self._n_open
        if held + len(time) > len(self._open[0]):
            pulse, out_channel, out_time = _columns(2 * (held + len(time)))
            pulse[:held], out_channel[:held], out_time[:held] = (column[:held] for column in self._open)
            self._open = pulse, out_channel, out_time
        n, over = k.count_starts(
            channel,
            time,
            shift,
            self._starts,
            self._table,
            self._limits,
            self._pulse_state,
            *self._open,
            held,
        )
        self._n_open = n - over
        if over == 0:
            return []
        done = _copy(self._open, over)
        for column in self._open:
            column[: n - over] = column[over:n].copy()
        return [done]

    def _lost_since(self, before: StartCounters) -> Loss:
        now = self.counters
        loss = Loss.NONE
        if now.damaged > before.damaged:
            loss |= Loss.DAMAGED
        if now.jumps > before.jumps:
            loss |= Loss.COUNTER_JUMP
        if now.missing_starts > before.missing_starts:
            loss |= Loss.WORDS_LOST
        return loss

    def _block(self, parts: Sequence[Stops], last: int, anchor: Anchor, loss: Loss) -> TdcBlock:
        first, last = self._next, max(last, self._next - 1)
        self._next = last + 1
        pulse, channel, time = zip(*parts, strict=True) if parts else ([column] for column in _columns(0))
        return TdcBlock(
            first_pulse=first,
            last_pulse=last,
            bin_ps=self.bin_ps,
            pulse=_joined(pulse),
            channel=_joined(channel),
            time=_joined(time),
            anchor=anchor,
            loss=loss,
        )


def _columns(n: int) -> Stops:
    return np.empty(n, np.uint64), np.empty(n, np.uint8), np.empty(n, np.int32)


def _joined(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def _copy(stops: Stops, n: int) -> Stops:
    return stops[0][:n].copy(), stops[1][:n].copy(), stops[2][:n].copy()


def _channel_table(start_channel: int, channel_map: Mapping[int, int]) -> tuple[int, NDArray[np.int16]]:
    """The map as a table over all channel numbers in use, and the first of them."""
    low, high = min([start_channel, *channel_map]), max([start_channel, *channel_map])
    if start_channel in channel_map or high - low >= TABLE_CHANNELS or low <= -(2**31) or high >= 2**31:
        raise ValueError(
            f"channel_map: the starts' channel {start_channel} must not be in it, and the hardware's channels must be "
            f"numbers of 32 bits that span less than {TABLE_CHANNELS}"
        )
    if any(not 0 <= channel <= 255 for channel in channel_map.values()):
        raise ValueError("channel_map: channels of the block are 0 (MCP) to 255")
    table = np.full(high - low + 2, k.UNKNOWN, np.int16)
    for hardware, channel in channel_map.items():
        table[hardware - low] = channel
    table[start_channel - low] = k.START
    return low, table
