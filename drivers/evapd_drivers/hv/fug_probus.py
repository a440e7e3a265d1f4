"""FuG HCP, HCK, HCN and MCP high-voltage supplies with the Probus V interface (ADDAT30).

Written from the Probus V documentation (RS-232 protocol 2.4, command reference V2.22) as quoted by open-source drivers
(hvl_ccb, an NTN-140 driver, an EPICS StreamDevice protocol, a Tango server, PyCCAPT); the maker's PDF itself was not seen.
Every command gets exactly one line: `E0` (done), `E<n>` (refused), or the data asked for.

Confidence: registers S0, S1, S0A, S0R, S0B, BON, DON, DSD, M0, M1 and the error codes agree in two sources or more.
In doubt, and so treated carefully: the number format (plain and exponent forms are both read), the line end (register KT: all
four forms are read), what a unit in LOCAL answers to a write (every write is read back, then DSD is asked), the sign on reversible units, and
how the output is switched: `>BON 1` by default, `F1` by setting where a unit knows only the Probus IV form. Trip and
interlock have no register of their own: commanded on (BON) but not on (DON) is called tripped; after `F1`, which BON need not follow, nothing is said.
Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.device.protocols import DriverConfig, HighVoltageSupply
from evapd.device.readings import HighVoltageReading, Identity
from evapd.errors import (
    DeviceIdentityError,
    DeviceProtocolError,
    DeviceRefused,
)
from evapd.units import Ampere, Volt
from evapd_drivers.hv.limit import limit_due

MAX_V, MAX_A = 1e6, 1e3  # beyond this a number is no reading of such a supply
ERRORS = {
    1: "no data", 2: "unknown register", 4: "bad argument", 5: "out of range", 6: "read only", 7: "command too long",
    8: "EEPROM protected", 9: "address mode", 10: "unknown SCPI command", 13: "bad N", 14: "write only",
    15: "string too long", 16: "checksum",
}  # fmt: skip
_REFUSAL = re.compile(rb"E([0-9]{1,2})")
_SERIAL = re.compile(r"[0-9]+-[0-9]{2}-[0-9]{2}")


def encode_set(register: str, value: float) -> bytes:
    """`>S0 1500` and the like; at most 50 characters, ended by LF."""
    return f">{register} {value:.9g}\n".encode()


def encode_query(register: str) -> bytes:
    """`>S0 ?` and the like."""
    return f">{register} ?\n".encode()


def decode_refusal(line: bytes) -> None:
    """Raise DeviceRefused when the line is `E<n>` with n > 0."""
    match = _REFUSAL.fullmatch(line)
    if match and int(match.group(1)):
        code = int(match.group(1))
        raise DeviceRefused(f"the supply answered E{code}: {ERRORS.get(code, 'meaning unknown')}")


def decode_ack(line: bytes) -> None:
    """Accept `E0` only."""
    decode_refusal(line)
    if line != b"E0":
        raise DeviceProtocolError(f"{line!r} where E0 or an error code is due")


def decode_value(register: str, line: bytes, limit: float) -> float:
    """`S0:1500` or `S0:+1.50000E+03`, of magnitude up to `limit`; another register's answer is an error."""
    decode_refusal(line)
    name, colon, value = line.partition(b":")
    if not colon or name.strip(b" ") != register.encode():
        raise DeviceProtocolError(f"{line!r} where register {register} was asked")
    return number(value, -limit, limit)


def decode_flag(register: str, line: bytes) -> bool:
    """`DON:1`: 0 or 1 and nothing else."""
    value = decode_value(register, line, MAX_V)
    if value not in (0.0, 1.0):
        raise DeviceProtocolError(f"{line!r} where 0 or 1 is due")
    return bool(value)


def decode_identity(line: bytes) -> Identity:
    """`FUG HCK 800 - 20 000 MOD 17022-01-01`: maker, model with rated W and V, serial number where told."""
    decode_refusal(line)
    text = line.decode("ascii", "replace").strip()
    words = text.split()
    if len(words) < 2 or words[0].upper() != "FUG":
        raise DeviceIdentityError(f"'{text}' answers, not a FuG supply: check `connect`")
    serial = words.pop() if _SERIAL.fullmatch(words[-1]) else ""
    if serial and words[-1] == "MOD":  # stands before the serial number of a unit that was modified
        words.pop()
    return Identity(vendor=words[0], model=" ".join(words[1:]), serial=serial, raw=text)


