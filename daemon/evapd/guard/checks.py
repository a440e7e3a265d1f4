"""What speaks against beginning a run, and against letting pulses through."""

from evapd.guard import laser
from evapd.guard.rules.base import View
from evapd.guard.rules.detector import permit_complaint
from evapd.guard.rules.plant import vacuum_complaint
from evapd.guard.rules.supply import supply_complaint

_RATE_TOLERANCE = 0.01


def against_run(view: View, digest: str) -> list[str]:
    """List in words what speaks against a run; law monitor needs no more than acquire and one configuration."""
    reasons = []
    if digest != view.settings.digest:
        reasons.append(
            "guard and acquire were started with different configurations: restart both with one file"
        )
    if not view.inputs.link.connected:
        reasons.append("acquire is not connected")
    if view.run.observes:
        return reasons
    reasons += [f"{one.name} is UNKNOWN: {one.why}" for one in view.inputs.required() if not one.known]
    for role in ("specimen", "pulser"):
        if view.inputs.with_role(role) is None:
            reasons.append(f"no device has the role {role}")
    reasons += [complaint for complaint in (supply_complaint(view), vacuum_complaint(view)) if complaint]
    reasons += laser.against_run(view.inputs, view.settings, view.run)
    return reasons if view.wiring is None else reasons + view.wiring.against_run()


def against_detector(view: View) -> list[str]:
    """List in words what of the surroundings speaks against voltage on the detector."""
    complaint = permit_complaint(view)
    return [complaint] if complaint else []


def against_pulses(view: View) -> list[str]:
    """List what is not ready yet while outputs are being switched on."""
    return against_emission(view) or (
        [] if view.light is None else laser.against_light(view.inputs, view.light)
    )


def against_emission(view: View) -> list[str]:
    """List what is not ready yet before a laser may emit, which comes last."""
    missing = []
    supply, pulser = view.supply, view.pulser
    if supply is None or supply.output_on is False or supply.t_mono_s <= view.entered_s:
        missing.append("the specimen supply's output is not on")
    if view.wiring is not None and not view.wiring.relays_closed:
        missing.append("the heartbeat's watchdog relay has not picked up")
    if pulser is None or abs(pulser.rate_hz / view.run.pulse_rate_hz - 1) > _RATE_TOLERANCE:
        missing.append("the pulser has not taken its rate")
    if view.settings.pulses_voltage and (view.amplitude is None or view.amplitude.output_on is False):
        missing.append("the pulse amplitude is not on")
    if view.rates.heartbeat_age_s(view.now_s) > view.guard.heartbeat_s:
        missing.append("the TDC gives no sign of life")
    if view.light is not None:
        missing += laser.against_emission(view.inputs, view.light, view.run, view.entered_s)
    return missing
