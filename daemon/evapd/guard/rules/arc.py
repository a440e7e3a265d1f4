"""Arcs and flash-overs: what they do to current, counts and pressure."""

import math
from collections import deque

from evapd.device.readings import GaugeReading
from evapd.guard.energy import ENERGISED
from evapd.guard.rules.base import Effect, Finding, Grace, Measured, View

_CURRENT_GRACE_S = 0.2
_TOGETHER_S = 0.5
_EARLY_HITS = 30  # in 0.1 s before the first ion can come
_RAW, _RAW_COUNTS = 0.5, 60  # signals of one channel per pulse, and how many at least
_TIMES_I, _WITHIN_I_S, _FLOOR_A = 3.0, 0.3, 10e-6
_TIMES_P, _WITHIN_P_S = 2.0, 2.0


class SupplyCurrent(Measured):
    """The specimen supply gives a current that no specimen draws."""

    name = "current"
    trigger = "current of the specimen supply above current_max_a for 0.2 s; only where that is set"
    effect = Effect.SAFE
    release = "acknowledge"
    advice = (
        "an arc, a leak or a short: look at cable, feedthrough and specimen before voltage is applied again"
    )
    keys = ("current_max_a",)
    latch = True
    observed = True
    watches = ENERGISED

    def __init__(self) -> None:
        self._grace = Grace()

    def load(self, view: View) -> float | None:
        """Current over the limit; None where the supply cannot tell."""
        limit_a, reading = view.guard.current_max_a, view.supply
        if limit_a is None or reading is None or reading.i_meas_a is None:
            self._grace.reset()
            return None
        return self._grace.load(abs(reading.i_meas_a) / limit_a, view.now_s, _CURRENT_GRACE_S)

    def found(self, view: View) -> Finding:
        """Say how large."""
        i_a = view.supply.i_meas_a if view.supply else None
        return Finding(
            f"the specimen supply gives {1e6 * abs(i_a or 0.0):.3g} uA, the limit is {1e6 * (view.guard.current_max_a or 0):.3g} uA"
        )

    def forget(self) -> None:
        """Begin anew."""
        self._grace.reset()


class Arc(Measured):
    """An arc or flash-over at the specimen: several instruments see it at once."""

    name = "arc"
    trigger = (
        "two of these within 0.5 s: hits before the window (30 in 0.1 s), raw signals above 0.5 per pulse or a trip of the rate "
        "ceiling; current above current_max_a or tripled; pressure doubled; trip of the supply"
    )
    effect = Effect.SAFE
    release = "acknowledge"
    advice = "look at specimen and electrode; condition them by hand, slowly, before the next run"
    keys = ("current_max_a",)
    kind = "arc"
    latch = True
    watches = ENERGISED

    def __init__(self) -> None:
        self._seen_s: dict[str, float] = {}
        self._currents: deque[tuple[float, float]] = deque(maxlen=16)
        self._pressures: dict[tuple[str, str], tuple[float, float]] = {}

    def load(self, view: View) -> float | None:
        """Signs seen within half a second, over two; None where not even two could be seen."""
        if view.supply is None and view.rates.newest is None:
            return None
        for name, seen in (
            ("burst", _burst(view)),
            ("current", self._current(view)),
            ("pressure", self._pressure(view)),
            ("trip", bool(view.supply and view.supply.tripped)),
        ):
            if seen:
                self._seen_s[name] = view.now_s
        return len(self._together(view)) / 2.0

    def found(self, view: View) -> Finding:
        """Name the signs."""
        signs = self._together(view)
        pulse = view.rates.newest.pulse_counter if view.rates.newest else -1
        return Finding(
            f"arc or flash-over: {' and '.join(signs)} at the same time",
            details={"pulse": pulse, "signs": signs},
            cause="arc",
        )

    def forget(self) -> None:
        """Begin anew."""
        self._seen_s.clear()
        self._currents.clear()
        self._pressures.clear()

    def _together(self, view: View) -> list[str]:
        return [name for name, seen_s in self._seen_s.items() if view.now_s - seen_s <= _TOGETHER_S]

    def _current(self, view: View) -> bool:
        reading, limit_a = view.supply, view.guard.current_max_a
        if reading is None or reading.i_meas_a is None:
            return False
        t_s, i_a = reading.t_mono_s, abs(reading.i_meas_a)
        if not self._currents or t_s > self._currents[-1][0]:
            self._currents.append((t_s, i_a))
        lately_a = min(a for then_s, a in self._currents if t_s - then_s <= _WITHIN_I_S)
        return i_a >= (math.inf if limit_a is None else limit_a) or (
            i_a >= _FLOOR_A and i_a >= _TIMES_I * lately_a
        )

    def _pressure(self, view: View) -> bool:
        stepped = False
        for device in view.inputs.devices.values():
            reading = device.reading if device.role == "vacuum" and device.known else None
            if isinstance(reading, GaugeReading):
                for name, now_pa in reading.pressure_pa.items():
                    stepped |= now_pa is not None and self._steps(
                        (device.name, name), reading.t_mono_s, now_pa
                    )
        return stepped

    def _steps(self, gauge: tuple[str, str], t_s: float, now_pa: float) -> bool:
        before_s, before_pa = self._pressures.get(gauge, (t_s, now_pa))
        self._pressures[gauge] = t_s, now_pa
        return t_s > before_s and now_pa >= _TIMES_P * before_pa > 0.0 and t_s - before_s <= _WITHIN_P_S


def _burst(view: View) -> bool:
    if any(view.now_s - trip_s <= _TOGETHER_S for trip_s in view.trips_s):
        return True
    window = view.rates.recent(0.1)
    if window is None:
        return False
    raw = window.triggers >= _RAW_COUNTS and window.triggers >= _RAW * window.pulses
    return window.early >= _EARLY_HITS or raw


ARC_RULES = (SupplyCurrent, Arc)
