"""Swabian Instruments' Python package as a program sees it, without a Time Tagger: classes and functions of the same names.

What is measured is pushed in by `FakeTimeTagger.deliver`. Put the name of this module in place of the maker's.
"""

# ruff: noqa: N802 - the names are the maker's

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evapd_sim.sdk.edges import START, EdgeClock

OVERFLOW_BEGIN, OVERFLOW_END, MISSED = 2, 3, 4
_plugged: list["FakeTimeTagger"] = []


class TimeTagStreamBuffer:
    """What one reading of a stream gives."""

    def __init__(self, columns: tuple[NDArray[Any], ...]) -> None:
        self._timestamps, self._channels, self._types, self._missed = columns
        self.size = len(self._timestamps)
        self.hasOverflows = bool(np.any(self._types))

    def getTimestamps(self) -> NDArray[np.int64]:
        """Times in ps."""
        return self._timestamps

    def getChannels(self) -> NDArray[np.int32]:
        """Channel numbers."""
        return self._channels

    def getEventTypes(self) -> NDArray[np.uint8]:
        """0 for a tag; error, begin and end of an overflow, missed events."""
        return self._types

    def getMissedEvents(self) -> NDArray[np.uint16]:
        """How many were missed."""
        return self._missed


def _empty() -> tuple[NDArray[Any], ...]:
    return np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.uint8), np.empty(0, np.uint16)


class TimeTagStream:
    """Tags of some channels since the last reading."""

    def __init__(self, tagger: "TimeTagger", n_max_events: int, channels: Sequence[int]) -> None:
        if tagger.device.refuses:
            raise RuntimeError("no reference clock")
        self._tagger, self._most, self._channels = tagger, n_max_events, np.array(channels)
        self._waiting: list[tuple[NDArray[Any], ...]] = []
        self._n = 0
        self._lock = threading.Lock()
        self.running = True
        tagger.device.begin(self)

    def take_in(self, columns: tuple[NDArray[Any], ...]) -> None:
        """Take tags of the device; what finds no room in the buffer is lost without a word."""
        chosen = np.isin(columns[1], self._channels) | (columns[2] > 0)
        with self._lock:
            if self.running:
                n = min(int(chosen.sum()), self._most - self._n)
                self._waiting.append(tuple(column[chosen][:n] for column in columns))
                self._n += n

    def getData(self) -> TimeTagStreamBuffer:
        """Give everything since the last call."""
        with self._lock:
            waiting, self._waiting, self._n = self._waiting, [], 0
        return TimeTagStreamBuffer(
            tuple(np.concatenate(column) for column in zip(*waiting, strict=True)) if waiting else _empty()
        )

    def isRunning(self) -> bool:
        """Whether it gets tags."""
        return self.running and self._tagger.device.here

    def stop(self) -> None:
        """Get no more tags."""
        with self._lock:
            self.running = False


class TimeTagger:
    """An opened device."""

    def __init__(self, device: "FakeTimeTagger") -> None:
        self.device = device
        self.levels_v: dict[int, float] = {}

    def getSerial(self) -> str:
        """Serial number."""
        return self.device.serial

    def getModel(self) -> str:
        """Model."""
        return "Time Tagger X"

    def setTriggerLevel(self, channel: int, voltage: float) -> None:
        """Set a channel's threshold in V."""
        if not 1 <= abs(channel) <= 20:
            raise ValueError(f"channel {channel} does not exist")
        self.levels_v[channel] = voltage


def scanTimeTagger() -> list[str]:
    """Serial numbers of what is connected."""
    return [device.serial for device in _plugged if device.here]


def createTimeTagger(serial: str = "") -> TimeTagger:
    """Open the device of a serial number, or any."""
    for device in _plugged:
        if device.here and not device.opened and serial in {"", device.serial}:
            device.opened = True
            return TimeTagger(device)
    raise RuntimeError("no Time Tagger is connected, or it is in use")


def freeTimeTagger(tagger: TimeTagger) -> None:
    """Close a device."""
    tagger.device.opened = False
    tagger.device.end()


class FakeTimeTagger:
    """A device that can be plugged in. The pulses' edge is on channel 1, word channel k on channel 2 + k.

    Args:
        period_ps: between two pulses.
        bin_ps: of the words' times.
    """

    def __init__(self, period_ps: int = 100_000_000, bin_ps: float = 1.0) -> None:
        self.serial, self.refuses, self.here, self.opened = "2134000XYZ", False, True, False
        self._clock = EdgeClock(period_ps, bin_ps)
        self._streams: list[TimeTagStream] = []

    def plug(self) -> None:
        """Make it the only device there is."""
        _plugged[:] = [self]

    def unplug(self) -> None:
        """Take it away."""
        self.here = False

    def begin(self, stream: TimeTagStream) -> None:
        """A stream begins."""
        self._clock.restart()
        self._streams = [stream]

    def end(self) -> None:
        """All streams are over."""
        self._streams = []

    def deliver(
        self, pulse_offsets: ArrayLike, channels: ArrayLike, times: ArrayLike, *, pulses: int
    ) -> bool:
        """Measure the next pulses; False while there is no stream."""
        streams = [stream for stream in self._streams if stream.isRunning()]
        if not streams:
            return False
        edges = self._clock.edges(pulse_offsets, channels, times, pulses=pulses)
        n = len(edges.time_ps)
        channel = np.where(edges.channel == START, 1, edges.channel + 2).astype(np.int32)
        for stream in streams:
            stream.take_in((edges.time_ps, channel, np.zeros(n, np.uint8), np.zeros(n, np.uint16)))
        return True

    def tell(self, event: int, missed: int = 0) -> None:
        """Put an event that is no tag into the stream, at the time of the last pulse."""
        now_ps = np.array([self._clock.now_ps], np.int64)
        for stream in self._streams:
            stream.take_in(
                (now_ps, np.ones(1, np.int32), np.array([event], np.uint8), np.array([missed], np.uint16))
            )

    def refuse(self) -> None:
        """Let it refuse streams."""
        self.refuses = True

    def renumber(self) -> None:
        """Another device is plugged in."""
        self.serial = "2134000ABC"
