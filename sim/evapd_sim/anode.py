"""The rig's anode file as the twin reads it: the same YAML that the daemon's matching reads, and nothing of its code."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from evapd.config.load import load_checked
from evapd.config.section import Section
from evapd.errors import ConfigError
from evapd.units import Degree, Millimetre, MillimetrePerNanosecond, Picosecond

_LAYERS = {"quad": {"x": 0.0, "y": 90.0}, "hex": {"u": 0.0, "v": 60.0, "w": 120.0}}


class AnodeWalk(Section):
    """What is added to a layer's time sum by the place along its axis: linear between the points, constant beyond."""

    coordinate_mm: Annotated[tuple[Millimetre, ...], Field(min_length=2)]
    time_sum_ps: Annotated[tuple[Picosecond, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _is_a_curve(self) -> Self:
        if len(self.coordinate_mm) != len(self.time_sum_ps) or any(
            b <= a for a, b in pairwise(self.coordinate_mm)
        ):
            raise ValueError("coordinate_mm must ascend, and time_sum_ps give one value for each")
        return self


class AnodeLayer(Section):
    """One delay line. Time sum = t1 + t2 - 2 t_mcp; place along its axis = mm_per_ns (t1 - t2 - offset) / 2."""

    time_sum_ps: Annotated[Picosecond, Field(gt=0)]
    mm_per_ns: Annotated[MillimetrePerNanosecond, Field(gt=0)]
    offset_ps: Picosecond = 0.0
    angle_deg: Degree | None = None
    walk: AnodeWalk | None = None


class AnodeFile(Section):
    """A delay-line anode."""

    kind: Literal["quad", "hex"]
    radius_mm: Annotated[Millimetre, Field(gt=0)]
    centre_mm: tuple[Millimetre, Millimetre] = (0.0, 0.0)
    dead_time_ps: Annotated[Picosecond, Field(ge=0)] = 0.0
    jitter_ps: Annotated[Picosecond, Field(ge=0)] = 0.0
    layers: dict[str, AnodeLayer]

    def lines(self) -> list[tuple[AnodeLayer, float]]:
        """Layers in the order of their channels, each with the angle of its axis in degrees."""
        lines = []
        for name, angle_deg in _LAYERS[self.kind].items():
            layer = self.layers[name]
            lines.append((layer, angle_deg if layer.angle_deg is None else layer.angle_deg))
        return lines


def load_anode(path: Path) -> AnodeFile:
    """Read an anode file.

    Raises:
        ConfigError: naming every problem with its place, when it is not an anode that the twin can simulate.
    """
    anode, problems = load_checked(path, AnodeFile)
    if anode is None:
        raise ConfigError("\n".join(str(problem) for problem in problems))
    wanted = _LAYERS[anode.kind].keys()
    if anode.layers.keys() != wanted:
        raise ConfigError(f"{path}: layers: a {anode.kind} anode has exactly {', '.join(wanted)}")
    return anode
