"""What happens to the specimen: flash, fracture, micro-fracture, another specimen after a trip."""

import math
from collections import deque

from evapd.guard.energy import PULSING, EnergyState
from evapd.guard.rules.base import Effect, Finding, Measured, Rule, View, free
from evapd.guard.rules.collapse import Collapse
from evapd.guard.rules.history import History, Part

_FANO = 2.5  # cascades: variance of the counts over their mean
_SIGMAS, _OVER_SIGMAS = 20.0, 5.0
_FLASH_HITS, _FLASH_BIN_S, _FLASH_LONGEST_S = 30, 0.1, 0.2
_FLASHES, _FLASHES_SPAN_S = 3, 60.0

_FALLEN, _SOFTLY = 0.05, 0.3  # of the rate before: fracture, micro-fracture
_SHIFT = 0.03
_SHIFT_TRIP = 0.05
_BACK, _BACK_HITS, _BACK_S = 0.5, 30, 1.0
_REMEMBERED_S = 600.0
_STANDING = PULSING | {EnergyState.INHIBITED, EnergyState.HOLDING, EnergyState.PAUSED}


class Flash(Rule):
    """A single burst that is over at once: a flash of the tip, not a rate."""

    name = "flash"
    trigger = "20 sigma above the rate (Fano 2.5), at least 30 hits, over within 0.1 s"
    effect = Effect.NOTE
    action = "event `flash`; more than three in a minute: asks to lower the target, hold where after_flashes is hold"
    release = "by itself"
    advice = "one is nothing; many come before a fracture: lower the target"
    keys = ("after_flashes",)
    kind = "flash"
    momentary = True
    watches = PULSING

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._hits = self._hot = self._hot_before = 0
        self._flashes_s: deque[float] = deque(maxlen=64)

    def check(self, view: View) -> Finding | None:
        """Wait for a burst, then for its end; a burst that lasts is a rate, and other rules look at it."""
        z, load, hits = self._look(view)
        if self._began_s is None:
            newest = view.rates.newest
            if load >= 1.0 and newest is not None:
                self._began_s, self._hits, self._hot = view.now_s, hits, newest.hot_hits
            elif newest is not None:
                self._hot_before = newest.hot_hits
            return None
        newest = view.rates.newest
        self._hits = max(self._hits, hits)
        self._hot = max(self._hot, newest.hot_hits if newest else 0)
        if z > _OVER_SIGMAS:
            return None
        lasted_s, self._began_s = view.now_s - self._began_s, None
        return self._found(view) if lasted_s <= _FLASH_LONGEST_S + 0.1 else None

    def margin(self, view: View) -> float | None:
        """One less the burst over what counts as one; None without a rate to compare with."""
        return free(self._look(view)[1]) if view.rates.earlier(2.0, _FLASH_BIN_S) is not None else None

    def forget(self) -> None:
        """Begin anew; flashes of the last minute are still counted."""
        self._began_s = None

    def _look(self, view: View) -> tuple[float, float, int]:
        bin_, before = view.rates.recent(_FLASH_BIN_S), view.rates.earlier(2.0, _FLASH_BIN_S)
        if bin_ is None or before is None or not before.pulses or before.dt_s < 0.5:
            return 0.0, 0.0, 0
        expected = before.hits / before.pulses * bin_.pulses
        z = (bin_.hits - expected) / math.sqrt(_FANO * max(expected, 4.0))
        return z, max(0.0, min(z / _SIGMAS, bin_.hits / _FLASH_HITS)), bin_.hits

    def _found(self, view: View) -> Finding:
        self._flashes_s.append(view.now_s)
        recent = sum(view.now_s - then_s <= _FLASHES_SPAN_S for then_s in self._flashes_s)
        newest = view.rates.newest
        localised = None
        if newest is not None and newest.map_hits:
            localised = self._hot - self._hot_before >= 0.5 * self._hits
        details = {
            "pulse": newest.pulse_counter if newest else -1,
            "hits": self._hits,
            "localised": localised,
            "in_the_last_minute": recent,
        }
        if recent <= _FLASHES:
            return Finding(f"flash: {self._hits} hits in a burst that is over", details=details)
        effect = Effect.HOLD if view.guard.after_flashes == "hold" else Effect.NOTE
        what = f"{recent} flashes within a minute: lower the target"
        return Finding(what, effect=effect, details=details)


class Fracture(Measured):
    """The rate has fallen away although voltage, pulses and detector are as before: the specimen is broken."""

    name = "fracture"
    trigger = (
        "rate below 0.05 of what it was, within 0.3 s (or as long as 40 hits are missing), at constant V, with pulser and "
        "amplitude read good since, and dark counts there"
    )
    effect = Effect.RAMP_DOWN
    action = "event `fracture`; ramp down, or hold where after_fracture is hold"
    release = "verified down, or a person resumes"
    advice = "look at the image and the history: end the run; creep up again only attended, with after_fracture: hold"
    keys = ("after_fracture",)
    kind = "fracture"
    latch = True
    watches = frozenset({EnergyState.EVAPORATING})

    def __init__(self) -> None:
        self._collapse = Collapse()

    def load(self, view: View) -> float | None:
        """What is missing of the rate, over 95 %."""
        share = self._collapse.share(view)
        return None if share is None else max(0.0, 1.0 - share) / (1.0 - _FALLEN)

    def found(self, view: View) -> Finding:
        """Say from what to what, and at which pulse."""
        share, base = self._collapse.share(view), self._collapse.base
        pulse = view.rates.newest.pulse_counter if view.rates.newest else -1
        v_v = base.end.v_dc_v if base else 0.0
        effect = Effect.HOLD if view.guard.after_fracture == "hold" else Effect.RAMP_DOWN
        what = f"fracture: {100 * (share or 0.0):.1f} % of the rate is left at {v_v:.0f} V, pulses and detector are good"
        return Finding(what, effect=effect, details={"pulse": pulse, "v_dc_v": v_v})

    def forget(self) -> None:
        """Begin anew."""
        self._collapse.clear()


