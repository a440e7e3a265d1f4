"""When a run ends by itself: the conditions of the configuration, each a line."""

import math
from dataclasses import dataclass

from evapd.config.model import End

# A specimen evaporates once the window has seen this many hits: dark counts alone do not make a beginning.
EVAPORATION_HITS = 200


@dataclass(slots=True)
class Ends:
    """Evaluates the end conditions; remembers when ions were last seen."""

    conditions: End
    _last_hits: int = 0
    _last_ion_s: float = math.inf

    def reason(
        self, *, elapsed_s: float, hits_window: int, v_dc_v: float, exhausted: bool, standing: bool = False
    ) -> str | None:
        """Give the first condition that holds, as a sentence for the run's record, or None.

        While `standing`, pulses are stopped on purpose: a silence then says nothing of the specimen.
        """
        ends = self.conditions
        if standing and math.isfinite(self._last_ion_s):
            self._last_ion_s = elapsed_s
        if hits_window > self._last_hits:
            self._last_hits, self._last_ion_s = hits_window, elapsed_s
        if ends.hits is not None and hits_window >= ends.hits:
            return f"{hits_window} hits reached"
        if ends.time_s is not None and elapsed_s >= ends.time_s:
            return f"{ends.time_s:g} s reached"
        if ends.v_dc_v is not None and v_dc_v >= ends.v_dc_v:
            return f"V_dc {v_dc_v:.0f} V reached"
        if ends.source_exhausted and exhausted:
            return "the source has no more data"
        silent_s = elapsed_s - self._last_ion_s
        if ends.no_ions_s is not None and self._last_hits >= EVAPORATION_HITS and silent_s >= ends.no_ions_s:
            return f"no ions for {silent_s:.1f} s"
        return None
