"""What supplies share that are set in counts of 12 bits and tell no serial number."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from evapd.device import DriverConfig
from evapd.units import Ampere, Volt

FULL = 4095  # counts of full scale


def counts(value: float, most: float, full: float) -> int:
    """Give the nearest of 4095 steps to `value` that does not exceed `most`; `full` is what 4095 means."""
    return min(round(value / full * FULL), int(most / full * FULL + 1e-9))


class CountedConfig(DriverConfig):
    """Settings of such a supply; `v_max_v` and `i_max_a` are magnitudes."""

    v_max_v: Annotated[Volt, Field(gt=0, le=500e3)]
    i_max_a: Annotated[
        Ampere, Field(gt=0, le=10)
    ]  # the current limit is above 0 and no more than this when it is switched on
    polarity: Literal["positive", "negative"] = "positive"

    @property
    def sign(self) -> float:
        """Sign of the output."""
        return 1.0 if self.polarity == "positive" else -1.0

    @field_validator("serial_number")
    @classmethod
    def _not_told(cls, value: str | None) -> str | None:
        if value is not None:
            raise ValueError("this supply tells no serial number: remove the key")
        return value


class RatedConfig(CountedConfig):
    """Settings of such a supply that does not even tell its rating; `rated_v` and `rated_a` stand on the type plate."""

    rated_v: Annotated[Volt, Field(gt=0, le=500e3)]
    rated_a: Annotated[Ampere, Field(gt=0, le=10)]

    @model_validator(mode="after")
    def _within_its_rating(self) -> Self:
        if self.v_max_v > self.rated_v or self.i_max_a > self.rated_a:
            raise ValueError("v_max_v and i_max_a must not exceed rated_v and rated_a")
        return self
