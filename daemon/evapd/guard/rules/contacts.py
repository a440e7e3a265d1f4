"""Rules on the interlock contacts and the heartbeat. Hardware protects; these say which contact it was and bring down what is left."""

from typing import ClassVar

from evapd.guard.energy import ENERGISED, EnergyState
from evapd.guard.rules.base import Effect, Finding, Rule, View

_WATCHED = ENERGISED | {EnergyState.RAMPING_DOWN}


class ContactRule(Rule):
    """A contact of some kinds that is not well."""

    kinds: ClassVar[tuple[str, ...]]
    cause: ClassVar[str]
    keys = ("contacts.inputs",)
    latch = True
    observed = True
    watches = _WATCHED

    def check(self, view: View) -> Finding | None:
        """Look at the contacts."""
        opened = [] if view.wiring is None else view.wiring.contacts.acting(*self.kinds)
        return Finding("; ".join(one.what for one in opened), cause=self.cause) if opened else None

    def margin(self, view: View) -> float | None:
        """A contact is open or not: 1 while all is well, a half with one reading against it, 0 when it is open."""
        if view.wiring is None or not view.wiring.contacts.has(*self.kinds):
            return None
        if view.wiring.contacts.acting(*self.kinds):
            return 0.0
        return 0.5 if view.wiring.contacts.counting(*self.kinds) else 1.0


class DoorOpen(ContactRule):
    """A door, or another contact of the chain, is open, missing or UNKNOWN."""

    name = "interlock-door"
    trigger = "a contact of kind door or other not as safe_when says in two readings, missing, or its module UNKNOWN"
    effect = Effect.SAFE
    release = "acknowledge"
    advice = "see who is there; close it, look at the chain's reset, then acknowledge"
    kinds = ("door", "other")
    cause = "interlock"


class ValveOpen(ContactRule):
    """A valve towards a chamber that is not pumped is open, or not known to be closed."""

    name = "interlock-valve"
    trigger = "a contact of kind valve, as above; with the detector on in every state"
    effect = Effect.SAFE
    action = "pulses off, detector supplies down first, then the specimen, latched"
    release = "acknowledge"
    advice = "close the valve; wait for the pressure before the plates are ramped again"
    kinds = ("valve",)
    cause = "valve"


class WaterLost(ContactRule):
    """Cooling water is missing."""

    name = "interlock-water"
    trigger = "a contact of kind water, as above"
    effect = Effect.RAMP_DOWN
    release = "verified down; no run begins without water"
    advice = "look at chiller, hoses and flow switch before compressor or laser overheat"
    kinds = ("water",)
    cause = "water"


class OnBattery(ContactRule):
    """Mains is gone and the battery will be: an orderly way down while there is power."""

    name = "interlock-ups"
    trigger = "a contact of kind ups, as above"
    effect = Effect.RAMP_DOWN
    action = "ramp down, the run ends; then the detector supplies; stays there"
    release = "verified down; no run begins on battery"
    advice = "nothing comes back by itself when mains returns: look at pumps and cooling first"
    kinds = ("ups",)
    cause = "ups"


class RelayOpen(ContactRule):
    """The heartbeat's watchdog relay has dropped out: pulses and supply are cut by wire already."""

    name = "interlock-relay"
    trigger = "a contact of kind relay, as above; 5 s after the heartbeat began it must be closed"
    effect = Effect.SAFE
    release = "acknowledge"
    advice = "look at the relay, its output and its reset button; see why the heartbeat ended"
    kinds = ("relay",)
    cause = "interlock"


class HeartbeatEnded(Rule):
    """The guard does not vouch for itself any more: its loop stood still, or its beats do not arrive."""

    name = "heartbeat"
    trigger = "a heartbeat output is configured and does not beat: ticks or read-back beats missing for 0.8 relay_s, or never begun"
    effect = Effect.SAFE
    release = "acknowledge, which begins the heartbeat again"
    advice = "look at the module's cable and at what else loads the machine"
    keys = ("contacts.heartbeat", "contacts.relay_s")
    latch = True
    watches = _WATCHED - {EnergyState.RAMPING_DOWN}

    def check(self, view: View) -> Finding | None:
        """Look whether it beats."""
        ended = "" if view.wiring is None else view.wiring.heartbeat_ended
        return Finding(f"the heartbeat does not beat: {ended}", cause="heartbeat") if ended else None

    def margin(self, view: View) -> float | None:
        """What is left of the time in which the next beat must be read back."""
        return None if view.wiring is None else view.wiring.heartbeat_margin


CONTACT_RULES = (DoorOpen, ValveOpen, WaterLost, OnBattery, RelayOpen, HeartbeatEnded)
