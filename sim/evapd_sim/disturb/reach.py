"""What events need of the physics."""

from typing import Protocol

from evapd_sim.disturb.influence import Influence


class Tip(Protocol):
    """What of the specimen may be set between steps."""

    radius_nm: float
    field_factor: float


class Cold(Protocol):
    """What of the cryostat may be set between steps."""

    heat_k_per_s: float
    warm: tuple[float, float] | None


class Physics(Protocol):
    """The simulated atom probe as an event sees it.

    `detected_ions` and `evaporated_ions` count since the start.
    """

    influence: Influence
    detected_ions: int
    evaporated_ions: int

    @property
    def specimen(self) -> Tip:
        """Give the tip."""
        ...

    @property
    def cryostat(self) -> Cold:
        """Give the cryostat."""
        ...
