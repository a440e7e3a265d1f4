"""The anode file that a calibration writes: its content, and above it where it comes from and how sure it is."""

import json
import math
from datetime import datetime

from evapd.calibration.calibration import Calibration, Estimate
from evapd.matching.anode import Anode, Layer

_WIDTH = 110


def anode_text(calibration: Calibration, *, source: str, start: str, made: datetime, version: str) -> str:
    """The file's text; `Anode.load` of it gives `calibration.anode` again.

    Args:
        calibration: what to write.
        source: where the words came from.
        start: where the start anode came from, "" for none.
        made: when, in UTC.
        version: of the program.
    """
    comments = [_printable(line) for line in _comments(calibration, source, start, made, version)]
    return "".join(f"# {line}".rstrip() + "\n" for line in comments) + _content(calibration.anode)


def _comments(calibration: Calibration, source: str, start: str, made: datetime, version: str) -> list[str]:
    lines = [
        f"Anode {calibration.anode.calibration_id}, calibrated by evapd {version} on {made:%Y-%m-%d %H:%M:%S} UTC",
        f"from {source}: {calibration.hits:,d} hits of {calibration.words:,d} words in {calibration.pulses:,d} pulses.",
    ]
    if calibration.start is not None:
        lines.append(f"Before: {calibration.start.calibration_id}, {start or 'given by a program'}.")
        before = f"{100 * calibration.fitting_before:.1f} % before, "
    else:
        lines.append("Before: nothing, the anode was found from the words alone.")
        before = ""
    lines.append(
        f"Lone pulses whose time sums fit: {before}{100 * calibration.fitting_after:.1f} % with this file."
    )
    lines += ["", "Uncertainties are standard deviations; (what it was before)."]
    for name, layer in calibration.layers.items():
        walk = (
            f"walk {layer.walk_ps:.0f} ps in {layer.walk_points} points" if layer.walk_points else "no walk"
        )
        lines += [
            f"{name}: time_sum_ps {_told(layer.time_sum_ps, 1)}, width {layer.width_ps:.0f} ps, {walk}",
            f"   mm_per_ns {_told(layer.mm_per_ns, 6)}, offset_ps {_told(layer.offset_ps, 1)}",
        ]
    lines.append(
        f"jitter_ps {_told(calibration.jitter_ps, 2)}, dead_time_ps {_told(calibration.dead_time_ps, 0)}"
    )
    for note in calibration.notes:
        lines += _wrapped(f"Note: {note}")
    return lines


def _told(estimate: Estimate, digits: int) -> str:
    text = f"{estimate.value:.{digits}f}"
    text += f" +- {estimate.error:.{digits}f}" if estimate.measured else " (not measured)"
    return text if estimate.start is None else f"{text} ({estimate.start:.{digits}f})"


def _content(anode: Anode) -> str:
    lines = [
        f"kind: {anode.kind}",
        f"radius_mm: {_number(anode.radius_mm)}",
        f"centre_mm: [{_number(anode.centre_mm[0])}, {_number(anode.centre_mm[1])}]",
        f"dead_time_ps: {_number(anode.dead_time_ps)}",
        f"jitter_ps: {_number(anode.jitter_ps)}",
        "layers:",
    ]
    for name in anode.layer_names:
        lines += [f"  {name}:", *_layer(anode.layers[name])]
    return "\n".join(lines) + "\n"


def _layer(layer: Layer) -> list[str]:
    lines = [
        f"    time_sum_ps: {_number(layer.time_sum_ps)}",
        f"    mm_per_ns: {_number(layer.mm_per_ns)}",
        f"    offset_ps: {_number(layer.offset_ps)}",
    ]
    if layer.angle_deg is not None:
        lines.append(f"    angle_deg: {_number(layer.angle_deg)}")
    if layer.walk is not None:
        lines.append("    walk:")
        lines += _row("coordinate_mm", layer.walk.coordinate_mm)
        lines += _row("time_sum_ps", layer.walk.time_sum_ps)
    return lines


def _row(name: str, values: tuple[float, ...]) -> list[str]:
    """A list in brackets, broken where the line gets long."""
    lines, line = [], f"      {name}: ["
    for k, value in enumerate(values):
        word = _number(value) + (", " if k < len(values) - 1 else "]")
        if len(line) + len(word) > _WIDTH:
            lines.append(line.rstrip())
            line = " " * 8
        line += word
    return [*lines, line]


def _number(value: float) -> str:
    """Exactly the value, whole numbers without a point."""
    return str(int(value)) if math.isfinite(value) and value == int(value) else json.dumps(value)


def _wrapped(text: str) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > _WIDTH - 2:
            lines.append(line)
            line = "     "
        line = f"{line} {word}" if line else word
    return [*lines, line]


def _printable(text: str) -> str:
    """Paths may hold anything; a comment of YAML may not."""
    return "".join(character if character.isprintable() else "?" for character in text)
