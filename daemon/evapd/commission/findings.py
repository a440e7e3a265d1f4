"""What was measured, in one record; and what of the configuration does not fit it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from evapd.commission.pulses import TdcFigures
from evapd.commission.supply import Step, SupplyFigures
from evapd.commission.times import Times
from evapd.config.model import QUICK_ROLES, Rig

_FACTOR = 1.5  # by which a time constant may differ before it is told
_CRYSTAL_PPM = 200.0  # more than any two clocks in order differ by
HEARTBEAT_S = 0.15  # older than this and the guard inhibits


@dataclass(slots=True)
class Findings:
    """Everything that was measured; what was not, and why, is in `skipped`."""

    identities: dict[str, str] = field(default_factory=dict)
    reads: dict[str, Times] = field(default_factory=dict)
    commands: dict[str, Times] = field(default_factory=dict)
    supply: SupplyFigures | None = None
    tdc: TdcFigures | None = None
    skipped: dict[str, str] = field(default_factory=dict)


def warnings(found: Findings, rig: Rig) -> Iterator[str]:
    """Say where settings do not fit what was measured, each with what to write."""
    yield from _of_devices(found, rig)
    if found.supply is not None:
        yield from _of_supply(found.supply, rig)
    if found.tdc is not None:
        yield from _of_tdc(found.tdc, rig)


def _of_devices(found: Findings, rig: Rig) -> Iterator[str]:
    for name, times in found.reads.items():
        spec = rig.devices[name]
        allowed_s = rig.guard.timeout_s(spec.role)
        if times.longest_s > 0.5 * allowed_s:
            yield (
                f"{name}: a reading took up to {times.longest_s:.3f} s, after {allowed_s:g} s without one it is UNKNOWN: "
                "a faster line, or fewer sensors"
            )
        if spec.role in QUICK_ROLES and times.median_s > rig.control.tick_s:
            yield (
                f"{name}: a reading takes {times.median_s:.3f} s, the control loop asks every {rig.control.tick_s:g} s: "
                f"control.tick_s: {_up(times.median_s)}, or a faster line"
            )
    for name, times in found.commands.items():
        if times.median_s > 0.1:
            yield f"{name}: a command with its reading takes {times.median_s:.3f} s, wanted is below 0.1 s: a faster line"


def _of_supply(supply: SupplyFigures, rig: Rig) -> Iterator[str]:
    for key, step in (("hv_tau_up_s", supply.up), ("hv_tau_down_s", supply.down)):
        told_s = float(getattr(rig.guard, key))
        if _differs(step, told_s):
            least = "at most " if step.bound else ""
            yield f"guard.{key} is {told_s:g} s, measured is {least}{step.tau_s:.3g} s: guard.{key}: {step.tau_s:.2g}"
    if supply.relative_error > 0.5 * rig.guard.readback_tolerance:
        yield (
            f"readings differ from what is set by {100 * supply.relative_error:.2g} %, "
            f"guard.readback_tolerance is {100 * rig.guard.readback_tolerance:g} %: calibrate the supply, or widen it"
        )
    ramp_v_per_s = rig.guard.start_ramp_v_per_s
    if supply.up.slew_v_per_s < ramp_v_per_s and not supply.up.bound:
        yield (
            f"the supply rises by {supply.up.slew_v_per_s:.0f} V/s, guard.start_ramp_v_per_s is {ramp_v_per_s:g}: "
            "its own ramp is slower than what it is asked for"
        )


def _of_tdc(tdc: TdcFigures, rig: Rig) -> Iterator[str]:
    if tdc.heartbeat_longest_s > 0.5 * HEARTBEAT_S:
        yield (
            f"the TDC was silent for {tdc.heartbeat_longest_s:.3f} s, after {HEARTBEAT_S:g} s the guard inhibits: "
            "a heartbeat is due every 5 ms"
        )
    if tdc.dark_hz > 2.0 * rig.control.dark_rate_hz:
        yield (
            f"{tdc.dark_hz:.1f} hits/s with nothing energised, control.dark_rate_hz is {rig.control.dark_rate_hz:g}: "
            f"control.dark_rate_hz: {_up(tdc.dark_hz)}, and look for the cause (gauge, light, noise of the pulser)"
        )
    if abs(tdc.rate_error_ppm) > _CRYSTAL_PPM:
        yield (
            f"{tdc.pulse_rate_hz:.2f} pulses/s are counted where {rig.pulse.rate_hz:g} were set ({tdc.rate_error_ppm:+.0f} ppm): "
            "pulses are missed or counted twice: threshold and cable of the start input"
        )
    if tdc.inhibit_s and tdc.inhibit_s[-1] > 0.1:
        yield (
            f"the inhibit is felt after up to {tdc.inhibit_s[-1]:.3f} s, wanted is below 0.1 s: a faster line, or contacts.inhibit"
        )


def _differs(step: Step, told_s: float) -> bool:
    if step.bound:  # faster than it could be seen: only a setting that is slower can be wrong
        return told_s > _FACTOR * step.tau_s
    return not 1.0 / _FACTOR <= told_s / step.tau_s <= _FACTOR


def _up(value: float) -> str:
    return f"{1.2 * value:.2g}"
