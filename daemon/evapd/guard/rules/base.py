"""What a rule is, what it may look at, and what it may ask for."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from evapd.config.model import Guard
from evapd.control.types import Setpoint
from evapd.device.readings import HighVoltageReading, LaserReading, PulseAmplitudeReading, PulserReading
from evapd.guard.energy import EnergyState
from evapd.guard.laser import Light
from evapd.guard.rates import RateMeter
from evapd.guard.supply_model import SupplyModel
from evapd.guard.types import GuardSettings, Inputs, RunSettings
from evapd.guard.wiring import Wiring


class Effect(IntEnum):
    """What a rule asks for, ascending: of several, the highest is done."""

    NOTE = 0  # an event for people; neither freezes nor acts
    NO_RISE = (
        1  # voltage and pulse energy do not rise; the law is asked, its counts are good: it may lower them
    )
    FREEZE = 2  # nothing rises and the law is not asked: what it would be told is old or wrong
    INHIBIT = 3  # pulses stopped, voltage kept, on again when the rule is content
    CUT = 4  # pulses stopped for half a second and the voltage lowered
    HOLD = 5  # pulses stopped, voltage lowered, until a person resumes
    RAMP_DOWN = 6  # pulses stopped, specimen down at the configured slope
    SAFE = 7  # pulses stopped, everything down by the quickest way, latched until acknowledged


LASTING = Effect.FREEZE
"""Up to this effect an alarm lasts a little longer than its cause."""


class Finding(NamedTuple):
    """A rule's complaint."""

    what: str
    ratio: float = 1.0  # how far the rate was above target, where that is the complaint
    effect: Effect | None = None  # where the configuration asks for another one than the rule's own
    details: Mapping[str, object] = MappingProxyType({})  # more fields of the event
    mark: bool = False  # what follows is another segment
    # For `Wiring`: interlock, valve, arc and voltage-limit may close the crowbar; detector, valve and vacuum put its supplies first.
    cause: str = ""
    law_fails: bool = False  # the law is not to be asked again: `FALLBACK` takes over


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What rules look at in one tick."""

    now_s: float
    state: EnergyState
    settings: GuardSettings
    run: RunSettings
    inputs: Inputs
    rates: RateMeter
    model: SupplyModel
    v_set_v: float = 0.0
    v_p_set_v: float | None = None
    v_p_clamped: bool = False  # the amplitude is at its floor or ceiling by our own command
    proposal: Setpoint | None = None  # the law's newest
    frozen: bool = False  # a rule kept the law from being asked at the look before
    gap_s: float = 0.0  # time since the rules were looked at before
    up_s: float = math.inf  # time since they were looked at first
    attended_s: float | None = None  # when somebody was last seen to attend; None: nobody was in this run
    link_lost: bool = False  # acquire has gone since the run began, even if another is there
    preparing: bool = False  # a run begins: outputs are being switched on, nothing rises yet
    adopted: bool = False  # voltage found at a restart is being held
    entered_s: float = 0.0  # when the present state began
    pulsing_since_s: float | None = None  # pulses were asked for since then
    trips_s: Sequence[float] = ()  # times at which the rate ceiling tripped
    down_by_s: float | None = None  # when a descent must be verified
    light: Light | None = None  # what the laser is asked for
    no_law: bool = False  # the law failed, and so did the one in its place
    draw_down_load: float | None = (
        None  # time of a draw-down over the time it may take; None: none is under way
    )
    enough_v: float = 0.0  # a voltage at which a trip's excess is gone
    wiring: Wiring | None = None  # contacts, heartbeat and detector supplies

    @property
    def guard(self) -> Guard:
        """The thresholds of the configuration."""
        return self.settings.rig.guard

    @property
    def supply(self) -> HighVoltageReading | None:
        """Newest reading of the specimen supply."""
        return self.inputs.reading("specimen", HighVoltageReading)

    @property
    def pulser(self) -> PulserReading | None:
        """Newest reading of the pulser."""
        return self.inputs.reading("pulser", PulserReading)

    @property
    def amplitude(self) -> PulseAmplitudeReading | None:
        """Newest reading of the pulse amplitude."""
        return self.inputs.reading("pulse", PulseAmplitudeReading)

    @property
    def laser(self) -> LaserReading | None:
        """Newest reading of the laser."""
        return self.inputs.reading("laser", LaserReading)


class Rule(ABC):
    """One rule. `trigger`, `release` and `advice` are the words of the table in docs/safety.md.

    An alarm that only notes, or keeps the voltage from rising or changing, stays for `lasts_s` after its cause is over, so that a
    value at its threshold is one alarm and not two a second; `NO_RISE` stays with it, every other effect ends with the cause.
    A rule with `observed` is also looked at under law `monitor`, where it can only warn. One that is `momentary` finds
    something that has happened, once: it is told and not kept as an alarm. `kind` is the kind of its events.
    """

    name: ClassVar[str]
    trigger: ClassVar[str]
    effect: ClassVar[Effect]
    release: ClassVar[str]
    watches: ClassVar[frozenset[EnergyState]]
    advice: ClassVar[str] = ""  # what a person shall do
    action: ClassVar[str] = ""  # in words, where the effect's name does not say all
    keys: ClassVar[tuple[str, ...]] = ()  # thresholds: keys of `guard`, or `section.key`
    kind: ClassVar[str] = "rule"
    latch: ClassVar[bool] = False
    observed: ClassVar[bool] = False
    momentary: ClassVar[bool] = False
    lasts_s: ClassVar[float] = 2.0

    @abstractmethod
    def check(self, view: View) -> Finding | None:
        """Look; called once per tick, and at each reaction, in every state that the rule watches."""

    @abstractmethod
    def margin(self, view: View) -> float | None:
        """How far from triggering: 1 far, 0 triggers now; None cannot be told. Called after `check`, with the same view."""

    def forget(self) -> None:  # noqa: B027 - most rules remember nothing
        """Begin anew; called when the state is one that the rule does not watch."""


class Measured(Rule):
    """A rule that is one number, its load: what is seen over what is allowed. It triggers at 1 or more."""

    def check(self, view: View) -> Finding | None:
        """Look."""
        load = self.load(view)
        # What is no number is never good.
        return None if load is None or load < 1.0 else self.found(view)

    def margin(self, view: View) -> float | None:
        """One less the load, from 0 to 1."""
        return free(self.load(view))

    @abstractmethod
    def load(self, view: View) -> float | None:
        """What is seen over what is allowed, never negative; None when it cannot be told. Same view, same answer."""

    @abstractmethod
    def found(self, view: View) -> Finding:
        """Say what is wrong; called when the load is 1 or more."""


def free(load: float | None) -> float | None:
    """Give the margin that a load leaves; a load that is no number leaves none."""
    if load is None:
        return None
    return 0.0 if math.isnan(load) else min(1.0, max(0.0, 1.0 - load))


def excess(value: float) -> float:
    """Give what is above 0, else 0; what is no number stays none, where `max` would make a good one of it."""
    return value if value > 0.0 or math.isnan(value) else 0.0


def worst(*loads: float) -> float:
    """Give the largest; infinite when one of them is no number, which `max` may leave out."""
    return math.inf if any(map(math.isnan, loads)) else max(loads, default=0.0)


class Grace:
    """How long a condition has held."""

    def __init__(self) -> None:
        self._since_s: float | None = None

    def held_s(self, condition: bool, now_s: float) -> float:  # noqa: FBT001 - the condition is what is timed
        """Give for how long the condition has held, 0 when it does not."""
        if not condition:
            self._since_s = None
            return 0.0
        if self._since_s is None:
            self._since_s = now_s
        return now_s - self._since_s

    def load(self, load: float, now_s: float, grace_s: float) -> float:
        """Give the load of a condition that must last: half of `load` below 1, then from a half to 1 within `grace_s`.

        A load that is no number counts as infinite.
        """
        if math.isnan(load):
            load = math.inf
        held_s = self.held_s(load >= 1.0, now_s)
        return 0.5 + 0.5 * min(held_s / grace_s, 1.0) if load >= 1.0 else 0.5 * max(load, 0.0)

    def reset(self) -> None:
        """Begin anew."""
        self._since_s = None
