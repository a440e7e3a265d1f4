"""What the kit knows of each Protocol: how it is set, what a reading then shows, and what energises it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evapd.device import protocols as p
from evapd.device import readings as r
from evapd.device.conformance.instrument import InstrumentUnderTest, offers

Shows = Callable[..., Any]  # of a reading and the setting's `lead`


@dataclass(frozen=True, slots=True)
class Role:
    """One Protocol.

    Attributes:
        reading: class of its readings.
        shows: by setting, what a reading says of it; None where no reading tells.
        switches: by method with one flag, what a reading says of it.
        ask: what makes the driver ask its instrument something.
        quiet: whether a reading says that nothing is energised; None where the class feeds no energy.
        energise: the usual way to energise it.
    """

    reading: type[r.Reading]
    shows: Mapping[str, Shows | None] = field(default_factory=dict)
    switches: Mapping[str, Shows] = field(default_factory=dict)
    ask: Callable[[Any], object] = lambda driver: driver.read()
    quiet: Callable[[Any], bool] | None = None
    energise: Callable[[Any, type[InstrumentUnderTest]], None] | None = None


def last_good(instrument: type[InstrumentUnderTest], method: str) -> tuple[Any, ...]:
    """Give the arguments of the last good value of a setting."""
    for setpoint in instrument.setpoints:
        if setpoint.method == method and setpoint.good:
            return (*setpoint.lead, setpoint.good[-1])
    raise LookupError(f"{instrument.__name__} has no good value for {method}")


def _supply(driver: Any, instrument: type[InstrumentUnderTest]) -> None:
    driver.set_voltage(*last_good(instrument, "set_voltage"))
    driver.output(True)


def _light(driver: Any, instrument: type[InstrumentUnderTest]) -> None:
    driver.set_energy(*last_good(instrument, "set_energy"))
    driver.emission(True)
    driver.shutter(True)


def _outputs(driver: Any, instrument: type[InstrumentUnderTest]) -> None:
    for setpoint in instrument.setpoints:
        if setpoint.good:
            driver.write(*setpoint.lead, setpoint.good[-1])


ROLES: dict[type, Role] = {
    p.HighVoltageSupply: Role(
        r.HighVoltageReading,
        {"set_voltage": lambda reading: reading.v_set_v, "set_slew": None, "set_current_limit": None},
        {"output": lambda reading: reading.output_on},
        # The output falls by its own time: what counts is that nothing is asked for any more. Not to know is not to be off.
        quiet=lambda reading: reading.output_on is False or reading.v_set_v == 0.0,
        energise=_supply,
    ),
    p.Pulser: Role(
        r.PulserReading,
        {"set_rate": lambda reading: reading.rate_hz},
        {"enable": lambda reading: reading.enabled},
        quiet=lambda reading: reading.enabled is False,
        energise=lambda driver, _: driver.enable(True),
    ),
    p.PulseAmplitude: Role(
        r.PulseAmplitudeReading,
        {"set_amplitude": lambda reading: reading.v_p_v},
        quiet=lambda reading: (
            reading.output_on is False or (reading.output_on is None and not reading.in_range)
        ),
        energise=lambda driver, instrument: driver.set_amplitude(*last_good(instrument, "set_amplitude")),
    ),
    p.Laser: Role(
        r.LaserReading,
        {
            "set_energy": lambda reading: reading.energy_set_pj,
            "set_rate": lambda reading: reading.rate_hz,
        },
        {
            "emission": lambda reading: reading.emission,
            "shutter": lambda reading: reading.shutter_open,
        },
        quiet=lambda reading: reading.emission is False or reading.shutter_open is False,
        energise=_light,
    ),
    p.TdcSource: Role(r.TdcReading, ask=lambda driver: driver.arm()),
    p.HitSource: Role(r.Reading, ask=lambda driver: driver.arm()),
    p.Stage: Role(
        r.StageReading,
        {"move": lambda reading, axis: reading.axes[axis].position_mm},
        quiet=lambda reading: not any(axis.moving for axis in reading.axes.values()),
        energise=lambda driver, instrument: driver.move(*last_good(instrument, "move")),
    ),
    p.Gauge: Role(r.GaugeReading),
    p.Thermometer: Role(r.ThermometerReading, {"set_setpoint": lambda reading: reading.setpoint_k}),
    p.DigitalIo: Role(
        r.DigitalReading,
        {"write": lambda reading, name: reading.levels[name]},
        quiet=lambda _: True,  # which level is safe only the settings say: the truth is asked instead
        energise=_outputs,
    ),
}

SOURCES = (p.TdcSource, p.HitSource)
SETTABLE = tuple(protocol for protocol, role in ROLES.items() if role.shows)


def role_of(instrument: type[InstrumentUnderTest]) -> Role:
    """Give what is known of the Protocol that a driver says to fulfil."""
    protocol = getattr(instrument.driver, "protocol", None)
    if protocol not in ROLES:
        names = ", ".join(known.__name__ for known in ROLES)
        raise LookupError(f"{instrument.driver.__name__}.protocol is {protocol}, it must be one of {names}")
    return ROLES[protocol]


def energise(driver: Any, instrument: InstrumentUnderTest) -> None:
    """Energise an instrument through its driver: in the description's way where it has one."""
    kind = type(instrument)
    usual = role_of(kind).energise
    if offers(kind, "energise"):
        instrument.energise(driver)
    elif usual is not None:
        usual(driver, kind)
