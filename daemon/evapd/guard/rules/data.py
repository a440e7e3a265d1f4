"""Rules on the counts: jumps, loss, and far too many. Lost and saturated counts are high, never low."""

from evapd.guard.energy import PULSING, EnergyState
from evapd.guard.rules.base import Effect, Finding, Measured, Rule, View, free

_BURST = 6.0  # times rate_ceiling: enough in a single record
_REACH_S = 0.5  # how far back counts are gathered until the floor is reached ...
_LONGEST_REACH_S = 1.9  # ... and where few pulses come, until so many could have come at the ceiling
_RECORD_S = 0.010
_LOSSY_REACH_S = 0.1
_TRIPS, _TRIP_SPAN_S = 3, 10.0
_NO_PULSES_S = 1.0
_AHEAD_S = 0.05  # a record from the future: a clock jumped
_IRREGULAR_S = 0.5


class CounterJump(Measured):
    """The pulse counter moved in a way that pulses cannot explain: rates mean nothing."""

    name = "counter-jump"
    trigger = "acquire reports a jump of the pulse counter within the last 0.5 s"
    effect = Effect.FREEZE
    release = "by itself"
    advice = "look at the TDC's trigger input and at double triggers; the run goes on"
    watches = PULSING

    def load(self, view: View) -> float | None:
        """1 when a window of the last half second has a jump."""
        recent = view.rates.recent(_REACH_S)
        return None if recent is None else float(recent.jump)

    def found(self, view: View) -> Finding:  # noqa: ARG002 - the signature of every rule
        """Say it."""
        return Finding("the TDC's pulse counter jumped")


class Sequence(Measured):
    """Records that come twice, in a wrong order, or from the future: a held count must never be used again."""

    name = "sequence"
    trigger = (
        "a record of acquire came twice or late within the last 0.5 s, or is dated more than 0.05 s ahead"
    )
    effect = Effect.FREEZE
    release = "by itself"
    advice = "a fault in acquire or in the machine's clock: look at the log, report it"
    watches = PULSING

    def load(self, view: View) -> float | None:
        """1 after an irregular record; else how far the newest is ahead."""
        if view.rates.newest is None:
            return None
        irregular_s = view.rates.irregular_s
        if irregular_s is not None and view.now_s - irregular_s <= _IRREGULAR_S:
            return 1.0
        return max(0.0, -view.rates.record_age_s(view.now_s)) / _AHEAD_S

    def found(self, view: View) -> Finding:
        """Say which."""
        ahead_s = -view.rates.record_age_s(view.now_s)
        if ahead_s >= _AHEAD_S:
            return Finding(f"the newest record is dated {ahead_s:.2f} s ahead of the guard's clock")
        return Finding("records of acquire came twice or in a wrong order; they were left out")


class RateCeiling(Rule):
    """Far too many hits, or counts that were lost or saturated."""

    name = "rate-ceiling"
    trigger = (
        "rate_ceiling times the target over two records or more, six times that in one, each with at least "
        "rate_ceiling_counts hits; or two records within 0.1 s with saturated or lost data"
    )
    effect = Effect.CUT
    release = "by itself after 0.5 s; three times in 10 s: hold"
    advice = (
        "a surge was cut off: see in the plot whether a layer began; lower the target before the next one"
    )
    keys = ("rate_ceiling", "rate_ceiling_counts", "cut")
    watches = PULSING

    def check(self, view: View) -> Finding | None:
        """Gather counts back in time until the floor of counts is reached."""
        return self._look(view)[1]

    def margin(self, view: View) -> float | None:
        """One less the rate, over what would trigger; None without counts."""
        if not view.rates.windows:
            return None
        return free(self._look(view)[0])

    def _look(self, view: View) -> tuple[float, Finding | None]:
        pulses = hits = records = lossy = 0
        dt_s = highest = 0.0
        ceiling, floor = view.guard.rate_ceiling, view.guard.rate_ceiling_counts
        at_ceiling_hz = ceiling * view.run.target_rate * view.run.pulse_rate_hz
        reach_s = min(max(_REACH_S, 1.2 * floor / at_ceiling_hz), _LONGEST_REACH_S)
        for window in view.rates.newest_first():
            pulses, hits, dt_s = pulses + window.pulses, hits + window.hits, dt_s + window.dt_s
            records += window.pulses > 0
            lossy += window.lossy and window.pulses > 0 and dt_s <= _LOSSY_REACH_S
            if lossy >= 2:
                return 1.0, Finding("counts are saturated or lost, which may hide any rate", ceiling)
            if dt_s > reach_s:
                break
            if not pulses or not hits:
                continue
            ratio = hits / (pulses * view.run.target_rate)
            # Two records' worth of pulses, so that a record between two blocks does not count as one.
            lasting = records >= 2 and pulses >= 1.5 * _RECORD_S * view.run.pulse_rate_hz
            load = min(hits / floor, ratio / (ceiling if lasting else _BURST * ceiling))
            if load >= 1.0:
                what = f"{hits} hits in {1e3 * dt_s:.0f} ms, {ratio:.0f} times the target"
                return 1.0, Finding(what, ratio)
            highest = max(highest, load)
        return max(highest, 0.5 * lossy), None


class RepeatedTrips(Measured):
    """The rate ceiling trips again and again."""

    name = "repeated-trips"
    trigger = "three trips of the rate ceiling within 10 s"
    effect = Effect.HOLD
    release = "a person resumes"
    advice = "look at the specimen's image and history; resume with a lower target, or stop"
    latch = True
    watches = PULSING | {EnergyState.INHIBITED}

    def load(self, view: View) -> float | None:
        """Recent trips over three."""
        return _trips(view) / _TRIPS

    def found(self, view: View) -> Finding:
        """Say how many."""
        return Finding(
            f"{_trips(view)} rate trips in {_TRIP_SPAN_S:.0f} s: look at the specimen, then resume or stop"
        )


class NoPulses(Measured):
    """The pulser says that it fires and the TDC counts nothing: a rise would be blind."""

    name = "no-pulses"
    trigger = "fewer than half of the pulses counted for 1 s while pulses are let through"
    effect = Effect.FREEZE
    release = "by itself"
    advice = "look at the cable from the pulser's trigger output to the TDC's start input"
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Missing pulses over half of all."""
        share = self._share(view)
        return None if share is None else max(0.0, 1.0 - share) / 0.5

    def found(self, view: View) -> Finding:
        """Say how many are missing."""
        share = 100.0 * (self._share(view) or 0.0)
        return Finding(f"only {share:.0f} % of the pulses are counted: look at pulser and TDC start")

    def _share(self, view: View) -> float | None:
        if view.pulsing_since_s is None or view.now_s - view.pulsing_since_s < _NO_PULSES_S:
            return None
        recent = view.rates.recent(_NO_PULSES_S)
        if recent is None or recent.dt_s < 0.8 * _NO_PULSES_S:
            return None
        return recent.pulses / (view.run.pulse_rate_hz * recent.dt_s)


def _trips(view: View) -> int:
    return sum(view.now_s - trip_s <= _TRIP_SPAN_S for trip_s in view.trips_s)


DATA_RULES = (CounterJump, Sequence, RateCeiling, RepeatedTrips, NoPulses)
