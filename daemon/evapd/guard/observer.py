"""What the core knows of its inputs over time: rates, readback, the supply's model, one observation per tick."""

from collections import deque
from dataclasses import dataclass, field

from evapd.control.types import RateObservation
from evapd.device.readings import LaserReading, PulseAmplitudeReading, PulserReading
from evapd.guard.laser import Light
from evapd.guard.rates import RateMeter, Window
from evapd.guard.types import GuardSettings, Inputs, supply_of
from evapd.link import LinkRecord, short_digest

_READINGS = 64
_RATE_TOLERANCE = 0.01


@dataclass(slots=True)
class Observer:
    """Takes the inputs of each tick; gives averages and observations."""

    settings: GuardSettings
    rates: RateMeter = field(init=False)
    tick: Window | None = None  # counts since the tick before
    observation: RateObservation | None = None
    foreign: int = 0  # records of an acquire with another configuration; they are not believed
    _readings: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_READINGS))
    _config: bytes = b""

    def __post_init__(self) -> None:
        self.rates = RateMeter(self.settings.background_ratio)
        self._config = short_digest(self.settings.digest)

    @property
    def pulse(self) -> int:
        """Pulses matched so far, -1 when no record has come."""
        return -1 if self.rates.newest is None else self.rates.newest.pulse_counter

    def take(self, inputs: Inputs) -> None:
        """Take what is new: records, and the newest reading of the specimen supply."""
        self.rates.take(self._own(inputs.link.records))
        supply = supply_of(inputs)
        if supply is not None and (not self._readings or supply.t_mono_s > self._readings[-1][0]):
            self._readings.append((supply.t_mono_s, abs(supply.v_meas_v)))

    def observe(self, inputs: Inputs, pulse_rate_hz: float, light: Light) -> None:
        """Close the tick's window and make the observation of it; None when no pulse was counted."""
        self.tick = self.rates.since_tick()
        self.observation = None
        if self.tick is None or self.tick.pulses <= 0:
            return
        pulser = inputs.reading("pulser", PulserReading)
        amplitude = inputs.reading("pulse", PulseAmplitudeReading)
        laser = inputs.reading("laser", LaserReading)
        self.observation = RateObservation(
            t_s=self.tick.t_s,
            pulses=self.tick.pulses,
            hits=self.tick.hits,
            v_dc_v=self._mean_v(self.tick.t_s - self.tick.dt_s, self.tick.t_s),
            valid=not self.tick.jump and bool(self._readings) and light.energy_fits(inputs),
            pulser_ok=pulser is not None
            and bool(pulser.enabled)
            and light.shines(inputs)
            and abs(pulser.rate_hz / pulse_rate_hz - 1) <= _RATE_TOLERANCE,
            saturated=self.tick.lossy,
            background=self.tick.background,
            v_p_v=None if amplitude is None else amplitude.v_p_v,
            pulse_energy_pj=None if laser is None else laser.energy_pj,
        )

    def rebase(self) -> None:
        """Pulses were stopped or let through again: counts of before mean nothing for what follows."""
        self.rates.rebase()
        self.tick = self.observation = None

    def _own(self, records: tuple[LinkRecord, ...]) -> list[LinkRecord]:
        own = [record for record in records if record.config == self._config]
        self.foreign += len(records) - len(own)
        return own

    def _mean_v(self, begin_s: float, end_s: float) -> float:
        inside = [v_v for t_s, v_v in self._readings if begin_s < t_s <= end_s]
        if inside:
            return sum(inside) / len(inside)
        earlier = [v_v for t_s, v_v in self._readings if t_s <= end_s]
        return (earlier or [self._readings[0][1]])[-1] if self._readings else 0.0
