"""The laser of a run in laser mode: what is asked of it, and whether it does it.

An emission is begun once, by the beginning of a run, when everything else is ready; nothing here begins it again. The trigger
generator's gate is the inhibit; the shutter closes with it and opens with it. A light that went out by itself, or a shutter that
somebody closed at the instrument, is never put right from here: pulses stay inhibited until the readings show that a person has done so.
"""

import math
from dataclasses import replace

from evapd.device.readings import LaserReading
from evapd.guard.energy import ENERGISED, EnergyState
from evapd.guard.types import Decision, GuardSettings, Inputs, RunSettings

SETTLE_S = 1.0  # for a shutter to follow
OLD_S = 0.7  # a reading older than this tells no energy
RATE_TOLERANCE = 0.01
_RESTING = ENERGISED - {EnergyState.RAMPING, EnergyState.EVAPORATING, EnergyState.INHIBITED}


class Light:
    """What the laser is asked for in one run, and what became of it.

    Attributes:
        steered: whether this rig's laser is steered at all.
        asked_pj: energy that is asked for now; None while none is.
        lost: in words, why there is no light although it is wanted; empty while all is well.
        stuck: in words, why there may be light although the shutter was closed.
    """

    def __init__(self, settings: GuardSettings) -> None:
        rig = settings.rig
        self.steered = rig.pulse.mode == "laser" and bool(rig.devices_with_role("laser"))
        self.tolerance = rig.guard.pulse_tolerance
        self.asked_pj: float | None = None
        self.lost = self.stuck = ""
        self._due = False  # this run may still begin the emission
        self._hands_off = (
            False  # the light was lost: the shutter is left as it is until pulses are wanted again
        )
        self._open: bool | None = None  # what the shutter is asked to be
        self._since_s = 0.0

    def begin(self) -> None:
        """A run begins: it may switch the emission on, once."""
        self._due, self._hands_off = self.steered, False
        self.lost = self.stuck = ""
        self._open = None

    def plan(
        self,
        decision: Decision,
        inputs: Inputs,
        now_s: float,
        *,
        preparing: bool,
        ready: bool,
        prepared: bool,
    ) -> Decision:
        """Add to a decision what it asks of the laser.

        Args:
            decision: what is asked of the other instruments.
            inputs: the newest readings.
            now_s: now.
            preparing: a run begins, its outputs are being switched on.
            ready: everything but the light is ready.
            prepared: the outputs were on once in this run; a person's hold may interrupt what leads there.
        """
        if not self.steered:
            return decision
        reading = inputs.reading("laser", LaserReading)
        self.asked_pj = decision.pulse_energy_pj
        opening = preparing and ready
        if decision.state not in ENERGISED:
            self._ask(None, now_s)
        else:
            self._ask(bool(decision.pulser_enable) or opening, now_s)
        self._watch(decision, reading)
        beginning = opening and self._due
        if (reading is not None and reading.emission) or prepared or decision.state not in ENERGISED:
            self._due = False
        shutter = None if self._hands_off else self._open
        return replace(decision, shutter=shutter, emission=True if beginning else None)

    def shines(self, inputs: Inputs) -> bool:
        """Whether light comes with the triggers, by the newest reading; True where no laser is steered."""
        reading = inputs.reading("laser", LaserReading)
        return not self.steered or (reading is not None and _shines(reading))

    def energy_fits(self, inputs: Inputs) -> bool:
        """Whether the energy is what was asked for; True where no laser is steered."""
        off = self.energy_off(inputs.reading("laser", LaserReading))
        return not self.steered or (off is not None and off <= self.tolerance)

    def energy_off(self, reading: LaserReading | None) -> float | None:
        """Relative deviation of the energy by the laser's monitor, or by its set point where it has none; None: unknown."""
        if reading is None or self.asked_pj is None:
            return None
        told_pj = reading.energy_set_pj if reading.energy_pj is None else reading.energy_pj
        if told_pj is None:
            return None
        if self.asked_pj <= 0.0:
            return 0.0 if told_pj <= 0.0 else math.inf
        return abs(told_pj / self.asked_pj - 1.0)

    def _ask(self, is_open: bool | None, now_s: float) -> None:  # noqa: FBT001 - the state of one shutter
        if is_open is not self._open:
            self._open, self._since_s = is_open, now_s

    def _watch(self, decision: Decision, reading: LaserReading | None) -> None:
        self.stuck = ""
        if decision.state not in ENERGISED or decision.state in _RESTING:
            self.lost, self._hands_off = "", False  # it is over, or a person decides what is next
        if reading is not None and reading.t_mono_s > self._since_s:
            settled = reading.t_mono_s - self._since_s > SETTLE_S
            if decision.pulser_enable:
                self.lost = _out(reading, settled=settled)
            elif self.lost and _shines(reading):
                self.lost = ""
            elif self._open is False and settled and reading.shutter_open and not self._hands_off:
                self.stuck = "the laser's shutter is open, it was told to close"
        self._hands_off = bool(self.lost) or (self._hands_off and not decision.pulser_enable)


