"""A second law that is given what the acting one is given, and steers nothing."""

import logging
import time
from collections.abc import Callable

from evapd.control.types import ControlSettings, RateLaw, RateObservation, Setpoint

_log = logging.getLogger(__name__)
_BUDGET_S = 0.005  # of one call; a law's step takes some 0.2 ms, the shortest tick is 20 ms
_TOO_SLOW = 3  # calls in a row beyond the budget


class Shadow:
    """Keeps a law's proposals for the record; the first error, or slowness, switches it off for the run."""

    def __init__(
        self,
        make_law: Callable[[str, ControlSettings], RateLaw],
        name: str,
        settings: ControlSettings,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.name = name
        self.proposal: Setpoint | None = None
        self.off = ""  # why it was switched off
        self._timer = timer
        self._slow = 0
        self._law: RateLaw | None = None
        try:
            self._law = make_law(name, settings)
        except Exception as error:  # noqa: BLE001 - whatever it does, it never harms the acting law
            self._switch_off(f"{type(error).__name__}: {error}")

    def step(self, observation: RateObservation | None, now_s: float) -> None:
        """Take one step."""

        def take(law: RateLaw) -> None:
            self.proposal = law.step(observation, now_s)

        self.tell(take)

    def tell(self, call: Callable[[RateLaw], object]) -> None:
        """Call the law, unless it is off."""
        if self._law is None:
            return
        began_s = self._timer()
        try:
            call(self._law)
        except Exception as error:  # noqa: BLE001 - as above
            _log.exception("shadow law %s failed", self.name)
            self._switch_off(f"{type(error).__name__}: {error}")
            return
        took_s = self._timer() - began_s
        self._slow = self._slow + 1 if took_s > _BUDGET_S else 0
        if self._slow >= _TOO_SLOW:
            self._switch_off(f"{self._slow} calls in a row took more than {1e3 * _BUDGET_S:.0f} ms")

    def _switch_off(self, why: str) -> None:
        self._law = self.proposal = None
        self.off = why
