"""iseg SHR, NHR, NHS and EHS high-voltage supplies with EDCP SCPI, one channel of a module.

Written from the SCPI programmer's guide (2025-07-17) and the SHR manual (2024-04-03) as open clients quote them (isegport, hvps, iseg-nhr, a detector-test
rig's driver, an SHR client that shows replies seen on the socket); the guide itself was not seen. USB or RS-232 8N1 at 9600 baud, TCP port 10001.

A serial line sends every character back, which is the only handshake: the echo is compared before the reply is read. A network does not: whether there is
an echo is seen at `open` (setting `echo`). Sets are sent with `;*OPC?` behind them, answered by 1 (setting `acknowledge`), and read back.
A unit at 115200 baud falls back to 9600 after 10 s without traffic: opened at 115200 it is brought there again.

`make_safe` is the emergency off, without ramp. It latches; readings say so (`emergency_off`), and nothing but `output(True)` clears it and the events
of a trip, when no inhibit and no open safety loop stands any more.

Confidence: commands, units of replies and status bits 3 to 7 and 12 to 15 agree in two sources or more. In doubt: whether a unit of negative polarity
takes and tells voltages with their sign (both are read, setting `signed`), whether fixed units answer the question for their polarity, and whether all tell
the safety loop (both are asked at `open`; where nothing comes they are not asked again), what a front panel in control does to a set (all is read back).
Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from enum import IntFlag
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from evapd.device import DriverConfig, HighVoltageReading, HighVoltageSupply, Identity, open_transport
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd.units import Ampere, Volt
from evapd_drivers.echo import EchoLink, heard_out
from evapd_drivers.hv.limit import limit_due

MAX_V, MAX_A, MAX_V_PER_S = 1e5, 1.0, 1e6  # beyond this a number is no reading of such a supply
SLOW_BAUD, FAST_BAUD = 9600, 115_200
LAST_CHARACTER_S = 0.05
SAFETY_LOOP = 1 << 10  # of the module status
_FAST = re.compile(rf"(?P<port>serial:.+):{FAST_BAUD}(?P<frame>-8N1)?")
_WORD = re.compile(rb"[0-9]{1,10}")


class Status(IntFlag):
    """Bits of the channel status that are used here."""

    ON = 1 << 3
    RAMPING = 1 << 4
    EMERGENCY_OFF = 1 << 5
    CONSTANT_CURRENT = 1 << 6
    INHIBIT = 1 << 12
    TRIP = 1 << 13


def encode(command: str, value: str, channel: int) -> bytes:
    """`:VOLT 1500,(@0)`."""
    return f"{command} {value},(@{channel})".encode()


def encode_number(command: str, value: float, channel: int) -> bytes:
    """`:VOLT 1.500000E+03,(@0)`: six decimals and an exponent."""
    return encode(command, f"{value:.6E}", channel)


def encode_query(command: str, channel: int | None = None) -> bytes:
    """`:MEAS:VOLT? (@0)`, or of the module without channel."""
    return f"{command}?".encode() + (b"" if channel is None else f" (@{channel})".encode())


def decode_value(line: bytes, unit: bytes, limit: float) -> float:
    """`1.50000E3V`: a number of magnitude up to `limit` that carries its unit; another unit is another answer."""
    text = line.strip()
    if not text.upper().endswith(unit.upper()):
        raise DeviceProtocolError(f"{line!r} where a value in {unit.decode()} is due")
    digits = text[: -len(unit)].strip()
    return number(digits.removesuffix(b"E"), -limit, limit)  # one client met `1.23456EA`


def decode_word(line: bytes) -> int:
    """A status register, `137`."""
    if not _WORD.fullmatch(line.strip()):
        raise DeviceProtocolError(f"{line!r} is no status register")
    return int(line)


def decode_done(line: bytes) -> None:
    """Accept the `1` of *OPC? only."""
    if line.strip() != b"1":
        raise DeviceProtocolError(f"{line!r} where 1 (done) is due")


def decode_polarity(line: bytes) -> Literal["positive", "negative"]:
    """`p` or `n`."""
    text = line.strip().lower()
    if text not in {b"p", b"n"}:
        raise DeviceProtocolError(f"{line!r} where the polarity, p or n, is due")
    return "positive" if text == b"p" else "negative"


def decode_identity(line: bytes) -> Identity:
    """`iseg Spezialelektronik GmbH,NR040060r4050000200,8200005,1.74`; units behind an iCS controller tell more."""
    text = line.decode("ascii", "replace").strip()
    fields = [part.strip() for part in text.split(",")] + [""] * 3
    if "ISEG" not in fields[0].upper() or not fields[1]:
        raise DeviceIdentityError(f"'{text}' answers, not an iseg supply: check `connect`")
    return Identity(vendor=fields[0], model=fields[1], serial=fields[2], firmware=fields[3], raw=text)


class IsegShr:
    """One channel of an iseg module; V and A, signed as at the output."""

    protocol: ClassVar[type] = HighVoltageSupply

    class Config(DriverConfig):
        """Settings; `v_max_v` and `i_max_a` are magnitudes. The polarity is checked, never turned."""

        v_max_v: Annotated[Volt, Field(gt=0, le=100e3)]
        i_max_a: Annotated[Ampere, Field(gt=0, le=1)]
        channel: Annotated[int, Field(ge=0, le=63)] = 0
        polarity: Literal["positive", "negative"] = "positive"
        echo: bool | None = None  # None: as it is seen at open; on a serial port there must be one
        acknowledge: bool = True
        signed: bool = True  # negative voltages are set with their sign

    def __init__(
        self,
        config: Config,
        *,
        transport_factory: TransportFactory = open_transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._factory = transport_factory
        self._clock = clock
        self._link = EchoLink(config, transport_factory, clock)
        self._sign = 1.0 if config.polarity == "positive" else -1.0
        self._tells_polarity = self._tells_loop = False

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there, with or without echo; changes nothing, in no instrument."""
        return decode_identity(heard_out(link, b"*IDN?\r\n")[1])

    def open(self) -> Identity:
        """Open, check maker and serial number, see what it can tell, read the state; changes nothing but the speed of a serial line."""
        try:
            return self._opened()
        except (DeviceTimeout, DeviceProtocolError):
            fast = _FAST.fullmatch(self._config.connect)
            if fast is None:
                raise
            self._raise_speed(f"{fast['port']}:{SLOW_BAUD}{fast['frame'] or ''}")
            return self._opened()

    def close(self) -> None:
        """Close the link; the output stays as it is."""
        self._link.close()

    def read(self) -> HighVoltageReading:
        """Read status and values, the measured voltage (V) last: `t_mono_s` is the time of that reply."""
        status = self._status()
        polarity = self._polarity()
        interlock_open = self._interlock_open()
        v_set_v = self._value(":READ:VOLT", b"V", MAX_V)
        i_meas_a = self._value(":MEAS:CURR", b"A", MAX_A)
        v_meas_v = self._value(":MEAS:VOLT", b"V", MAX_V)
        negative = polarity == "negative"
        return HighVoltageReading(
            t_mono_s=self._clock(),
            # Whether a negative unit tells its sign is not known: its magnitude counts.
            v_set_v=-abs(v_set_v) if negative else v_set_v,
            v_meas_v=-abs(v_meas_v) if negative else v_meas_v,
            i_meas_a=-abs(i_meas_a) if negative else i_meas_a,
            output_on=Status.ON in status,
            ramping=Status.RAMPING in status,
            tripped=Status.TRIP in status,
            interlock_open=interlock_open,
            inhibited=Status.INHIBIT in status,
            current_limited=Status.CONSTANT_CURRENT in status,
            emergency_off=Status.EMERGENCY_OFF in status,
        )

    def set_voltage(self, v_v: float) -> None:
        """Set the output voltage in V, of the configured polarity and within `v_max_v`; read back with its polarity."""
        magnitude_v = limited("voltage", self._sign * v_v, 0.0, self._config.v_max_v, "V") + 0.0
        self._refuse_other_polarity()
        sign = self._sign if self._config.signed and magnitude_v else 1.0
        self._set(":VOLT", sign * magnitude_v, b"V", MAX_V, tolerance=1e-4 * self._config.v_max_v)

    def set_slew(self, v_per_s: float) -> None:
        """Set the channel's own ramp in V/s, above 0 and up to `v_max_v` in a second; read back."""
        limited("slew", v_per_s, 1e-3, self._config.v_max_v, "V/s")
        self._set(
            ":CONF:RAMP:VOLT", v_per_s, b"V/s", MAX_V_PER_S, tolerance=1e-2 * v_per_s, query=":READ:RAMP:VOLT"
        )

    def set_current_limit(self, a: float) -> None:
        """Set the current set value in A, up to `i_max_a`; read back."""
        limited("current limit", a, 0.0, self._config.i_max_a, "A")
        self._set(":CURR", a, b"A", MAX_A, tolerance=1e-3 * self._config.i_max_a)

    def output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Switch the output, with its ramp; on: clears an emergency off and a trip when their cause is over, sees to the current limit, and returns when it is really on."""
        if on:
            self._refuse_other_polarity()
            self._clear()
            found_a = self._value(":READ:CURR", b"A", MAX_A)
            if (a := limit_due(found_a, self._config.i_max_a)) is not None:
                self.set_current_limit(a)
        self._command(encode(":VOLT", "ON" if on else "OFF", self._config.channel))
        deadline_s = self._clock() + self._config.timeout_s
        while (Status.ON in self._status()) is not on:
            if self._clock() > deadline_s:
                raise DeviceRefused(
                    f"channel {self._config.channel} does not go {'on' if on else 'off'}: inhibit, safety loop, trip, or its front panel"
                )

    def make_safe(self) -> None:
        """Emergency off, then set point 0: both are sent whatever is answered, then the status is read.

        Raises:
            DeviceError: the first failure, when all was sent, or that the channel is still on.
        """
        channel = self._config.channel
        steps = [encode(":VOLT", "EMCY OFF", channel), encode_number(":VOLT", 0.0, channel)]
        if self._config.acknowledge:
            self._link.insist([self._ended(step) for step in steps], decode_done)
        else:
            for step in steps:
                self._link.send(self._ended(step))
        if Status.ON in self._status():
            raise DeviceRefused(
                f"channel {channel} stays on after the emergency off: has its front panel sole control?"
            )

    # -- opening ----------------------------------------------------------------------------------------------------

    def _opened(self) -> Identity:
        with self._link.opening():
            identity = self._greeted()
            same_serial(self._config.serial_number, identity.serial)
            self._status()
            told = [self._answers(question) for question in (self._ask_polarity, self._ask_module)]
            self._tells_polarity, self._tells_loop = told
            self.read()
        return identity

    def _greeted(self) -> Identity:
        line = self._link.greet(b"*IDN?\r\n")
        due = self._config.connect.startswith("serial:") if self._config.echo is None else self._config.echo
        if (due and not self._link.echoes) or (self._config.echo is False and self._link.echoes):
            raise DeviceProtocolError(
                f"{self._config.connect}: *IDN? was answered {line!r}, {'without the' if due else 'with an'} echo: check the setting `echo`"
            )
        return decode_identity(line)

    def _answers(self, question: Callable[[], object]) -> bool:
        """Whether there is an answer; after silence the link is opened anew, so that a late one answers nothing else."""
        try:
            question()
        except DeviceTimeout:
            with self._link.opening():
                self._greeted()
            return False
        return True

    def _raise_speed(self, slow: str) -> None:
        link = EchoLink(self._config.model_copy(update={"connect": slow}), self._factory, self._clock)
        with link.opening():
            link.greet(b"*IDN?\r\n")
            answer = link.ask(f":CONF:SERIAL:BAUD {FAST_BAUD};BAUD?\r\n".encode())
            with suppress(DeviceTimeout):  # the last character of the answer still comes at the old speed
                link.transport.read_some(1, LAST_CHARACTER_S)
        link.close()
        if number(answer, 0, 1e7) != FAST_BAUD:
            raise DeviceRefused(f"{slow}: the unit stays at {answer.decode()} baud: name that in `connect`")

    # -- questions --------------------------------------------------------------------------------------------------

    def _ask(self, command: str, channel: int | None = None) -> bytes:
        return self._link.ask(encode_query(command, channel) + b"\r\n")

    def _value(self, command: str, unit: bytes, limit: float) -> float:
        return decode_value(self._ask(command, self._config.channel), unit, limit)

    def _status(self) -> Status:
        return Status(decode_word(self._ask(":READ:CHAN:STAT", self._config.channel)))

    def _ask_polarity(self) -> Literal["positive", "negative"]:
        return decode_polarity(self._ask(":CONF:OUTP:POL", self._config.channel))

    def _ask_module(self) -> int:
        return decode_word(self._ask(":READ:MOD:STAT"))

    def _polarity(self) -> Literal["positive", "negative"]:
        return self._ask_polarity() if self._tells_polarity else self._config.polarity

    def _interlock_open(self) -> bool | None:
        # A module in order sets some bit: a word of 0 tells nothing.
        word = self._ask_module() if self._tells_loop else 0
        return not word & SAFETY_LOOP if word else None

    # -- commands ---------------------------------------------------------------------------------------------------

    def _ended(self, command: bytes) -> bytes:
        return command + (b";*OPC?\r\n" if self._config.acknowledge else b"\r\n")

    def _command(self, command: bytes) -> None:
        if self._config.acknowledge:
            decode_done(self._link.ask(self._ended(command)))
        else:
            self._link.tell(self._ended(command))

    def _set(
        self, command: str, value: float, unit: bytes, limit: float, *, tolerance: float, query: str = ""
    ) -> None:
        self._command(encode_number(command, value, self._config.channel))
        found = self._value(query or f":READ{command}", unit, limit)
        if abs(abs(found) - abs(value)) > tolerance:
            raise DeviceRefused(
                f"{command} reads {found:g} {unit.decode()} after {value:g} was set: out of its range, or its front panel has sole control"
            )
        if value > 0 > found:
            raise DeviceRefused(
                f"{command} reads {found:g} {unit.decode()}: the unit is negative, check `polarity`"
            )

    def _clear(self) -> None:
        """Clear an emergency off and a trip, where nothing speaks against it any more."""
        status = self._status()
        if Status.INHIBIT in status or self._interlock_open():
            raise DeviceRefused(
                "the inhibit or the safety loop of the supply stands: nothing was cleared or switched on"
            )
        steps = {Status.EMERGENCY_OFF: encode(":VOLT", "EMCY CLR", self._config.channel),
                 Status.TRIP: encode(":EVENT", "CLEAR", self._config.channel)}  # fmt: skip
        for latch, step in steps.items():
            if latch in status:
                self._command(step)
                if latch in self._status():
                    raise DeviceRefused(
                        f"{latch.name} of channel {self._config.channel} cannot be cleared: has its front panel sole control?"
                    )

    def _refuse_other_polarity(self) -> None:
        if (found := self._polarity()) != self._config.polarity:
            raise DeviceRefused(
                f"the channel is {found}, the settings say {self._config.polarity}: turn it at the supply while it is off, or change `polarity`"
            )
