"""Times of one ion at a known place, worked out by hand from t1, t2 = t + (T + walk +- d) / 2, d = 2000 c / f + offset."""

import numpy as np
import pytest

from evapd_sim.anode import AnodeFile
from evapd_sim.effects import SignalEffects
from evapd_sim.signals import Arrivals, DelayLines


def anode(kind: str, centre_mm: tuple[float, float] = (0.0, 0.0), **layers: dict[str, object]) -> AnodeFile:
    return AnodeFile.model_validate({"kind": kind, "radius_mm": 40, "centre_mm": centre_mm, "layers": layers})


QUAD = anode(
    "quad", x={"time_sum_ps": 110_000, "mm_per_ns": 0.8}, y={"time_sum_ps": 112_000, "mm_per_ns": 0.5}
)
HEX = anode(
    "hex",
    u={"time_sum_ps": 110_000, "mm_per_ns": 0.80},
    v={"time_sum_ps": 112_000, "mm_per_ns": 0.50},
    w={"time_sum_ps": 114_000, "mm_per_ns": 0.40},
)


def times(anode: AnodeFile, t_ps: float, x_mm: float, y_mm: float, **effects: object) -> list[float]:
    lines = DelayLines(
        anode, jitter_ps=0.0, missing=0.0, noise_hz=0.0, effects=SignalEffects.model_validate(effects)
    )
    arrival = Arrivals(np.array([0]), np.array([t_ps]), np.array([x_mm]), np.array([y_mm]))
    signals = lines.signals(np.random.default_rng(0), arrival)
    assert signals.channel.tolist() == list(range(len(signals.channel)))
    return signals.t_ps.tolist()


def test_an_ion_in_the_middle_reaches_both_ends_after_half_the_time_sum() -> None:
    assert times(QUAD, 300_000, 0, 0) == [300_000, 355_000, 355_000, 356_000, 356_000]


def test_a_place_on_a_quad_anode() -> None:
    # x = 8 mm at 0.8 mm/ns: 10 ns either way; y = -5 mm at 0.5 mm/ns: -10 ns.
    assert times(QUAD, 300_000, 8, -5) == [300_000, 365_000, 345_000, 346_000, 366_000]


def test_the_centre_is_where_the_detector_lies_on_the_anode() -> None:
    shifted = QUAD.model_copy(update={"centre_mm": (4.0, -1.0)})
    # c = 8 + 4 = 12 mm: 15 ns; c = -5 - 1 = -6 mm: -12 ns.
    assert times(shifted, 300_000, 8, -5) == [300_000, 370_000, 340_000, 344_000, 368_000]


def test_an_offset_moves_the_ends_by_half_of_it_against_each_other() -> None:
    skewed = anode(
        "quad",
        x={"time_sum_ps": 110_000, "mm_per_ns": 0.8, "offset_ps": 600},
        y={"time_sum_ps": 112_000, "mm_per_ns": 0.5, "offset_ps": -400},
    )
    assert times(skewed, 300_000, 8, -5) == [300_000, 365_300, 344_700, 345_800, 366_200]


def test_a_layer_measures_along_its_angle() -> None:
    turned = anode(
        "quad",
        x={"time_sum_ps": 110_000, "mm_per_ns": 0.8, "angle_deg": 90},
        y={"time_sum_ps": 112_000, "mm_per_ns": 0.5, "angle_deg": 180},
    )
    # x measures y = -4 mm: -5 ns; y measures -x = -8 mm: -16 ns.
    assert times(turned, 300_000, 8, -4) == pytest.approx([300_000, 350_000, 360_000, 340_000, 372_000])


def test_a_place_on_a_hex_anode() -> None:
    # Axes at 0, 60 and 120 degrees: u = 8; v = 4 + 10 * 0.8660254 = 12.660254; w = -4 + 8.660254 = 4.660254 mm.
    # That is 10, 25.320508 and 11.650635 ns either way.
    assert times(HEX, 300_000, 8, 10) == pytest.approx(
        [300_000, 365_000, 345_000, 381_320.508, 330_679.492, 368_650.635, 345_349.365], abs=0.01
    )


def test_a_walk_of_the_anode_file_is_added_to_the_time_sum() -> None:
    walking = anode(
        "quad",
        x={
            "time_sum_ps": 110_000,
            "mm_per_ns": 0.8,
            "walk": {"coordinate_mm": [-10, 0, 10], "time_sum_ps": [400, 0, -1000]},
        },
        y={"time_sum_ps": 112_000, "mm_per_ns": 0.5},
    )
    # Linear between the points: at 8 mm -800 ps, half at each end; constant beyond: at -30 mm +400 ps.
    assert times(walking, 300_000, 8, 0)[:3] == pytest.approx([300_000, 364_600, 344_600])
    assert times(walking, 300_000, -30, 0)[:3] == pytest.approx([300_000, 317_700, 392_700])


def test_the_walk_of_the_twin_is_largest_at_the_rim_and_leaves_the_coordinates_alone() -> None:
    # "bowl": 1 * (40/40)^2 * 1000 ps on x, and nothing on y in its middle.
    assert times(QUAD, 300_000, 40, 0, walk_ps=1000) == pytest.approx(
        [300_000, 405_500, 305_500, 356_000, 356_000]
    )
    # The layer y walks the other way, and is not symmetric: -1 at one end, -(0.5 - 0.5) = 0 at the other.
    assert times(QUAD, 300_000, 0, 40, walk_ps=1000)[3:] == pytest.approx([435_500, 275_500])
    assert times(QUAD, 300_000, 0, -40, walk_ps=1000)[3:] == pytest.approx([276_000, 436_000])


def test_the_bend_of_a_coordinate_is_its_amplitude_at_the_rim_and_nothing_in_the_middle() -> None:
    # 400 um at 0.8 mm/ns are 0.5 ns either way; half way to the rim 1/32 of it.
    assert times(QUAD, 300_000, 40, 0, nonlinearity_um=400)[1:3] == pytest.approx([405_500, 304_500])
    assert times(QUAD, 300_000, -20, 0, nonlinearity_um=400)[1:3] == pytest.approx(
        [330_000 - 15.625, 380_000 + 15.625]
    )
    assert times(QUAD, 300_000, 0, 0, nonlinearity_um=400)[1:3] == [355_000, 355_000]


def test_what_crosses_the_gap_comes_late() -> None:
    # 2 ns, of which the time sum has its half at each end: outside the gap the far end is 1 ns late, the near end early.
    assert times(HEX, 300_000, 8, 0, gap_mm=6, gap_delay_ps=2000)[1:3] == pytest.approx([366_000, 344_000])
    assert times(HEX, 300_000, -8, 0, gap_mm=6, gap_delay_ps=2000)[1:3] == pytest.approx([344_000, 366_000])
    # Half way from the middle to the gap's edge: half of it.
    assert times(HEX, 300_000, 1.5, 0, gap_mm=6, gap_delay_ps=2000)[1:3] == pytest.approx([357_375, 352_625])