class FugProbus:
    """A FuG supply as specimen supply; V and A, signed as at the output."""

    protocol: ClassVar[type] = HighVoltageSupply

    class Config(DriverConfig):
        """Settings; `v_max_v` and `i_max_a` are magnitudes."""

        v_max_v: Annotated[Volt, Field(gt=0, le=300e3)]
        i_max_a: Annotated[Ampere, Field(gt=0, le=10)]
        polarity: Literal["positive", "negative"] = "positive"
        output_command: Literal["BON", "F"] = "BON"
        ramp_mode: Literal[1, 2] = 1  # of set_slew: 1 ramps both ways, 2 upwards only and falls at once

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
        self._sign = 1.0 if config.polarity == "positive" else -1.0

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        return decode_identity(link.ask(b"*IDN?\n"))

    def open(self) -> Identity:
        """Open, check maker and serial number, read the state; changes nothing, whatever the output carries."""
        with self._link.opening():
            identity = self.identify(self._link)
            same_serial(self._config.serial_number, identity.serial)
            self.read()
        return identity

    def close(self) -> None:
        """Close the link; the output stays as it is."""
        self._link.close()

    def read(self) -> HighVoltageReading:
        """Read registers, the measured voltage (V) last: `t_mono_s` is the time of that reply."""
        v_set_v, v_in_force_v = self._voltage("S0"), self._voltage("S0A")
        on = self._flag("DON")
        commanded = self._flag("BON") if self._config.output_command == "BON" else None
        remote, current_limited = self._flag("DSD"), self._flag("DIR")
        i_meas_a = self._value("M1", MAX_A)
        v_meas_v = self._voltage("M0")
        return HighVoltageReading(
            t_mono_s=self._clock(),
            v_set_v=v_set_v,
            v_in_force_v=v_in_force_v,
            v_meas_v=v_meas_v,
            i_meas_a=i_meas_a,
            output_on=on,
            ramping=on and abs(v_set_v - v_in_force_v) > self._tolerance_v,
            tripped=None if commanded is None else commanded and not on,
            current_limited=current_limited,
            remote=remote,
        )

    def set_voltage(self, v_v: float) -> None:
        """Set the output voltage in V, of the configured polarity and within `v_max_v`; read back."""
        v_v = limited("voltage", self._sign * v_v, 0.0, self._config.v_max_v, "V")
        self._set("S0", v_v, MAX_V, self._tolerance_v)

    def set_slew(self, v_per_s: float) -> None:
        """Set the supply's own ramp in V/s (above 0, to full voltage in 1 ms at most) and put it in force."""
        v_per_s = limited("slew", v_per_s, 1e-3, 1e3 * self._config.v_max_v, "V/s")
        # The rate first: the mode alone would put a stale rate in force.
        self._set("S0R", v_per_s, 1e9, 1e-3 * v_per_s)
        self._set("S0B", self._config.ramp_mode, 10, 0)

    def set_current_limit(self, a: float) -> None:
        """Set the current limit in A, up to `i_max_a`; read back."""
        a = limited("current limit", a, 0.0, self._config.i_max_a, "A")
        self._set("S1", a, MAX_A, 1e-3 * self._config.i_max_a)

    def output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Switch the output; on: sees to the current limit, returns when it is really on, and refuses with the reason else."""
        if not on:
            self._acknowledged(self._switch(on=False))
            return
        self._refuse_local()
        if (a := limit_due(self._value("S1", MAX_A), self._config.i_max_a)) is not None:
            self.set_current_limit(a)
        self._acknowledged(self._switch(on=True))
        deadline_s = self._clock() + self._config.timeout_s
        while not self._flag("DON"):
            if self._clock() > deadline_s:
                raise DeviceRefused("the output does not come on: interlock open, trip, or front switch off")

    def make_safe(self) -> None:
        """Ramp off (S0B 0), set point 0, output off: each is sent even when one before it failed.

        In this order, because set point 0 would follow a ramp that is still in force, and because set point 0 brings
        the output down also where the switch is refused. After silence the rest is sent without waiting. A unit in
        LOCAL may acknowledge and do nothing, so at last the set point is read back, and DON where it is not 0.

        Raises:
            DeviceError: the first failure, when all was sent, or what the check found.
        """
        steps = [encode_set("S0B", 0), encode_set("S0", 0), self._switch(on=False)]
        self._link.insist(steps, decode_ack)
        left_v = abs(self._value("S0", MAX_V))
        if left_v > self._tolerance_v and self._flag("DON"):
            self._refuse_local()
            raise DeviceRefused(f"the output stays on, the set point reads {left_v:g} V after 0 was set")

    @property
    def _tolerance_v(self) -> float:
        return 1e-4 * self._config.v_max_v  # steps of the DAC and digits of the reply

    def _switch(self, *, on: bool) -> bytes:
        return encode_set("BON", on) if self._config.output_command == "BON" else b"F1\n" if on else b"F0\n"

    def _acknowledged(self, command: bytes) -> None:
        decode_ack(self._link.ask(command))

    def _value(self, register: str, limit: float) -> float:
        return decode_value(register, self._link.ask(encode_query(register)), limit)

    def _voltage(self, register: str) -> float:
        v_v = self._value(register, MAX_V)
        # Whether a negative unit reports a sign is not known: its magnitude counts.
        return v_v if self._sign > 0 else -abs(v_v)

    def _flag(self, register: str) -> bool:
        return decode_flag(register, self._link.ask(encode_query(register)))

    def _set(self, register: str, value: float, limit: float, tolerance: float) -> None:
        self._acknowledged(encode_set(register, value))
        found = abs(self._value(register, limit))
        if abs(found - value) > tolerance:
            self._refuse_local()
            raise DeviceRefused(f"register {register} reads {found:g} after {value:g} was set")

    def _refuse_local(self) -> None:
        if not self._flag("DSD"):
            raise DeviceRefused(
                "the supply is in LOCAL: switch it to remote (digital) control at its front panel"
            )
