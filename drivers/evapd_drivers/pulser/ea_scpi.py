"""Elektro-Automatik (EA) laboratory supply, SCPI over USB serial or TCP, as the pulse amplitude of a switch with gain.

Written from open-source drivers for EA supplies (PyCCAPT for the pulse supply and its gain 21.875, hvl_ccb PSI 9000, drivers for PS 2000 B, PSB and PS 9000
that cite the maker's programming guide "ModBus & SCPI"); the guide itself was not seen. USB serial 115200 baud, TCP port 5025, lines ended by LF.

Confidence: `*IDN?`, SYST:LOCK, VOLT, OUTP, MEAS:VOLT? agree in three sources or more; the lock owner's words REMOTE, NONE, LOCAL in two.
In doubt: whether a reply carries its unit (`48.00V`, `500.0 V` and `48.00` are all read); sets answer nothing, so each is read back; one source waits 50 ms
between messages (`pause_s`). The amplitude is supply volts times gain: a measured supply, but no measurement of the pulse.
Nothing here was tried on hardware.
"""

import time
from collections.abc import Callable
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.device.protocols import DriverConfig, PulseAmplitude
from evapd.device.readings import Identity, PulseAmplitudeReading
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused
from evapd.units import Second, Volt

MAX_V = 1e4  # beyond this a number is no reading of such a supply
EDGE = 1e-3  # within this part of the floor or ceiling the amplitude is called clamped


def encode_volts(supply_v: float) -> bytes:
    """`VOLT 74.971`: the supply's set point in V, in steps of 1 mV."""
    return f"VOLT {supply_v:.3f}\n".encode()


def decode_volts(line: bytes) -> float:
    """`74.97`, `74.97V` or `74.97 V`; a small negative reading is noise of the converter."""
    return number(line.strip().removesuffix(b"V"), -10.0, MAX_V)


def decode_on(line: bytes) -> bool:
    """`ON` or `OFF`, `1` or `0`."""
    states = {b"ON": True, b"1": True, b"OFF": False, b"0": False}
    state = states.get(line.strip().upper())
    if state is None:
        raise DeviceProtocolError(f"{line!r} where ON or OFF is due")
    return state


def decode_remote(line: bytes) -> bool:
    """Whether remote control is ours: REMOTE, or NONE, or LOCAL (remote control barred at the front panel)."""
    owner = line.strip().upper()
    if owner not in {b"REMOTE", b"NONE", b"LOCAL"}:
        raise DeviceProtocolError(f"{line!r} where REMOTE, NONE or LOCAL is due")
    return owner == b"REMOTE"


def decode_identity(line: bytes) -> Identity:
    """`EA Elektro-Automatik GmbH & Co. KG, PS 9200-25, 1234567890, V2.30`; fields may be quoted or followed by a user text."""
    text = line.decode("ascii", "replace").strip()
    fields = [part.strip(' "') for part in text.split(",")]
    if len(fields) < 3 or not fields[0].upper().startswith("EA"):
        raise DeviceIdentityError(f"'{text}' answers, not an EA supply: check `connect`")
    vendor, model, serial, *firmware = fields
    return Identity(vendor=vendor, model=model, serial=serial, firmware=" ".join(firmware), raw=text)


