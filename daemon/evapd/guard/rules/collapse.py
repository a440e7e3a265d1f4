"""A rate that falls away while energy, pulses and detector stay what they were, and more than the voltage explains."""

from statistics import median

from evapd.guard.rules.base import View
from evapd.guard.rules.history import History, Part, pulses_are_good

_EXPECTED = 40.0  # hits that must be missing before silence means anything
_LOOKS_S = (0.3, 0.6, 1.2, 2.4, 4.8)
_BASE_S, _PARTS, _BASE_LEAST_S, _BASE_HITS = 6.0, 12, 1.0, 80
_SUSPICIOUS = 0.5
_MOST_V = 0.02  # a larger fall of the voltage explains anything
_S_UNKNOWN, _S_DOUBT = 250.0, 1.5
_SAME_ENERGY = 0.02
_LAG_S = 0.02  # pulses that are not matched yet


class Collapse:
    """Gives what is left of the rate; the rate before is a median, so that no burst makes it look high."""

    def __init__(self) -> None:
        self.history = History()
        self.base: Part | None = None  # the stretch before the fall
        self.rate = 0.0  # net hits per pulse in it
        self._share: float | None = None

    def share(self, view: View) -> float | None:
        """What is left of the rate before; None while that cannot be told, or where something else explains it."""
        if self.history.take(view):
            self._share = self._find(view)
        elif self.history.newest is None:
            self._share = None
        return self._share

    def clear(self) -> None:
        """Begin anew."""
        self.history.clear()
        self._share = self.base = None

    def _find(self, view: View) -> float | None:
        for span_s in _LOOKS_S:
            reach_s = min(self.history.span_s, span_s + _BASE_S)
            now, base = self.history.part(span_s, 0.0), self.history.part(reach_s, span_s)
            if now is None or base is None or base.dt_s < _BASE_LEAST_S or not base.pulses:
                return None
            rate = base.net / base.pulses
            suspicious = now.net < _SUSPICIOUS * rate * now.pulses
            if suspicious and rate * now.pulses >= _EXPECTED:
                rate = self._median_rate(reach_s, span_s)
            if rate * base.pulses < _BASE_HITS:
                return None
            if suspicious:
                rate *= self._by_voltage(view, reach_s)
            if rate * now.pulses < _EXPECTED:
                continue
            if not _alive(view, now):
                return None
            if suspicious and not (_same_energy(base, now) and _pulses_arrive(view, base, now)):
                return None
            self.base, self.rate = base, rate
            return max(0.0, now.net) / (rate * now.pulses)
        return None

    def _by_voltage(self, view: View, reach_s: float) -> float:
        """What a fall of the voltage since its highest leaves of the rate, reckoned generously."""
        newest = self.history.newest
        highest_v = self.history.highest_v(reach_s)
        if newest is None or newest.v_dc_v <= 0.0 or newest.v_dc_v < (1.0 - _MOST_V) * highest_v:
            return 0.0
        s = (view.proposal.sensitivity if view.proposal else None) or _S_UNKNOWN
        return float((newest.v_dc_v / highest_v) ** (_S_DOUBT * s))

    def _median_rate(self, from_s: float, to_s: float) -> float:
        step_s = (from_s - to_s) / _PARTS
        parts = [
            self.history.part(from_s - index * step_s, from_s - (index + 1) * step_s)
            for index in range(_PARTS)
        ]
        rates = [part.net / part.pulses for part in parts if part is not None and part.pulses]
        return max(0.0, median(rates)) if rates else 0.0


def _same_energy(base: Part, now: Part) -> bool:
    """Whether the pulse energy did not fall. What is not known any more speaks against it."""
    then_pj, now_pj = base.end.energy_pj, now.end.energy_pj
    if then_pj is None or now_pj is None:
        return then_pj is now_pj
    return now_pj >= (1.0 - _SAME_ENERGY) * then_pj


def _alive(view: View, now: Part) -> bool:
    """Whether TDC and detector still work: nothing lost, heartbeat there, and a dark count seen where there are any."""
    if now.lossy or view.rates.heartbeat_age_s(view.now_s) > view.guard.heartbeat_s:
        return False
    return now.total > 0 or view.settings.rig.control.dark_rate_hz <= 0.0


def _pulses_arrive(view: View, base: Part, now: Part) -> bool:
    """Whether pulses are counted, fired as asked by readings since the fall, and seem to reach the specimen."""
    if now.pulses < view.run.pulse_rate_hz * (0.95 * now.dt_s - _LAG_S):
        return False
    # Ions that come without pulses and still come: not the specimen is gone, but the pulses.
    leak = base.background / base.pulses * now.pulses
    if leak >= _EXPECTED / 2 and now.background >= leak / 2:
        return False
    return pulses_are_good(view, now.begin.t_s + 0.5 * now.dt_s)
