"""What function generators have in common as the source of pulses; one file per maker gives headers and identities.

`OUTP` off is the inhibit. The shape, levels and width of the pulse are set up at the panel and kept in a memory of the generator: this driver sets the
rate, switches the output, and sees to it that the shape is a pulse (or square) and that triggered burst is off. Gated burst is left as it is: the gate may be
the interlock's; whether it is open the generator does not tell.
"""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.device.protocols import DriverConfig, Pulser
from evapd.device.readings import Identity, PulserReading
from evapd.errors import DeviceIdentityError, DeviceRefused, DeviceTimeout
from evapd.units import Hertz
from evapd_drivers.scpi import ASK_ERROR, decode_error, decode_flag, decode_word, drain_errors, encode

SHAPES = ("PULS", "SQU")  # one edge per period
MAX_HZ = 1e9  # beyond this a number is no rate
ACCURACY = 1e-4  # of the rate's readback: some give five digits


class Dialect(NamedTuple):
    """Headers of one channel, the words that switch, and who may answer."""

    output: str
    frequency: str
    shape: str
    burst: str
    burst_mode: str
    on: str
    off: str
    models: re.Pattern[str]  # of vendor and model, separated by a comma


def decode_identity(line: bytes, models: re.Pattern[str]) -> Identity:
    """`Agilent Technologies,33522B,MY57801234,4.00-1.19-2.00-52-00`: vendor, model, serial number, firmware."""
    text = line.decode("ascii", "replace").strip()
    vendor, model, *rest = [part.strip() for part in text.split(",")] + [""]
    if not models.fullmatch(f"{vendor},{model}") or len(rest) < 2:
        raise DeviceIdentityError(f"'{text}' answers, not such a generator: check `connect`")
    return Identity(vendor=vendor, model=model, serial=rest[0], firmware=" ".join(rest[1:]).strip(), raw=text)


class ScpiGenerator(ABC):
    """A function generator; a maker's class gives `dialect`, by channel."""

    protocol: ClassVar[type] = Pulser

    class Config(DriverConfig):
        """Settings: the channel, and the range of rates that the rest of the rig allows."""

        channel: Literal[1, 2] = 1
        rate_max_hz: Annotated[Hertz, Field(gt=0, le=240e6)]
        rate_min_hz: Annotated[Hertz, Field(ge=1e-6)] = 1.0

        @field_validator("connect")
        @classmethod
        def _no_serial_port(cls, connect: str) -> str:
            if connect.startswith("serial:"):
                raise ValueError("this generator has no serial port: use visa: (LAN, USB, GPIB) or tcp:")
            return connect

    def __init__(
        self,
        config: Config,
        *,
        transport_factory: TransportFactory = open_transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._clock = clock
        self._link = Link(config, transport_factory, clock)
        self._dialect = self.dialect(config.channel)
        self._tells_burst = self._tells_errors = True

    @staticmethod
    @abstractmethod
    def dialect(channel: int) -> Dialect:
        """Give the headers of a channel."""

    @classmethod
    def identify(cls, link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        return decode_identity(link.ask(b"*IDN?\n"), cls.dialect(1).models)

    def open(self) -> Identity:
        """Open, check the identity, see whether burst and errors are told, empty the error queue, read once; changes nothing else."""
        with self._link.opening():
            identity = self.identify(self._link)
            same_serial(self._config.serial_number, identity.serial)
            self._tells_burst = self._tells(encode(self._dialect.burst), decode_flag)
            self._tells_errors = self._tells(ASK_ERROR, decode_error)
            self._errors()
            self.read()
        return identity

    def close(self) -> None:
        """Close the link; the output stays as it is."""
        self._link.close()

    def read(self) -> PulserReading:
        """Read rate (Hz), output and shape. `enabled` is None where the output is on with another shape, or in bursts."""
        on = decode_flag(self._ask(self._dialect.output))
        rate_hz = number(self._ask(self._dialect.frequency), 0.0, MAX_HZ)
        enabled = None if on and not self._continuous() else on
        return PulserReading(t_mono_s=self._clock(), rate_hz=rate_hz, enabled=enabled)

    def set_rate(self, hz: float) -> None:
        """Set the frequency in Hz, within the configured range; read back."""
        hz = limited("pulse rate", hz, self._config.rate_min_hz, self._config.rate_max_hz, "Hz")
        self._set(self._dialect.frequency, float(hz))
        found_hz = number(self._ask(self._dialect.frequency), 0.0, MAX_HZ)
        if abs(found_hz - hz) > ACCURACY * hz + 1e-6:
            raise DeviceRefused(f"the frequency reads {found_hz:g} Hz after {hz:g} Hz was set")

    def enable(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Switch the output on, as continuous pulses, or off: then nothing is sent before it."""
        if on and not self._continuous():
            self._set(self._dialect.shape, SHAPES[0])
            if self._tells_burst:
                self._set(self._dialect.burst, self._dialect.off)
        self._link.send(encode(self._dialect.output, self._dialect.on if on else self._dialect.off))
        found = decode_flag(self._ask(self._dialect.output))
        errors = self._errors()
        if found != on:
            raise DeviceRefused(
                f"the output is {'on' if found else 'off'} after enable({on}); {errors or 'no error is told'}"
            )

    def make_safe(self) -> None:
        """Inhibit."""
        self.enable(False)

    def _continuous(self) -> bool:
        """Whether each period gives one pulse."""
        shape = decode_word(self._ask(self._dialect.shape))
        bursts = self._tells_burst and decode_flag(self._ask(self._dialect.burst))
        if bursts:  # a gate lets every period through while it is open: an interlock may be wired to it
            bursts = not decode_word(self._ask(self._dialect.burst_mode)).startswith("GAT")
        return shape.startswith(SHAPES) and not bursts

    def _tells(self, question: bytes, decode: Callable[[bytes], object]) -> bool:
        try:
            decode(self._link.ask(question))
        except DeviceTimeout:
            with self._link.opening():  # a late answer must never answer another question
                return False
        return True

    def _errors(self) -> str:
        return drain_errors(self._link) if self._tells_errors else ""

    def _ask(self, header: str) -> bytes:
        return self._link.ask(encode(header))

    def _set(self, header: str, value: str | float) -> None:
        self._link.send(encode(header, value))
        if errors := self._errors():
            raise DeviceRefused(f"{header} {value}: {errors}")
