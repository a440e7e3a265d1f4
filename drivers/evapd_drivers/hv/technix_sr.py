"""Technix SR high-voltage supplies (and capacitor chargers of the same interface), RS-232 at 9600 baud 8N1 or Ethernet (TCP port 4660).

Written from the RS-232 control protocol as three open clients describe it (HVCtl's protocol notes, hvl_ccb, EPICS-Technix); the maker's page was not
seen. Lines end by CR. The answer to `d1,819` is `d1,819`, to `a1` it is `a1819`: the command, and behind it what was asked. Values are counts of
12 bits, so that `rated_v` and `rated_a` say what 4095 means; on and off are pulses of at least 100 ms.

Confidence: commands, echo and the status byte agree in two clients or more. In doubt: which way round `P8` inhibits (one client has it inverted, so it
is only read), what LOCAL does to a command (asked before each set), whether the unit tells arcs by `F` (not used).
It tells neither who it is nor its set points: `v_set_v` is what it echoed last since it was opened, None before and in LOCAL. All clients
read the echo of on and off, one of them no other; where none comes (an emulator, a filtering adapter) set `echo = false`: then the status alone says what was done.
**Without a command for 5 s it goes off and local by itself** (one client's note): that is its dead man, `read()` keeps it awake. A unit that has gone
local is taken back by the next set or `output(True)`, but only while it is off.
It has no `identify` for `evapd probe`: its questions are one letter and a figure, which are commands to other instruments (`A1`: an acceleration of 1).
Nothing here was tried on hardware.
"""

import time
from collections.abc import Callable
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from evapd.device import HighVoltageReading, HighVoltageSupply, Identity, open_transport
from evapd.device.link import Link, TransportFactory, limited, number
from evapd.errors import (
    DeviceError,
    DeviceLost,
    DeviceProtocolError,
    DeviceRefused,
    LimitError,
)
from evapd.units import Second
from evapd_drivers.hv.counted import FULL, RatedConfig, counts


class Status(NamedTuple):
    """The status byte, least significant bit first."""

    voltage_regulation: bool
    fault: bool
    interlock_open: bool
    output_on: bool
    on_held: bool
    off_held: bool
    local: bool
    inhibited: bool


def encode(command: str, value: int) -> bytes:
    """`d1,819`: a command with its counts, or with 1 or 0."""
    return f"{command},{value}\r".encode()


def decode_echo(command: bytes, line: bytes) -> None:
    """Accept nothing but the command itself: it may have understood another number."""
    if line.strip() != command.strip():
        raise DeviceProtocolError(f"{line!r} where the echo of {command!r} is due")


def decode_counts(query: bytes, line: bytes, high: int = FULL) -> float:
    """`a1819`: the question, and behind it a number from 0 to `high`."""
    text = line.strip()
    if not text.startswith(query):
        raise DeviceProtocolError(f"{line!r} where {query!r} was asked")
    return number(text[len(query) :], 0, high)


def decode_status(line: bytes) -> Status:
    """`E9`: eight bits as one decimal number."""
    value = decode_counts(b"E", line, 255)
    if not value.is_integer():
        raise DeviceProtocolError(f"{line!r} is no status byte")
    return Status(*(bool(int(value) >> bit & 1) for bit in range(8)))


