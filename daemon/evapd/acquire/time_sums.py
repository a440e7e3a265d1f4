"""Watch over the time sums during a run: a sample of the words, looked at once a second beside the pipeline."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from evapd.blocks import TdcBlock, join_words
from evapd.calibration.tracker import SILENT_S, SumState, TimeSums, TimeSumTracker
from evapd.config.model import Matching
from evapd.config.model import TimeSums as Settings
from evapd.matching import Anode

_log = logging.getLogger(__name__)
WORDS_PER_S = 20_000  # that are looked at: with all that follows 0.4 % of a core
JUDGE_S = 1.0
_LEAST_WORDS = 64
_MOST_BLOCKS = 1_024


class Tell(Protocol):
    """Where events go."""

    def __call__(self, kind: str, severity: str, what: str, **extra: Any) -> None:
        """Say that something happened."""
        ...


class WordSample:
    """Takes at most WORDS_PER_S words per second out of a stream; neither side ever waits for the other."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._blocks: deque[TdcBlock] = deque(maxlen=_MOST_BLOCKS)
        self._room = float(WORDS_PER_S)
        self._asked_s = clock()

    def offer(self, block: TdcBlock) -> None:
        """Keep a copy of the block's first words, as many as there is room for; called for every block."""
        now_s = self._clock()
        self._room = min(self._room + (now_s - self._asked_s) * WORDS_PER_S, WORDS_PER_S)
        self._asked_s = now_s
        n = min(block.n, int(self._room))
        if n < min(block.n, _LEAST_WORDS) or n == 0:
            return
        if n < block.n:  # the last pulse may go on behind the cut
            n = int(np.searchsorted(block.pulse[:n], block.pulse[n - 1], "left"))
        self._room -= n
        if n:
            self._blocks.append(
                TdcBlock(
                    first_pulse=block.first_pulse,
                    last_pulse=block.last_pulse,
                    bin_ps=block.bin_ps,
                    pulse=block.pulse[:n].copy(),
                    channel=block.channel[:n].copy(),
                    time=block.time[:n].copy(),
                )
            )

    def take(self) -> list[TdcBlock]:
        """Give what has come since the last time."""
        return [self._blocks.popleft() for _ in range(len(self._blocks))]


class TimeSumWatch:
    """Tells how the time sums stand, and raises one alarm when they leave their place.

    `offer` is called by the pipeline's thread, everything else by one other thread. Neither ever raises: a fault of the watch
    switches it off, with an alarm, and costs neither data nor the run.
    """

    def __init__(
        self, anode: Anode, settings: Settings, matching: Matching, tell: Tell, clock: Callable[[], float]
    ) -> None:
        self._sample = WordSample(clock)
        self._tracker = TimeSumTracker(
            anode,
            gate_sigma=matching.full_sigma,
            drift_limit=settings.drift_limit,
            window_hits=settings.window_hits,
        )
        self._tell, self._clock = tell, clock
        self._due_s = clock() + JUDGE_S
        self._told = SumState.UNKNOWN
        self._alarmed = self._off = False
        self._fault: Exception | None = None  # the pipeline's thread leaves it here, the other one tells it
        self.now = self._nothing_known = self._tracker.judge(clock())

    def offer(self, block: TdcBlock) -> None:
        """Hand over a block that is being matched."""
        if self._fault is not None or self._off:
            return
        try:
            self._sample.offer(block)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the words must go on to the record
            _log.exception("the words for the watch over the time sums cannot be kept")
            self._fault = error

    def tick(self) -> None:
        """Look at the words that have come, once a second."""
        if self._off:
            return
        try:
            if self._fault is None:
                self._look()
        except Exception as error:  # noqa: BLE001 - whatever fails here, the run must go on
            _log.exception("the time sums cannot be judged")
            self._fault = error
        if self._fault is not None:
            self._switch_off(self._fault)

    def _look(self) -> None:
        now_s = self._clock()
        if now_s < self._due_s:
            return
        self._due_s = now_s + JUDGE_S
        blocks = self._sample.take()
        if blocks:
            bin_ps = blocks[-1].bin_ps
            self._tracker.feed(join_words([block for block in blocks if block.bin_ps == bin_ps]), now_s)
        self.now = self._tracker.judge(now_s)
        self._tell_changes()

    def _switch_off(self, fault: Exception) -> None:
        self._off = True
        self.now = self._nothing_known
        what = f"the time sums are no longer watched in this run: {fault!r}; recording and matching go on. The log has the details"
        try:
            self._tell("time_sum", "alarm", what, time_sums=self.now.as_dict())
        except Exception:  # noqa: BLE001 - it may be the telling that failed
            _log.exception("%s; this could not be told", what)

    def _tell_changes(self) -> None:
        now, before = self.now, self._told
        if now.state is before:
            return
        self._told = now.state
        if now.state is SumState.LOST or (now.state is SumState.DRIFTING and not self._alarmed):
            self._alarmed = True
            self._tell("time_sum", "alarm", _what(now), time_sums=now.as_dict())
        elif now.state is SumState.OK and self._alarmed:
            self._alarmed = False
            self._tell("time_sum", "info", "the time sums are back in their place", time_sums=now.as_dict())
        elif now.state is SumState.UNKNOWN and not self._alarmed:  # news would end an alarm that stands
            self._tell("time_sum", "warning", _SILENT, time_sums=now.as_dict())


_SILENT = (
    f"words come, but for {SILENT_S:.0f} s none with a signal on every channel: the time sums are not known any more. "
    "Look whether a channel is dead: thresholds and cables"
)


def _what(now: TimeSums) -> str:
    places = ", ".join(
        f"{name} {layer.position_ps:+.0f} ps (± {layer.error_ps:.0f})" for name, layer in now.layers.items()
    )
    fits = f"{100 * now.fitting:.0f} % of the lone pulses fit"
    if now.state is SumState.LOST and not now.layers:
        return (
            f"the time sums of {now.hits} lone pulses have no peak any more: what comes on the channels does not belong together "
            f"(calibration {now.calibration}), and hits are being lost. Look at the MCP's signal, thresholds and cables"
        )
    if now.state is SumState.LOST:
        return (
            f"the time sums are not where calibration {now.calibration} has them: {places}; {fits}: hits are being lost. "
            "Look at thresholds, delays and cables; the words can be matched again after `evapd calibrate`"
        )
    return (
        f"the time sums drift away from calibration {now.calibration}: {places}, limit {now.limit_ps:.0f} ps; {fits}. "
        "Calibrate anew soon, and match the words again"
    )
