"""What was counted at which voltage over the last seconds, for the rules that compare now with before."""

from bisect import bisect_right
from collections import deque
from typing import NamedTuple

from evapd.device.readings import PulseAmplitudeReading
from evapd.guard.rules.base import View

SPAN_S = 12.0
_STEP_S = 0.045


class Mark(NamedTuple):
    """Cumulative counts and settings at one time."""

    t_s: float
    pulses: int
    hits: int
    background: float
    total: int
    lossy: int  # marks with lost or saturated data until here
    v_dc_v: float
    energy_pj: float | None


class Part(NamedTuple):
    """Difference of two marks."""

    begin: Mark
    end: Mark

    @property
    def dt_s(self) -> float:
        """Seconds."""
        return self.end.t_s - self.begin.t_s

    @property
    def pulses(self) -> int:
        """Live pulses."""
        return self.end.pulses - self.begin.pulses

    @property
    def net(self) -> float:
        """Hits in the window less those that do not belong to the pulses."""
        return self.end.hits - self.begin.hits - self.background

    @property
    def background(self) -> float:
        """Hits in the window that do not belong to the pulses."""
        return self.end.background - self.begin.background

    @property
    def total(self) -> int:
        """Hits of any kind."""
        return self.end.total - self.begin.total

    @property
    def lossy(self) -> bool:
        """Whether anything may be missing."""
        return self.end.lossy > self.begin.lossy


class History:
    """Marks of one stretch of pulses, some 20 a second; a stretch ends when pulses stop or counting begins anew."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()
        self._since_s: float | None = None

    def take(self, view: View) -> bool:
        """Take in the newest record, True when it made a new mark; without a reading of the voltage nothing is learnt."""
        newest, supply = view.rates.newest, view.supply
        if newest is None or supply is None or view.pulsing_since_s is None:
            self.clear()
            return False
        if view.pulsing_since_s != self._since_s:
            self.clear()
            self._since_s = view.pulsing_since_s
        t_s = newest.t_mono_ns * 1e-9
        last = self._marks[-1] if self._marks else None
        if t_s < view.pulsing_since_s or (last is not None and t_s - last.t_s < _STEP_S):
            return False
        if last is not None and newest.live_pulses < last.pulses:
            self._marks.clear()
            last = None
        lately = view.rates.recent(2.0 * _STEP_S)
        lossy = lately is None or lately.lossy or lately.jump
        self._marks.append(
            Mark(
                t_s=t_s,
                pulses=newest.live_pulses,
                hits=newest.hits_window,
                background=newest.background_hits * view.settings.background_ratio,
                total=newest.hits_total,
                lossy=(last.lossy if last is not None else 0) + lossy,
                v_dc_v=abs(supply.v_meas_v),
                energy_pj=view.proposal.pulse_energy_pj if view.proposal is not None else None,
            )
        )
        while self._marks[0].t_s < t_s - SPAN_S:
            self._marks.popleft()
        return True

    def clear(self) -> None:
        """Begin a new stretch."""
        self._marks.clear()
        self._since_s = None

    def part(self, from_s: float, to_s: float) -> Part | None:
        """Give what lies between `from_s` and `to_s` before the newest mark; None when the history is shorter."""
        if not self._marks:
            return None
        newest_s = self._marks[-1].t_s
        first = bisect_right(self._marks, newest_s - from_s + 1e-6, key=_time) - 1
        last = bisect_right(self._marks, newest_s - to_s + 1e-6, key=_time) - 1
        if first < 0 or last <= first:
            return None
        return Part(self._marks[first], self._marks[last])

    @property
    def span_s(self) -> float:
        """How far back it reaches."""
        return self._marks[-1].t_s - self._marks[0].t_s if self._marks else 0.0

    def highest_v(self, span_s: float) -> float:
        """Highest voltage of the newest `span_s`."""
        begin_s = self._marks[-1].t_s - span_s if self._marks else 0.0
        return max((mark.v_dc_v for mark in self._marks if mark.t_s >= begin_s - 1e-6), default=0.0)

    @property
    def newest(self) -> Mark | None:
        """The newest mark."""
        return self._marks[-1] if self._marks else None


def pulses_are_good(view: View, since_s: float) -> bool:
    """Whether pulser and amplitude, by readings younger than `since_s`, do what was asked for."""
    pulser, amplitude = view.pulser, view.inputs.reading("pulse", PulseAmplitudeReading)
    if pulser is None or not pulser.enabled or pulser.t_mono_s < since_s:
        return False
    if abs(pulser.rate_hz / view.run.pulse_rate_hz - 1.0) > 0.01:
        return False
    if not view.settings.pulses_voltage:
        return True
    if amplitude is None or view.v_p_set_v is None or amplitude.t_mono_s < since_s:
        return False
    return abs(amplitude.v_p_v - view.v_p_set_v) <= max(view.guard.pulse_tolerance * view.v_p_set_v, 5.0)


def _time(mark: Mark) -> float:
    return mark.t_s
