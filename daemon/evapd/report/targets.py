"""Which rate was to be held when: the segments' settings as steps in time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evapd.record.run import RunInfo
from evapd.units import US_PER_S

_NOT_HOLDING = frozenset({"monitor", "hold", "ramp"})


@dataclass(frozen=True, slots=True)
class Targets:
    """Target rate in hits per live pulse from `t_s` on; NaN where the law in force holds no rate."""

    t_s: NDArray[np.float64]
    rate: NDArray[np.float64]

    @classmethod
    def of(cls, info: RunInfo) -> "Targets":
        """Read the configuration and every later change of law or target."""
        law: dict[str, Any] = dict(info.configuration.get("control") or {})
        steps = [(-np.inf, _held(law))]
        for segment in info.segments:
            law |= {key: value for key, value in segment.settings.items() if key in {"law", "target_rate"}}
            steps.append(((segment.t_mono_us - info.t_start_mono_us) / US_PER_S, _held(law)))
        return cls(np.array([t_s for t_s, _ in steps]), np.array([rate for _, rate in steps]))

    @property
    def held(self) -> bool:
        """Whether any law of the run held a rate."""
        return bool(np.isfinite(self.rate).any())

    def at(self, t_s: ArrayLike) -> NDArray[np.float64]:
        """Target at the given times, s since the start of the run."""
        index = np.searchsorted(self.t_s, np.asarray(t_s, dtype=np.float64), side="right") - 1
        return self.rate[index]


def _held(law: dict[str, Any]) -> float:
    target = law.get("target_rate")
    if law.get("law") in _NOT_HOLDING or not isinstance(target, int | float):
        return np.nan
    return float(target)
