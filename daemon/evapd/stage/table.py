"""The series as a document for programs and a table for people."""

from typing import Any

from evapd.stage.procedure import Series
from evapd.stage.series import SPECIFIED_NM, AxisFigures, figures


def evaluate(series: Series) -> dict[str, AxisFigures]:
    """Give the figures of every axis."""
    return {axis: figures(series.position_nm[:, place], series.t_s) for place, axis in enumerate(series.axes)}


def document(series: Series) -> dict[str, Any]:
    """Give everything as JSON: positions, times from the first, figures by axis."""
    return {
        "axes": list(series.axes),
        "position_nm": series.position_nm.round(3).tolist(),
        "t_s": (series.t_s - series.t_s[0]).round(3).tolist(),
        "specified_nm": SPECIFIED_NM,
        "figures": {
            axis: {
                "shift_nm": one.shift_nm.round(3).tolist(),
                "sd_nm": one.sd_nm,
                "largest_nm": one.largest_nm,
                "drift_nm_per_h": one.drift_nm_per_h,
                "sd_without_drift_nm": one.sd_without_drift_nm,
            }
            for axis, one in evaluate(series).items()
        },
    }


def text(series: Series) -> str:
    """Give the table that a person reads: a shift per return and axis, then the figures."""
    found = evaluate(series)
    width = max(10, *(len(axis) + 5 for axis in series.axes))
    lines = ["return " + "".join(f"{axis + ', nm':>{width}}" for axis in series.axes)]
    lines += [
        f"{number:<7d}" + "".join(f"{one.shift_nm[number - 1]:{width}.0f}" for one in found.values())
        for number in range(1, len(series.position_nm) + 1)
    ]
    rows = {
        "SD n-1": [f"{one.sd_nm:.0f}" for one in found.values()],
        "largest": [f"{one.largest_nm:.0f}" for one in found.values()],
        "drift/h": [
            "-" if one.drift_nm_per_h is None else f"{one.drift_nm_per_h:.0f}" for one in found.values()
        ],
    }
    lines += [f"{name:<7}" + "".join(f"{cell:>{width}}" for cell in cells) for name, cells in rows.items()]
    worst = max(found, key=lambda axis: found[axis].sd_nm)
    verdict = "within" if found[worst].sd_nm <= SPECIFIED_NM else "BEYOND"
    lines.append(
        f"largest deviation {found[worst].sd_nm:.0f} nm ({worst}), {verdict} the {SPECIFIED_NM:.0f} nm usual of encoded stages"
    )
    return "\n".join(lines)
