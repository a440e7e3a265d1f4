"""TDC blocks in, hit blocks out: damaged words set aside, pulses that continue held back, everything counted."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from evapd.blocks import NO_ANCHOR, HitBlock, Loss, TdcBlock
from evapd.errors import StreamError
from evapd.matching.anode import Anode
from evapd.matching.kernel import match_words
from evapd.matching.numbers import numbers_of
from evapd.matching.settings import MatchSettings
from evapd.matching.sound import all_sound, mark_sound
from evapd.matching.words import NO_WORDS, Words, chosen, frozen, joined, part
from evapd.matching.workspace import MAX_WORDS, QUALITIES, TIME_LIMIT_PS, make_columns, make_scratch

# A hit's pulse is counted from the first pulse of its block in 32 bits.
MAX_SPAN = 2**32 - 1
# So many words are rather copied behind those held back than matched in two calls.
_SMALL: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchCounters:
    """What became of the words, since the matcher was made. words = used + unused + damaged + held."""

    words: int = 0
    used: int = 0
    unused: int = 0  # sound, but part of no hit
    damaged: int = 0  # impossible channel, pulse, time or order, or there twice: discarded
    held: int = 0  # of the pulse that may continue in the next block
    saturated_pulses: int = 0  # with more signals than are matched
    hits_by_quality: tuple[int, ...] = (0,) * QUALITIES  # by quality code

    @property
    def hits(self) -> int:
        """Hits of every quality."""
        return sum(self.hits_by_quality)


class Matcher:
    """Matches the words of one TDC into hits, block after block; for one thread.

    The hit blocks cover the pulses without gap or overlap. The last pulse of a TDC block may continue in the next
    one: when it has words it is held back until a block goes beyond it, or `flush()`.
    """

    def __init__(self, anode: Anode, settings: MatchSettings | None = None) -> None:
        self.anode = anode
        self.settings = settings or MatchSettings()
        self._calibration = anode.calibration_id
        self._channels = anode.channels
        self._fewest = self.settings.fewest_signals
        self._scratch_array = make_scratch(self._channels)
        self._scratch: np.record = self._scratch_array[0]
        self._repeated = self._scratch_array["repeated"]
        self._words = self._released = self._damaged = self._saturated = 0
        self._bin_ps: Fraction | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._next: int | None = None  # first pulse whose hits are not out
        self._held = NO_WORDS  # its words, if it may continue
        self._held_loss = Loss.NONE
        self._inhibited = 0  # pulses not yet told in a hit block
        self._anchor = NO_ANCHOR

    @property
    def counters(self) -> MatchCounters:
        """A snapshot of the counters."""
        hits = tuple(int(n) for n in self._scratch.hits)
        used, repeated = int(self._scratch.used), int(self._scratch.repeated)
        return MatchCounters(
            words=self._words,
            used=used,
            unused=self._released - used - repeated,
            damaged=self._damaged + repeated,
            held=len(self._held[0]),
            saturated_pulses=self._saturated,
            hits_by_quality=hits,
        )

    def warm_up(self) -> None:
        """Compile the kernels, or load them from the cache: seconds the first time. Changes no state."""
        trial = Matcher(self.anode, self.settings)
        words = frozen(
            (np.zeros(6, np.uint64), np.arange(6, dtype=np.uint8) % 5, np.arange(6, dtype=np.int32))
        )
        pulse, channel, time = words
        for block_pulse in (pulse, pulse[::-1] + 1):  # whole and damaged, so that both ways are compiled
            trial.match(
                TdcBlock(
                    first_pulse=0,
                    last_pulse=0,
                    bin_ps=Fraction(1),
                    pulse=block_pulse,
                    channel=channel,
                    time=time,
                )
            )
        trial.flush()

    def match(self, block: TdcBlock) -> HitBlock:
        """Match a block of words.

        Args:
            block: words of the pulses after those of the block before.

        Returns:
            Hits of every pulse that is complete, ascending in pulse and, within a pulse, in time of flight. `loss` is
            that of the words, with DAMAGED when words were discarded, SATURATED when a pulse had more signals than
            are matched, SEQUENCE_GAP when pulses are missing before this block, COUNTER_JUMP when its pulse numbers
            go back or jump impossibly far (its words are then discarded).

        Raises:
            StreamError: the bin width is not that of the blocks before.
        """
        self._take_bin(block.bin_ps)
        self._anchor = block.anchor
        self._words += block.n
        begin = block.first_pulse if self._next is None else self._next
        self._next = begin
        if block.last_pulse < begin - 1 or block.last_pulse - begin >= MAX_SPAN:
            self._damaged += block.n
            damaged = Loss.DAMAGED if block.n else Loss.NONE
            return self._emit(begin - 1, NO_WORDS, NO_WORDS, block.loss | Loss.COUNTER_JUMP | damaged)
        loss = block.loss
        if block.first_pulse > begin + (len(self._held[0]) > 0):
            loss |= Loss.SEQUENCE_GAP
        words = self._sound_words(block, begin)
        if len(words[0]) < block.n:
            self._damaged += block.n - len(words[0])
            loss |= Loss.DAMAGED
        self._inhibited += block.inhibited_pulses
        return self._split(block, words, begin, loss)

    def flush(self) -> HitBlock:
        """Give the hits of the pulse held back, and begin anew: the next block may start at any pulse."""
        begin = self._next or 0
        self._next = begin
        held, self._held = self._held, NO_WORDS
        hits = self._emit(begin if len(held[0]) else begin - 1, held, NO_WORDS, self._held_loss)
        self._begin_anew()
        return hits

    def _take_bin(self, bin_ps: Fraction) -> None:
        """Use a TDC's bin width from the first block on."""
        if (
            bin_ps is self._bin_ps or bin_ps == self._bin_ps
        ):  # comparing fractions takes longer than a small block
            return
        if self._next is not None and self._bin_ps is not None:
            raise StreamError(
                f"the TDC's bin width changed from {self._bin_ps} to {bin_ps} ps between two blocks: "
                "disarm, flush the matcher and arm again"
            )
        self._bin_ps = bin_ps
        self._numbers = numbers_of(self.anode, self.settings, bin_ps)
        self._time_limit = min(int(TIME_LIMIT_PS / bin_ps), 2**31 - 1)

    def _sound_words(self, block: TdcBlock, begin: int) -> Words:
        """The block's words without the damaged ones."""
        words = frozen((block.pulse, block.channel, block.time))
        may_continue = len(self._held[0]) > 0
        first = begin if may_continue else max(begin, block.first_pulse)
        last = max(block.last_pulse, begin) if may_continue else block.last_pulse
        if block.n == 0 or last < first:
            return NO_WORDS
        low, high = np.uint64(first), np.uint64(last)
        if all_sound(words, low, high, self._channels, self._time_limit):
            return words
        sound = np.zeros(block.n, np.bool_)
        mark_sound(words, low, high, self._channels, self._time_limit, sound)
        return chosen(words, sound)

    def _split(self, block: TdcBlock, words: Words, begin: int, loss: Loss) -> HitBlock:
        """Match the pulses that are complete, hold back the words of one that may continue."""
        held, told = self._held, loss | self._held_loss if self._held_loss else loss
        self._held, self._held_loss = NO_WORDS, Loss.NONE
        fresh = len(words[0]) > 0
        head = NO_WORDS
        if len(held[0]):
            continued = int(words[0].searchsorted(np.uint64(begin), "right")) if fresh else 0
            if len(words[0]) <= _SMALL or continued == len(words[0]):
                words, late = self._continue(held, words, continued)
            else:
                head, late = self._continue(held, part(words, 0, continued), continued)
                words = part(words, continued, len(words[0]))
            if late:
                loss, told = loss | Loss.DAMAGED, told | Loss.DAMAGED
        last = int(words[0][-1]) if len(words[0]) else begin - 1
        if last < begin or last < block.last_pulse or not (fresh or block.first_pulse <= last):
            return self._emit(max(block.last_pulse, last), head, words, told)
        cut = int(words[0].searchsorted(words[0][-1]))
        whole = len(head[0]) + cut > 0
        self._hold(part(words, cut, len(words[0])), loss if whole else told)
        return self._emit(last - 1, head, part(words, 0, cut), told if whole else loss)

    def _continue(self, held: Words, words: Words, continued: int) -> tuple[Words, int]:
        """Words held back and those after them; and how many of these came too late to stay in order: left out."""
        if not continued or words[2][0] >= held[2][-1]:
            return joined(held, words), 0
        in_order = np.ones(len(words[0]), np.bool_)
        in_order[:continued] = words[2][:continued] >= held[2][-1]
        late = int(np.count_nonzero(~in_order))
        self._damaged += late
        return joined(held, chosen(words, in_order)), late

    def _hold(self, words: Words, loss: Loss) -> None:
        """Keep the words of a pulse that may continue: all that can be matched and one more, which tells of the rest."""
        self._released += max(0, len(words[0]) - MAX_WORDS - 1)
        self._held = part(words, 0, MAX_WORDS + 1)
        self._held_loss = loss

    def _emit(self, end: int, head: Words, rest: Words, loss: Loss) -> HitBlock:
        """Match words of complete pulses and cover the pulses up to `end` with them."""
        begin = self._next or 0
        words = len(head[0]) + len(rest[0])
        repeated = int(self._repeated[0])
        out = make_columns(words // self._fewest)
        n = 0
        for some in (head, rest):
            if len(some[0]):
                n, saturated = match_words(
                    self._numbers, self._scratch_array, out, n, np.uint64(begin), *some
                )
                if saturated:
                    self._saturated += saturated
                    loss |= Loss.SATURATED
        if self._repeated[0] > repeated:
            loss |= Loss.DAMAGED
        self._released += words
        self._next = end + 1
        inhibited = min(self._inhibited, end + 1 - begin)
        self._inhibited -= inhibited
        return HitBlock(
            first_pulse=begin,
            last_pulse=end,
            pulse=out.pulse[:n],
            tof_ps=out.tof_ps[:n],
            x_um=out.x_um[:n],
            y_um=out.y_um[:n],
            quality=out.quality[:n],
            multiplicity=out.multiplicity[:n],
            anchor=self._anchor,
            calibration=self._calibration,
            loss=loss,
            inhibited_pulses=inhibited,
        )
