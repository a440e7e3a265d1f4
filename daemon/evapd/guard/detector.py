"""The detector's supplies: up in steps under a vacuum permit, watched, down in steps or at once. Pure: no clock, no device.

All supplies take the same step at the same time, each the same part of its own way, so that signal and reference wire stay
together. Nothing leads upwards but `turn_on`; a step that is not followed, a current that is too high, a pressure that is too
high or not known ends the way up.
"""

import math
from collections.abc import Iterable

from evapd.config.wiring import Detector as DetectorSettings
from evapd.device.readings import HighVoltageReading
from evapd.errors import StateError
from evapd.guard.awaited import Awaited
from evapd.guard.detector_state import DetectorEvent, DetectorMachine, DetectorState
from evapd.guard.detector_view import FLOOR_V, DetectorView, SupplyView, reading_of, view_of
from evapd.guard.types import Event, GuardSettings, Inputs, Severity, SupplyOrder

S, E = DetectorState, DetectorEvent
_RETRY_S = 1.0


class DetectorSupplies:
    """The detector's supplies of one rig; without a section `detector` there are none and nothing is ever ordered."""

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self.config: DetectorSettings | None = settings.rig.detector
        supplies = {} if self.config is None else self.config.supplies
        self._supplies = supplies
        self._steps = 1 if self.config is None else self.config.steps
        self._machine = DetectorMachine()
        self._step = 0  # of `_steps`, upwards
        self._ours = False  # whether the set points of the present state were asked for from here
        self._stepped_s = 0.0
        self._began_s = 0.0  # of the way up or down
        self._wanted_v = dict.fromkeys(supplies, 0.0)
        self._told_s = -math.inf
        self._off: dict[str, Awaited] = {}  # supplies that were told to switch off
        self._off_band_since_s: float | None = None
        self._stuck = ""
        self._asked_off = ""  # why, while the specimen is waited for
        self._events: list[Event] = []
        self._inputs: Inputs | None = None
        self._now_s = 0.0

    @property
    def state(self) -> DetectorState:
        """The present state."""
        return self._machine.state

    @property
    def configured(self) -> bool:
        """Whether there are any."""
        return bool(self._supplies)

    @property
    def down(self) -> bool:
        """Whether none of them is meant to carry voltage, by readings; True where there are none."""
        return not self.configured or self.state is S.OFF or (self.state is S.FAULT and self._verified())

    def against_run(self) -> list[str]:
        """What speaks against a run, in words: it must be on and in band where a plate is configured."""
        plates = self._settings.rig.devices_with_role("mcp")
        if not plates and not self.configured:
            return []
        if missing := [name for name in plates if name not in self._supplies]:
            return [f"the section `detector` does not name {', '.join(missing)}: nothing would watch it"]
        if self.state is not S.ON:
            return [f"the detector is '{self.state}': turn it on first"]
        return [
            f"{view.name} reads {_volts(view.v_v)}, it shall stand at {view.settings.v_v:.0f} V"
            for view in self._views()
            if not self._stands(view)
        ]

    # Commands.

    def turn_on(self, against: list[str], now_s: float) -> None:
        """Begin the way up, by a person's command.

        Args:
            against: what of the surroundings speaks against it, in words.
            now_s: monotonic time, s.

        Raises:
            StateError: when something speaks against it; the message lists all of it.
        """
        reasons = list(against)
        if not self.configured:
            reasons.append("the configuration has no section `detector`")
        elif not self._machine.allows(E.TURN_ON):
            reasons.append(f"the detector is '{self.state}'")
        reasons += [f"{view.name} is UNKNOWN: {view.why}" for view in self._views() if not view.known]
        if reasons:
            raise StateError("the detector cannot be turned on: " + "; ".join(reasons))
        self._begin(now_s)
        self._step, self._wanted_v, self._ours = 0, dict.fromkeys(self._supplies, 0.0), True
        self._move(E.TURN_ON, "turned on by a person")

    def turn_off(self, why: str, now_s: float) -> None:
        """Begin the way down, in steps. Legal in every state."""
        self._asked_off = ""
        if self.state in (S.OFF, S.FAULT) or not self.configured:
            return
        if self.state is not S.RAMPING_DOWN:
            self._begin_down(now_s)
        self._move(E.TURN_OFF, why)

    def turn_off_after_specimen(self, why: str) -> None:
        """Ramp down as soon as the specimen is verified down."""
        if self.state not in (S.OFF, S.FAULT, S.RAMPING_DOWN):
            self._asked_off = why

    def fault(self, why: str, now_s: float) -> None:
        """Down at once by the quickest way, latched. Legal in every state; off stays off."""
        if self.configured and self.state not in (S.OFF, S.FAULT):
            self._begin(now_s)
            self._told_s = -math.inf
            self._wanted_v = dict.fromkeys(self._supplies, 0.0)
            self._move(E.FAULT, why, "alarm")

    def acknowledge(self) -> None:
        """Leave a fault.

        Raises:
            StateError: while it is not verified down.
        """
        if self.state is not S.FAULT:
            return
        if not self._verified():
            pending = ", ".join(view.name for view in self._views() if not self._is_down(view))
            raise StateError(f"detector not verified down: {pending}; the fault stays latched")
        self._move(E.ACKNOWLEDGE, "acknowledged")

    # One step.

    def take(self, inputs: Inputs, now_s: float) -> None:
        """Take in what is known now."""
        self._inputs, self._now_s = inputs, now_s
        if not self.configured:
            return
        if self.state is S.UNKNOWN:
            self._find()
        elif self.state is S.OFF and any(self._hot(view) for view in self._views()):
            self._begin_down(now_s)
            self._move(E.FOUND_ENERGISED, "voltage that nobody here asked for, ramping down", "alarm")
        self._note_band(now_s)

    def plan(self, *, specimen_down: bool, whole: bool) -> tuple[tuple[SupplyOrder, ...], tuple[str, ...]]:
        """Give set points, and the names of supplies to be made safe now. Only a whole tick may rise."""
        now_s = self._now_s
        if self._asked_off and specimen_down:
            self.turn_off(self._asked_off, now_s)
        if self.state is S.FAULT:
            return (), self._tell_safe(now_s)
        if self.state is S.RAMPING and whole:
            self._climb(now_s)
        elif self.state is S.RAMPING_DOWN:
            self._descend(now_s)
        if self.state in (S.RAMPING, S.ON) and self._ours:
            return tuple(SupplyOrder(name, v_v, output=True) for name, v_v in self._wanted_v.items()), ()
        if self.state is S.RAMPING_DOWN:
            output = False if self._at_zero() else None
            if output is False:
                self._note_off(self._wanted_v, now_s)
            return tuple(SupplyOrder(name, v_v, output=output) for name, v_v in self._wanted_v.items()), ()
        return (), ()

    def view(self) -> DetectorView:
        """Give what the rules look at."""
        held_s = 0.0 if self._off_band_since_s is None else self._now_s - self._off_band_since_s
        return DetectorView(self.state, tuple(self._views()), held_s, self._stuck)

    def events(self) -> list[Event]:
        """Give the events since the last call."""
        events, self._events = self._events, []
        return events

    def document(self) -> dict[str, object]:
        """Give everything for `status`."""
        return {
            "state": str(self.state),
            "step": self._step,
            "steps": self._steps,
            "waits_for_specimen": self._asked_off,
            "supplies": {
                view.name: {
                    "v_set_v": view.wanted_v,
                    "v_v": view.v_v,
                    "i_a": view.i_a,
                    "on_v": view.settings.v_v,
                }
                for view in self._views()
            },
        }

    @property
    def down_takes_s(self) -> float:
        """Longest time of the way down in steps, verification included."""
        return 0.0 if self.config is None else self.config.down_takes_s

    # Within.

    def _climb(self, now_s: float) -> None:
        config = self.config
        if config is None:
            return
        waited_s = now_s - self._stepped_s
        if not self._settled():
            if waited_s > config.settle_s and not self._stuck:
                self._stuck = f"step {self._step} of {self._steps} is not followed: " + "; ".join(
                    f"{view.name} reads {_volts(view.v_v)}, asked for {view.wanted_v:.0f} V"
                    for view in self._views()
                    if not (self._in_band(view) and self._together(self._views()))
                )
            return
        if waited_s < config.dwell_s:
            return
        if self._step >= self._steps:
            self._move(E.REACHED, "all supplies stand where they shall")
            return
        self._step, self._stepped_s = self._step + 1, now_s
        part = self._step / self._steps
        self._wanted_v = {name: one.v_v * part for name, one in self._supplies.items()}

    def _descend(self, now_s: float) -> None:
        config = self.config
        if config is None:
            return
        if self._verified():
            self._move(E.VERIFIED_DOWN, "verified by readings")
        elif not self._at_zero() and now_s - self._stepped_s >= config.down_dwell_s:
            self._stepped_s = now_s
            self._step = max(0, self._step - 1)
            part = self._step / self._steps
            # Never above what it is set to already.
            self._wanted_v = {
                name: math.copysign(min(abs(self._wanted_v[name]), abs(one.v_v) * part), self._wanted_v[name])
                for name, one in self._supplies.items()
            }
            self._began_s = now_s
        elif self._at_zero() and now_s - self._began_s > config.settle_s and not self._stuck:
            self._stuck = "not verified down: " + "; ".join(
                f"{view.name} reads {_volts(view.v_v)}" for view in self._views() if not self._is_down(view)
            )

    def _find(self) -> None:
        """At start: read before anything is done, energise nothing."""
        views = self._views()
        if not all(view.known and view.v_v is not None for view in views):
            return
        # One that cannot tell whether it is on is switched off, unless all stand where they shall.
        untold = [
            one for one in (self._reading(view.name) for view in views) if one and one.output_on is None
        ]
        if not untold and not any(self._hot(view) for view in views):
            self._move(E.FOUND_OFF, "read: off")
        elif all(self._stands(view) for view in views):
            # It stays as it is; nothing is sent.
            self._step, self._ours = self._steps, False
            self._wanted_v = {name: one.v_v for name, one in self._supplies.items()}
            self._move(E.FOUND_ON, "found standing where they shall")
        else:
            self._begin_down(self._now_s)
            self._move(E.FOUND_ENERGISED, "found energised, or nobody can tell, ramping down", "warning")

    def _begin(self, now_s: float) -> None:
        self._stepped_s = self._began_s = now_s
        self._stuck, self._asked_off = "", ""
        self._off.clear()

    def _begin_down(self, now_s: float) -> None:
        """Start from where each supply is set or stands, whichever is lowest."""
        self._begin(now_s)
        parts = [0.0]
        for view in self._views():
            reading = self._reading(view.name)
            known = [] if reading is None else [reading.v_meas_v, reading.v_set_v]
            asked = [view.wanted_v] if self._ours and self.state in (S.RAMPING, S.ON) else []
            found = [v_v for v_v in (*known, *asked) if v_v is not None]
            v_v = min(found, key=abs, default=view.settings.v_v)
            self._wanted_v[view.name] = v_v
            parts.append(abs(v_v / view.settings.v_v) if view.settings.v_v else 0.0)
        self._step = min(self._steps, math.ceil(max(parts) * self._steps))

    def _tell_safe(self, now_s: float) -> tuple[str, ...]:
        if now_s - self._told_s < _RETRY_S:
            return ()
        told = tuple(view.name for view in self._views() if not self._is_down(view))
        if told:
            self._told_s = now_s
            self._note_off(told, now_s)
        return told

    def _note_off(self, names: Iterable[str], now_s: float) -> None:
        for name in names:
            self._off.setdefault(name, Awaited()).tell(now_s)

    def _note_band(self, now_s: float) -> None:
        views = self._views()
        off = self.state is S.ON and not (self._together(views) and all(self._stands(view) for view in views))
        if not off:
            self._off_band_since_s = None
        elif self._off_band_since_s is None:
            self._off_band_since_s = now_s

    def _settled(self) -> bool:
        """Whether every supply follows, by a reading younger than the step."""
        views = self._views()
        followed = all(view.known and view.t_s > self._stepped_s and self._in_band(view) for view in views)
        return followed and self._together(views)

    def _together(self, views: list[SupplyView]) -> bool:
        """Whether signal and reference wire are close to each other; readings taken while they move say nothing about that."""
        if self.config is None or self.config.wires is None:
            return True
        first, second = (next(view.v_v for view in views if view.name == name) for name in self.config.wires)
        return first is None or second is None or abs(first - second) <= self.config.wire_difference_max_v

    def _stands(self, view: SupplyView) -> bool:
        """Whether a supply stands where it shall while the detector is on."""
        return (
            view.known
            and not view.down
            and view.v_v is not None
            and _near(view.v_v, view.settings.v_v, self._tolerance)
        )

    def _in_band(self, view: SupplyView) -> bool:
        # A supply has its full scale's offset near zero; the tolerance is that of the voltage it goes to.
        allowed_v = max(self._tolerance * abs(view.settings.v_v), FLOOR_V)
        return view.v_v is not None and abs(view.v_v - view.wanted_v) <= allowed_v

    def _hot(self, view: SupplyView) -> bool:
        reading = self._reading(view.name)
        return reading is not None and (abs(reading.v_meas_v) >= self._off_v or bool(reading.output_on))

    def _is_down(self, view: SupplyView) -> bool:
        if not view.known or view.t_s <= self._began_s:
            return False
        reading = self._reading(view.name)
        if reading is not None and reading.output_on is None:
            off = self._off.get(view.name)
            if off is None or not off.done(view.t_s):
                return False
        return not self._hot(view)

    def _verified(self) -> bool:
        return all(self._is_down(view) for view in self._views())

    def _at_zero(self) -> bool:
        return not any(self._wanted_v.values())

    @property
    def _off_v(self) -> float:
        return 0.0 if self.config is None else self.config.off_v

    @property
    def _tolerance(self) -> float:
        return 0.0 if self.config is None else self.config.tolerance

    def _reading(self, name: str) -> HighVoltageReading | None:
        return None if self._inputs is None else reading_of(self._inputs, name)

    def _views(self) -> list[SupplyView]:
        return [
            view_of(self._inputs, name, settings, self._wanted_v[name])
            for name, settings in self._supplies.items()
        ]

    def _move(self, event: DetectorEvent, why: str, severity: Severity = "info") -> None:
        before = self.state
        if self._machine.move(event):
            what = f"detector {before} -> {self.state}: {why}"
            self._events.append(Event(kind="detector", severity=severity, what=what))


def _near(v_v: float, wanted_v: float, tolerance: float) -> bool:
    return abs(v_v - wanted_v) <= max(tolerance * abs(wanted_v), FLOOR_V)


def _volts(v_v: float | None) -> str:
    return "UNKNOWN" if v_v is None else f"{v_v:.0f} V"
