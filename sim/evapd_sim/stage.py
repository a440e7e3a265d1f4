"""The mechanics of a stage: carriages that follow their drives, with end stops, backlash and a drift that no encoder sees.

What a controller makes of it (counts, units, states) belongs to the wires; several may look at the same stage. Lengths are mm from the
reference mark of the axis, times seconds of the clock that all share.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

S_PER_H = 3600.0


@dataclass(slots=True)
class StageAxis:
    """One axis: a drive with an encoder, and a carriage on it that carries the specimen.

    Attributes:
        low_mm: where the lower end stop is.
        high_mm: where the upper end stop is.
        velocity_mm_per_s: speed of a move.
        lag_s: time by which the drive follows its profile; speed times this is the following error.
        backlash_mm: lost motion between drive and carriage.
        drift_mm_per_h: how the carriage creeps against its encoder, by heat.
        stuck: the drive is jammed: it is asked to move and does not.
        scatter_mm: standard deviation of where a move comes to rest; the encoder sees it.
        rng: of that scatter.
        profile_mm: where the controller wants the drive now.
        drive_mm: where the drive is; the encoder counts this.
        goal_mm: end of the move, None while the axis stands.
        origin_mm: what the controller calls zero; at power-on the place where the axis stood.
        referenced: whether the reference mark has been found since power-on.
        seeking: whether the move is a search for the mark.
        at_stop: the end stop that ended the last move: -1, 0 (none) or 1.
    """

    low_mm: float = -25.0
    high_mm: float = 25.0
    velocity_mm_per_s: float = 5.0
    lag_s: float = 1e-3
    backlash_mm: float = 0.0
    drift_mm_per_h: float = 0.0
    stuck: bool = False
    scatter_mm: float = 0.0
    rng: np.random.Generator | None = None
    profile_mm: float = 0.0
    drive_mm: float = 0.0
    goal_mm: float | None = None
    origin_mm: float = 0.0
    referenced: bool = False
    seeking: bool = False
    at_stop: int = 0
    _slack_mm: float = 0.0  # carriage behind drive, within half the backlash either way
    _drifted_mm: float = 0.0

    @property
    def moving(self) -> bool:
        """Whether a move is under way."""
        return self.goal_mm is not None

    @property
    def encoder_mm(self) -> float:
        """What the encoder says, from the controller's zero."""
        return self.drive_mm - self.origin_mm

    @property
    def carriage_mm(self) -> float:
        """Where the specimen really is: what an image of it shows."""
        return self.drive_mm + self._slack_mm + self._drifted_mm

    @property
    def following_mm(self) -> float:
        """How far the drive is behind its profile."""
        return self.profile_mm - self.drive_mm

    def move(self, encoder_mm: float) -> None:
        """Start a move to a place of the controller's scale."""
        self.goal_mm, self.seeking, self.at_stop = encoder_mm + self.origin_mm, False, 0

    def seek(self, mark_mm: float = 0.0) -> None:
        """Start the search for a mark (the reference, or a limit switch); what was known of the zero is given up."""
        self.goal_mm, self.seeking, self.referenced, self.at_stop = mark_mm, True, False, 0

    def halt(self) -> None:
        """End a move where it is; the search for the mark has failed then."""
        self.profile_mm = self.drive_mm
        self.goal_mm, self.seeking = None, False

    def push(self, mm: float) -> None:
        """Move it by hand, at once."""
        self.halt()
        self._drive_to(min(max(self.drive_mm + mm, self.low_mm), self.high_mm))
        self.profile_mm = self.drive_mm

    def zero_here(self, encoder_mm: float = 0.0) -> None:
        """Call the present place `encoder_mm`; moves go on."""
        self.origin_mm = self.drive_mm - encoder_mm

    def lose_power(self) -> None:
        """Forget where the zero is: the place where it stands is 0."""
        self.halt()
        self.zero_here()
        self.referenced = False

    def advance(self, dt_s: float) -> None:
        """Let the axis move and creep for `dt_s`."""
        self._drifted_mm += self.drift_mm_per_h * dt_s / S_PER_H
        if self.goal_mm is None or dt_s <= 0.0:
            self._settle(0.0, dt_s)
            return
        wanted_mm = min(max(self.goal_mm, self.low_mm), self.high_mm)
        gap_mm = wanted_mm - self.profile_mm
        way_s = min(dt_s, abs(gap_mm) / self.velocity_mm_per_s)
        self._settle(math.copysign(self.velocity_mm_per_s, gap_mm), way_s)
        self._settle(0.0, dt_s - way_s)
        if way_s < dt_s and not self.stuck:
            self._arrive(wanted_mm)

    def _arrive(self, place_mm: float) -> None:
        goal_mm, self.profile_mm = self.goal_mm, place_mm
        if goal_mm is not None and goal_mm != place_mm:
            self.at_stop = 1 if goal_mm > place_mm else -1
            self.halt()
            return
        if self.seeking:
            self.origin_mm, self.referenced = 0.0, True
        elif self.rng is not None:
            self.profile_mm = place_mm + self.rng.normal(0.0, self.scatter_mm)
            self._drive_to(self.profile_mm)
        self.goal_mm, self.seeking = None, False

    def _settle(self, mm_per_s: float, dt_s: float) -> None:
        """Follow a profile of constant speed: the error goes to speed times lag."""
        self.profile_mm += mm_per_s * dt_s
        if self.stuck:
            return
        rest_mm = mm_per_s * self.lag_s
        error_mm = rest_mm + (self.following_mm - mm_per_s * dt_s - rest_mm) * math.exp(-dt_s / self.lag_s)
        self._drive_to(self.profile_mm - error_mm)

    def _drive_to(self, drive_mm: float) -> None:
        half_mm = self.backlash_mm / 2
        slack_mm = self._slack_mm - (drive_mm - self.drive_mm)
        self._slack_mm = min(max(slack_mm, -half_mm), half_mm)
        self.drive_mm = drive_mm


@dataclass(slots=True)
class Stage:
    """The axes of one stage by their number, from 0."""

    axes: list[StageAxis] = field(default_factory=lambda: [StageAxis() for _ in range(3)])
    _now_s: float = -math.inf

    @property
    def moving(self) -> bool:
        """Whether any axis moves."""
        return any(axis.moving for axis in self.axes)

    def halt(self, axes: Iterable[int] | None = None) -> None:
        """Stop some axes, or all."""
        for number in range(len(self.axes)) if axes is None else axes:
            self.axes[number].halt()

    def advance_to(self, now_s: float) -> None:
        """Let time run to `now_s`; whoever looks at the stage calls this first, the same time twice does nothing."""
        dt_s = 0.0 if math.isinf(self._now_s) else max(0.0, now_s - self._now_s)
        self._now_s = max(self._now_s, now_s)
        for axis in self.axes:
            axis.advance(dt_s)
