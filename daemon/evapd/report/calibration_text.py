"""A calibration as a table for the terminal."""

from collections.abc import Iterator
from typing import Any

from evapd.calibration import Calibration, Estimate
from evapd.report.tables import table

_COLUMNS = ("what", "before", "after", "uncertainty", "unit")


def calibration_text(calibration: Calibration) -> str:
    """What it was, what it is, how sure that is; and what could not be determined and why."""
    used = f"{calibration.hits:,d} hits ({calibration.lone_pulses:,d} lone pulses"
    used += f", {calibration.picked:,d} out of crowded ones)" if calibration.picked else ")"
    head = f"{used} of {calibration.words:,d} words"
    notes = [f"note: {note}" for note in calibration.notes]
    return "\n".join([head, "", table(list(_rows(calibration)), _COLUMNS), *(["", *notes] if notes else [])])


def _rows(calibration: Calibration) -> Iterator[dict[str, Any]]:
    for name, layer in calibration.layers.items():
        yield _row(f"{name} time sum", layer.time_sum_ps, 1, "ps")
        yield {"what": f"{name} width of it", "after": f"{layer.width_ps:.0f}", "unit": "ps"}
        yield {"what": f"{name} walk", "before": _walk_before(calibration, name)} | {
            "after": f"{layer.walk_ps:.0f} ({layer.walk_points} points)" if layer.walk_points else "flat",
            "unit": "ps",
        }
        yield _row(f"{name} offset", layer.offset_ps, 1, "ps")
        yield _row(f"{name} scale", layer.mm_per_ns, 6, "mm/ns")
    yield _row("jitter of a signal", calibration.jitter_ps, 1, "ps")
    yield _row("dead time", calibration.dead_time_ps, 0, "ps")
    yield {
        "what": "lone pulses that fit",
        "before": "" if calibration.start is None else f"{100 * calibration.fitting_before:.1f}",
        "after": f"{100 * calibration.fitting_after:.1f}",
        "unit": "%",
    }
    if calibration.anode.kind == "hex":
        before, after = calibration.consistency_um
        yield {
            "what": "width of u - v + w",
            "before": "" if calibration.start is None else f"{before:.0f}",
            "after": f"{after:.0f}",
            "unit": "um",
        }


def _row(what: str, estimate: Estimate, digits: int, unit: str) -> dict[str, Any]:
    return {
        "what": what,
        "before": "" if estimate.start is None else f"{estimate.start:.{digits}f}",
        "after": f"{estimate.value:.{digits}f}",
        "uncertainty": f"{estimate.error:.{digits}f}" if estimate.measured else "not measured",
        "unit": unit,
    }


def _walk_before(calibration: Calibration, name: str) -> str:
    if calibration.start is None:
        return ""
    walk = calibration.start.layers[name].walk
    return f"{max(walk.time_sum_ps) - min(walk.time_sum_ps):.0f}" if walk else "flat"
