"""Rules on what the detector bears: raw triggers, hits of the whole area, hits in one place."""

from evapd.guard.energy import PULSING
from evapd.guard.rates import Window
from evapd.guard.rules.base import Effect, Finding, Measured, View

_SPANS_S = (0.025, 0.1, 0.5)
_COUNTS = 60
_TARGETS = 3.0  # times the target: what is asked for is no fault
_DOSE_SPAN_S = 1.0
_MAP_HITS = 500


class TriggerRate(Measured):
    """Raw signals in every other pulse, whether ions come of them or not."""

    name = "trigger-rate"
    trigger = (
        "raw words of one channel above trigger_ceiling per pulse (or three times the target, if that is more), "
        "at least 60 words"
    )
    effect = Effect.CUT
    release = "by itself after 0.5 s; three times in 10 s: hold"
    advice = "a flash-over, ringing or pick-up: look at the discriminators and at the electrode"
    keys = ("trigger_ceiling",)
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Words per pulse over the limit, gathered back in time until there are enough."""
        return self._worst(view)[0]

    def found(self, view: View) -> Finding:
        """Say how many."""
        _, window = self._worst(view)
        assert window is not None  # noqa: S101 - a load was given
        share = window.triggers / window.pulses
        what = f"{window.triggers} raw signals in {window.pulses} pulses ({share:.2g} per pulse)"
        return Finding(what, ratio=max(1.0, share / view.run.target_rate))

    def _worst(self, view: View) -> tuple[float | None, Window | None]:
        limit = max(view.guard.trigger_ceiling, _TARGETS * view.run.target_rate)
        worst: tuple[float | None, Window | None] = (None, None)
        for span_s in _SPANS_S:
            window = view.rates.recent(span_s)
            if window is None or not window.pulses:
                continue
            load = min(window.triggers / _COUNTS, window.triggers / window.pulses / limit)
            if worst[0] is None or load > worst[0]:
                worst = load, window
        return worst


class HitRate(Measured):
    """More hits than the channel plates may see, whatever the target."""

    name = "hit-rate"
    trigger = "more than hit_rate_max_hz hits over 0.1 s, whatever their time of flight, at least 60 hits"
    effect = Effect.CUT
    release = "by itself after 0.5 s; three times in 10 s: hold"
    advice = "lower the target or the pulse rate: this protects the channel plates"
    keys = ("hit_rate_max_hz",)
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Hits per second over the limit."""
        window = view.rates.recent(0.1)
        if window is None or window.dt_s <= 0.0:
            return None
        return min(window.total / _COUNTS, window.total / window.dt_s / view.guard.hit_rate_max_hz)

    def found(self, view: View) -> Finding:
        """Say how many."""
        window = view.rates.recent(0.1)
        assert window is not None  # noqa: S101 - a load was given
        ratio = window.hits / (window.pulses * view.run.target_rate) if window.pulses else 1.0
        what = (
            f"{window.total / window.dt_s:.3g} hits per second, the limit is {view.guard.hit_rate_max_hz:.3g}"
        )
        return Finding(what, ratio=max(1.0, ratio))


class HotSpot(Measured):
    """A large part of all hits falls on one place of the detector."""

    name = "hot-spot"
    trigger = "share of hits in one cell of 4 mm above hot_spot_max, of at least 500 hits in a second"
    effect = Effect.NOTE
    release = "by itself"
    advice = "look at the map: an emitting asperity, a dead line or field emission; lower the target"
    keys = ("hot_spot_max",)
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Share of the hottest cell over the limit."""
        newest = view.rates.newest
        if newest is None or newest.map_hits < _MAP_HITS:
            return None
        return newest.hot_hits / newest.map_hits / view.guard.hot_spot_max

    def found(self, view: View) -> Finding:
        """Say how large."""
        newest = view.rates.newest
        assert newest is not None  # noqa: S101 - a load was given
        share = 100.0 * newest.hot_hits / newest.map_hits
        return Finding(f"{share:.0f} % of the hits of a second fell into one cell of 4 mm")


class LocalDose(Measured):
    """One place of the detector gets more than it may."""

    name = "local-dose"
    trigger = "more than local_dose_max_hz hits in one cell of 4 mm over a second; only where that is set"
    effect = Effect.HOLD
    release = "a person resumes"
    advice = "look at the map, lower the target, then resume; the plates age where the dose is"
    keys = ("local_dose_max_hz",)
    latch = True
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Hits per second in the hottest cell over the limit."""
        newest, limit_hz = view.rates.newest, view.guard.local_dose_max_hz
        if newest is None or limit_hz is None:
            return None
        return newest.hot_hits / _DOSE_SPAN_S / limit_hz

    def found(self, view: View) -> Finding:
        """Say how many."""
        hits = view.rates.newest.hot_hits if view.rates.newest else 0
        return Finding(f"{hits} hits in one second in one cell of 4 mm of the detector")


LOAD_RULES = (TriggerRate, HitRate, HotSpot, LocalDose)
