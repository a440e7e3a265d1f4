"""NKT Photonics ORIGAMI XP and XPS femtosecond lasers in their command line interface (38400 8N1, lines ended by LF).

Unproven: written from the manual, tried on no instrument. The manual's words are known from what open clients quote and do (PyCCAPT's
`origamiClassCLI` with its tests, two laboratories' own drivers); the maker's document itself was not seen. The instrument may echo a
command and prompt with `>`, so a reply is the line that names what was asked (`e_power 1600`, `Frequency index parameter: 2`, `16000 nJ`), whatever
stands around it; a bare number is taken only where `bare_numbers` says so, because a late one would answer another question.

Confidence: commands, the bits of `ly_oxp2_dev_status` and the index of `e_freq` agree in two clients or more. In doubt: what a set is answered
with (every set is read back), whether `ly_oxp2_enabled` opens the output by itself (it may), how `ly_oxp2_output?` is worded (0 open, 1 closed), that an
error line begins with "Error" or "Unknown", and what the energy monitor sees. The output gate is an acousto-optic modulator: **neither it nor anything here is a safety
shutter**, that is hardware. `ly_oxp2_nktpbus` is never sent. Warming up (listen to standby, minutes) is done at the instrument.
"""

import logging
import re
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, NamedTuple, Self, TypeVar

from pydantic import Field, model_validator

from evapd.device import open_transport
from evapd.device.link import MAX_LINE, Link, TransportFactory, limited, number, same_serial
from evapd.device.protocols import DriverConfig, Laser
from evapd.device.readings import Identity, LaserReading
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout, LimitError
from evapd.units import Hertz, Picojoule, Second

_log = logging.getLogger("evapd.drivers.nkt_origami")

STATUS, OUTPUT = "ly_oxp2_dev_status", "ly_oxp2_output?"
ON_OPEN, ON_CLOSED, STANDBY, ERROR, POWER = 128, 64, 32, 2, 1
_STATES = ON_OPEN | ON_CLOSED | STANDBY | 16 | 8  # exactly one of them is set
MAX_UNIT, MAX_DIVISION, MAX_RATE_HZ = 100_000, 1_000_000, 100e6
_RATE_TOLERANCE = 1e-3
_MANY_LINES = 60
_REFUSAL = re.compile(rb"(error|unknown|invalid|illegal|failed|refused)\b", re.IGNORECASE)
_WORDED = {
    "e_power": re.compile(rb"sett?ed laser power in relative unit: *(\S+)", re.IGNORECASE),
    "e_freq": re.compile(rb"frequency index parameter: *(\S+)", re.IGNORECASE),
    "e_div": re.compile(rb"notice: division factor.* is (\S+)", re.IGNORECASE),
}
_RATE = re.compile(rb"e_freq *= *([0-9]{1,3})\s*-+> *(\S+) *Hz", re.IGNORECASE)
_OPTICAL = re.compile(
    rb"(?:(?:e_mlp|ls_output_power)[ :]+|.*output power *= *)?([0-9.eE+-]+) *([munp]?)([JW])", re.IGNORECASE
)
_PICO = {b"": 1e12, b"m": 1e9, b"u": 1e6, b"n": 1e3, b"p": 1.0}
T = TypeVar("T")
Decoder = Callable[[bytes], T | None]


class Status(NamedTuple):
    """What the status bits say; `ready` is standby or on, with power."""

    bits: int
    emission: bool
    ready: bool


def encode(name: str, value: int | None = None) -> bytes:
    """`e_power=1600`, or a command or query, ended by LF."""
    return f"{name}\n".encode() if value is None else f"{name}={value}\n".encode()


def decode_number(name: str, line: bytes, high: float) -> float | None:
    """`e_power 1600`, `e_power: 1600` or the instrument's own words, from 0 to `high`; None for a line about something else."""
    found = re.fullmatch(re.escape(name.encode()) + rb"(?: *: *| +)(\S+)", line)
    found = found or (_WORDED[name].fullmatch(line) if name in _WORDED else None)
    return None if found is None else number(found[1], 0.0, high)


def decode_status(line: bytes) -> Status | None:
    """`ly_oxp2_dev_status 33`: standby, warmed up; exactly one of the five states must be named."""
    value = decode_number(STATUS, line, 255.0)
    if value is None:
        return None
    bits = int(value)
    if bits != value or (bits & _STATES).bit_count() != 1:
        raise DeviceProtocolError(f"{line!r} names no single state")
    return Status(
        bits,
        emission=bool(bits & (ON_OPEN | ON_CLOSED)),
        ready=bool(bits & POWER and bits & (ON_OPEN | ON_CLOSED | STANDBY)),
    )


