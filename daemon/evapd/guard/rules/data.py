"""Rules on the data: silence, staleness, loss, and a rate that is too high. Lost and saturated counts are high, never low."""

from evapd.guard.energy import ENERGISED, PULSING, EnergyState
from evapd.guard.rules.base import Effect, Finding, Rule, View
from evapd.link import LinkFlag

_BURST = 6.0  # times rate_ceiling: enough in a single record
_REACH_S = 0.5  # how far back counts are gathered until the floor is reached
_RECORD_S = 0.010
_LOSSY_REACH_S = 0.1
_TRIPS, _TRIP_SPAN_S = 3, 10.0
_NO_PULSES_S = 1.0
_OLD_S = 0.5
_ADOPTION_S = 3.0  # time for acquire to come back to a restarted guard


class AcquireLost(Rule):
    """Acquire is dead, or another one than the run began with is there."""

    name = "acquire-lost"
    trigger = "end of file on the link to acquire"
    effect = Effect.RAMP_DOWN
    release = "verified down"
    latch = True
    watches = ENERGISED

    def check(self, view: View) -> Finding | None:
        """Look at the link."""
        if view.adopted or (view.inputs.link.connected and not view.link_lost):
            return None
        return Finding("acquire is gone: nothing is recorded")


class NobodyAttends(Rule):
    """A voltage held after a restart, and no run that wants it."""

    name = "nobody-attends"
    trigger = "voltage found at a restart is held, and 3 s later acquire records no run"
    effect = Effect.RAMP_DOWN
    release = "verified down"
    watches = frozenset({EnergyState.HOLDING})

    def check(self, view: View) -> Finding | None:
        """Look for an acquire with a run."""
        if not view.adopted or view.now_s - view.entered_s < _ADOPTION_S:
            return None
        newest = view.rates.newest
        wanted = newest is not None and LinkFlag.RUN_ACTIVE in newest.flags
        if view.inputs.link.connected and wanted:
            return None
        return Finding("voltage was found at the restart and no run wants it")


class TdcSilent(Rule):
    """The TDC, not the specimen, is silent: what evaporates now is lost."""

    name = "tdc-silent"
    trigger = "TDC heartbeat older than heartbeat_s"
    effect = Effect.INHIBIT
    release = "by itself, when the heartbeat is back"
    watches = PULSING | {EnergyState.INHIBITED}

    def check(self, view: View) -> Finding | None:
        """Look at the age of the heartbeat now, not when the record was made."""
        age_s = view.rates.heartbeat_age_s(view.now_s)
        if view.preparing or age_s <= view.guard.heartbeat_s:
            return None
        return Finding(f"no sign of life of the TDC for {_seconds(age_s)}")


class TdcSilentLong(Rule):
    """The TDC stays silent."""

    name = "tdc-silent-long"
    trigger = "TDC heartbeat older than silent_ramp_down_s"
    effect = Effect.RAMP_DOWN
    release = "verified down"
    latch = True
    watches = ENERGISED

    def check(self, view: View) -> Finding | None:
        """Look at the age of the heartbeat."""
        age_s = view.rates.heartbeat_age_s(view.now_s)
        if view.preparing or view.adopted or age_s <= view.guard.silent_ramp_down_s:
            return None
        return Finding(f"no sign of life of the TDC for {_seconds(age_s)}: look at the TDC and its cable")


class StaleRecord(Rule):
    """Counts that are too old to act on."""

    name = "stale-record"
    trigger = "newest record of acquire older than stale_ticks"
    effect = Effect.FREEZE
    release = "by itself, when records come again"
    watches = PULSING

    def check(self, view: View) -> Finding | None:
        """Look at the age of the newest record."""
        age_s = view.rates.record_age_s(view.now_s)
        if view.preparing or age_s <= view.guard.stale_ticks * view.settings.rig.control.tick_s:
            return None
        return Finding(f"the newest counts are {_seconds(age_s)} old")


class OldReading(Rule):
    """A voltage or a pulser that was not read lately: a rise would be blind."""

    name = "old-reading"
    trigger = "newest reading of specimen supply or pulser older than 0.5 s"
    effect = Effect.FREEZE
    release = "by itself"
    watches = PULSING

    def check(self, view: View) -> Finding | None:
        """Look at the age of both readings."""
        for what, reading in (("specimen supply", view.supply), ("pulser", view.pulser)):
            age_s = 0.0 if reading is None else view.now_s - reading.t_mono_s
            if age_s > _OLD_S:
                return Finding(f"the newest reading of the {what} is {_seconds(age_s)} old")
        return None


