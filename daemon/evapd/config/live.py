"""Section `live` of a rig file: what displays are shown while a run is under way. Nothing of it touches run or record."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from evapd.config.section import Section
from evapd.units import Hertz, Second


class Projection(Section):
    """Simple projection from detector to specimen; the defaults suit nothing in particular and are written beside what is made with them."""

    field_v_per_nm: Annotated[float, Field(gt=1, le=100)] = 33.0  # of evaporation, F
    field_factor: Annotated[float, Field(ge=1, le=15)] = 3.3  # k_f: R = V_tot / (k_f F)
    image_compression: Annotated[float, Field(ge=1, le=2)] = 1.65
    efficiency: Annotated[float, Field(gt=0, le=1)] = 0.5  # part of the ions that is detected
    atomic_volume_nm3: Annotated[float, Field(gt=0, le=1)] = 0.0118  # of iron


class Live(Section):
    """Live analysis: windows, bins, ranges and the projection of the preview."""

    ranges: Path | None = (
        None  # RRNG or RNG, relative to this file; without it ions are named after specimen.elements
    )
    recent_s: Annotated[Second, Field(ge=1, le=120)] = 10.0  # what "recent" means: spectrum, map and counts
    mass_max_da: Annotated[float, Field(ge=20, le=1000)] = 200.0  # end of the spectrum
    bins: Annotated[int, Field(ge=256, le=4096)] = 4096  # of the spectrum, of equal width in the root of m/q
    map_cells: Annotated[int, Field(ge=16, le=128)] = 128  # of the detector's map, each way
    points_per_s: Annotated[Hertz, Field(ge=0, le=2500)] = 2000.0  # projected, of the 3-D preview
    hits_per_s: Annotated[Hertz, Field(ge=10_000, le=10e6)] = (
        300e3  # analysed; of more a fair sample of blocks
    )
    projection: Projection = Projection()
