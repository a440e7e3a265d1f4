"""What a rule is, what it may look at, and what it may ask for."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, NamedTuple

from evapd.config.model import Guard
from evapd.device.readings import HighVoltageReading, PulseAmplitudeReading, PulserReading
from evapd.guard.energy import EnergyState
from evapd.guard.rates import RateMeter
from evapd.guard.supply_model import SupplyModel
from evapd.guard.types import GuardSettings, Inputs, RunSettings


class Effect(IntEnum):
    """What a rule asks for, ascending: of several, the highest is done."""

    FREEZE = 1  # the voltage does not rise and the law is not asked
    INHIBIT = 2  # pulses stopped, voltage kept, on again when the rule is content
    CUT = 3  # pulses stopped for half a second and the voltage lowered by a tenth
    HOLD = 4  # pulses stopped, voltage lowered by a tenth, until a person resumes
    RAMP_DOWN = 5  # pulses stopped, specimen down at the configured slope
    SAFE = 6  # pulses stopped, everything down by the quickest way, latched until acknowledged


class Finding(NamedTuple):
    """A rule's complaint; `ratio` is how far the rate was above target, where that is the complaint."""

    what: str
    ratio: float = 1.0


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
    v_p_set_v: float | None = None
    link_lost: bool = False  # acquire has gone since the run began, even if another is there
    preparing: bool = False  # a run begins: outputs are being switched on, nothing rises yet
    adopted: bool = False  # voltage found at a restart is being held
    entered_s: float = 0.0  # when the present state began
    pulsing_since_s: float | None = None  # pulses were asked for since then
    trips_s: Sequence[float] = ()  # times at which the rate ceiling tripped
    down_by_s: float | None = None  # when a descent must be verified

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


class Rule(ABC):
    """One rule. `trigger` and `release` are the words of the table in docs/safety.md.

    A rule with `observed` is also looked at under law `monitor`, where it can only warn.
    """

    name: ClassVar[str]
    trigger: ClassVar[str]
    effect: ClassVar[Effect]
    release: ClassVar[str]
    watches: ClassVar[frozenset[EnergyState]]
    latch: ClassVar[bool] = False
    observed: ClassVar[bool] = False

    @abstractmethod
    def check(self, view: View) -> Finding | None:
        """Look; called once per tick in every state that the rule watches."""

    def forget(self) -> None:  # noqa: B027 - most rules remember nothing
        """Begin anew; called when the state is one that the rule does not watch."""


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

    def reset(self) -> None:
        """Begin anew."""
        self._since_s = None