def decode_open(line: bytes) -> bool | None:
    """`ly_oxp2_output 0` is open, 1 closed, anything else an error."""
    value = decode_number("ly_oxp2_output", line, 1.0)
    if value not in (None, 0.0, 1.0):
        raise DeviceProtocolError(f"{line!r} where 0 (open) or 1 (closed) is due")
    return None if value is None else value == 0.0


def decode_optical(line: bytes, pulses_hz: float) -> float | None:
    """`16000 nJ`, `e_mlp 4.9 W` or `... Output power=0.53W`: energy of a pulse in pJ; a number without unit means nothing."""
    found = _OPTICAL.fullmatch(line)
    if found is None:
        return None
    value = number(found[1], 0.0, 1e12) * _PICO[found[2].lower()]
    return value if found[3].upper() == b"J" else value / pulses_hz


def decode_rates(lines: list[bytes]) -> dict[int, float]:
    """Lines `e_freq=2 --> 200000 Hz`: the rates in Hz by their index."""
    found = [match for line in lines if (match := _RATE.search(line))]
    return {int(match[1]): number(match[2], 1.0, MAX_RATE_HZ) for match in found}


class NktOrigami:
    """An ORIGAMI: energy by the modulator's relative power, rate by index and divider, the output gate as its shutter."""

    protocol: ClassVar[type] = Laser

    class Config(DriverConfig):
        """Settings; energies are those of one pulse at the specimen, as a power meter and the beam line's losses give them."""

        energy_max_pj: Annotated[Picojoule, Field(gt=0)]  # never asked for more
        pj_per_unit: Annotated[float, Field(gt=0)] | None = None  # linear calibration of `e_power`, or
        calibration: tuple[tuple[int, float], ...] | None = None  # points of (unit, pJ), both ascending
        unit_max: Annotated[int, Field(gt=0, le=MAX_UNIT)] = 4000
        monitor: Literal["e_mlp", "ls_output_power"] | None = (
            None  # the laser's own, where it can be believed
        )
        transmission: Annotated[float, Field(gt=0, le=1)] = 1.0  # from that monitor to the specimen
        rate_max_hz: Annotated[Hertz, Field(gt=0, le=MAX_RATE_HZ)] = 1e6
        interlock_bits: Annotated[int, Field(ge=0, le=7)] = (
            ERROR  # of the status that forbid light; 6: warnings too
        )
        bare_numbers: bool = False  # a firmware that answers a number and nothing else
        quiet_s: Annotated[Second, Field(gt=0, le=2)] = 0.1  # silence that ends an answer of unknown length

        @model_validator(mode="after")
        def _one_calibration(self) -> Self:
            if (self.pj_per_unit is None) == (self.calibration is None):
                raise ValueError("exactly one of pj_per_unit and calibration is needed")
            points = self.points
            rising = all(a < b and e < f for (a, e), (b, f) in pairwise(points))
            if len(points) < 2 or not rising or points[0][0] < 0 or points[0][1] < 0:
                raise ValueError(
                    "calibration needs two points or more, with units and energies both ascending"
                )
            if points[-1][0] > self.unit_max:
                raise ValueError(f"calibration goes to unit {points[-1][0]}, unit_max is {self.unit_max}")
            return self

        @property
        def points(self) -> tuple[tuple[int, float], ...]:
            """Points of (unit, pJ)."""
            if self.calibration is not None:
                return self.calibration
            return ((0, 0.0), (self.unit_max, self.unit_max * (self.pj_per_unit or 0.0)))

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
        self._rates_hz: dict[int, float] = {}  # by index; empty: `e_freq` takes Hz

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there: what answers its status is an ORIGAMI; changes nothing."""
        link.send(encode(STATUS))
        for _ in range(_MANY_LINES):
            line = link.line(alone=False).lstrip(b">? \t").rstrip()
            if decode_status(line) is not None:
                return Identity(vendor="NKT Photonics", model="ORIGAMI", raw=line.decode())
        raise DeviceIdentityError("no status in all that was said")

    def open(self) -> Identity:
        """Open, check that a laser's command line answers, ask for its rates, read the state; changes nothing.

        It tells neither type nor serial number: what answers `ly_oxp2_dev_status` is an ORIGAMI.
        """
        with self._link.opening():
            try:
                status = self._status()
            except (DeviceProtocolError, DeviceRefused) as error:
                raise DeviceIdentityError(
                    f"no ORIGAMI in command line mode answers ({error}); its port may be in NKTPBus mode: "
                    "switch it back with the maker's program"
                ) from error
            same_serial(self._config.serial_number, "")
            self._link.send(encode("e_freq_available?"))
            self._rates_hz = decode_rates(self._lines())
            self.read()
        return Identity(vendor="NKT Photonics", model="ORIGAMI XP", raw=f"{STATUS} {status.bits}")

    def close(self) -> None:
        """Close the link; the laser stays as it is."""
        self._link.close()

    def read(self) -> LaserReading:
        """Read state, gate, rate (Hz), set point and, where a monitor is configured, energy (pJ at the specimen)."""
        config = self._config
        set_pj = self._energy_of(self._number("e_power", MAX_UNIT))
        rate_hz = self._rate_hz()
        energy_pj = None
        if config.monitor is not None:
            at_laser_pj = self._ask(
                f"{config.monitor}?", lambda line: decode_optical(line, rate_hz), bare=False
            )
            energy_pj = at_laser_pj * config.transmission
        is_open = self._ask(OUTPUT, decode_open)
        status = self._status()
        return LaserReading(
            t_mono_s=self._clock(),
            energy_pj=energy_pj,
            rate_hz=rate_hz,
            emission=status.emission,
            shutter_open=is_open,
            energy_set_pj=set_pj,
            fault=bool(status.bits & config.interlock_bits),
        )

    def set_energy(self, pj: float) -> None:
        """Set the energy of a pulse in pJ, up to `energy_max_pj`, never more than asked for; read back."""
        points = self._config.points
        high_pj = min(self._config.energy_max_pj, points[-1][1])
        pj = limited("pulse energy", pj, points[0][1], high_pj, "pJ")
        self._set("e_power", self._unit_of(pj), MAX_UNIT)

    def set_rate(self, hz: float) -> None:
        """Set the pulse rate in Hz: one of the instrument's rates by a whole divider; its rates change only while it does not emit."""
        hz = limited("pulse rate", hz, 1.0, self._config.rate_max_hz, "Hz")
        present, division = self._index(), round(self._number("e_div", MAX_DIVISION))
        wanted = self._nearest(hz, present)
        if wanted[0] != present:
            if self._status().emission:
                raise DeviceRefused(
                    f"{hz:g} Hz needs another basic rate, which changes in standby only: switch the emission off first"
                )
            self._set("e_freq", wanted[0], MAX_RATE_HZ)
        if wanted[1] != division:
            self._set("e_div", wanted[1], MAX_DIVISION)

    def emission(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Switch emission; on: only where it is warmed up and reports no fault. The output gate may open with it."""
        if on:
            status = self._status()
            if status.bits & self._config.interlock_bits:
                raise DeviceRefused(f"the laser reports an error or open interlock (status {status.bits})")
            if not status.ready:
                raise DeviceRefused(
                    f"the laser is not warmed up (status {status.bits}): bring it to standby first"
                )
        self._told("ly_oxp2_enabled" if on else "ly_oxp2_standby")
        deadline_s = self._clock() + self._config.timeout_s
        while (status := self._status()).emission is not on:
            if self._clock() > deadline_s:
                raise DeviceRefused(f"status reads {status.bits} after emission({on})")

    def shutter(self, open: bool) -> None:  # noqa: A002, FBT001 - the contract's signature
        """Open or close the output gate, a modulator; read back."""
        self._told("ly_oxp2_output_enable" if open else "ly_oxp2_output_disable")
        if self._ask(OUTPUT, decode_open) is not open:
            raise DeviceRefused(f"the output gate does not {'open' if open else 'close'}")

    def make_safe(self) -> None:
        """Close the gate and go to standby in one breath, without waiting between; then both are read.

        Raises:
            DeviceError: what the check found; both commands were sent.
        """
        self._link.send(encode("ly_oxp2_output_disable") + encode("ly_oxp2_standby"))
        refusals = [line for line in self._lines() if _REFUSAL.match(line)]
        status, is_open = self._status(), self._ask(OUTPUT, decode_open)
        if status.emission or is_open:
            raise DeviceRefused(
                f"not safe: status reads {status.bits}, gate open {is_open}; {refusals or ''}"
            )

    # -- energy and rate ----------------------------------------------------------------------------------------------

    def _unit_of(self, pj: float) -> int:
        """Units for an energy, rounded down."""
        for (low, low_pj), (high, high_pj) in pairwise(self._config.points):
            if pj <= high_pj:
                return int(low + (high - low) * (pj - low_pj) / (high_pj - low_pj) + 1e-6)
        return self._config.points[-1][0]

    def _energy_of(self, unit: float) -> float | None:
        """Energy in pJ for units; None outside the calibration."""
        for (low, low_pj), (high, high_pj) in pairwise(self._config.points):
            if low <= unit <= high:
                return low_pj + (high_pj - low_pj) * (unit - low) / (high - low)
        return None

    def _index(self) -> int:
        index = self._number("e_freq", MAX_RATE_HZ)
        if self._rates_hz and index not in self._rates_hz:
            raise DeviceProtocolError(f"e_freq reads {index:g}, which is none of its own rates")
        return int(index)

    def _rate_hz(self) -> float:
        index = self._index()
        division = self._number("e_div", MAX_DIVISION)
        if division < 1:
            raise DeviceProtocolError(f"e_div reads {division:g} where 1 or more is due")
        return self._rates_hz.get(index, float(index)) / division

    def _nearest(self, hz: float, present: int) -> tuple[int, int]:
        """Index and divider that give a rate; the present index where it can, then the slowest basic rate that does."""
        rates = self._rates_hz or {round(hz): float(round(hz)), present: float(present)}
        for index in sorted(rates, key=lambda index: (index != present, rates[index])):
            division = max(1, round(rates[index] / hz))
            if division <= MAX_DIVISION and abs(rates[index] / division / hz - 1) <= _RATE_TOLERANCE:
                return index, division
        told = ", ".join(f"{rate:g}" for rate in rates.values())
        raise LimitError(
            f"{hz:g} Hz is none of the laser's rates ({told} Hz) by a whole divider; nothing was set"
        )

    # -- talk ---------------------------------------------------------------------------------------------------------

    def _status(self) -> Status:
        return self._ask(STATUS, decode_status)

    def _number(self, name: str, high: float) -> float:
        return self._ask(f"{name}?", lambda line: decode_number(name, line, high))

    def _set(self, name: str, value: int, high: float) -> None:
        self._told(name, value)
        found = self._number(name, high)
        if round(found) != value:
            raise DeviceRefused(f"{name} reads {found:g} after {value} was set")

    def _told(self, name: str, value: int | None = None) -> None:
        """Send a command and hear its answer out, whatever it is: an echo, a word, or nothing."""
        self._link.send(encode(name, value))
        for line in self._lines():
            if _REFUSAL.match(line):
                raise DeviceRefused(f"{name}: the laser answered {line.decode()!r}")

    def _ask(self, query: str, decode: Decoder[T], *, bare: bool = True) -> T:
        """Ask, and give what the first line says that is about the question."""
        name = query.removesuffix("?")
        self._link.send(encode(query))
        deadline_s = self._clock() + self._config.timeout_s
        heard: list[bytes] = []
        while len(heard) < _MANY_LINES:
            try:
                heard.append(self._line(max(0.0, deadline_s - self._clock())))
            except DeviceTimeout:
                if not heard:
                    raise
                break
            line = heard[-1]
            if line == query.encode():
                continue  # the echo
            if _REFUSAL.match(line):
                raise DeviceRefused(f"{query}: the laser answered {line.decode()!r}")
            if bare and self._config.bare_numbers and re.fullmatch(rb"[0-9.]+", line):
                line = name.encode() + b" " + line
            if (value := decode(line)) is not None:
                return value
        raise DeviceProtocolError(f"{query} was answered with {heard}, which says nothing about it")

    def _lines(self) -> list[bytes]:
        """Hear lines until nothing comes for `quiet_s`."""
        heard: list[bytes] = []
        while len(heard) < _MANY_LINES:
            try:
                heard.append(self._line(self._config.quiet_s))
            except DeviceTimeout:
                break
        return heard

    def _line(self, timeout_s: float) -> bytes:
        """One line within a time, without prompt and blanks."""
        line = self._link.line(alone=False, timeout_s=timeout_s).lstrip(b">? \t").rstrip()
        _log.debug("%s: %r", self._config.connect, line[:MAX_LINE])
        return line
