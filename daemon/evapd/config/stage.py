"""The section `stage` of a rig: where a person may send the stage, and where never."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from evapd.config.section import Section
from evapd.units import Millimetre, Second

Span = tuple[Millimetre, Millimetre]


class KeepOut(Section):
    """A box in the stage's own coordinates that it never enters: the electrode, and what stands around it.

    An axis that is not named counts whatever it stands at: a box of one axis is a wall.
    """

    name: str = "keep-out"
    axes: Annotated[dict[str, Span], Field(min_length=1)]

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        _check_spans(self.axes)
        return self


class StageSection(Section):
    """Limits of moves by name of the axis; the drivers' own limits hold beside them."""

    limits: dict[str, Span] = Field(default_factory=dict)
    keep_out: tuple[KeepOut, ...] = ()
    margin_mm: Annotated[Millimetre, Field(ge=0)] = 0.05  # around each box: following error, slack, drift
    align_step_mm: Annotated[Millimetre, Field(gt=0)] = 0.1  # largest move while the specimen carries voltage
    settle_s: Annotated[Second, Field(ge=0)] = 0.5  # at rest and in position this long counts as arrived

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        _check_spans(self.limits)
        return self


def _check_spans(spans: dict[str, Span]) -> None:
    for axis, (low_mm, high_mm) in spans.items():
        if not low_mm < high_mm:
            raise ValueError(
                f"{axis} ends at {high_mm:g} mm, allowed is an end above its start {low_mm:g} mm"
            )
