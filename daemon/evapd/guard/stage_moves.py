"""May the stage move? Judged from what was read of it, never from what it was told; the answer is a reason against it, or none."""

import math
from collections.abc import Mapping

from evapd.config.stage import KeepOut, StageSection
from evapd.device.readings import AxisReading
from evapd.guard.energy import EnergyState

_AT_REST = frozenset({EnergyState.STANDBY, EnergyState.SAFE})
Axes = Mapping[str, AxisReading]


def refusal_of_move(
    axes: Axes, axis: str, target_mm: float, state: EnergyState, section: StageSection
) -> str:
    """Say why an axis must not go to `target_mm` now; "" when it may.

    Args:
        axes: every axis of the stage as read just now.
        axis: which one is to move; the others stand still.
        target_mm: absolute, in mm.
        state: of the specimen's energy.
        section: limits, boxes and margins.
    """
    return (
        _no_axis(axes, axis)
        or _unknown_names(axes, section)
        or _wrong_time(axes, state)
        or _unknown_place(axes)
        or _wrong_target(axes[axis].position_mm, axis, target_mm, state, section)
        or next(filter(None, (_through(box, axes, axis, target_mm, section) for box in section.keep_out)), "")
    )


def refusal_of_reference(
    axes: Axes, axis: str, state: EnergyState, section: StageSection, *, seen: bool
) -> str:
    """Say why an axis must not search its reference mark now, on a way that nobody can foresee; "" when it may.

    Args:
        axes: every axis of the stage as read just now.
        axis: which one.
        state: of the specimen's energy.
        section: limits, boxes and margins.
        seen: a person says to have looked, and that the way is clear.
    """
    if reason := _no_axis(axes, axis):
        return reason
    if state not in _AT_REST:
        return f"the specimen is '{state.label}': an axis is referenced in standby or safe only"
    if any(one.moving for one in axes.values()):
        return "an axis moves: stop it, or wait until it has arrived"
    if section.keep_out and not seen:
        return "the search may pass through a keep-out box: look, then say that the way is clear (--clear)"
    return ""


def _no_axis(axes: Axes, axis: str) -> str:
    return "" if axis in axes else f"no axis '{axis}', there are {', '.join(axes) or 'none'}"


def _unknown_names(axes: Axes, section: StageSection) -> str:
    """A limit for an axis that is not there limits nothing: a slip of the pen, told before anything moves."""
    if strange := [name for name in section.limits if name not in axes]:
        return f"the section `stage` limits {', '.join(strange)}, the stage tells {', '.join(axes)}: mend the rig file"
    return ""


def _wrong_target(
    here_mm: float, axis: str, target_mm: float, state: EnergyState, section: StageSection
) -> str:
    low_mm, high_mm = section.limits.get(axis, (-math.inf, math.inf))
    if not (math.isfinite(target_mm) and low_mm <= target_mm <= high_mm):
        return f"{axis} to {target_mm:g} mm is outside its limits {low_mm:g} to {high_mm:g} mm"
    step_mm = target_mm - here_mm
    if state is EnergyState.ALIGNING and abs(step_mm) > section.align_step_mm:
        return f"{axis} by {step_mm:g} mm: while aligning, steps are at most {section.align_step_mm:g} mm"
    return ""


def _wrong_time(axes: Axes, state: EnergyState) -> str:
    if state not in _AT_REST and state is not EnergyState.ALIGNING:
        return f"the specimen is '{state.label}': the stage moves in standby and safe, and by small steps while aligning"
    if moving := [name for name, one in axes.items() if one.moving]:
        return f"{', '.join(moving)} moves: stop it, or wait until it has arrived"
    return ""


def _unknown_place(axes: Axes) -> str:
    lost = [name for name, one in axes.items() if not one.referenced or not math.isfinite(one.position_mm)]
    return f"where {', '.join(lost)} stands is not known: search the reference mark first" if lost else ""


def _through(box: KeepOut, axes: Axes, axis: str, target_mm: float, section: StageSection) -> str:
    """Say that the straight way of one axis touches a box; one that stands in it may leave by the nearer face."""
    margin_mm = section.margin_mm
    for name, (low_mm, high_mm) in box.axes.items():
        if name == axis:
            continue
        if name not in axes:
            return f"the box '{box.name}' names an axis '{name}' that the stage does not tell"
        if not low_mm - margin_mm < axes[name].position_mm < high_mm + margin_mm:
            return ""
    here_mm = axes[axis].position_mm
    low_mm, high_mm = box.axes.get(axis, (-math.inf, math.inf))
    low_mm, high_mm = low_mm - margin_mm, high_mm + margin_mm
    first_mm, last_mm = sorted((here_mm, target_mm))
    if last_mm <= low_mm or first_mm >= high_mm:
        return ""
    if low_mm < here_mm < high_mm and _leaves(here_mm, target_mm, low_mm, high_mm):
        return ""
    return f"{axis} to {target_mm:g} mm leads through the keep-out box '{box.name}' ({low_mm:g} to {high_mm:g} mm with its margin)"


def _leaves(here_mm: float, target_mm: float, low_mm: float, high_mm: float) -> bool:
    nearer_is_low = here_mm - low_mm <= high_mm - here_mm
    outwards = target_mm < here_mm if nearer_is_low else target_mm > here_mm
    return outwards and not math.isinf(low_mm if nearer_is_low else high_mm)
