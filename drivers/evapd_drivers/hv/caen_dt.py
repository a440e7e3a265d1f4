"""CAEN DT547x, DT1471ET, N1471 and their family: one channel, as detector (MCP, anode) or other bias.

Written from the user's manuals of the N1470 and N1471 as open clients quote them (hvps, xams slow control, a Constellation satellite, MIDAS front ends), some
with replies of two DT1470ET units; the manuals themselves were not seen. USB (virtual port) or RS-232 9600 8N1, Ethernet models TCP port 1470.
Every line gets one: `#BD:00,CMD:OK,VAL:0700.0`; desktop models know no boards (setting `board`: none), single-channel ones no channel (`channel`: none).

Replies do not name what was asked: that each answers its own question rests on one reply per question and an input dropped before each.
`make_safe` sets the power-down mode to KILL (setting `make_safe_by`: RAMP, where a sudden fall harms the plates), switches off and sets 0 V; the mode is
put back to `power_down` when it is switched on. A trip is cleared (BDCLR, of the whole board) by `output(True)` only.

Confidence: commands, error words, zero padding and status bits 0 to 7 agree in two sources or more. In doubt: bit 10 (disabled at the front switch, but
over-temperature on DT547x), whether ON is taken with an alarm pending (it is cleared before), whether ON stays told while OFF ramps down.
A unit that does not know BDCTR (LOCAL), BDILK or BDALARM is not asked for it again.
Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from enum import IntFlag
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from evapd.device import DriverConfig, HighVoltageReading, HighVoltageSupply, Identity, open_transport
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd.units import Ampere, Volt
from evapd_drivers.hv.limit import limit_due

MAX_V, MAX_UA = 1e5, 1e5  # beyond this a number is no reading of such a supply
SLEWS_V_PER_S = (1.0, 500.0)
ROUNDED = 1 + 1e-12  # `100 uA` in the settings is a little less than 1e-4
STEP_V = 0.06  # the supply sets tenths of a volt
REFUSALS = {
    b"CMD": "command not understood", b"CH": "no such channel", b"PAR": "no such parameter",
    b"VAL": "value out of range, or above its own MAXV", b"LOC": "it is in LOCAL: switch it to REMOTE at its front panel",
}  # fmt: skip
_REPLY = re.compile(
    rb"#(?:BD:(?P<board>[0-9]{1,2}),)?(?P<field>CMD|CH|PAR|VAL|LOC):(?P<state>OK|ERR)(?:,VAL:(?P<value>[^,;]+))?;?"
)
_WORD = re.compile(rb"[0-9]{1,6}")


class Status(IntFlag):
    """Bits of the channel status that are used here."""

    ON = 1 << 0
    RAMPING_UP = 1 << 1
    RAMPING_DOWN = 1 << 2
    OVER_CURRENT = 1 << 3
    TRIP = 1 << 7
    OVER_POWER = 1 << 8
    OVER_TEMPERATURE = 1 << 9
    DISABLED = 1 << 10
    KILL = 1 << 11
    INTERLOCK = 1 << 12


_TRIPS = Status.TRIP | Status.OVER_POWER | Status.OVER_TEMPERATURE


def encode(
    command: str, parameter: str, value: str = "", *, board: int | None = 0, channel: int | None = None
) -> bytes:
    """`$BD:00,CMD:SET,CH:0,PAR:VSET,VAL:700.0`, with what there is of it."""
    fields = [] if board is None else [f"BD:{board:02d}"]
    fields.append(f"CMD:{command}")
    fields += [] if channel is None else [f"CH:{channel}"]
    fields.append(f"PAR:{parameter}")
    fields += [f"VAL:{value}"] if value else []
    return f"${','.join(fields)}\r\n".encode()


def decode(line: bytes, board: int | None) -> bytes:
    """Give the value of `#BD:00,CMD:OK,VAL:0700.0`, b"" where it carries none.

    Raises:
        DeviceRefused: for `#BD:00,LOC:ERR` and the like.
        DeviceProtocolError: for anything else, another board's reply included.
    """
    found = _REPLY.fullmatch(line.strip())
    if found is None or (found["board"] is not None and int(found["board"]) != (board or 0)):
        raise DeviceProtocolError(f"{line!r} is no reply of board {board or 0}")
    if found["state"] == b"ERR":
        raise DeviceRefused(f"the supply answered {found['field'].decode()}:ERR: {REFUSALS[found['field']]}")
    if found["field"] != b"CMD":
        raise DeviceProtocolError(f"{line!r} where CMD:OK is due")
    return found["value"] or b""


def decode_number(value: bytes, limit: float) -> float:
    """`0700.0`: a magnitude; a small negative reading is noise of the converter."""
    return number(value, -0.01 * limit, limit)


def decode_word(value: bytes) -> int:
    """`01024`: decimal, whatever the zeros look like."""
    if not _WORD.fullmatch(value):
        raise DeviceProtocolError(f"{value!r} is no status word")
    return int(value)


def decode_polarity(value: bytes) -> Literal["positive", "negative"]:
    """`+` or `-`."""
    if value not in {b"+", b"-"}:
        raise DeviceProtocolError(f"{value!r} where the polarity, + or -, is due")
    return "positive" if value == b"+" else "negative"


def decode_choice(value: bytes, yes: bytes, no: bytes) -> bool:
    """One of two words."""
    if value not in {yes, no}:
        raise DeviceProtocolError(f"{value!r} where {yes.decode()} or {no.decode()} is due")
    return value == yes


class CaenDt:
    """One channel of a CAEN supply; V and A, signed as at the output."""

    protocol: ClassVar[type] = HighVoltageSupply

    class Config(DriverConfig):
        """Settings; `v_max_v` and `i_max_a` are magnitudes. The unit's own MAXV and TRIP stay as they are."""

        v_max_v: Annotated[Volt, Field(gt=0, le=20e3)]
        i_max_a: Annotated[Ampere, Field(gt=0, le=0.1)]
        board: Annotated[int, Field(ge=0, le=31)] | None = 0
        channel: Annotated[int, Field(ge=0, le=31)] | None = 0
        polarity: Literal["positive", "negative"] = "positive"
        power_down: Literal["RAMP", "KILL"] = "RAMP"  # what OFF and a trip do, put at switching on
        make_safe_by: Literal["RAMP", "KILL"] = "KILL"

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
        self._unknown: set[str] = set()  # board parameters that this unit does not have

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask board 0 who it is, or one that knows no boards; changes nothing, and is no command of others."""
        for board in (0, None):
            try:
                name, serial = (
                    decode(link.ask(encode("MON", one, board=board)), 0).decode()
                    for one in ("BDNAME", "BDSNUM")
                )
            except (DeviceRefused, DeviceTimeout):
                continue
            return Identity(vendor="CAEN", model=name, serial=serial)
        raise DeviceIdentityError("the unit tells no BDNAME")

    def open(self) -> Identity:
        """Open, check the serial number, read the state; changes nothing."""
        with self._link.opening():
            self._unknown.clear()
            model, serial = (self._text(name) for name in ("BDNAME", "BDSNUM"))
            if not model:
                raise DeviceIdentityError("the unit tells no BDNAME: check `connect`, `board` and `channel`")
            same_serial(self._config.serial_number, serial)
            identity = Identity(vendor="CAEN", model=model, serial=serial, firmware=self._text("BDFREL"))
            self.read()
        return identity

    def close(self) -> None:
        """Close the link; the output stays as it is."""
        self._link.close()

    def read(self) -> HighVoltageReading:
        """Read state and values, the measured voltage (V) last: `t_mono_s` is the time of that reply."""
        status = self._status()
        alarms, local, interlock = (self._told(name) for name in ("BDALARM", "BDCTR", "BDILK"))
        sign = 1.0 if self._polarity() == "positive" else -1.0
        v_set_v = sign * self._number("VSET", MAX_V)
        i_meas_a = sign * 1e-6 * self._number("IMON", MAX_UA)
        v_meas_v = sign * self._number("VMON", MAX_V)
        ours = 1 << (self._config.channel or 0)
        interlocked = Status.INTERLOCK in status or (
            bool(interlock) and decode_choice(interlock, b"YES", b"NO")
        )
        return HighVoltageReading(
            t_mono_s=self._clock(),
            v_set_v=v_set_v,
            v_meas_v=v_meas_v,
            i_meas_a=i_meas_a,
            output_on=Status.ON in status,
            ramping=bool(status & (Status.RAMPING_UP | Status.RAMPING_DOWN)),
            tripped=bool(status & _TRIPS) or (bool(alarms) and bool(decode_word(alarms) & ours)),
            interlock_open=interlocked,
            inhibited=Status.KILL in status,
            remote=decode_choice(local, b"REMOTE", b"LOCAL") if local else None,
            current_limited=Status.OVER_CURRENT in status,
        )

    def set_voltage(self, v_v: float) -> None:
        """Set the output voltage in V, in tenths, of the configured polarity and within `v_max_v`; read back."""
        magnitude_v = limited("voltage", self._sign * v_v, 0.0, self._config.v_max_v, "V") + 0.0
        self._refuse_other_polarity()
        self._set("VSET", f"{magnitude_v:.1f}", MAX_V, STEP_V)

    def set_slew(self, v_per_s: float) -> None:
        """Set the unit's own ramps up and down in whole V/s, from 1 to 500; read back."""
        limited("slew", v_per_s, *SLEWS_V_PER_S, "V/s")
        for parameter in ("RUP", "RDW"):
            self._set(parameter, f"{v_per_s:.0f}", MAX_V, 0.6)

    def set_current_limit(self, a: float) -> None:
        """Set the current limit in A, up to `i_max_a`; read back."""
        limited("current limit", a, 0.0, self._config.i_max_a * ROUNDED, "A")
        self._set("ISET", f"{a * 1e6:.2f}", MAX_UA, 0.011 + 1e3 * self._config.i_max_a)

    def output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Switch the output; on: clears a trip when neither interlock nor KILL stands, sees to the current limit, and returns when it is really on."""
        if on:
            self._refuse_other_polarity()
            self._clear()
            if (a := limit_due(1e-6 * self._number("ISET", MAX_UA), self._config.i_max_a)) is not None:
                self.set_current_limit(a)
            self._command("PDWN", self._config.power_down)
        self._command("ON" if on else "OFF")
        deadline_s = self._clock() + self._config.timeout_s
        while not self._is(on=on):
            if self._clock() > deadline_s:
                status = self._status()
                raise DeviceRefused(
                    f"the output does not go {'on' if on else 'off'}, it tells {status.name or int(status)}: its front switch, interlock, KILL or an alarm"
                )

    def make_safe(self) -> None:
        """Power-down mode, off, set point 0: each is sent whatever the one before answers, then the status is read.

        Raises:
            DeviceError: the first failure, when all was sent, or that the output is still on.
        """
        steps = [("PDWN", self._config.make_safe_by), ("OFF", ""), ("VSET", "0.0")]
        self._link.insist([self._encode("SET", *step) for step in steps], self._accept)
        if not self._is(on=False):
            raise DeviceRefused("the output stays on after it was switched off: look at the unit")

    def _encode(self, command: str, parameter: str, value: str = "") -> bytes:
        board, channel = self._config.board, self._config.channel
        return encode(
            command, parameter, value, board=board, channel=None if parameter.startswith("BD") else channel
        )

    def _ask(self, parameter: str) -> bytes:
        value = decode(self._link.ask(self._encode("MON", parameter)), self._config.board)
        if not value:
            raise DeviceProtocolError(f"{parameter} was answered without a value")
        return value

    def _accept(self, line: bytes) -> None:
        if value := decode(line, self._config.board):
            raise DeviceProtocolError(f"a set was answered with the value {value!r}")

    def _command(self, parameter: str, value: str = "") -> None:
        self._accept(self._link.ask(self._encode("SET", parameter, value)))

    def _number(self, parameter: str, limit: float) -> float:
        return decode_number(self._ask(parameter), limit)

    def _status(self) -> Status:
        return Status(decode_word(self._ask("STAT")))

    def _is(self, *, on: bool) -> bool:
        status = self._status()
        # A unit that is off may still say ON until its ramp is down.
        return Status.ON in status if on else not status & Status.ON or Status.RAMPING_DOWN in status

    def _polarity(self) -> Literal["positive", "negative"]:
        return decode_polarity(self._ask("POL"))

    def _told(self, parameter: str) -> bytes:
        """What not every unit tells: nothing where it once refused to."""
        if parameter in self._unknown:
            return b""
        try:
            return self._ask(parameter)
        except DeviceRefused:
            self._unknown.add(parameter)
            return b""

    def _text(self, parameter: str) -> str:
        return self._told(parameter).decode("ascii").strip()

    def _set(self, parameter: str, value: str, limit: float, tolerance: float) -> None:
        self._command(parameter, value)
        found = self._number(parameter, limit)
        if abs(found - float(value)) > tolerance:
            raise DeviceRefused(f"{parameter} reads {found:g} after {value} was set")

    def _clear(self) -> None:
        status = self._status()
        if status & (Status.INTERLOCK | Status.KILL):
            raise DeviceRefused(f"the unit tells {status.name}: nothing was cleared or switched on")
        if status & _TRIPS:
            self._command("BDCLR")

    def _refuse_other_polarity(self) -> None:
        if (found := self._polarity()) != self._config.polarity:
            raise DeviceRefused(
                f"the channel is {found}, the settings say {self._config.polarity}: check `polarity`"
            )
