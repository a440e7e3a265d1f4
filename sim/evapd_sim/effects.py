"""What a real anode does to its signals beyond the ideal delay line: settings, each off at 0."""

from typing import Annotated, Literal

from pydantic import Field

from evapd.config.model import Section
from evapd.units import Millimetre, Picosecond

Share = Annotated[float, Field(ge=0, le=1)]


class SignalEffects(Section):
    """Imperfections of the signals; with the defaults there are none."""

    walk_ps: Annotated[Picosecond, Field(ge=0, le=20_000)] = 0.0  # largest change of a layer's time sum
    walk_shape: Literal["bowl", "wave"] = "bowl"  # along the layer; each layer has its own variant
    nonlinearity_um: Annotated[float, Field(ge=-5000, le=5000)] = 0.0  # bend of a coordinate at the rim
    gap_mm: Annotated[Millimetre, Field(ge=0, le=50)] = 0.0  # width of the gap in the middle of every layer
    gap_delay_ps: Annotated[Picosecond, Field(ge=0, le=20_000)] = 0.0  # of a signal that crosses the gap
    gap_loss: Share = 0.0  # probability that a layer sees nothing of an ion that strikes its gap
    reflections: Share = 0.0  # probability per signal that a copy follows it
    reflection_delay_ps: Annotated[Picosecond, Field(ge=0, le=1_000_000)] = 30_000.0
    reflection_spread_ps: Annotated[Picosecond, Field(ge=0, le=100_000)] = 500.0  # sigma of the delay
    reflection_opposite: Share = 0.0  # of the copies, how many come out of the line's other end
    reflection_height: Share = 0.3  # of the signal's own height; counts where there is a threshold
    threshold: Annotated[float, Field(ge=0, le=10)] = 0.0  # of a discriminator, in mean heights of a signal
    height_shape: Annotated[float, Field(ge=0.2, le=100)] = 2.0  # of the gamma distribution; 1: exponential
    height_spread: Annotated[float, Field(ge=0, le=1)] = (
        0.2  # sigma of the log of a signal's share of an ion's height
    )
    slew_ps: Annotated[Picosecond, Field(ge=0, le=10_000)] = (
        0.0  # how late a signal at the threshold is found
    )


NO_EFFECTS = SignalEffects()
