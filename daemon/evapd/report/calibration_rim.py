"""Panels of a calibration's picture that show places: the image, its rim, and the agreement of u, v and w."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evapd.calibration import Calibration
from evapd.calibration.consistency import misfit_mm
from evapd.calibration.timesums import coordinate_mm, positions_mm
from evapd.matching import Anode
from evapd.report.style import BLUE, GREY, ORANGE, RED, say_instead

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
_BINS = 140


def draw_image(axes: "Axes", calibration: Calibration, anode: Anode | None, when: str) -> None:
    """Draw where the hits fall with an anode, its circle, and the rim that was found."""
    if anode is None:
        say_instead(axes, f"Detector {when}", "there was no start anode")
        return
    places = positions_mm(calibration.sample.times_ps[calibration.sample.kept], anode)
    reach = 1.12 * anode.radius_mm
    counts, edges, _ = np.histogram2d(
        places[:, 0], places[:, 1], bins=_BINS, range=((-reach, reach), (-reach, reach))
    )
    most = max(1.0, float(np.quantile(counts[counts > 0], 0.995))) if counts.any() else 1.0
    axes.pcolormesh(
        edges,
        edges,
        np.ma.masked_equal(counts.T, 0),
        cmap="cividis",
        vmin=0,
        vmax=most,
        rasterized=True,
    )
    phi = np.linspace(0, 2 * np.pi, 400)
    axes.plot(anode.radius_mm * np.cos(phi), anode.radius_mm * np.sin(phi), color=RED, linewidth=1.5)
    rim = rim_mm(calibration, anode)
    axes.plot(rim[:, 0], rim[:, 1], ".", color=ORANGE, markersize=5)
    axes.set_aspect("equal")
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_facecolor("#F2F2F2")
    axes.set_xlabel("x (mm)")
    axes.set_ylabel("y (mm)")
    axes.text(0.0, 1.0, "circle: radius_mm", color=RED, fontsize=9, transform=axes.transAxes, va="bottom")
    axes.text(
        1.0,
        1.0,
        "dots: rim found",
        color=ORANGE,
        fontsize=9,
        transform=axes.transAxes,
        va="bottom",
        ha="right",
    )
    axes.set_title(f"Detector {when}", pad=18)


def draw_rim(axes: "Axes", calibration: Calibration) -> None:
    """Draw how far the rim is from the anode's circle, before and after."""
    problem = calibration.outline.problem
    if not calibration.outline.edges.found.any():
        say_instead(axes, "Rim", "no rim was found")
        return
    degrees = np.degrees(calibration.outline.edges.angle[calibration.outline.edges.found])
    if calibration.start is not None:
        axes.plot(
            degrees, _beyond_um(calibration, calibration.start), "o", color=ORANGE, ms=4, label="before"
        )
    axes.plot(degrees, _beyond_um(calibration, calibration.anode), "o", color=BLUE, ms=4, label="after")
    axes.axhline(0.0, color=GREY, linewidth=1.0)
    axes.set_xlim(-180, 180)
    axes.set_xticks(range(-180, 181, 90))
    axes.margins(y=0.25)
    axes.set_xlabel("direction from the centre (°)")
    axes.set_ylabel(f"rim beyond {calibration.filled_mm:g} mm (µm)")
    axes.set_title("Rim (not used)" if problem else "Rim found, by direction")
    axes.legend(loc="upper right", ncols=2)


def draw_consistency(axes: "Axes", calibration: Calibration) -> None:
    """Draw by how much u, v and w of the hits contradict each other, before and after."""
    times = calibration.sample.times_ps[calibration.sample.kept]
    after = misfit_mm(times, calibration.anode) * 1000.0
    before = misfit_mm(times, calibration.start) * 1000.0 if calibration.start is not None else after[:0]
    reach = 8.0 * calibration.consistency_um[1]
    if len(before):
        reach = max(reach, 1.15 * float(np.max(np.abs(np.quantile(before, (0.02, 0.98))))))
    edges = np.linspace(-reach, reach, 120).tolist()
    axes.locator_params(axis="x", nbins=5)
    if len(before):
        axes.hist(before, edges, color=ORANGE, alpha=0.8, label="before")
    axes.hist(after, edges, color=BLUE, histtype="step", linewidth=1.6, label="after")
    axes.set_xlim(-reach, reach)
    axes.margins(y=0.2)
    axes.set_xlabel("u - v + w (µm)")
    axes.set_ylabel(f"hits per {edges[1] - edges[0]:.0f} µm")
    axes.set_title(f"u, v, w agree to {calibration.consistency_um[1]:.0f} µm")
    axes.legend(loc="upper left")


def rim_mm(calibration: Calibration, anode: Anode) -> Floats:
    """Places of the rim, as an anode sees it, in mm from the detector's centre; shape (sectors with an edge, 2)."""
    edges, ellipse = calibration.outline.edges, calibration.outline.ellipse
    angle, radius = edges.angle[edges.found], edges.radius[edges.found]
    places = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    differences = ellipse.middle_ps + ellipse.reach_ps * (places @ ellipse.axes.T)
    names = anode.layer_names
    coordinates = np.stack(
        [coordinate_mm(anode.layers[name], differences[:, k]) for k, name in enumerate(names)]
    )
    axes = np.array([anode.axis(name) for name in names])
    return np.asarray((np.linalg.pinv(axes) @ coordinates).T - np.array(anode.centre_mm))


def _beyond_um(calibration: Calibration, anode: Anode) -> Floats:
    places = rim_mm(calibration, anode)
    return np.asarray((np.hypot(places[:, 0], places[:, 1]) - calibration.filled_mm) * 1000.0)
