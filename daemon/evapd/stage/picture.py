"""The series as a picture: shift of each return and axis, and where the returns lie in the plane."""

from pathlib import Path

from evapd.errors import RecordError, StateError
from evapd.stage.procedure import Series
from evapd.stage.series import SPECIFIED_NM
from evapd.stage.table import evaluate

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7")  # Okabe and Ito (2008)
_MARKS = "osD^vP"


def draw(series: Series, output: Path, title: str) -> Path:
    """Write the PNG.

    Raises:
        StateError: when matplotlib is missing, with how to get it.
        RecordError: when the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - comes with the extra `plots`
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise StateError(
            f"{error.name or error} is not installed; it comes with the extra `plots`: pip install 'evapd[plots]'"
        ) from error
    found = evaluate(series)
    figure = Figure(figsize=(11, 5.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    shifts, plane = figure.subplots(1, 2, width_ratios=(1.7, 1.0))
    number = range(1, len(series.position_nm) + 1)
    for place, (axis, one) in enumerate(found.items()):
        drift = "" if one.drift_nm_per_h is None else f", drift {one.drift_nm_per_h:+.0f} nm/h"
        label = f"{axis}: SD {one.sd_nm:.0f} nm{drift}"
        shifts.plot(number, one.shift_nm, marker=_MARKS[place % 6], color=_COLOURS[place % 6], label=label)
    for edge in (-SPECIFIED_NM, SPECIFIED_NM):
        shifts.axhline(edge, color="#707070", linestyle=":", linewidth=1)
    shifts.set(xlabel="return", ylabel="shift against the first, nm (dotted: usual specification)")
    shifts.set_xticks(list(number))
    shifts.legend(frameon=False)
    if len(series.axes) > 1:
        first, second = series.axes[:2]
        plane.plot(
            found[first].shift_nm, found[second].shift_nm, "o-", color="#707070", linewidth=0.6, markersize=4
        )
        for place in number:
            at = (found[first].shift_nm[place - 1], found[second].shift_nm[place - 1])
            plane.annotate(str(place), at, textcoords="offset points", xytext=(5, 4), fontsize=9)
        plane.set(xlabel=f"{first}, nm", ylabel=f"{second}, nm", aspect="equal", adjustable="datalim")
    else:
        plane.set_axis_off()
    try:
        figure.savefig(output, format="png")
    except OSError as error:
        raise RecordError(
            f"{output}: {error.strerror or error}; name another place with --picture"
        ) from error
    return output
