"""Whether an outline that looks good may replace what the start anode says, and what to tell of it.

A smaller image (an aperture, a specimen that does not fill the detector) may have a rim as sharp and round as the detector's.
Hits beyond it do not tell the two apart: wrong combinations of signals lie there as well. What is left is the
start: it is seldom far off, and one whose centre and ratios of scales agree with the image was measured once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.calibration.frame import Frame
from evapd.calibration.outline import Outline
from evapd.matching.anode import Anode

Floats = NDArray[np.float64]

# A scale that changes by more is not believed unless the radius was given with the data.
_BELIEVED = 0.05
# Nor one that grows by more than this when everything but the radius of the image is as the start has it.
_BELIEVED_ALONE = 0.025
_AGREES = 0.003  # of the radius, or 3 standard deviations
_TOLD, _TOLD_ERROR_MM = 0.01, 0.15
# With a larger uncertainty of the rim the start's numbers are kept as long as the data do not contradict them.
_LARGEST_ERROR_MM = 0.15
_LARGEST_ERROR_OF_ARC_MM = 0.45  # then they are kept whatever the arc says
_CONTRADICTS, _CONTRADICTS_BY_ARC = 3.0, 6.0  # standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What the outline would change, by layer: scales relative, places in radii."""

    stretch: Floats  # of mm_per_ns
    shift: Floats
    stretch_error: Floats
    shift_error: Floats

    @property
    def only_smaller(self) -> bool:
        """Whether the image is as the start has it in everything but its radius, which is smaller."""
        common = float(np.mean(self.stretch))
        apart = np.abs(self.stretch - common) <= np.maximum(_AGREES, _CONTRADICTS * self.stretch_error)
        moved = np.abs(self.shift) <= np.maximum(_AGREES, _CONTRADICTS * self.shift_error)
        return common > 0.0 and bool(np.all(apart & moved))

    @property
    def contradiction(self) -> float:
        """By how many standard deviations the outline contradicts the start."""
        return float(
            max(
                np.max(np.abs(self.stretch) / self.stretch_error),
                np.max(np.abs(self.shift) / self.shift_error),
            )
        )


def not_believed(outline: Outline, frame: Frame) -> str:
    """Why an outline that looks good is not used after all; "" when it is."""
    error_mm = _error_mm(outline, frame)
    if not np.isfinite(error_mm) or (frame.start is None and error_mm > 10 * _LARGEST_ERROR_MM):
        return "there are too few hits at the rim"
    if frame.start is None:
        return ""
    change = _change(outline, frame, frame.start)
    return _seen_badly(change, error_mm, partial=outline.partial) or (
        "" if frame.radius_given else _too_small_an_image(change)
    )


def _seen_badly(change: _Change, error_mm: float, *, partial: bool) -> str:
    if partial and error_mm > _LARGEST_ERROR_OF_ARC_MM:
        return (
            f"the rim is seen on one side only, and not well enough: it would be known to {error_mm:.2f} mm"
        )
    if partial and change.contradiction < _CONTRADICTS_BY_ARC:
        return f"the rim is seen on one side only, to {error_mm:.2f} mm, and there it does not clearly contradict them"
    if error_mm > _LARGEST_ERROR_MM and change.contradiction < _CONTRADICTS:
        return (
            f"the hits at the rim are too few to improve them: they tell it to {error_mm:.2f} mm, and agree"
        )
    return ""


def _too_small_an_image(change: _Change) -> str:
    worst = float(change.stretch[np.argmax(np.abs(change.stretch))])
    if abs(worst) <= (_BELIEVED_ALONE if change.only_smaller else _BELIEVED):
        return ""
    why = "either the image does not fill the detector, or the start's radius_mm is wrong"
    if change.only_smaller:
        why = "the image is smaller than the detector, with centre and ratios of the scales as the start has them"
    return (
        f"the scale would change by {100 * worst:+.1f} %: {why}; give the radius of what the hits fill with --radius-mm "
        "to use the outline all the same"
    )


def told_of(outline: Outline, frame: Frame, hits: int) -> tuple[str, ...]:
    """What to say of an outline that is used: a scale that changes a lot, a rim that few hits tell."""
    error_mm = _error_mm(outline, frame)
    notes = _told_of_scale(outline, frame)
    if error_mm <= _TOLD_ERROR_MM:
        return notes
    unsure = (
        f"scale and offsets come from {hits} hits with all their signals, which tell the rim to {error_mm:.2f} mm only: "
        "places may be wrong by as much or twice that; use a longer run"
    )
    return (*notes, unsure)


def _told_of_scale(outline: Outline, frame: Frame) -> tuple[str, ...]:
    if frame.start is None:
        return ()
    change = _change(outline, frame, frame.start)
    large = np.abs(change.stretch) > np.maximum(_TOLD, _CONTRADICTS * change.stretch_error)
    if not large.any():
        return ()
    scales = ", ".join(
        f"{name} {100 * by:+.1f} %" for name, by in zip(frame.names, change.stretch, strict=True)
    )
    note = f"THE SCALE CHANGES, by {scales}: right only if the hits fill the {frame.radius_mm:g} mm of the radius"
    if change.only_smaller:
        note += "; centre and ratios agree with the start, so it may as well be a smaller image"
    if frame.radius_given:
        return (note,)
    return (f"{note}. If an aperture or the specimen ends the image, give its radius with --radius-mm",)


def _error_mm(outline: Outline, frame: Frame) -> float:
    """How well the rim is known, in the worst direction."""
    shift_error = outline.middle_error_ps / outline.reach_ps
    return frame.radius_mm * float(np.max(np.hypot(shift_error, outline.reach_error)))


def _change(outline: Outline, frame: Frame, start: Anode) -> _Change:
    before = frame.ellipse_of(start)
    return _Change(
        stretch=before.reach_ps / outline.reach_ps - 1.0,
        shift=(before.middle_ps - outline.middle_ps) / outline.reach_ps,
        stretch_error=outline.reach_error,
        shift_error=outline.middle_error_ps / outline.reach_ps,
    )
