"""Rules on silence: acquire, TDC, records and readings that no longer come. What is old is never acted on."""

import math

from evapd.guard.energy import ENERGISED, PULSING, EnergyState
from evapd.guard.rules.base import Effect, Finding, Measured, View, worst
from evapd.link import LinkFlag

_OLD_S = 0.5
_ADOPTION_S = 3.0  # time for acquire to come back to a restarted guard


class AcquireLost(Measured):
    """Acquire is dead, or another one than the run began with is there."""

    name = "acquire-lost"
    trigger = "end of file on the link to acquire"
    effect = Effect.RAMP_DOWN
    release = "verified down"
    advice = "nothing is recorded any more: see why acquire ended in its log, restart it; the run is recovered from disk"
    latch = True
    watches = ENERGISED

    def load(self, view: View) -> float | None:
        """1 when it is gone."""
        return float(not view.adopted and (view.link_lost or not view.inputs.link.connected))

    def found(self, view: View) -> Finding:  # noqa: ARG002 - the signature of every rule
        """Say it."""
        return Finding("acquire is gone: nothing is recorded")


class NobodyAttends(Measured):
    """A voltage held after a restart, and no run that wants it."""

    name = "nobody-attends"
    trigger = "voltage found at a restart is held, and 3 s later acquire records no run"
    effect = Effect.RAMP_DOWN
    release = "verified down"
    advice = "the guard was restarted under voltage and no run wanted it; begin a new run when both processes are back"
    watches = frozenset({EnergyState.HOLDING})

    def load(self, view: View) -> float | None:
        """Time without an acquire that has a run, over the time allowed."""
        if not view.adopted:
            return 0.0
        newest = view.rates.newest
        wanted = newest is not None and LinkFlag.RUN_ACTIVE in newest.flags
        if view.inputs.link.connected and wanted:
            return 0.0
        return (view.now_s - view.entered_s) / _ADOPTION_S

    def found(self, view: View) -> Finding:  # noqa: ARG002 - the signature of every rule
        """Say it."""
        return Finding("voltage was found at the restart and no run wants it")


class TdcSilent(Measured):
    """The TDC, not the specimen, is silent: what evaporates now is lost."""

    name = "tdc-silent"
    trigger = "TDC heartbeat older than heartbeat_s"
    effect = Effect.INHIBIT
    release = "by itself, when the heartbeat is back"
    advice = "pulses wait for the TDC; when it stays silent look at its cable, power and driver"
    keys = ("heartbeat_s",)
    watches = PULSING | {EnergyState.INHIBITED}

    def load(self, view: View) -> float | None:
        """Age of the heartbeat now, not when the record was made, over the age allowed."""
        if view.preparing:
            return None
        return view.rates.heartbeat_age_s(view.now_s) / view.guard.heartbeat_s

    def found(self, view: View) -> Finding:
        """Say how long."""
        return Finding(f"no sign of life of the TDC for {_seconds(view.rates.heartbeat_age_s(view.now_s))}")


class TdcSilentLong(Measured):
    """The TDC stays silent."""

    name = "tdc-silent-long"
    trigger = "TDC heartbeat older than silent_ramp_down_s"
    effect = Effect.RAMP_DOWN
    release = "verified down"
    advice = (
        "look at the TDC: power, cable, trigger input, its driver in `evapd status`; then begin a new run"
    )
    keys = ("silent_ramp_down_s",)
    latch = True
    watches = ENERGISED

    def load(self, view: View) -> float | None:
        """Age of the heartbeat over the age allowed."""
        if view.preparing or view.adopted:
            return None
        return view.rates.heartbeat_age_s(view.now_s) / view.guard.silent_ramp_down_s

    def found(self, view: View) -> Finding:
        """Say how long."""
        age = _seconds(view.rates.heartbeat_age_s(view.now_s))
        return Finding(f"no sign of life of the TDC for {age}: look at the TDC and its cable")


class StaleRecord(Measured):
    """Counts that are too old to act on."""

    name = "stale-record"
    trigger = "newest record of acquire older than stale_ticks"
    effect = Effect.FREEZE
    release = "by itself, when records come again"
    advice = "acquire is late: look at the load of the machine; the voltage waits"
    keys = ("stale_ticks",)
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Age of the newest record over the age allowed."""
        if view.preparing:
            return None
        return view.rates.record_age_s(view.now_s) / (
            view.guard.stale_ticks * view.settings.rig.control.tick_s
        )

    def found(self, view: View) -> Finding:
        """Say how old."""
        return Finding(f"the newest counts are {_seconds(view.rates.record_age_s(view.now_s))} old")


class OldReading(Measured):
    """A voltage or a pulser that was not read lately: a rise would be blind."""

    name = "old-reading"
    trigger = "newest reading of specimen supply or pulser older than 0.5 s"
    effect = Effect.FREEZE
    release = "by itself"
    advice = "the instrument answers late: look at its line and baud rate; the voltage waits"
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Age of the older of both readings over the age allowed; a device that is UNKNOWN has a rule of its own."""
        ages_s = [view.now_s - one.t_mono_s for one in (view.supply, view.pulser) if one is not None]
        return worst(*ages_s) / _OLD_S if ages_s else None

    def found(self, view: View) -> Finding:
        """Say which, and how old."""
        ages = {
            name: view.now_s - one.t_mono_s
            for name, one in (("specimen supply", view.supply), ("pulser", view.pulser))
            if one is not None
        }
        oldest = max(ages, key=lambda name: ages[name])
        return Finding(f"the newest reading of the {oldest} is {_seconds(ages[oldest])} old")


class DarkSilent(Measured):
    """Not one count for a long time, not even a dark one: the detector itself may be dead."""

    name = "dark-silent"
    trigger = "no hit of any kind for 15 / dark_rate_hz while the TDC lives (by chance once in 100 hours)"
    effect = Effect.NOTE
    release = "by itself, with the next hit"
    advice = "look at the MCP voltage, the discriminators and the valve; or dark_rate_hz is set too high"
    keys = ("control.dark_rate_hz",)
    watches = PULSING

    # Five mean waiting times would come up by chance a hundred times an hour.
    _WAITS = 15.0

    def __init__(self) -> None:
        self._hits = -1
        self._since_s = math.nan

    def load(self, view: View) -> float | None:
        """Time without a hit over the time allowed."""
        newest, dark_hz = view.rates.newest, view.settings.rig.control.dark_rate_hz
        if newest is None or dark_hz <= 0.0 or view.pulsing_since_s is None:
            return None
        if newest.hits_total != self._hits or view.rates.heartbeat_age_s(view.now_s) > view.guard.heartbeat_s:
            self._hits, self._since_s = newest.hits_total, view.now_s
        return (view.now_s - max(self._since_s, view.pulsing_since_s)) * dark_hz / self._WAITS

    def found(self, view: View) -> Finding:
        """Say how long."""
        return Finding(
            f"no hit at all for {view.now_s - self._since_s:.0f} s, not even a dark count: is the detector on?"
        )

    def forget(self) -> None:
        """Begin anew."""
        self._hits = -1


def _seconds(age_s: float) -> str:
    return "ever" if age_s > 4000 else f"{age_s:.2f} s"


SILENCE_RULES = (
    AcquireLost,
    NobodyAttends,
    TdcSilent,
    TdcSilentLong,
    StaleRecord,
    OldReading,
    DarkSilent,
)
