"""What the core knows of its inputs over time: rates, readback, the supply's model, one observation per tick."""

from collections import deque
from dataclasses import dataclass, field

from evapd.control.types import RateObservation
from evapd.device.readings import HighVoltageReading, LaserReading, PulseAmplitudeReading, PulserReading
from evapd.guard.laser import Light
from evapd.guard.rates import RateMeter, Window
from evapd.guard.supply_model import SupplyModel
from evapd.guard.types import GuardSettings, Inputs, supply_of
from evapd.link import LinkRecord, short_digest

_READINGS = 64
_RATE_TOLERANCE = 0.01
_STEPS = 2.0  # coarse ones, by which a reading jumps: half of one when set and when read, and the converter's noise


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

    def take(self, inputs: Inputs, model: SupplyModel | None = None) -> None:
        """Take what is new: records, and the newest reading of the specimen supply, beside where it should be."""
        self.rates.take(self._own(inputs.link.records))
        supply = supply_of(inputs)
        if supply is not None and (not self._readings or supply.t_mono_s > self._readings[-1][0]):
            self._readings.append((supply.t_mono_s, _seen_v(supply, model)))

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


def _seen_v(supply: HighVoltageReading, model: SupplyModel | None) -> float:
    """What a law is told of the voltage: a reading that jumps from one coarse step to the next says no more than the model does."""
    v_v = abs(supply.v_meas_v)
    if model is None or supply.v_step_v <= 0.0:
        return v_v
    low_v, high_v = model.band(supply.t_mono_s)
    nearest_v = min(max(v_v, low_v), high_v)
    return nearest_v if abs(v_v - nearest_v) <= _STEPS * supply.v_step_v else v_v
