"""The base of every part of a rig file."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the rig file: frozen, unknown keys are errors, NaN and infinity are not numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
