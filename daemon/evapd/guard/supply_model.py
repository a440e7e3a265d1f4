"""Where a supply's output should be after the commands it was given: up fast, down slowly.

A supply sources current but does not sink it: downwards the cable and tip discharge through the bleeder. So a reading
is compared with this model and not with the set point.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple


class _Point(NamedTuple):
    t_s: float
    v_set_v: float
    v_model_v: float


@dataclass(slots=True)
class SupplyModel:
    """First-order model with a time constant each way.

    `slack_s` is the time that a command and a reading may take on their way: a reading at time t is compared
    with the span of set point and model over the `slack_s` before it.
    """

    tau_up_s: float
    tau_down_s: float
    slack_s: float = 0.3
    _points: deque[_Point] = field(default_factory=deque)

    def start(self, v_v: float, now_s: float) -> None:
        """Begin at a measured voltage."""
        self._points.clear()
        self._points.append(_Point(now_s, v_v, v_v))

    @property
    def v_v(self) -> float:
        """Modelled output now, in V."""
        return self._points[-1].v_model_v if self._points else 0.0

    def advance(self, v_set_v: float, now_s: float) -> None:
        """Let the output follow the set point that was in force, then take the new one."""
        if not self._points:
            self.start(v_set_v, now_s)
            return
        then = self._points[-1]
        tau_s = self.tau_up_s if then.v_set_v > then.v_model_v else self.tau_down_s
        share = -math.expm1(-max(now_s - then.t_s, 0.0) / tau_s)
        v_v = then.v_model_v + (then.v_set_v - then.v_model_v) * share
        self._points.append(_Point(now_s, v_set_v, v_v))
        while len(self._points) > 2 and self._points[1].t_s < now_s - 4 * self.slack_s:
            self._points.popleft()

    def band(self, t_s: float) -> tuple[float, float]:
        """Lowest and highest voltage that a reading taken at `t_s` may show."""
        points = list(self._points)
        inside = [point for point in points if t_s - self.slack_s <= point.t_s <= t_s]
        before = [point for point in points if point.t_s < t_s - self.slack_s]
        chosen = (before[-1:] + inside) or points[:1]
        values = [v for point in chosen for v in (point.v_set_v, point.v_model_v)]
        return min(values), max(values)
