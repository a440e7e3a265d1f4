"""Lets events come when they are due, keeps going what goes on, and tells both."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from evapd.errors import ConfigError, EvapdError
from evapd_sim.disturb.clear import Clear
from evapd_sim.disturb.event import Effect, Event, Scene
from evapd_sim.disturb.influence import Influence

_log = logging.getLogger("evapd_sim")
# What an event may meet: a rig that has not what it needs, an address that is taken, a cable whose server has ended.
_FAILURES = (EvapdError, OSError, RuntimeError)


class Happening(NamedTuple):
    """Something that was told: seconds since the twin's start, the same on the monotonic clock, and what."""

    t_s: float
    t_mono_s: float
    text: str


class Disturbances:
    """Carries out a script and commands.

    `advance` belongs to the physics' thread and is called, with `lock` held, before every step; `do` may come from any thread.

    Attributes:
        lock: held during every step and every event, so that an event falls between two steps.
        time_s: since the start.
        history: what has come and ended, oldest first.
    """

    def __init__(
        self, scene: Scene, script: Sequence[Event] = (), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.lock = threading.RLock()
        self.time_s = 0.0
        self.history: list[Happening] = []
        self._scene = scene
        self._clock = clock
        self._waiting = list(script)
        self._active: list[tuple[Event, Effect]] = []

    @property
    def active(self) -> list[str]:
        """What goes on now."""
        with self.lock:
            return [event.told() for event, _ in self._active]

    @property
    def waiting(self) -> list[str]:
        """What is still to come."""
        with self.lock:
            return [event.told() for event in self._waiting]

    def do(self, event: Event) -> float:
        """Let an event come now, or put it on the script when it has a time; gives the time in s.

        Raises:
            EvapdError: when it cannot be.
        """
        with self.lock:
            self.check(event)
            if event.at_once:
                self._begin(event)
            else:
                self._waiting.append(event)
            return self.time_s

    def check(self, event: Event) -> None:
        """Refuse what this rig cannot do.

        Raises:
            ConfigError: with the reason.
        """
        event.check(self._scene)
        if event.at_ions is not None and self._scene.physics is None:
            raise ConfigError("a replay counts no ions: use at_s or at_v_dc_v")

    def advance(self, dt_s: float) -> None:
        """Prepare the next step of `dt_s`."""
        if self._waiting:
            self._begin_what_is_due()
        if self._active:
            self._keep_going(dt_s)
        self.time_s += dt_s

    def end_all(self) -> None:
        """End everything that goes on."""
        with self.lock:
            self._end(lambda _: True)

    def _begin_what_is_due(self) -> None:
        physics = self._scene.physics
        ions = physics.detected_ions if physics is not None else 0
        v_dc_v = self._scene.plant.specimen.v_v

        def due(event: Event) -> bool:
            if event.at_s is not None:
                return self.time_s >= event.at_s - 1e-9
            if event.at_ions is not None:
                return ions >= event.at_ions
            return event.at_v_dc_v is not None and v_dc_v >= event.at_v_dc_v

        now = [event for event in self._waiting if due(event)]
        if not now:
            return
        self._waiting = [event for event in self._waiting if event not in now]
        for event in sorted(now, key=lambda event: event.at_s or 0.0):
            try:
                self._begin(event)
            except _FAILURES as error:
                # The instrument goes on without it; whoever reads the log must know that it did not come.
                self._tell(f"{event.told()} FAILED: {error}")

    def _begin(self, event: Event) -> None:
        self._tell(event.told())
        if isinstance(event, Clear):
            self._end(lambda each: event.what in {None, each.do})
        elif not event.stacks:
            self._end(lambda each: each.key == event.key)
        effect = event.begin(self._scene)
        if effect is not None:
            self._active.append((event, effect))

    def _keep_going(self, dt_s: float) -> None:
        influence = Influence()
        over = [event for event, effect in self._active if not effect.step(influence, dt_s)]
        if over:
            self._end(lambda each: any(each is event for event in over))
        if self._scene.physics is not None:
            self._scene.physics.influence = influence

    def _end(self, chosen: Callable[[Event], bool]) -> None:
        ending = [pair for pair in self._active if chosen(pair[0])]
        self._active = [pair for pair in self._active if not chosen(pair[0])]
        for event, effect in ending:
            self._tell(f"{event.do} ended")
            try:
                if effect.off is not None:
                    effect.off()
            except _FAILURES as error:
                # The same: a cable that cannot be put back must not stop the physics.
                self._tell(f"end of {event.told()} FAILED: {error}")
        if ending and not self._active and self._scene.physics is not None:
            self._scene.physics.influence = Influence()

    def _tell(self, text: str) -> None:
        happening = Happening(self.time_s, self._clock(), text)
        self.history.append(happening)
        _log.info(
            "event at %.3f s (monotonic %.6f s, V_dc %.1f V): %s",
            happening.t_s,
            happening.t_mono_s,
            self._scene.plant.specimen.v_v,
            text,
        )
