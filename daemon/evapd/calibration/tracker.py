"""The time sums of a run under way, against the calibration in use: where they are, and whether that is still right."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import TdcBlock
from evapd.calibration.robust import densest
from evapd.calibration.signals import lone_signals
from evapd.calibration.timesums import deviations, joint_deviation
from evapd.matching.anode import Anode
from evapd.matching.settings import MatchSettings

Floats = NDArray[np.float64]

LEAST_HITS = 500  # fewer say nothing
SILENT_S = 30.0  # without a lone pulse, while words come: nothing is known any more
_SILENT_WORDS = 500
MOST_HITS = 20_000
_LEAST_PEAK = 0.3  # part of the lone pulses in the peak; noise has no peak
_LEFT_OF_PEAK = 0.5  # of the former: a peak that was there is gone with less, and not by chance
_LEAST_FITTING = 0.5
_CLEAR_AT = 0.7  # of the limit: an alarm ends below this
_JUMP = 0.5  # of the gate: newest hits that are this far from the others begin a new window
_SURE = 3.0  # standard deviations
_LOOKED_AT = 4_000  # values among which the peak is searched


class SumState(StrEnum):
    """How a time sum stands."""

    UNKNOWN = "unknown"  # too few lone pulses, or never a peak among them
    OK = "ok"
    DRIFTING = "drifting"  # beyond the limit, the gate still holds most hits
    LOST = "lost"  # beyond the gate, or no peak any more: hits are lost or wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSum:
    """The time sum of one layer: measured minus calibrated, its uncertainty and its width (sigma), in ps."""

    position_ps: float
    error_ps: float
    width_ps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSums:
    """How the time sums stand.

    Attributes:
        state: of the detector: that of its worst layer; the former one while hits are too few to tell.
        calibration: id of the anode calibration that they are compared with.
        hits: lone pulses in the window.
        window_s: time since the oldest of them.
        fitting: part of them whose sums fit the calibration.
        limit_ps: a position beyond this is `drifting`.
        layers: by name; empty while there are too few hits, no lone pulses come, or their sums have no peak.
    """

    state: SumState
    calibration: str
    hits: int
    window_s: float
    fitting: float
    limit_ps: float
    layers: dict[str, LayerSum]

    def as_dict(self) -> dict[str, Any]:
        """For `status` and the stream."""
        return {
            "state": str(self.state),
            "calibration": self.calibration,
            "hits": self.hits,
            "window_s": round(self.window_s, 2),
            "fitting": round(self.fitting, 4),
            "limit_ps": round(self.limit_ps, 1),
            "layers": {
                name: {
                    "position_ps": round(layer.position_ps, 1),
                    "error_ps": round(layer.error_ps, 1),
                    "width_ps": round(layer.width_ps, 1),
                }
                for name, layer in self.layers.items()
            },
        }


class TimeSumTracker:
    """Follows the time sums of lone pulses over a sliding window; for one thread.

    The window holds the newest `window_hits` hits or those of the last `window_s` seconds, whichever are more, at most
    MOST_HITS. When the newest LEAST_HITS are far from the others the window begins anew with them, so that a jump is seen
    as soon as they have come.

    Args:
        anode: the calibration in use.
        gate_sigma: gate of the matching on the joint deviation of a complete hit.
        drift_limit: part of the gate beyond which a time sum counts as drifting.
        window_hits: hits of the window, where these are more than those of `window_s`.
        window_s: see there.
    """

    def __init__(
        self,
        anode: Anode,
        *,
        gate_sigma: float = MatchSettings().full_sigma,
        drift_limit: float = 0.25,
        window_hits: int = 5_000,
        window_s: float = 10.0,
    ) -> None:
        self._anode, self._gate_sigma = anode, gate_sigma
        self._calibration = anode.calibration_id
        self._drift_limit = drift_limit
        self._window_hits, self._window_s = max(window_hits, LEAST_HITS), window_s
        self._state = SumState.UNKNOWN
        self._had_peak = False
        self._newest_s = self._words_since = 0.0  # time of the newest lone pulse, words that came after it
        self._rows: Floats  # deviations in the window, oldest first, shape (hits, layers)
        self._when_s: Floats
        self._take_bin(Fraction(0))

    def feed(self, block: TdcBlock, now_s: float) -> None:
        """Look at words; `now_s` is a monotonic time."""
        if block.bin_ps != self._bin_ps:
            self._take_bin(block.bin_ps)
        new = deviations(lone_signals(block, self._anode.channels), self._anode)
        self._newest_s = now_s if len(new) else self._newest_s
        self._words_since = 0.0 if len(new) else self._words_since + block.n
        self._rows = np.concatenate([self._rows, new])
        self._when_s = np.concatenate([self._when_s, np.full(len(new), now_s)])
        recent = len(self._when_s) - int(np.searchsorted(self._when_s, now_s - self._window_s))
        self._keep(min(max(recent, self._window_hits), MOST_HITS))

    def judge(self, now_s: float) -> TimeSums:
        """Say how the time sums stand now."""
        silent = self._words_since >= _SILENT_WORDS and now_s - self._newest_s > SILENT_S
        layers = {} if silent else self._layers()
        if layers and len(self._rows) >= 2 * LEAST_HITS and self._jumped(layers):
            self._keep(LEAST_HITS)
            layers = self._layers()
        n = len(self._rows)
        joint = joint_deviation(self._rows)
        fitting = float(np.mean(joint < (self._gate_sigma * self._sigma_ps) ** 2)) if n else 0.0
        self._state = SumState.UNKNOWN if silent else self._next_state(layers, fitting)
        self._had_peak |= bool(layers)
        return TimeSums(
            state=self._state,
            calibration=self._calibration,
            hits=n,
            window_s=now_s - float(self._when_s[0]) if n else 0.0,
            fitting=fitting,
            limit_ps=self._drift_limit * self._gate_ps,
            layers=layers,
        )

    def _next_state(self, layers: dict[str, LayerSum], fitting: float) -> SumState:
        if not layers and len(self._rows) < LEAST_HITS:
            return self._state
        if not layers:
            return SumState.LOST if self._had_peak else SumState.UNKNOWN
        limit_ps = self._drift_limit * self._gate_ps
        farthest = max(abs(layer.position_ps) for layer in layers.values())
        if farthest > self._gate_ps or fitting < _LEAST_FITTING:
            return SumState.LOST
        if any(abs(layer.position_ps) - _SURE * layer.error_ps > limit_ps for layer in layers.values()):
            return SumState.DRIFTING
        alarmed = self._state in {SumState.DRIFTING, SumState.LOST}
        if alarmed and farthest > _CLEAR_AT * limit_ps:
            return SumState.DRIFTING
        return SumState.OK

    def _layers(self) -> dict[str, LayerSum]:
        """Positions and widths; empty when there are too few hits, or no peak in some layer."""
        if len(self._rows) < LEAST_HITS:
            return {}
        found = {}
        for k, name in enumerate(self._anode.layer_names):
            layer = self._peak(self._rows[:, k], _LEAST_PEAK * (_LEFT_OF_PEAK if self._had_peak else 1.0))
            if layer is None:
                return {}
            found[name] = layer
        return found

    def _peak(self, values: Floats, least: float) -> LayerSum | None:
        some = values[:: max(1, len(values) // _LOOKED_AT)]
        position, inside = densest(some, 4.0 * self._width_ps)
        if inside < least * len(some):
            return None
        # Not the median: time sums come in steps of the TDC's bin, and so would it.
        for _ in range(3):
            near = values[np.abs(values - position) <= self._gate_sigma * self._width_ps]
            position = float(near.mean())
        width = float(near.std())
        return LayerSum(position_ps=position, error_ps=width / float(np.sqrt(len(near))), width_ps=width)

    def _jumped(self, layers: dict[str, LayerSum]) -> bool:
        """Whether the newest hits are elsewhere than the window as a whole, or nowhere."""
        for k, name in enumerate(self._anode.layer_names):
            newest = self._peak(self._rows[-LEAST_HITS:, k], _LEFT_OF_PEAK * _LEAST_PEAK)
            if newest is None or (abs(newest.position_ps - layers[name].position_ps) > _JUMP * self._gate_ps):
                return True
        return False

    def _keep(self, hits: int) -> None:
        if len(self._rows) > hits:
            self._rows, self._when_s = self._rows[-hits:].copy(), self._when_s[-hits:].copy()

    def _take_bin(self, bin_ps: Fraction) -> None:
        self._bin_ps = bin_ps
        self._sigma_ps = float(np.hypot(self._anode.jitter_ps, float(bin_ps) / np.sqrt(12.0)))
        self._width_ps = float(np.sqrt(6.0)) * self._sigma_ps  # of a time sum
        self._gate_ps = self._gate_sigma * self._width_ps
        self._rows = np.zeros((0, len(self._anode.layer_names)))
        self._when_s = np.zeros(0)