class EaScpi:
    """An EA supply that feeds the pulse switch; amplitudes in V at the specimen."""

    protocol: ClassVar[type] = PulseAmplitude

    class Config(DriverConfig):
        """Settings: the part of the supply's range in use, in supply volts, and the gain to the specimen."""

        gain: Annotated[float, Field(gt=0, le=1000)]
        supply_min_v: Annotated[Volt, Field(ge=0)]
        supply_max_v: Annotated[Volt, Field(gt=0, le=2000)]
        set_tolerance_v: Annotated[Volt, Field(gt=0)] = 0.1  # of the set point's readback, in supply volts
        pause_s: Annotated[Second, Field(ge=0, le=0.2)] = 0.0  # after each message, for slow models

        @model_validator(mode="after")
        def _ordered(self) -> Self:
            if self.supply_min_v >= self.supply_max_v:
                raise ValueError("supply_min_v must be less than supply_max_v")
            return self

    def __init__(
        self,
        config: Config,
        *,
        transport_factory: TransportFactory = open_transport,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._clock = clock
        self._sleep = sleep
        self._link = Link(config, transport_factory, clock)
        self.v_p_min_v = config.supply_min_v * config.gain
        self.v_p_max_v = config.supply_max_v * config.gain

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        return decode_identity(link.ask(b"*IDN?\n"))

    def open(self) -> Identity:
        """Open, check maker and serial number, read the state; neither locks nor switches."""
        with self._link.opening():
            identity = self.identify(self._link)
            self._sleep(self._config.pause_s)
            same_serial(self._config.serial_number, identity.serial)
            self.read()
        return identity

    def close(self) -> None:
        """Close the link; the output stays as it is, and locked to remote control."""
        self._link.close()

    def read(self) -> PulseAmplitudeReading:
        """Read the amplitude in V from the supply's measured voltage; `in_range` is False with the output off, too."""
        on = decode_on(self._ask(b"OUTP?\n"))
        v_p_v = decode_volts(self._ask(b"MEAS:VOLT?\n")) * self._config.gain
        in_range = on and self.v_p_min_v * (1 + EDGE) < v_p_v < self.v_p_max_v * (1 - EDGE)
        return PulseAmplitudeReading(t_mono_s=self._clock(), v_p_v=v_p_v, in_range=in_range, output_on=on)

    def set_amplitude(self, v_p_v: float) -> None:
        """Set the amplitude in V from `v_p_min_v` to `v_p_max_v`, read it back, then switch the output on if it is off."""
        limited("pulse amplitude", v_p_v, self.v_p_min_v, self.v_p_max_v, "V")
        self._lock()
        self._set_supply(v_p_v / self._config.gain)
        if not decode_on(self._ask(b"OUTP?\n")):
            self._switch_on()

    def make_safe(self) -> None:
        """Set point 0, then output off, sent before anything is asked; then both are read back."""
        for command in (b"SYST:LOCK ON\n", encode_volts(0.0), b"OUTP OFF\n"):
            self._send(command)
        on, supply_v = decode_on(self._ask(b"OUTP?\n")), decode_volts(self._ask(b"VOLT?\n"))
        if on or supply_v > self._config.set_tolerance_v:
            raise DeviceRefused(
                f"the supply stays {'on' if on else 'off'} at {supply_v:g} V: LOCAL at its front panel?"
            )

    def _send(self, command: bytes) -> None:
        self._link.send(command)
        self._sleep(self._config.pause_s)

    def _ask(self, query: bytes) -> bytes:
        line = self._link.ask(query)
        self._sleep(self._config.pause_s)
        return line

    def _lock(self) -> None:
        if decode_remote(self._ask(b"SYST:LOCK:OWN?\n")):
            return
        self._send(b"SYST:LOCK ON\n")
        if not decode_remote(self._ask(b"SYST:LOCK:OWN?\n")):
            raise DeviceRefused(
                "the supply does not grant remote control: allow it at the front panel (LOCAL)"
            )

    def _set_supply(self, supply_v: float) -> None:
        self._send(encode_volts(supply_v))
        found_v = decode_volts(self._ask(b"VOLT?\n"))
        if abs(found_v - supply_v) > self._config.set_tolerance_v:
            raise DeviceRefused(f"the supply's set point reads {found_v:g} V after {supply_v:.3f} V was set")

    def _switch_on(self) -> None:
        self._send(b"OUTP ON\n")
        if not decode_on(self._ask(b"OUTP?\n")):
            raise DeviceRefused("the supply's output does not come on: alarm or lock at its front panel")
