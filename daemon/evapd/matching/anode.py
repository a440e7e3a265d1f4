"""The anode file: what a delay-line anode is, measured once and used for every hit.

    time sum    = t1 + t2 - 2 t_mcp                       (constant for a layer)
    coordinate  = mm_per_ns (t1 - t2 - offset_ps) / 2000  (mm along the layer's axis)
    axis        = (cos angle, sin angle)

Positions leave the matching relative to the detector's centre: the solution of the two layers minus `centre_mm`.
The formulas are those of the RoentDek manual for delay-line anodes (time sum and difference of a layer's ends).
"""

import hashlib
import json
import math
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from evapd.config.load import load_checked
from evapd.config.section import Section
from evapd.errors import ConfigError
from evapd.units import Degree, Millimetre, MillimetrePerNanosecond, Picosecond

# Layers closer in angle than this leave one direction unmeasured.
MIN_LAYER_ANGLE_DEG = 20.0
DEFAULT_ANGLE_DEG = {"x": 0.0, "y": 90.0, "u": 0.0, "v": 60.0, "w": 120.0}
LAYERS = {"quad": ("x", "y"), "hex": ("u", "v", "w")}


class Walk(Section):
    """Change of a layer's time sum with the coordinate along it: added to `time_sum_ps`.

    Linear between the points, constant beyond the first and the last.
    """

    coordinate_mm: tuple[Millimetre, ...]
    time_sum_ps: tuple[Picosecond, ...]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if len(self.coordinate_mm) != len(self.time_sum_ps) or len(self.coordinate_mm) < 2:
            raise ValueError(
                "walk: coordinate_mm and time_sum_ps need the same number of points, at least two"
            )
        if any(b <= a for a, b in zip(self.coordinate_mm, self.coordinate_mm[1:], strict=False)):
            raise ValueError("walk: coordinate_mm must ascend")
        return self


class Layer(Section):
    """One delay line: two ends, one coordinate."""

    time_sum_ps: Annotated[Picosecond, Field(gt=0, le=10_000_000)]
    mm_per_ns: Annotated[MillimetrePerNanosecond, Field(gt=0, le=100)]
    offset_ps: Annotated[Picosecond, Field(ge=-10_000_000, le=10_000_000)] = 0.0
    angle_deg: Annotated[Degree, Field(ge=-360, le=360)] | None = (
        None  # of the axis; default by the layer's name
    )
    walk: Walk | None = None


class Anode(Section):
    """A calibrated anode, frozen; make it with `Anode.load(path)` or from its fields."""

    kind: Literal["quad", "hex"]
    radius_mm: Annotated[Millimetre, Field(gt=0, le=1000)]
    centre_mm: tuple[Millimetre, Millimetre] = (0.0, 0.0)
    dead_time_ps: Annotated[Picosecond, Field(ge=0, le=1_000_000)]
    jitter_ps: Annotated[Picosecond, Field(gt=0, le=100_000)]  # sigma of one signal
    layers: dict[str, Layer]

    @model_validator(mode="after")
    def _can_be_matched(self) -> Self:
        names = LAYERS[self.kind]
        if set(self.layers) != set(names):
            raise ValueError(
                f"layers: a {self.kind} anode has the layers {', '.join(names)}, "
                f"here are {', '.join(self.layers) or 'none'}"
            )
        for one, other in combinations(names, 2):
            apart_deg = (self.angle_deg(other) - self.angle_deg(one)) % 180.0
            apart_deg = min(apart_deg, 180.0 - apart_deg)
            if apart_deg < MIN_LAYER_ANGLE_DEG:
                raise ValueError(
                    f"layers: {one} and {other} are {apart_deg:g} degrees apart, "
                    f"at least {MIN_LAYER_ANGLE_DEG:g} are needed"
                )
        return self

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers in the order of their channels."""
        return LAYERS[self.kind]

    @property
    def channels(self) -> int:
        """Number of TDC channels: MCP and two ends of every layer."""
        return 1 + 2 * len(self.layer_names)

    def angle_deg(self, name: str) -> float:
        """Angle of a layer's axis from the detector's x axis, in degrees."""
        angle = self.layers[name].angle_deg
        return DEFAULT_ANGLE_DEG[name] if angle is None else angle

    def axis(self, name: str) -> tuple[float, float]:
        """Unit vector along which a layer measures; exact for multiples of 90 degrees."""
        quarter, rest = divmod(self.angle_deg(name), 90.0)
        cos, sin = math.cos(math.radians(rest)), math.sin(math.radians(rest))
        for _ in range(int(quarter) % 4):
            cos, sin = -sin, cos
        return cos + 0.0, sin + 0.0  # no -0.0

    @property
    def calibration_id(self) -> str:
        """Short name of this calibration, such as `quad-1a2b3c4d`: equal content, equal name."""
        content = self.model_dump(mode="json")
        for name, layer in content["layers"].items():
            layer["angle_deg"] = self.angle_deg(name)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return f"{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read an anode file (YAML).

        Args:
            path: the file; keys `kind`, `radius_mm`, `centre_mm`, `dead_time_ps`, `jitter_ps`, `layers`.

        Raises:
            ConfigError: naming every problem with its line and column.
        """
        anode, problems = load_checked(Path(path), cls)
        if anode is None:
            raise ConfigError("\n".join(str(problem) for problem in problems))
        return anode