class MicroFracture(Rule):
    """After a fall of the rate it came back at another voltage: a piece of the specimen is gone."""

    name = "micro-fracture"
    trigger = "rate below 0.3 of what it was at constant V, and back at half of it only 3 % above that V or more, or below it"
    effect = Effect.NOTE
    action = "event `micro-fracture`, opens a segment"
    release = "by itself"
    advice = "keep the data apart: radius and image scale differ before and after"
    kind = "micro-fracture"
    momentary = True
    watches = _STANDING

    def __init__(self) -> None:
        self._collapse = Collapse()
        self._fallen: tuple[float, float, float] | None = None  # when, at which V, from which rate
        self._share: float | None = None

    def check(self, view: View) -> Finding | None:
        """Wait for a fall, then for the return."""
        self._share = self._collapse.share(view) if view.state in PULSING else None
        base = self._collapse.base
        if self._fallen is None:
            if self._share is not None and self._share < _SOFTLY and base is not None:
                self._fallen = view.now_s, base.end.v_dc_v, self._collapse.rate
            return None
        then_s, then_v, rate = self._fallen
        if view.now_s - then_s > _REMEMBERED_S:
            self._fallen = None
            return None
        back = self._collapse.history.part(_BACK_S, 0.0) if view.state in PULSING else None
        if not _is_back(back, rate) or back is None or then_v <= 0.0:
            return None
        self._fallen = None
        ratio = back.end.v_dc_v / then_v
        if abs(ratio - 1.0) < _SHIFT:
            return None
        return _shifted(view, "micro-fracture", then_v, back.end.v_dc_v)

    def margin(self, view: View) -> float | None:  # noqa: ARG002 - the signature of every rule
        """One less what is missing of the rate, over 70 %."""
        return None if self._share is None else free((1.0 - self._share) / (1.0 - _SOFTLY))

    def forget(self) -> None:
        """Begin anew."""
        self._collapse.clear()
        self._fallen = self._share = None


class AfterTrip(Rule):
    """After a trip of the rate ceiling the rate came back at another voltage: what evaporates is another specimen."""

    name = "after-trip"
    trigger = "after a trip the rate is back at half the target, at a V that differs by 5 % or more from the V before"
    effect = Effect.NOTE
    action = "event `after-trip`, opens a segment"
    release = "by itself"
    advice = "lower V: a layer with a lower field, or a sharper ledge; higher V: the surge was a fracture, the radius grew"
    kind = "after-trip"
    momentary = True
    watches = _STANDING

    def __init__(self) -> None:
        self._history = History()
        self._tripped: tuple[float, float] | None = None  # when, and V before
        self._v_v = 0.0
        self._trip_s = -math.inf

    def check(self, view: View) -> Finding | None:
        """Wait for a trip, then for the return of the rate."""
        trip_s = view.trips_s[-1] if view.trips_s else -math.inf
        if trip_s > self._trip_s:
            self._trip_s = trip_s
            if self._tripped is None and self._v_v > 0.0:
                self._tripped = trip_s, self._v_v
        if view.state not in PULSING:
            self._history.clear()
            return None
        self._history.take(view)
        if self._tripped is None:
            self._v_v = self._history.newest.v_dc_v if self._history.newest else 0.0
            return None
        then_s, then_v = self._tripped
        if view.now_s - then_s > _REMEMBERED_S:
            self._tripped = None
        back = self._history.part(_BACK_S, 0.0)
        if back is None or not _is_back(back, view.run.target_rate):
            return None
        self._tripped = None
        if abs(back.end.v_dc_v / then_v - 1.0) < _SHIFT_TRIP:
            return None
        return _shifted(view, "after a trip", then_v, back.end.v_dc_v)

    def margin(self, view: View) -> float | None:  # noqa: ARG002 - the signature of every rule
        """Nothing comes closer here: a trip is there or not."""
        return None if self._tripped is None else 0.5

    def forget(self) -> None:
        """Begin anew."""
        self._history.clear()
        self._tripped, self._v_v, self._trip_s = None, 0.0, -math.inf


def _is_back(part: Part | None, rate: float) -> bool:
    return (
        part is not None
        and part.pulses > 0
        and part.end.hits - part.begin.hits >= _BACK_HITS
        and part.net >= _BACK * rate * part.pulses
    )


def _shifted(view: View, what: str, then_v: float, now_v: float) -> Finding:
    pulse = view.rates.newest.pulse_counter if view.rates.newest else -1
    change = 100.0 * (now_v / then_v - 1.0)
    return Finding(
        f"{what}: the rate is back at {now_v:.0f} V, before it was {then_v:.0f} V ({change:+.1f} %)",
        details={"pulse": pulse, "v_before_v": then_v, "v_after_v": now_v},
        mark=True,
    )


SPECIMEN_RULES = (Flash, Fracture, MicroFracture, AfterTrip)
