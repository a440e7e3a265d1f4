"""Colours and small words that all panels of the report share."""

from typing import TYPE_CHECKING, Any

from evapd.spectrometry.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = [
    "BLUE", "GREEN", "GREY", "ORANGE", "PURPLE", "RED", "SETTINGS", "SKY", "plain_log_ticks", "say_instead",
]  # fmt: skip
SETTINGS: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}


def plain_log_ticks(axis: "Axis") -> None:
    """Write 1, 2, 5, 10 on a short log scale, and powers of ten only on a long one."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415 - see the extra `plots`

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 100.0 * max(low, 0.3) else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1.0 else ""))
    axis.set_minor_formatter(NullFormatter())


def say_instead(axes: "Axes", title: str, words: str) -> None:
    """Let an empty panel say why it is empty."""
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_facecolor("#F2F2F2")
    axes.text(
        0.5,
        0.5,
        words,
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=13,
        color=GREY,
        wrap=True,
    )
