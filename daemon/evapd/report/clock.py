"""When a run's pulses were, and how many of them were live."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from evapd.record.nxapm import COLLECTION
from evapd.record.nxs import RunFile
from evapd.record.pulsetable import UNCOVERED
from evapd.units import US_PER_S

Floats = NDArray[np.float64]
_DEFAULT_PULSE_RATE_HZ = 200_000.0  # only lays out pulses that no anchor dates


class PulseTimes:
    """Pulse numbers against time, from the blocks' anchors, and live pulses against pulse numbers.

    Between two anchors pulses are evenly spaced. Times are seconds since the start of the run.
    """

    def __init__(
        self,
        blocks: Mapping[str, NDArray[Any]],
        runs: Mapping[str, NDArray[Any]],
        *,
        t_start_us: int,
        pulse_rate_hz: float,
    ) -> None:
        """Take what a finalised run tells.

        Args:
            blocks: one row per block: `first_pulse`, `pulses`, `anchor_pulse`, `anchor_t_mono` (us; 0 where unknown).
            runs: runs of pulses of one kind: `first_pulse`, `last_pulse`, `kind`, `inhibited`.
            t_start_us: CLOCK_MONOTONIC at the start of the run.
            pulse_rate_hz: spaces pulses before the first and behind the last anchor.
        """
        self.first, self.end = _span(runs)
        known = blocks["anchor_t_mono"] > 0
        t_s = (blocks["anchor_t_mono"][known] - t_start_us) / US_PER_S
        pulse = blocks["anchor_pulse"][known].astype(np.float64)
        forward = _rising(t_s) & _not_falling(pulse)
        t_s, pulse = t_s[forward], pulse[forward]
        if not len(t_s):  # nothing was dated: pulses are laid out evenly from the start
            t_s, pulse = np.zeros(1), np.array([float(self.first)])
        begin_s = t_s[0] - max(0.0, pulse[0] - self.first) / pulse_rate_hz
        end_s = t_s[-1] + max(0.0, self.end - pulse[-1]) / pulse_rate_hz
        self._t_s = np.concatenate(([begin_s], t_s, [end_s]))
        self._pulse = np.concatenate(([float(self.first)], pulse, [float(self.end)]))
        first = runs["first_pulse"].astype(np.float64)
        end = runs["last_pulse"].astype(np.float64) + 1.0
        live = np.where(runs["kind"] == UNCOVERED, 0.0, end - first - runs["inhibited"])
        total = np.concatenate(([0.0], np.cumsum(live)))
        self._edges = np.column_stack((first, end)).ravel()
        self._live = np.column_stack((total[:-1], total[1:])).ravel()

    @property
    def begin_s(self) -> float:
        """When the first pulse was."""
        return float(self._t_s[0])

    @property
    def end_s(self) -> float:
        """When the last pulse was."""
        return float(self._t_s[-1])

    @property
    def live(self) -> int:
        """Live pulses of the whole run."""
        return round(self._live[-1]) if len(self._live) else 0

    def pulse_at(self, t_s: ArrayLike) -> Floats:
        """Pulses counted until a time."""
        return np.interp(np.asarray(t_s, dtype=np.float64), self._t_s, self._pulse)

    def time_of(self, pulse: ArrayLike) -> Floats:
        """When a pulse was, s since the start of the run."""
        return np.interp(np.asarray(pulse, dtype=np.float64), self._pulse, self._t_s)

    def live_before(self, pulse: ArrayLike) -> Floats:
        """Live pulses before a pulse number."""
        if not len(self._edges):
            return np.zeros_like(np.asarray(pulse, dtype=np.float64))
        live: Floats = np.interp(np.asarray(pulse, dtype=np.float64), self._edges, self._live)
        return live


def _span(runs: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
    if not len(runs["first_pulse"]):
        return 0, 0
    return int(runs["first_pulse"][0]), int(runs["last_pulse"][-1]) + 1


def _rising(values: Floats) -> NDArray[np.bool_]:
    before = np.concatenate(([-np.inf], np.maximum.accumulate(values)[:-1])) if len(values) else values
    return values > before


def _not_falling(values: Floats) -> NDArray[np.bool_]:
    return values >= np.maximum.accumulate(values) if len(values) else np.zeros(0, dtype=np.bool_)


def read_blocks(run_file: Path) -> dict[str, NDArray[Any]]:
    """Read the table with one row per block of a finalised run."""
    with h5py.File(run_file, "r") as file:
        return {name: dataset[()] for name, dataset in file[f"{COLLECTION}/blocks"].items()}


def pulse_times(run: RunFile) -> PulseTimes:
    """Give the pulse times of a finalised run."""
    rate_hz = (run.info.configuration.get("pulse") or {}).get("rate_hz")
    return PulseTimes(
        read_blocks(run.path),
        run.pulses(),
        t_start_us=run.info.t_start_mono_us,
        pulse_rate_hz=float(rate_hz) if rate_hz else _DEFAULT_PULSE_RATE_HZ,
    )
