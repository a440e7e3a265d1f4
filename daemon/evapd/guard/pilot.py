"""The acting law, and what becomes of the voltage when it fails; beside it a shadow that only watches."""

import logging
import math
from collections.abc import Callable
from dataclasses import replace

from evapd.control.types import ControlSettings, RateLaw, RateObservation, Setpoint
from evapd.guard.shadow import Shadow

LawMaker = Callable[[str, ControlSettings], RateLaw]
FALLBACK = "pi-log"
"""The simple, auditable law that takes over where another one failed."""

_log = logging.getLogger(__name__)


class Pilot:
    """Asks the acting law. One that raises, or proposes what is no number, is never asked again.

    In its place comes `FALLBACK`, from the voltage that stands; where that one failed, nothing proposes any more and
    `exhausted` says so. Neither raises the voltage: in a step without a proposal it stays.
    """

    def __init__(self, make_law: LawMaker, name: str, settings: ControlSettings, shadow: str | None) -> None:
        self._make_law = make_law
        self._shadow_name = shadow
        self.failures: list[str] = []  # in words, until the core has taken them
        self.exhausted = False
        self.engage(name, settings)

    def engage(self, name: str, settings: ControlSettings) -> None:
        """Make new laws; they know nothing yet. Where the law cannot be made nothing changes, and its error is raised."""
        law = self._make_law(name, settings)
        self.law, self.name, self._settings = law, name, settings
        self._broken = self.exhausted = False
        self.proposal: Setpoint | None = None  # the newest
        self.shadow = Shadow(self._make_law, self._shadow_name, settings) if self._shadow_name else None

    def begin(self, v_dc_v: float, now_s: float) -> None:
        """Let both laws begin at a voltage of which nothing is known."""
        self._each(lambda law: law.reset(v_dc_v, now_s))

    def take_over(self, v_dc_v: float, now_s: float, ratio: float | None) -> None:
        """Let both laws begin at a voltage at which the rate is `ratio` times the target; None: not known."""
        self.begin(v_dc_v, now_s)
        if ratio is not None:
            # A law knows a rate only from counts or from a trip; this hands the present one over without one,
            # so that it does not hunt from silence at a voltage where ions already come.
            self.inhibited(now_s, ratio)
            self.resumed(now_s)

    def step(
        self, observation: RateObservation | None, now_s: float, v_dc_v: float, ratio: float | None
    ) -> Setpoint | None:
        """Ask for the next voltage; None: stay at `v_dc_v`, at which the rate is `ratio` times the target."""
        if self._broken:
            self._replace(now_s, v_dc_v, ratio)
            return None
        try:
            proposal = _checked(self.law.step(observation, now_s))
        except Exception as error:  # noqa: BLE001 - whatever a law does, the voltage must be held by somebody
            self._fail(error)
            return None
        self.proposal = proposal
        return proposal

    def confine(self, v_max_v: float) -> None:
        """Let the acting law not go above this voltage, or its energy above where it stands; infinite: as configured.

        Its proposals are limited anyhow; a law that knows of it goes on from there.
        """
        confine = getattr(self.law, "confine", None)
        if confine is not None and not self._broken:
            try:
                confine(v_max_v)
            except Exception as error:  # noqa: BLE001 - as in `step`
                self._fail(error)

    def look_on(self, observation: RateObservation | None, now_s: float) -> None:
        """Let the shadow take its step; it changes nothing."""
        if self.shadow is not None:
            self.shadow.step(observation, now_s)

    def inhibited(self, now_s: float, ratio: float) -> None:
        """Tell that pulses were stopped at `ratio` times the target."""
        self._each(lambda law: law.inhibited(now_s, ratio))

    def resumed(self, now_s: float) -> None:
        """Tell that pulses are let through again."""
        self._each(lambda law: law.resumed(now_s))

    def retarget(self, target_rate: float) -> None:
        """Change the target; what the laws know of the specimen stays."""
        self._settings = replace(self._settings, target_rate=target_rate)
        self._each(lambda law: law.retarget(target_rate))

    def set_ceilings(self, v_max_v: float, energy_max_pj: float | None) -> None:
        """Move the upper ends of the ranges of voltage and energy; what the laws know of the specimen stays."""
        if (v_max_v, energy_max_pj) == (self._settings.v_max_v, self._settings.energy_max_pj):
            return
        self._settings = replace(self._settings, v_max_v=v_max_v, energy_max_pj=energy_max_pj)
        self._each(lambda law: _set_ceilings(law, v_max_v, energy_max_pj))

    def give_up(self, why: str) -> None:
        """Do not ask the acting law again, as if it had failed; `FALLBACK` itself is kept."""
        if self.name != FALLBACK and not self._broken:
            self._broken, self.proposal = True, None
            self.failures.append(why)

    def _each(self, tell: Callable[[RateLaw], object]) -> None:
        if not self._broken:
            try:
                tell(self.law)
            except Exception as error:  # noqa: BLE001 - as in `step`
                self._fail(error)
        if self.shadow is not None:
            self.shadow.tell(tell)

    def _fail(self, error: Exception) -> None:
        _log.exception("law %s failed", self.name)
        self._broken, self.proposal = True, None
        self.failures.append(f"the law '{self.name}' failed: {type(error).__name__}: {error}")

    def _replace(self, now_s: float, v_dc_v: float, ratio: float | None) -> None:
        if self.name == FALLBACK:
            self.exhausted = True
            return
        self.name, self._broken = FALLBACK, False
        try:
            self.law = self._make_law(FALLBACK, self._settings)
            self.law.reset(v_dc_v, now_s)
            if ratio is not None:
                self.law.inhibited(now_s, ratio)
                self.law.resumed(now_s)
        except Exception as error:  # noqa: BLE001 - as in `step`
            self._fail(error)


def _set_ceilings(law: RateLaw, v_max_v: float, energy_max_pj: float | None) -> None:
    # Its proposals are limited anyhow; a law that knows of it goes on from there.
    set_ceilings = getattr(law, "set_ceilings", None)
    if set_ceilings is not None:
        set_ceilings(v_max_v, energy_max_pj)


def _checked(proposal: Setpoint) -> Setpoint:
    if not math.isfinite(proposal.v_dc_v):
        raise ValueError(f"it proposed {proposal.v_dc_v} V")
    return proposal