def stands_open(inputs: Inputs) -> bool:
    """Whether a laser says that it emits or that its shutter is open: neither counts as down."""
    reading = inputs.reading("laser", LaserReading)
    return reading is not None and bool(reading.emission or reading.shutter_open)


def _shines(reading: LaserReading) -> bool:
    return bool(reading.emission and reading.shutter_open and not reading.fault)


def _out(reading: LaserReading, *, settled: bool) -> str:
    """Say why no light comes; a shutter that was only just told to open may still be closed."""
    if reading.fault:
        return "the laser reports an error or an open interlock"
    if not reading.emission:
        return (
            f"the laser {'does not emit' if reading.emission is False else 'does not tell whether it emits'}"
        )
    if settled and not reading.shutter_open:
        return (
            f"the laser's shutter is {'closed' if reading.shutter_open is False else 'in an unknown state'}"
        )
    return ""


def against_run(inputs: Inputs, settings: GuardSettings, run: RunSettings) -> list[str]:
    """List what the laser has against the beginning of a run."""
    view, laser_mode = inputs.with_role("laser"), settings.rig.pulse.mode == "laser"
    if view is None:
        return []
    reading = inputs.reading("laser", LaserReading)
    if not laser_mode:
        shining = reading is not None and reading.emission
        return ["the laser emits, and pulse.mode is voltage: switch it off"] if shining else []
    reasons = []
    if run.energy_pj is None:
        reasons.append("the energy of a laser pulse is not set: pulse.energy_pj")
    if not view.known and not view.required:
        reasons.append(f"{view.name} is UNKNOWN: {view.why}")
    if reading is not None and reading.fault:
        reasons.append("the laser reports an error or an open interlock")
    return reasons


def against_emission(inputs: Inputs, light: Light, run: RunSettings, entered_s: float) -> list[str]:
    """List what the laser still lacks before it may emit."""
    if not light.steered:
        return []
    reading = inputs.reading("laser", LaserReading)
    if reading is None or reading.t_mono_s <= entered_s:
        return ["the laser has not been read since the run began"]
    missing = []
    if reading.rate_hz is not None and abs(reading.rate_hz / run.pulse_rate_hz - 1) > RATE_TOLERANCE:
        missing.append("the laser has not taken its rate")
    set_pj, asked_pj = reading.energy_set_pj, light.asked_pj
    # Without light the monitor shows nothing: only the set point can be compared here.
    if asked_pj is None or (set_pj is not None and abs(set_pj - asked_pj) > light.tolerance * asked_pj):
        missing.append("the laser has not taken its energy")
    if reading.fault:
        missing.append("the laser reports an error or an open interlock")
    return missing


def against_light(inputs: Inputs, light: Light) -> list[str]:
    """List why no light comes yet, with everything else ready."""
    if not light.steered or light.shines(inputs):
        return []
    reading = inputs.reading("laser", LaserReading)
    return [(reading and _out(reading, settled=True)) or "the laser does not emit yet"]
