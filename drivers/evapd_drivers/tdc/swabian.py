"""Swabian Instruments Time Tagger through the maker's Python package (`pip install evapd[swabian]`, and the maker's drivers).

Source: the package's classes as the maker documents them and many programs use them. Confidence: middle. Nothing here was tried on
hardware. Tried against a module with the same classes.
Doubts: what a stream does whose buffer is full between two readings (flagged as loss where a reading fills it).
Times are in ps. Every edge is transmitted, the pulses' own among them: it is counted here. A channel's falling edge is its negative.
"""

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from evapd.blocks import Loss, TdcBlock
from evapd.device.protocols import TdcSource
from evapd.device.readings import Identity, TdcDescription
from evapd.errors import DeviceError, DeviceIdentityError, DeviceLost, DeviceRefused
from evapd.units import Volt
from evapd_drivers.tdc.tagger import TaggerSettings, TaggerSource, Taken

_SCHEME = "module:"
BIN_PS = Fraction(1)
TIME_TAG, ERROR, OVERFLOW_BEGIN, OVERFLOW_END, MISSED = range(5)
_LOSS_OF = {
    ERROR: Loss.WORDS_LOST | Loss.COUNTER_JUMP,
    OVERFLOW_BEGIN: Loss.WORDS_LOST | Loss.SATURATED,
    OVERFLOW_END: Loss.WORDS_LOST | Loss.SATURATED,
    MISSED: Loss.WORDS_LOST,
}


class Swabian(TaggerSource):
    """One Time Tagger of any model."""

    protocol: ClassVar[type] = TdcSource

    class Config(TaggerSettings):
        """Settings: `connect` is `module:Swabian.TimeTagger`; channels are the maker's numbers, negative for falling edges."""

        connect: str = "module:Swabian.TimeTagger"
        start: int = 1
        channels: dict[int, Annotated[int, Field(ge=0, le=6)]] = Field(default={2: 0, 3: 1, 4: 2, 5: 3, 6: 4})
        threshold_v: Annotated[Volt, Field(ge=-3, le=3)] | None = None  # None: as the maker's default
        buffer_events: Annotated[int, Field(ge=1000, le=1 << 28)] = 4_000_000

        @field_validator("connect")
        @classmethod
        def _module(cls, value: str) -> str:
            if not value.startswith(_SCHEME):
                raise ValueError(
                    "needs module:NAME, the maker's Python module, such as module:Swabian.TimeTagger"
                )
            return value

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(config, clock=clock)
        self._config = config
        self._module: Any = None
        self._tagger: Any = None
        self._stream: Any = None

    def _inputs(self) -> tuple[int, Mapping[int, int]]:
        return self._config.start, dict(self._config.channels)

    def _connect(self) -> tuple[Identity, TdcDescription]:
        name = self._config.connect.removeprefix(_SCHEME)
        try:
            self._module = importlib.import_module(name)
        except ImportError as error:
            raise DeviceLost(
                f"the Python module {name} cannot be imported ({error}): pip install evapd[swabian], and the maker's drivers"
            ) from error
        with _translated("opening the Time Tagger", DeviceLost):
            wanted, found = self._config.serial_number, list(self._module.scanTimeTagger())
            if wanted is not None and found and wanted not in found:
                raise DeviceIdentityError(
                    f"Time Taggers {', '.join(found)} are connected, the configuration names {wanted}"
                )
            self._tagger = self._module.createTimeTagger(wanted or "")
            serial, model = self._tagger.getSerial(), self._tagger.getModel()
            if self._config.threshold_v is not None:
                for channel in {abs(one) for one in (self._config.start, *self._config.channels)}:
                    self._tagger.setTriggerLevel(channel, self._config.threshold_v)
        self._warm_up(BIN_PS)
        channels = 1 + max(self._config.channels.values(), default=0)
        return (
            Identity(vendor="Swabian Instruments", model=model, serial=serial),
            TdcDescription(bin_ps=BIN_PS, channels=channels, counter_bits=63, starts_in_stream=True),
        )

    def _release(self) -> None:
        tagger, self._tagger, self._stream = self._tagger, None, None
        if tagger is not None:
            self._module.freeTimeTagger(tagger)

    def _start(self) -> None:
        self._count_anew()
        channels = [self._config.start, *self._config.channels]
        with _translated("start of the Time Tagger's stream", DeviceRefused):
            self._stream = self._module.TimeTagStream(self._tagger, self._config.buffer_events, channels)

    def _stop(self) -> list[TdcBlock]:
        with _translated("end of the Time Tagger's stream", DeviceLost):
            self._stream.stop()
        rest = list(self._drained())
        self._stream = None
        return rest

    def _take(self) -> Taken | None:
        with _translated("reading the Time Tagger", DeviceLost):
            data = self._stream.getData()
            if not data.size:
                if self._reading.armed and not self._stream.isRunning():
                    raise DeviceLost(
                        "the Time Tagger's stream has ended by itself: close it and open it again"
                    )
                return None
            channel, stamp, kind = data.getChannels(), data.getTimestamps(), data.getEventTypes()
            loss = Loss.NONE
            if data.size >= self._config.buffer_events:
                loss |= Loss.WORDS_LOST | Loss.OVERFLOW
            if np.any(kind):
                for number, flag in _LOSS_OF.items():
                    if np.any(kind == number):
                        loss |= flag
                self._lost += int(np.sum(data.getMissedEvents()[kind == MISSED], dtype=np.int64))
                tags = kind == TIME_TAG
                channel, stamp = channel[tags], stamp[tags]
        return Taken(channel, stamp, loss)


@contextmanager
def _translated(what: str, kind: type[DeviceError]) -> Iterator[None]:
    """Raise what the maker's package raises as an error of ours."""
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        raise kind(f"{what}: {error}") from error
