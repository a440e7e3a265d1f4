"""Rules on what the counts are worth: do the signals belong together, do the ions belong to the pulses."""

from evapd.guard.energy import PULSING
from evapd.guard.rules.base import Effect, Finding, Measured, View
from evapd.link import LinkFlag

_SPAN_S = 2.0
_HITS = 200
_DARKS = 5.0  # so many times the dark counts of the span must be seen before their share says anything


class TimeSums(Measured):
    """The signals of the delay lines do not belong together any more: hits are lost, the rate is too low a number."""

    name = "time-sums"
    trigger = "acquire reports that the time sums are not where the calibration has them"
    effect = Effect.FREEZE
    release = "by itself, when they are back"
    advice = "look at thresholds, delays and cables; `evapd calibrate`, then match the words again"
    watches = PULSING

    def load(self, view: View) -> float | None:
        """1 while they are lost."""
        newest = view.rates.newest
        return None if newest is None else float(LinkFlag.TIME_SUMS_LOST in newest.flags)

    def found(self, view: View) -> Finding:  # noqa: ARG002 - the signature of every rule
        """Say it."""
        return Finding("the time sums are lost: hits are missing, so the rate may not raise the voltage")


class Uncorrelated(Measured):
    """Most ions do not come with the pulse: the rate says little about the pulse, and more voltage is not the answer."""

    name = "uncorrelated"
    trigger = (
        "background above uncorrelated_max of the hits in the window over 2 s, with at least 200 hits and five times "
        "the dark counts; only where a background window is set"
    )
    effect = Effect.NO_RISE
    release = "by itself"
    advice = "pulses lost on their way, fraction too low, bad vacuum or a light on: raise the fraction, not the voltage"
    keys = ("uncorrelated_max", "control.dark_rate_hz")
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Share of background over the limit; None with too few counts to say."""
        share = self._share(view)
        return None if share is None else share / view.guard.uncorrelated_max

    def found(self, view: View) -> Finding:
        """Say how large."""
        return Finding(f"{100 * (self._share(view) or 0.0):.0f} % of the hits do not come with the pulse")

    def _share(self, view: View) -> float | None:
        window = view.rates.recent(_SPAN_S)
        if window is None or view.settings.background_ratio <= 0.0:
            return None
        if window.hits < max(_HITS, _DARKS * view.settings.rig.control.dark_rate_hz * window.dt_s):
            return None
        return max(0.0, window.background) / window.hits


QUALITY_RULES = (TimeSums, Uncorrelated)