class CounterJump(Rule):
    """The pulse counter moved in a way that pulses cannot explain: rates mean nothing."""

    name = "counter-jump"
    trigger = "acquire reports a jump of the pulse counter within the last 0.5 s"
    effect = Effect.FREEZE
    release = "by itself"
    watches = PULSING

    def check(self, view: View) -> Finding | None:
        """Look at the newest windows."""
        recent = view.rates.recent(_REACH_S)
        return Finding("the TDC's pulse counter jumped") if recent is not None and recent.jump else None


class RateCeiling(Rule):
    """Far too many hits, or counts that were lost or saturated."""

    name = "rate-ceiling"
    trigger = (
        "rate_ceiling times the target over two records or more, six times that in one, each with at least "
        "rate_ceiling_counts hits; or two records within 0.1 s with saturated or lost data"
    )
    effect = Effect.CUT
    release = "by itself after 0.5 s; three times in 10 s: hold"
    watches = PULSING

    def check(self, view: View) -> Finding | None:
        """Gather counts back in time until the floor of counts is reached."""
        pulses = hits = records = lossy = 0
        dt_s = 0.0
        for window in view.rates.newest_first():
            pulses, hits, dt_s = pulses + window.pulses, hits + window.hits, dt_s + window.dt_s
            records += window.pulses > 0
            lossy += window.lossy and window.pulses > 0 and dt_s <= _LOSSY_REACH_S
            if lossy >= 2:
                return Finding(
                    "counts are saturated or lost, which may hide any rate", view.guard.rate_ceiling
                )
            if dt_s > _REACH_S:
                break
            ratio = hits / (pulses * view.run.target_rate) if pulses else 0.0
            sudden = ratio >= _BURST * view.guard.rate_ceiling
            # Two records' worth of pulses, so that a record between two blocks does not count as one.
            lasting = records >= 2 and pulses >= 1.5 * _RECORD_S * view.run.pulse_rate_hz
            if hits >= view.guard.rate_ceiling_counts and (
                sudden or (lasting and ratio >= view.guard.rate_ceiling)
            ):
                return Finding(f"{hits} hits in {1e3 * dt_s:.0f} ms, {ratio:.0f} times the target", ratio)
        return None


class RepeatedTrips(Rule):
    """The rate ceiling trips again and again."""

    name = "repeated-trips"
    trigger = "three trips of the rate ceiling within 10 s"
    effect = Effect.HOLD
    release = "a person resumes"
    latch = True
    watches = PULSING | {EnergyState.INHIBITED}

    def check(self, view: View) -> Finding | None:
        """Count the trips."""
        recent = [trip_s for trip_s in view.trips_s if view.now_s - trip_s <= _TRIP_SPAN_S]
        if len(recent) < _TRIPS:
            return None
        return Finding(
            f"{len(recent)} rate trips in {_TRIP_SPAN_S:.0f} s: look at the specimen, then resume or stop"
        )


class NoPulses(Rule):
    """The pulser says that it fires and the TDC counts nothing: a rise would be blind."""

    name = "no-pulses"
    trigger = "fewer than half of the pulses counted for 1 s while pulses are let through"
    effect = Effect.FREEZE
    release = "by itself"
    watches = PULSING

    def check(self, view: View) -> Finding | None:
        """Compare counted pulses with the pulse rate."""
        if view.pulsing_since_s is None or view.now_s - view.pulsing_since_s < _NO_PULSES_S:
            return None
        recent = view.rates.recent(_NO_PULSES_S)
        if recent is None or recent.dt_s < 0.8 * _NO_PULSES_S:
            return None
        share = recent.pulses / (view.run.pulse_rate_hz * recent.dt_s)
        if share >= 0.5:
            return None
        return Finding(f"only {100 * share:.0f} % of the pulses are counted: look at pulser and TDC start")


def _seconds(age_s: float) -> str:
    return "ever" if age_s > 4000 else f"{age_s:.2f} s"


DATA_RULES = (
    AcquireLost,
    NobodyAttends,
    TdcSilent,
    TdcSilentLong,
    StaleRecord,
    OldReading,
    CounterJump,
    RateCeiling,
    RepeatedTrips,
    NoPulses,
)
