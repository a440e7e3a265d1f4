"""What hangs on the guard beside the specimen: interlock contacts, crowbar, heartbeat and detector supplies. Pure, one step per tick."""

import math
from collections.abc import Iterable
from dataclasses import replace

from evapd.errors import StateError
from evapd.guard.contacts import Contacts, find_level
from evapd.guard.detector import DetectorSupplies
from evapd.guard.detector_view import DetectorView
from evapd.guard.energy import DOWNWARD, EnergyState
from evapd.guard.heartbeat import Heartbeat
from evapd.guard.types import Decision, Event, GuardSettings, Inputs, Severity

S = EnergyState
# The relay's time over these: half a period, so that two late commands do not open it, and the longest gap between ticks.
_HALF_PERIODS, _GAPS = 5.0, 1.25
_BEGIN_S = 1.0  # for a good tick to come after a command, and again for the first beats to be read back
_DETECTOR_FIRST = frozenset(
    {"detector", "valve", "vacuum"}
)  # causes with which the detector supplies go down before the specimen
_INTERLOCKS = frozenset({"interlock", "valve"})


class Wiring:
    """Keeps contacts, crowbar, heartbeat and detector supplies of one rig, and adds to a decision what they ask for."""

    def __init__(self, settings: GuardSettings) -> None:
        config = settings.rig.contacts
        self._config = config
        self._modules = frozenset(settings.rig.devices_with_role("io"))
        self.contacts = Contacts(settings)
        self.detector = DetectorSupplies(settings)
        self.detector_view: DetectorView = self.detector.view()
        gap_s = config.relay_s / _GAPS
        self.heartbeat = Heartbeat(config.relay_s / _HALF_PERIODS, gap_s)
        self._gap_s = gap_s
        self._began_s = self._edge_s = 0.0  # of the heartbeat, of the newest change that was read back
        self._asked_s: float | None = None  # a command to begin that no good tick has carried out yet
        self._whole_s = -math.inf  # of the newest whole tick
        self._level: bool | None = None  # read back
        self.crowbar = False  # engaged, by command or as found; a person releases it
        self._releasing = False
        self._now_s = 0.0
        self._specimen_down = False
        self._events: list[Event] = []

    # What the rules look at.

    @property
    def heartbeat_ended(self) -> str:
        """Why the heartbeat does not beat; "" when it does, is about to, or there is none."""
        begins = self.heartbeat.beating or self._asked_s is not None
        return "" if self._config.heartbeat is None or begins else self.heartbeat.why

    @property
    def heartbeat_margin(self) -> float | None:
        """What is left of the time in which the next beat must be read back, 1 to 0; None where there is no heartbeat."""
        if self._config.heartbeat is None:
            return None
        if not self.heartbeat.beating:
            return 0.0 if self._asked_s is None else 0.5
        return min(1.0, max(0.0, 1.0 - self._unheard_s / self._gap_s))

    @property
    def loop_is_ours(self) -> bool:
        """Whether an open loop at supply or pulser is that of a relay which only waits for the heartbeat."""
        return self._config.heartbeat is not None and (
            not self.heartbeat.beating or self.contacts.awaiting_relay
        )

    def against_run(self) -> list[str]:
        """What speaks against a run, in words."""
        # The heartbeat begins with the run: its relay cannot have picked up before.
        relays = () if self.heartbeat.beating or self._config.heartbeat is None else ("relay",)
        reasons = [one.what for one in self.contacts.open() if one.kind not in relays]
        if self.crowbar:
            reasons.append("the crowbar is closed: acknowledge once everything is verified down")
        return reasons + self.detector.against_run()

    @property
    def relays_closed(self) -> bool:
        """Whether the watchdog relay has picked up, where one is read back."""
        return not self.contacts.awaiting_relay

    # Commands.

    def begin_heartbeat(self, now_s: float) -> None:
        """Begin to beat, by a person's or a run's command, with the first good tick after it: the loop may have stood still until now."""
        if self._config.heartbeat is not None and not self.heartbeat.beating:
            self._asked_s = now_s
            self.contacts.heartbeat_began(now_s)

    def acknowledge(self, *, verified: bool, now_s: float) -> None:
        """Release the crowbar, leave a detector's fault, begin the heartbeat again.

        Raises:
            StateError: while the detector is not verified down, or the specimen is not and the crowbar is closed.
        """
        if self.crowbar and not verified:
            raise StateError("the crowbar stays closed until everything is verified down by readings")
        self.detector.acknowledge()
        if self.crowbar:
            self.crowbar, self._releasing = False, True
            self._say("info", "crowbar released by a person")
        self.begin_heartbeat(now_s)

    def abort(self) -> None:
        """A person aborts."""
        self._engage({"abort"})

    def turn_detector_on(self, against: list[str], now_s: float) -> None:
        """Begin to ramp the detector's supplies; raises StateError when something speaks against it."""
        hazards = [one.what for one in self.contacts.open("door", "valve", "other", "ups")]
        self.detector.turn_on([*against, *hazards], now_s)

    # One step.

    def take(self, inputs: Inputs, now_s: float, *, commanding: bool = True) -> None:
        """Take in what is known now; the detector's supplies only where something may be commanded."""
        self._now_s = now_s
        self.contacts.take(inputs, now_s)
        if commanding:
            self.detector.take(inputs, now_s)
        self.detector_view = self.detector.view()
        self._read_back(inputs)

    def follow(self, causes: Iterable[str], state: EnergyState, *, quick: bool, verified: bool) -> None:
        """Do what belongs to what the rules found: crowbar, and the detector supplies first or last.

        Args:
            causes: of the findings that made safe or ramp down in this step, in words of `Finding.cause`.
            state: of the specimen, after them.
            quick: whether the way down is the quickest.
            verified: whether the specimen is verified down.
        """
        found = set(causes)
        if found & _INTERLOCKS:
            found.add("interlock")
        if state is S.FAULT_LATCHED:
            self._engage(found)
        if found & _DETECTOR_FIRST:
            self.detector.fault("down before the specimen: " + ", ".join(sorted(found)), self._now_s)
        elif state in DOWNWARD and quick:
            self.detector.turn_off_after_specimen("everything is made safe")
        if valves := self.contacts.acting("valve"):
            self.detector.fault(valves[0].what, self._now_s)
        for one in self.contacts.acting("door", "other", "ups"):
            self.detector.turn_off_after_specimen(one.what)
        self._specimen_down = state in (S.OFF, S.STANDBY, S.SAFE) or (state in DOWNWARD and verified)

    def complete(self, plan: Decision, *, whole: bool) -> Decision:
        """Add the detector supplies, the crowbar and, in a whole tick, the next beat."""
        orders, told = self.detector.plan(specimen_down=self._specimen_down, whole=whole)
        level = None
        if whole and self._config.heartbeat is not None:
            self._begin_when_good(plan.state)
            before = self.heartbeat.beating
            level = self.heartbeat.step(self._now_s, healthy=self._well(plan.state))
            if before and not self.heartbeat.beating:
                self._say("alarm", f"the heartbeat ends: {self.heartbeat.why}; its relay drops out")
        return replace(
            plan,
            # The supply's own loop is open until the relay has picked up: switched on before, it would trip.
            output=None if plan.output and not self.relays_closed else plan.output,
            supplies=orders,
            # What goes first stands first: the detector's faults before the specimen's. A module's safe levels may be an open
            # crowbar: one that is closed is not opened by them.
            make_safe=(
                *told,
                *(name for name in plan.make_safe if not (self.crowbar and name in self._modules)),
            ),
            crowbar=True if self.crowbar else False if self._releasing else None,
            heartbeat=level if self.heartbeat.beating else None,
        )

    def events(self) -> list[Event]:
        """Give the events since the last call."""
        events, self._events = self._events, []
        return events + self.detector.events()

    def document(self) -> dict[str, object]:
        """Give everything for `status`."""
        return {
            "contacts": self.contacts.document(),
            "heartbeat": None
            if self._config.heartbeat is None
            else {"beating": self.heartbeat.beating, "why": self.heartbeat.why},
            "crowbar": None if self._config.crowbar is None else self.crowbar,
            "detector": self.detector.document() if self.detector.configured else None,
        }

    # Within.

    def _begin_when_good(self, state: EnergyState) -> None:
        """Carry out a command to begin in a tick that came in time and finds nothing latched; give it up when none does."""
        gap_s, self._whole_s = self._now_s - self._whole_s, self._now_s
        if self._asked_s is None:
            return
        if 0.0 <= gap_s <= self._gap_s and state is not S.FAULT_LATCHED:
            self.heartbeat.restart(self._now_s)
            self._asked_s, self._began_s, self._edge_s = None, self._now_s, self._now_s
            self._say("info", "the heartbeat begins")
        elif self._now_s - self._asked_s > _BEGIN_S:
            self._asked_s = None
            self.heartbeat.why = f"no good tick came within {_BEGIN_S:g} s of the command to begin"
            self._say("alarm", f"the heartbeat does not begin: {self.heartbeat.why}")

    def _well(self, state: EnergyState) -> bool:
        """Whether the guard vouches for this tick: nothing latched, and its beats arrive."""
        return state is not S.FAULT_LATCHED and self._unheard_s <= self._gap_s

    @property
    def _unheard_s(self) -> float:
        """Time since a beat was read back; at the beginning a second is given."""
        return self._now_s - max(self._edge_s, self._began_s + _BEGIN_S - self._gap_s)

    def _read_back(self, inputs: Inputs) -> None:
        if self._config.heartbeat is not None:
            level, t_s, _ = find_level(inputs, self._config.heartbeat)
            if level is not None and level is not self._level:
                self._level, self._edge_s = level, t_s
        if self._config.crowbar is None:
            return
        closed, _, _ = find_level(inputs, self._config.crowbar.output)
        if closed is False:
            self._releasing = False
        elif closed and not self.crowbar and not self._releasing:
            self.crowbar = True
            self._say("alarm", "the crowbar is closed, though not by a command of this guard")

    def _engage(self, causes: set[str]) -> None:
        crowbar = self._config.crowbar
        if crowbar is not None and not self.crowbar and causes & set(crowbar.causes):
            self.crowbar, self._releasing = True, False
            self._say("alarm", "crowbar closed: " + ", ".join(sorted(causes & set(crowbar.causes))))

    def _say(self, severity: Severity, what: str) -> None:
        self._events.append(Event(kind="wiring", severity=severity, what=what))