class TechnixSr:
    """A Technix SR as high-voltage supply; V and A, signed as at the output."""

    protocol: ClassVar[type] = HighVoltageSupply
    own_timeout_s: ClassVar[float] = 5.0  # without a command it goes off and local
    conformance_skips: ClassVar[dict[str, str]] = {
        "what_is_set_is_read_back": "set points cannot be asked: what was echoed is told until it is closed, and no longer",
    }

    class Config(RatedConfig):
        """Settings; `rated_v` and `rated_a` are what 4095 counts mean."""

        pulse_s: Annotated[Second, Field(ge=0.1, le=1)] = 0.12  # of the commands on and off
        echo: bool = True  # whether commands come back; False where something between takes that away

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
        self._sign = config.sign
        self._echoed_v: float | None = None
        self._limit_programmed = False

    def open(self) -> Identity:
        """Open and read; there is nobody to ask for a name, so a status byte and two readings in range are what identifies it."""
        with self._link.opening():
            self._echoed_v, self._limit_programmed = None, False
            self.read()
        return Identity(vendor="Technix", model="SR")

    def close(self) -> None:
        """Close the link; the output goes off by itself after `own_timeout_s`."""
        self._link.close()

    def read(self) -> HighVoltageReading:
        """Read status and monitors, the voltage (V) last: `t_mono_s` is the time of that reply."""
        status = self._status()
        i_meas_a = self._monitor(b"a2") * self._config.rated_a
        v_meas_v = self._sign * self._monitor(b"a1") * self._config.rated_v
        if status.local:
            self._echoed_v = None  # its knob governs
        return HighVoltageReading(
            t_mono_s=self._clock(),
            v_set_v=self._echoed_v,
            v_meas_v=v_meas_v,
            i_meas_a=i_meas_a,
            output_on=status.output_on,
            tripped=status.fault,
            interlock_open=status.interlock_open,
            inhibited=status.inhibited,
            remote=not status.local,
            current_limited=status.output_on and not status.voltage_regulation,
            v_step_v=self._config.rated_v / FULL,
        )

    def set_voltage(self, v_v: float) -> None:
        """Set the output voltage in V, of the configured polarity and within `v_max_v`, in steps of `rated_v` / 4095.

        Without an echo nobody tells what was understood: `v_set_v` then stays None, and all that is known is that the supply still answers.
        """
        v_v = limited("voltage", self._sign * v_v, 0.0, self._config.v_max_v, "V")
        steps = counts(v_v, self._config.v_max_v, self._config.rated_v)
        self._take_remote()
        self._echoed_v = None
        self._acknowledged(encode("d1", steps))
        if self._config.echo:
            self._echoed_v = self._sign * steps * self._config.rated_v / FULL
        else:
            self._status()

    def set_slew(self, v_per_s: float) -> None:
        """Refuse: this supply has no ramp of its own."""
        raise LimitError(f"slew {v_per_s:g} V/s: a Technix SR has no ramp of its own; nothing was sent")

    def set_current_limit(self, a: float) -> None:
        """Set the current limit in A, up to `i_max_a`, in steps of `rated_a` / 4095."""
        a = limited("current limit", a, 0.0, self._config.i_max_a, "A")
        self._take_remote()
        self._program_limit(a)

    def output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Press on or off; on: programs the current limit where nobody has, and refuses with the reason when it stays off."""
        if not on:
            self._pulse("P6")
            self._refuse_unless(on=False)
            return
        status = self._take_remote()
        if status.off_held:
            self._acknowledged(encode("P6", 0))
        if not self._limit_programmed:
            self._program_limit(self._config.i_max_a)
        self._pulse("P5")
        self._refuse_unless(on=True)

    def make_safe(self) -> None:
        """Set point 0 and the off command, then remote control, so that a unit in LOCAL obeys: each is sent even when one before it failed.

        A held on command is released before the off command is, else it would act again. After silence the rest is sent without waiting.

        Raises:
            DeviceError: the first failure, when all was sent, or that the output is still on.
        """
        self._echoed_v, failure, held = None, None, True
        try:
            self._insist(encode("d1", 0), encode("P6", 1), encode("P7", 0), encode("d1", 0))
            held = self._status().on_held
        except DeviceLost:
            raise
        except DeviceError as error:
            failure = error
        self._sleep(self._config.pulse_s)
        released = (encode("P5", 0), encode("P6", 0)) if held else (encode("P6", 0),)
        if failure is not None:
            for step in released:
                self._link.send(step)
            raise failure
        self._insist(*released)
        self._echoed_v = 0.0 if self._config.echo else None
        self._refuse_unless(on=False)

    def _insist(self, *steps: bytes) -> None:
        if not self._config.echo:
            for step in steps:
                self._link.send(step)
            return

        def accept(line: bytes) -> None:
            if line.strip() + b"\r" not in steps:
                raise DeviceProtocolError(f"{line!r} where the echo of a command is due")

        self._link.insist(steps, accept)

    def _status(self) -> Status:
        return decode_status(self._link.ask(b"E\r"))

    def _monitor(self, query: bytes) -> float:
        return decode_counts(query, self._link.ask(query + b"\r")) / FULL

    def _acknowledged(self, command: bytes) -> None:
        if self._config.echo:
            decode_echo(command, self._link.ask(command))
        else:
            self._link.send(command)

    def _program_limit(self, a: float) -> None:
        self._acknowledged(encode("d2", counts(a, self._config.i_max_a, self._config.rated_a)))
        self._limit_programmed = True

    def _pulse(self, command: str) -> None:
        self._acknowledged(encode(command, 1))
        self._sleep(self._config.pulse_s)
        self._acknowledged(encode(command, 0))

    def _take_remote(self) -> Status:
        """See to it that commands count: a unit that went local by itself is taken back while it is off."""
        status = self._status()
        if status.local and not status.output_on:
            self._acknowledged(encode("P7", 0))
            status = self._status()
        if status.local:
            raise DeviceRefused("the supply is in LOCAL: switch it to remote control at its front panel")
        return status

    def _refuse_unless(self, *, on: bool) -> None:
        deadline_s = self._clock() + self._config.timeout_s
        while (status := self._status()).output_on is not on:
            if self._clock() > deadline_s:
                reasons = {
                    "LOCAL": status.local,
                    "interlock open": status.interlock_open,
                    "fault": status.fault,
                }
                found = ", ".join(reason for reason, holds in reasons.items() if holds) or "no reason is told"
                raise DeviceRefused(f"the output stays {'off' if on else 'on'}: {found}")
