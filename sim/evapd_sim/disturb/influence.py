"""What disturbs the physics during one step. The default disturbs nothing and leaves the stream bit-identical."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Ions that leave one spot of the tip together.

    `a`, `b` are Lambert coordinates on the cap as shares of the imaged disc's radius, `spread_nm` the sigma per axis.
    """

    ions: int
    a: float
    b: float
    spread_nm: float


@dataclass(slots=True)
class Influence:
    """Factors and additions that hold during one step; made anew for every step while anything is disturbed.

    Attributes:
        log_rate: added to the natural logarithm of every evaporation rate.
        standing_factor: on evaporation between pulses only.
        flash_ions_per_s: mean number of ions that leave without regard to pulses, whatever the field.
        v_p_factor: on the pulse at the specimen.
        triggers: whether triggers reach pulser and TDC at all.
        laser_energy_factor: on the energy that leaves the laser; its own monitor sees it.
        heating_factor: on the rise of temperature by a laser pulse, from behind the laser on; no monitor sees it.
        dark_factor: on the dark rate of the detector.
        clusters: what leaves together in this step.
    """

    log_rate: float = 0.0
    standing_factor: float = 1.0
    flash_ions_per_s: float = 0.0
    v_p_factor: float = 1.0
    triggers: bool = True
    laser_energy_factor: float = 1.0
    heating_factor: float = 1.0
    dark_factor: float = 1.0
    clusters: list[Cluster] = field(default_factory=list)
