"""Something recorded, played as if it were measured now: words, or hits, of a run, a file, or an APyT `.raw` file.

Paced by pulse numbers: so many pulses a second as were recorded, times `speed`. Pauses of the pulser are not in the pulse numbers, so a
run plays without them. When all is played, `exhausted` is set, heartbeats go on, and the counter stands still.
"""

import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import numpy as np
from pydantic import Field, field_validator

from evapd.blocks import HitBlock, TdcBlock
from evapd.device.protocols import DriverConfig, HitSource, TdcSource
from evapd.device.readings import Identity, TdcDescription
from evapd.errors import DeviceError, DeviceLost, DeviceRefused, EvapdError
from evapd.units import Hertz
from evapd_drivers.tdc.player import Player
from evapd_drivers.tdc.recorded import Recording, recorded_hits, recorded_words
from evapd_drivers.tdc.source import HEARTBEAT_S, LibrarySource

B = TypeVar("B", TdcBlock, HitBlock)
_SCHEME = "file:"
_AT_ONCE = 2**62


class ReplayConfig(DriverConfig):
    """Settings: `connect` is `file:PATH`; `speed` 0 plays as fast as blocks are taken."""

    speed: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    pulse_rate_hz: Annotated[Hertz, Field(gt=0, le=1e8)] | None = None  # None: as recorded
    serial_number: None = None

    @field_validator("connect")
    @classmethod
    def _file(cls, value: str) -> str:
        if not value.startswith(_SCHEME):
            raise ValueError("needs file:PATH, a run folder or a file of recorded words or hits")
        return value


class Replaying(LibrarySource[B], Generic[B]):
    """What playing words and playing hits share."""

    Config = ReplayConfig

    def __init__(self, config: ReplayConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(config, clock=clock)
        self._replay = config
        self._path = Path(config.connect.removeprefix(_SCHEME))
        self._rate_hz = 0.0
        self._player: Player[B] | None = None
        self._began_s = 0.0

    @abstractmethod
    def _find(self, path: Path) -> Recording[B]:
        """Open what is played."""

    @abstractmethod
    def _nothing(self, pulse: int) -> B:
        """A block without a new pulse."""

    @property
    def exhausted(self) -> bool:
        """Whether everything was played."""
        return self._reading.exhausted

    def _recording(self, error: type[DeviceError]) -> Recording[B]:
        try:
            return self._find(self._path)
        except (EvapdError, OSError) as why:
            raise error(f"nothing to replay: {why}") from why

    def _connect(self) -> tuple[Identity, TdcDescription]:
        recording = self._recording(DeviceLost)
        rate_hz = self._replay.pulse_rate_hz or recording.pulse_rate_hz
        if rate_hz is None:
            raise DeviceLost(f"{self._path} does not say how fast pulses came: set `pulse_rate_hz`")
        self._rate_hz = rate_hz
        return (
            Identity(vendor="evapd", model="replay", raw=recording.what),
            TdcDescription(bin_ps=recording.bin_ps, channels=recording.channels, counter_bits=63),
        )

    def _release(self) -> None:
        self._player = None

    def _start(self) -> None:
        self._player = self._guarded(lambda: Player(self._recording(DeviceRefused).blocks()))
        self._began_s = self._clock()

    def _stop(self) -> list[B]:
        return []

    def _poll(self) -> B | None:
        player, speed = self._playing, self._replay.speed
        now_s = self._clock()
        if player.over or (speed and now_s - self._reading.t_mono_s < HEARTBEAT_S):
            return None
        until = int((now_s - self._began_s) * speed * self._rate_hz) if speed else _AT_ONCE
        block = self._guarded(lambda: player.take(until))
        return None if block is None else replace(block, anchor=self._anchor(block.last_pulse + 1))

    def _beat(self) -> B:
        return self._nothing(self._playing.due)

    def _flush(self) -> B:
        return self._beat()

    @property
    def _playing(self) -> Player[B]:
        if self._player is None:
            raise RuntimeError("not armed")
        return self._player

    def _has_ended(self) -> bool:
        return self._playing.over

    def _guarded(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except DeviceError:
            raise
        except (EvapdError, OSError) as error:
            raise DeviceLost(f"the recording cannot be read further: {error}") from error


class ReplayWords(Replaying[TdcBlock]):
    """Words of a run folder or words file."""

    protocol: ClassVar[type] = TdcSource

    def _find(self, path: Path) -> Recording[TdcBlock]:
        return recorded_words(path)

    def _nothing(self, pulse: int) -> TdcBlock:
        none = np.empty(0, np.int64)
        return TdcBlock(
            first_pulse=pulse,
            last_pulse=pulse - 1,
            bin_ps=self.describe().bin_ps,
            pulse=none.astype(np.uint64),
            channel=none.astype(np.uint8),
            time=none.astype(np.int32),
            anchor=self._anchor(pulse),
        )


class ReplayHits(Replaying[HitBlock]):
    """Hits of a run folder, a hits file, or an APyT `.raw` file."""

    protocol: ClassVar[type] = HitSource

    def _find(self, path: Path) -> Recording[HitBlock]:
        return recorded_hits(path)

    def _nothing(self, pulse: int) -> HitBlock:
        none = np.empty(0, np.int32)
        return HitBlock(
            first_pulse=pulse,
            last_pulse=pulse - 1,
            pulse=none.astype(np.uint32),
            tof_ps=none,
            x_um=none.copy(),
            y_um=none.copy(),
            quality=none.astype(np.uint8),
            multiplicity=none.astype(np.uint8),
            anchor=self._anchor(pulse),
        )
