"""The contracts a driver fulfils. Calls block, on the device's own thread, each within the device's deadline.

- A constructor touches no hardware.
- `open()` checks the identity, flushes what is stale and never energises; it may be called again after `close()`.
- `make_safe()` is the quickest way down the instrument offers; it does not wait for the result, `read()` verifies it.
- Every call raises a `DeviceError` of `evapd.errors` or returns; after `DeviceTimeout` the caller closes and reopens.
- A set point outside the configured or rated range raises `LimitError` before a byte is sent.
"""

from typing import Annotated, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from evapd.blocks import HitBlock, TdcBlock
from evapd.device.readings import (
    DigitalReading,
    GaugeReading,
    HighVoltageReading,
    Identity,
    LaserReading,
    PulseAmplitudeReading,
    PulserReading,
    Reading,
    StageReading,
    TdcDescription,
    TdcReading,
    ThermometerReading,
)
from evapd.units import Second


class DriverConfig(BaseModel):
    """Base of a driver's own checked settings; unknown keys are errors, values are frozen.

    Every driver has `connect`, the transport descriptor, and may narrow it by a validator.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    connect: str
    timeout_s: Annotated[Second, Field(gt=0, le=30)] = 0.5
    serial_number: str | None = None  # checked at every open and reconnect where given


@runtime_checkable
class Device(Protocol):
    """What every driver offers. The class also carries `Config`, a subclass of `DriverConfig`."""

    def open(self) -> Identity:
        """Open the link, check who answers, energise nothing."""
        ...

    def close(self) -> None:
        """Close the link; idempotent, never raises because of the instrument."""
        ...

    def read(self) -> Reading:
        """Ask the instrument for its present state."""
        ...

    def make_safe(self) -> None:
        """Send the instrument the quickest way down, from whatever state."""
        ...


@runtime_checkable
class HighVoltageSupply(Device, Protocol):
    """A supply of high voltage: specimen, pulse, mcp, anode, electrode or reflectron.

    One with coarse steps tells them in every reading (`v_step_v`), so that a set point that was rounded is not taken for one that
    was not obeyed. A set point that cannot be asked is the one acknowledged last, and None before: a run switches on only what
    shows its set point. One that goes down by itself when nobody speaks to it has the attribute `own_timeout_s`.
    """

    def read(self) -> HighVoltageReading:
        """Read voltages in V, current in A and the state flags."""
        ...

    def set_voltage(self, v_v: float) -> None:
        """Set the output voltage in V."""
        ...

    def set_slew(self, v_per_s: float) -> None:
        """Set the supply's own ramp rate in V/s; for scripts: the guard moves by set points and never calls it."""
        ...

    def set_current_limit(self, a: float) -> None:
        """Set the current limit in A; for scripts: the guard never calls it."""
        ...

    def output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Switch the output; on: with a current limit above 0 and within the settings' `i_max_a`, else `i_max_a` is programmed first."""
        ...


@runtime_checkable
class Pulser(Device, Protocol):
    """The source of pulses; `enable(False)` is the inhibit and the quickest command."""

    def read(self) -> PulserReading:
        """Read rate in Hz, enabled, and missed triggers."""
        ...

    def set_rate(self, hz: float) -> None:
        """Set the pulse rate in Hz."""
        ...

    def enable(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Let pulses through or inhibit them."""
        ...


@runtime_checkable
class PulseAmplitude(Device, Protocol):
    """The height of the voltage pulse: a laboratory supply times a gain, or a pulser's own."""

    v_p_min_v: float  # floor of the amplitude at the specimen, V
    v_p_max_v: float  # ceiling, V

    def read(self) -> PulseAmplitudeReading:
        """Read the amplitude at the specimen in V."""
        ...

    def set_amplitude(self, v_p_v: float) -> None:
        """Set the amplitude at the specimen in V."""
        ...


@runtime_checkable
class Laser(Device, Protocol):
    """A pulsed laser."""

    def read(self) -> LaserReading:
        """Read energy in pJ, rate in Hz, emission and shutter."""
        ...

    def set_energy(self, pj: float) -> None:
        """Set the pulse energy in pJ."""
        ...

    def set_rate(self, hz: float) -> None:
        """Set the pulse rate in Hz."""
        ...

    def emission(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Switch emission."""
        ...

    def shutter(self, open: bool) -> None:  # noqa: A002, FBT001 - the contract's signature
        """Move the shutter."""
        ...


@runtime_checkable
class TdcSource(Device, Protocol):
    """A source of TDC words with a hardware pulse counter; a heartbeat at least every 5 ms even without words."""

    def read(self) -> TdcReading:
        """Give the newest counters and the time of the last heartbeat; sends nothing."""
        ...

    def describe(self) -> TdcDescription:
        """Give the bin width and the channels."""
        ...

    def arm(self) -> None:
        """Reset the pulse counter to 0 and start delivering."""
        ...

    def read_block(self, timeout_s: float) -> TdcBlock | None:
        """Give the next words, or an empty block as a heartbeat, or None when nothing came in time."""
        ...

    def disarm(self) -> None:
        """Stop delivering; what was under way may still be read."""
        ...


@runtime_checkable
class HitSource(Device, Protocol):
    """A detector that matches in hardware and delivers hits."""

    def describe(self) -> TdcDescription:
        """Give the bin width and the channels."""
        ...

    def arm(self) -> None:
        """Reset the pulse counter to 0 and start delivering."""
        ...

    def read_block(self, timeout_s: float) -> HitBlock | None:
        """Give the next hits, or an empty block as a heartbeat, or None when nothing came in time."""
        ...

    def disarm(self) -> None:
        """Stop delivering."""
        ...


@runtime_checkable
class Stage(Device, Protocol):
    """A stage with encoders."""

    def read(self) -> StageReading:
        """Read all axes."""
        ...

    def move(self, axis: str, mm: float) -> None:
        """Start an absolute move in mm."""
        ...

    def stop(self) -> None:
        """Stop all axes."""
        ...

    def reference(self, axis: str) -> None:
        """Start the search for the reference mark."""
        ...


@runtime_checkable
class Gauge(Device, Protocol):
    """A vacuum gauge controller."""

    def read(self) -> GaugeReading:
        """Read pressures in Pa."""
        ...


@runtime_checkable
class Thermometer(Device, Protocol):
    """A temperature controller."""

    def read(self) -> ThermometerReading:
        """Read temperatures in K."""
        ...

    def set_setpoint(self, k: float) -> None:
        """Set the control loop's set point in K."""
        ...


@runtime_checkable
class DigitalIo(Device, Protocol):
    """Interlock inputs and outputs by name."""

    def read(self) -> DigitalReading:
        """Read the levels."""
        ...

    def write(self, name: str, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Drive a named output."""
        ...
