"""Pulses and the TDC: heartbeat, dark counts, clocks against each other, and how soon the inhibit is felt. No high voltage is needed."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from evapd.blocks import NO_ANCHOR, HitBlock, TdcBlock
from evapd.device import HitSource, Pulser, TdcSource
from evapd.errors import StateError

_WAIT_S = 0.05
_HANGS_S = 5.0
_US_PER_S = 1e6
_WORDS_OF_A_HIT = 4


@dataclass(frozen=True, slots=True)
class TdcFigures:
    """What was measured of the TDC and the trigger.

    Attributes:
        heartbeat_p99_s: time between two blocks, empty ones included, 99 of 100 shorter.
        heartbeat_longest_s: the longest.
        dark_hz: hits per second with the specimen at 0 V: pulses with four words or more, which is about what makes a hit.
        mcp_hz: words of channel 0 per second; None where the detector matches in hardware.
        pulse_rate_hz: by the TDC's counter and this computer's monotonic clock.
        rate_error_ppm: of that against the rate that was set: trigger, TDC and computer clock together.
        inhibit_s: from the beginning of the command to the last pulse, each time; sorted.
    """

    heartbeat_p99_s: float
    heartbeat_longest_s: float
    dark_hz: float
    mcp_hz: float | None
    pulse_rate_hz: float
    rate_error_ppm: float
    inhibit_s: tuple[float, ...]


class _Listener:
    """Reads blocks on a thread of its own, as acquire does."""

    def __init__(self, source: TdcSource | HitSource, clock: Callable[[], float]) -> None:
        self._source, self._clock = source, clock
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commission-tdc", daemon=True)
        self.blocks: list[tuple[float, TdcBlock | HitBlock]] = []
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(_HANGS_S)  # a driver that hangs must not keep the pulses on

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                block = self._source.read_block(_WAIT_S)
                if block is not None:
                    self.blocks.append((self._clock(), block))
        except Exception as error:  # noqa: BLE001 - told by `check`, on the thread that can do something
            self.error = error

    def check(self) -> None:
        """Raise what ended the reading."""
        if self.error is not None:
            raise self.error


def measure_pulses(
    pulser: Pulser,
    source: TdcSource | HitSource,
    rate_hz: float,
    *,
    dark_s: float = 10.0,
    inhibits: int = 5,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> TdcFigures:
    """Let the trigger run with nothing energised, and stop it some times; both are left stopped.

    Raises:
        StateError: when no pulses are counted.
        DeviceError: of either. The caller makes both safe, whatever happens here.
    """
    pulser.set_rate(rate_hz)
    source.arm()
    with _Listener(source, clock) as listener:
        pulser.enable(True)
        sleep(dark_s)
        listener.check()
        ran = list(listener.blocks)
        stops_s = [_one_stop(pulser, listener, clock, sleep) for _ in range(inhibits)]
    pulser.enable(False)
    source.disarm()
    listener.check()
    return _figures(ran, rate_hz, tuple(sorted(stops_s)))


def _one_stop(
    pulser: Pulser, listener: _Listener, clock: Callable[[], float], sleep: Callable[[float], None]
) -> float:
    """Run for a second, stop; the last pulse's time follows from the anchors of the blocks before."""
    pulser.enable(True)
    began = len(listener.blocks)
    sleep(1.0)
    ordered_s = clock()
    pulser.enable(False)
    sleep(1.0)
    listener.check()
    anchors = [one.anchor for _, one in listener.blocks[began:] if one.anchor != NO_ANCHOR]
    pulses = np.array([anchor.pulse for anchor in anchors], float)
    t_s = np.array([anchor.t_mono_us for anchor in anchors], float) / _US_PER_S
    running = t_s < ordered_s
    if len(pulses) < 10 or np.count_nonzero(running) < 10 or np.ptp(pulses[running]) <= 0:
        raise StateError("no pulses are counted while the trigger runs: is it wired to the TDC's start?")
    slope, offset = np.polyfit(pulses[running] - pulses[0], t_s[running] - ordered_s, 1)
    return float(slope * (pulses[-1] - pulses[0]) + offset)


def _figures(
    ran: list[tuple[float, TdcBlock | HitBlock]], rate_hz: float, stops_s: tuple[float, ...]
) -> TdcFigures:
    if len(ran) < 10:
        raise StateError(f"{len(ran)} blocks came of the TDC: a heartbeat is due every 5 ms")
    came_s = np.array([t_s for t_s, _ in ran])
    anchors = [block.anchor for _, block in ran if block.anchor != NO_ANCHOR]
    pulses = np.array([anchor.pulse for anchor in anchors], float)
    t_s = np.array([anchor.t_mono_us for anchor in anchors], float) / _US_PER_S
    if len(pulses) < 10 or np.ptp(pulses) <= 0:
        raise StateError("no pulses are counted while the trigger runs: is it wired to the TDC's start?")
    slope, _ = np.polyfit(t_s - t_s[0], pulses - pulses[0], 1)
    blocks = [block for _, block in ran[1:]]
    words = [block for block in blocks if isinstance(block, TdcBlock)]
    span_s = float(came_s[-1] - came_s[0])
    gaps_s = np.diff(came_s)
    return TdcFigures(
        heartbeat_p99_s=float(np.quantile(gaps_s, 0.99)),
        heartbeat_longest_s=float(np.max(gaps_s)),
        dark_hz=sum(map(_hits, blocks)) / span_s,
        mcp_hz=sum(int(np.count_nonzero(block.channel == 0)) for block in words) / span_s if words else None,
        pulse_rate_hz=float(slope),
        rate_error_ppm=1e6 * (float(slope) / rate_hz - 1.0),
        inhibit_s=stops_s,
    )


def _hits(block: TdcBlock | HitBlock) -> int:
    if isinstance(block, HitBlock):
        return len(block.pulse)
    _, words = np.unique(np.asarray(block.pulse), return_counts=True)
    return int(np.count_nonzero(words >= _WORDS_OF_A_HIT))
