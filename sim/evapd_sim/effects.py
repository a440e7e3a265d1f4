"""What a real anode does to its signals beyond the ideal delay line: settings, each off at 0."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from evapd.config.section import Section
from evapd.units import Millimetre, Picosecond

Share = Annotated[float, Field(ge=0, le=1)]


class SignalEffects(Section):
    """Imperfections of the signals; with the defaults there are none."""

    walk_ps: Annotated[Picosecond, Field(ge=0, le=20_000)] = 0.0  # largest change of a layer's time sum
    walk_shape: Literal["bowl", "wave"] = "bowl"  # along the layer; each layer has its own variant
    nonlinearity_um: Annotated[float, Field(ge=-5000, le=5000)] = 0.0  # bend of a coordinate at the rim
    gap_mm: Annotated[Millimetre, Field(ge=0, le=50)] = 0.0  # width of the gap in the middle of every layer
    gap_delay_ps: Annotated[Picosecond, Field(ge=0, le=20_000)] = 0.0  # of what crosses it, part of the sum
    gap_loss: Share = 0.0  # probability that a layer sees nothing of an ion that strikes its gap
    reflections: Share = 0.0  # probability per signal that a copy follows it
    reflection_delay_ps: Annotated[Picosecond, Field(ge=0, le=1_000_000)] = 30_000.0
    reflection_spread_ps: Annotated[Picosecond, Field(ge=0, le=100_000)] = 500.0  # sigma of the delay
    reflection_opposite: Share = 0.0  # of the copies, how many come out of the line's other end
    reflection_height: Share = 0.3  # of the signal's own; counts where there is a threshold
    threshold: Annotated[float, Field(ge=0, le=10)] = 0.0  # of the discriminators, in mean signal heights
    height_shape: Annotated[float, Field(ge=0.2, le=100)] = 2.0  # of the gamma distribution; 1: exponential
    height_spread: Annotated[float, Field(ge=0, le=1)] = 0.2  # of the shares of one ion's height, relative
    slew_ps: Annotated[Picosecond, Field(ge=0, le=10_000)] = 0.0  # lateness of a signal at the threshold

    @model_validator(mode="after")
    def _nothing_is_set_in_vain(self) -> Self:
        if self.gap_mm == 0.0 and (self.gap_delay_ps or self.gap_loss):
            raise ValueError("gap_delay_ps and gap_loss need the width of the gap: set gap_mm")
        if self.threshold == 0.0 and self.slew_ps:
            raise ValueError("slew_ps is how late a signal at the threshold is found: set threshold")
        return self


NO_EFFECTS = SignalEffects()
