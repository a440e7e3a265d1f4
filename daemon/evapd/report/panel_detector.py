"""The detector: where hits fell, which signals they had, and how many came together."""

from typing import TYPE_CHECKING

import numpy as np

from evapd.matching.quality import Quality, channels_of, known_codes, meaning
from evapd.report.digest import RunDigest
from evapd.report.style import BLUE, GREEN, ORANGE, RED, plain_log_ticks, say_instead

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_BARS = 8
_MOST_CODES = 10


def draw_map(figure: "Figure", axes: "Axes", digest: RunDigest) -> None:
    """Draw hits per area on a log scale, with the outline of the anode."""
    from matplotlib.colors import LogNorm  # noqa: PLC0415 - matplotlib comes with the extra `plots`
    from matplotlib.patches import Circle  # noqa: PLC0415

    if not digest.hits:
        say_instead(axes, "Detector map", "no hits")
        return
    edges = digest.map_edges_mm
    counts = np.ma.masked_equal(digest.map_counts.T, 0)
    most = max(2.0, float(digest.map_counts.max()))
    mesh = axes.pcolormesh(edges, edges, counts, cmap="cividis", norm=LogNorm(1, most), rasterized=True)
    axes.add_patch(Circle((0, 0), digest.radius_mm, fill=False, color=RED, linewidth=1.2))
    axes.set_aspect("equal", anchor="W")
    axes.set_facecolor("#F2F2F2")
    axes.set_xlabel("x (mm)")
    axes.set_ylabel("y (mm)")
    outside = digest.hits - int(digest.map_counts.sum())
    beyond = f"; {outside:,d} hits lie outside the picture" if outside else ""
    axes.set_title(f"Detector map (circle: anode{beyond})")
    bar = figure.colorbar(mesh, ax=axes, fraction=0.046, pad=0.02)
    bar.set_label(f"hits per {edges[1] - edges[0]:.2g} x {edges[1] - edges[0]:.2g} mm")
    plain_log_ticks(bar.ax.yaxis)


def _label(code: int) -> str:
    """What a code means, in two lines where one is too long for the margin."""
    return f"{code} {meaning(code)}".replace(", contested", ",\ncontested")


def draw_quality(axes: "Axes", digest: RunDigest) -> None:
    """Draw the share of hits by quality code."""
    if not digest.hits:
        say_instead(axes, "Quality of hits", "no hits")
        return
    codes = _codes_to_show(digest)
    shares = [100.0 * digest.quality.get(code, 0) / digest.hits for code in codes]
    axes.barh(range(len(codes)), shares, color=[BLUE if code == Quality.FULL else ORANGE for code in codes])
    axes.set_yticks(range(len(codes)), [_label(code) for code in codes])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of hits")
    axes.set_title("Quality of hits")
    for row, share in enumerate(shares):
        inside = share > 75
        axes.text(
            share + (-1.5 if inside else 1.5),
            row,
            f"{share:.1f} %",
            va="center",
            ha="right" if inside else "left",
            color="white" if inside else "black",
            fontsize=10,
        )


def _codes_to_show(digest: RunDigest) -> list[int]:
    """All codes of a quad anode; of the many that a hex anode can have, the most frequent."""
    quad = [code for code in digest.quality if channels_of(code) != 7]
    if len(quad) == len(digest.quality):
        return sorted({*quad, *known_codes(5)})
    return sorted(sorted(digest.quality, key=lambda code: -digest.quality[code])[:_MOST_CODES])


def draw_multiplicity(axes: "Axes", digest: RunDigest) -> None:
    """Draw the number of pulses by how many hits they had."""
    numbers = np.arange(len(digest.multiplicity))
    # A pulse with k hits appears k times among the hits.
    pulses = np.round(digest.multiplicity[1:] / numbers[1:]).astype(np.int64)
    if not pulses.any():
        say_instead(axes, "Hits per pulse", "no hits")
        return
    bars = np.concatenate((pulses[: _MOST_BARS - 1], [pulses[_MOST_BARS - 1 :].sum()]))
    last = max(3, int(np.flatnonzero(bars)[-1]) + 1)
    names = [str(k) for k in range(1, _MOST_BARS)] + [f"{_MOST_BARS}+"]
    axes.bar(range(last), np.maximum(bars[:last], 0.3), bottom=0, color=GREEN, width=0.7)
    axes.set_yscale("log")
    axes.set_ylim(0.3, 8.0 * max(2.0, float(bars.max())))
    plain_log_ticks(axes.yaxis)
    axes.set_xticks(range(last), names[:last])
    axes.set_xlabel("hits in a pulse")
    axes.set_ylabel("pulses")
    axes.set_title("Hits per pulse")
    for k in range(last):
        axes.text(k, max(float(bars[k]), 0.35) * 1.25, f"{bars[k]:,d}", ha="center", va="bottom", fontsize=9)
