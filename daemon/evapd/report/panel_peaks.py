"""The strongest peaks as a table, with the names that the configured elements suggest."""

from typing import TYPE_CHECKING

from evapd.report.style import GREY, say_instead
from evapd.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ROWS = 9
_COLUMNS = (
    (0.16, "m/q (Da)", "right"),
    (0.34, "counts", "right"),
    (0.48, "R", "right"),
    (0.53, "may be", "left"),
)
_LONGEST_NAME = 34


def draw_peak_table(axes: "Axes", summary: Summary) -> None:
    """Write the strongest peaks, ascending in mass."""
    peaks = summary.naming.peaks if summary.naming else ()
    if not peaks:
        why = f"not looked for:\n{summary.no_peaks}" if summary.no_peaks else "none found"
        say_instead(axes, "Peaks", why)
        return
    shown = sorted(peaks, key=lambda peak: -peak.counts)[:_MOST_ROWS]
    shown.sort(key=lambda peak: peak.mass_to_charge_da)
    few = f", the {len(shown)} strongest of {len(peaks)}" if len(shown) < len(peaks) else ""
    axes.set_title(f"Peaks{few}")
    axes.set_axis_off()
    rows = [tuple(head for _, head, _ in _COLUMNS)]
    for peak in shown:
        name = peak.label if peak.candidates else "none of " + (", ".join(summary.elements) or "no elements")
        name = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        rows.append(
            (f"{peak.mass_to_charge_da:.3f}", f"{peak.counts:,.0f}", f"{peak.resolving_power:.0f}", name)
        )
    for number, row in enumerate(rows):
        y = 0.95 - number * 0.098
        for (x, _, align), words in zip(_COLUMNS, row, strict=True):
            axes.text(
                x, y, words, transform=axes.transAxes, ha=align, va="center", fontsize=10.5,
                color=GREY if number == 0 else "black",
            )  # fmt: skip
