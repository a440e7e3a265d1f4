"""One instrument alone: a plant that follows the wall clock, and for a TDC a trickle of ions."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd_sim.plant import Plant
from evapd_sim.wire.base import Wire
from evapd_sim.wire.tdc_stream import TdcStreamWire

_COOLING_S = 20.0  # time constant by which temperatures follow the set point
_LAYER_SUMS_NS = (110.0, 112.0, 114.0)  # t1 + t2 - 2 t_mcp of each delay line
_LARGEST_DIFFERENCE_NS = 90.0
_FLIGHT_NS = (200.0, 1200.0)


class Alone:
    """Advances the plant behind one instrument; called by the server with the time in s.

    Args:
        wire: the instrument.
        plant: what it measures and drives.
        ions_hz: how many ions per second a TDC sees.
        seed: of the ions.
    """

    def __init__(self, wire: Wire, plant: Plant, *, ions_hz: float = 0.0, seed: int = 0) -> None:
        self._wire = wire
        self._plant = plant
        self._ions_hz = ions_hz
        self._rng = np.random.default_rng(seed)
        self._start_s = math.nan
        self._last_s = math.nan
        self._pulses = 0.0  # part of a pulse that is still to come

    def __call__(self, now_s: float) -> None:
        """Let the plant's time run to `now_s`."""
        if math.isnan(self._last_s):
            self._start_s = self._last_s = now_s
        dt_s, self._last_s = now_s - self._last_s, now_s
        plant = self._plant
        with plant.lock:
            self._wire.advance(now_s)
            plant.specimen.advance(dt_s)
            plant.pulse.advance(dt_s)
            plant.advance_supplies(dt_s)
            for name in ("A", "B"):
                gap_k = plant.temperature_setpoint_k - plant.temperature_k[name]
                plant.temperature_k[name] += gap_k * -math.expm1(-dt_s / _COOLING_S)
        if isinstance(self._wire, TdcStreamWire) and self._wire.armed:
            self._measure(self._wire, dt_s, now_s)

    def _measure(self, wire: TdcStreamWire, dt_s: float, now_s: float) -> None:
        self._pulses += self._plant.trigger.rate_hz * dt_s
        pulses = int(self._pulses)
        self._pulses -= pulses
        ions = min(int(self._rng.poisson(self._ions_hz * dt_s)), pulses)
        hit = np.unique(self._rng.integers(0, max(pulses, 1), ions))
        numerator, denominator = wire.hello["bin_ps"]
        layers = (wire.hello["channels"] - 1) // 2
        offsets, channels, times = ions_as_words(self._rng, hit, layers, 1e3 * denominator / numerator)
        wire.deliver(
            offsets, channels, times, pulses=pulses, t_device_ns=round((now_s - self._start_s) * 1e9)
        )


def ions_as_words(
    rng: np.random.Generator, pulses: NDArray[Any], layers: int, bins_per_ns: float
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int32]]:
    """Make the words of one ion in each of `pulses` (ascending), somewhere on the detector, all signals seen.

    Returns:
        Pulse offset, channel and time in bins of each word, sorted by pulse and time; shapes (n (1 + 2 layers),).
    """
    flight_ns = rng.uniform(*_FLIGHT_NS, len(pulses))
    columns = [flight_ns]
    for layer in range(layers):
        difference_ns = rng.uniform(-_LARGEST_DIFFERENCE_NS, _LARGEST_DIFFERENCE_NS, len(pulses))
        middle_ns = flight_ns + _LAYER_SUMS_NS[layer] / 2
        columns += [middle_ns + difference_ns / 2, middle_ns - difference_ns / 2]
    times = np.rint(np.column_stack(columns) * bins_per_ns).astype(np.int32).ravel()
    channels = np.tile(np.arange(len(columns), dtype=np.uint8), len(pulses))
    offsets = np.repeat(pulses.astype(np.int64), len(columns))
    order = np.lexsort((times, offsets))
    return offsets, channels[order], times[order]
