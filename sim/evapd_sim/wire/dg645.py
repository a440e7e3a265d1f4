"""Stanford Research Systems DG645 digital delay generator, as its cable shows it.

Source: DG645 user's manual, chapter Remote Programming. By practice only: the digits of TRAT?, LAMP?, LOFF?, and the error numbers
from 110 on. Outputs are not simulated as voltages: what matters to the plant is how many triggers come, and how many are lost.
"""

import math
import re
from collections import deque
from collections.abc import Callable
from copy import deepcopy
from typing import Literal

from evapd_sim.plant import Plant
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.dg645_settings import (
    EXTRA,
    ILLEGAL_MODE,
    ILLEGAL_VALUE,
    MISSING,
    NO_SET,
    NOT_A_NUMBER,
    NOT_ALLOWED,
    NOT_AN_INTEGER,
    OVERRUN,
    RECALL_FAILED,
    SYNTAX,
    TOO_MANY,
    Refused,
    Settings,
)
from evapd_sim.wire.numbers import flag, read_float, read_integer

# Bits of *ESR? and INSR?.
_COMPLETE, _EXECUTION, _COMMAND, _POWER_ON = 1, 16, 32, 128
_TRIGGERED, _RATE, _END_OF_DELAY, _END_OF_BURST, _INHIBITED = 1, 2, 4, 8, 16
_INSERTION_S = 100e-9  # the longest delay plus this is the shortest cycle
_INTERNAL, _SINGLE, _LINE = 0, 5, 6
_QUEUE = 20
# IFCF?: RS-232 on and its speed, GPIB on and its address, LAN, DHCP, auto IP, static IP, socket, telnet, VXI-11, address, mask, gateway.
_PORTS = ("1", "", "1", "15", "1", "1", "1", "0", "1", "1", "1", "0.0.0.0", "0.0.0.0", "0.0.0.0")  # noqa: S104 - told, not bound
_COMMAND_FORM = re.compile(r"(?P<name>\*?[A-Z]{3,4})\s*(?P<query>\?)?\s*(?P<rest>[^?]*)")


class Dg645Wire(LineWire):
    """A DG645. It drives `plant.trigger`: running, rate, whether the inhibit input matters, missed triggers.

    Args:
        plant: the physical quantities.
        serial: serial number in `*IDN?`.
        firmware: version in `*IDN?`.
        trigger_source: TSRC at power-on, as the unit was left: 0 internal, 5 single shot.
        rate_hz: internal rate at power-on.
        external_hz: rate of what is connected to the trigger input.
        line_hz: mains frequency, for TSRC 6.
        baud: bit/s set in the instrument.
    """

    max_length = 255
    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        serial: str = "001234",
        firmware: str = "1.18.11E",
        trigger_source: Literal[0, 1, 2, 3, 4, 5, 6] = 5,
        rate_hz: float = 1000.0,
        external_hz: float = 0.0,
        line_hz: float = 50.0,
        baud: int = 9600,
    ) -> None:
        super().__init__(plant, baud=baud)
        self._firmware = firmware
        self.renumber(serial)
        self.settings = Settings(source=trigger_source, rate_hz=rate_hz)
        self.external_hz = external_hz
        self.line_hz = line_hz
        self.locked_elsewhere = False  # another interface holds LOCK
        self._saved: dict[int, Settings] = {}
        self._errors: deque[int] = deque()
        self._event_status = _POWER_ON
        self._status = 0  # INSR
        self._enables = {"*ESE": 0, "*SRE": 0, "INSE": 0}
        self._terminator = b"\r\n"
        self._queries = self._make_queries()
        self._commands = self._make_commands()
        self._lost = 0.0  # part of a missed trigger
        self._pulses = 0.0  # part of a trigger

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self.identity = f"Stanford Research Systems,DG645,s/n{serial},ver{self._firmware}"

    # -- time -------------------------------------------------------------------------------------------------------

    def _advanced(self, dt_s: float) -> None:
        trigger, settings = self.plant.trigger, self.settings
        wanted_hz = {
            _INTERNAL: settings.rate_hz,
            1: self.external_hz,
            2: self.external_hz,
            _LINE: self.line_hz,
        }
        hz = wanted_hz.get(settings.source, 0.0)
        blocks = settings.inhibit != 0
        inhibited = trigger.inhibit_input and blocks
        cycle_s = _INSERTION_S + settings.busy_s()
        every = max(1, math.ceil(hz * cycle_s - 1e-9))  # a trigger while busy is lost
        trigger.running = hz > 0
        trigger.inhibit_honoured = blocks
        if hz > 0:
            trigger.rate_hz = hz / every * (settings.burst_count if settings.burst_mode else 1)
        if inhibited:
            self._status |= _INHIBITED
        self._pulses += 0.0 if inhibited else hz * dt_s
        if self._pulses >= 1.0:
            self._status |= _TRIGGERED | _END_OF_DELAY | (_END_OF_BURST if settings.burst_mode else 0)
            self._lost += (self._pulses // 1.0) * (1.0 - 1.0 / every)
            self._pulses %= 1.0
        if self._lost >= 1.0:
            self._status |= _RATE
            trigger.missed += int(self._lost)
            self._lost %= 1.0

    # -- lines ------------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        self._fail(OVERRUN)
        return b""

    def _answer(self, line: str) -> bytes:
        reply = b""
        for command in line.split(";"):
            text = command.strip().upper()
            if not text:
                continue
            try:
                answer = self._command(text)
            except Refused as refusal:
                self._fail(refusal.code)
            else:
                reply += b"" if answer is None else answer.encode("latin-1") + self._terminator
        self._advanced(0.0)  # a command acts at once
        return reply

    def _fail(self, code: int) -> None:
        self._event_status |= _COMMAND if code >= SYNTAX else _EXECUTION
        if len(self._errors) < _QUEUE - 1:
            self._errors.append(code)
        elif len(self._errors) < _QUEUE:
            self._errors.append(TOO_MANY)

    def _command(self, text: str) -> str | None:
        found = _COMMAND_FORM.fullmatch(text)
        if found is None:
            raise Refused(SYNTAX)
        name, asks = found["name"], bool(found["query"])
        arguments = [part.strip() for part in found["rest"].split(",")] if found["rest"] else []
        if asks:
            if name == "IFCF":
                return self._interface(_integers(arguments))
            own_query = self._queries.get(name)
            if own_query is None:
                return self.settings.query(name, _integers(arguments))
            if arguments:
                raise Refused(EXTRA)
            return own_query()
        if self.locked_elsewhere:
            raise Refused(NOT_ALLOWED)
        own_command = self._commands.get(name)
        if own_command is not None:
            own_command(_integers(arguments))
        elif name in self._queries:
            raise Refused(NO_SET)
        else:
            self.settings.command(name, _reals(arguments))
        return None

    # -- what concerns the interface and not the pulses -------------------------------------------------------------

    def _make_queries(self) -> dict[str, Callable[[], str]]:
        return {
            "*IDN": lambda: self.identity,
            "*ESR": self._read_event_status,
            "*STB": lambda: str(self._status_byte()),
            "*ESE": lambda: str(self._enables["*ESE"]),
            "*SRE": lambda: str(self._enables["*SRE"]),
            "INSE": lambda: str(self._enables["INSE"]),
            "*OPC": lambda: "1",
            "*TST": lambda: "0",
            "INSR": self._read_status,
            "LERR": lambda: str(self._errors.popleft() if self._errors else 0),
            "LOCK": lambda: flag(not self.locked_elsewhere),
            "UNLK": lambda: flag(not self.locked_elsewhere),
            "TIMB": lambda: "0",
            "*CAL": lambda: "0",
            "EMAC": lambda: "00.19.B3.02.00.01",
        }

    def _make_commands(self) -> dict[str, Callable[[list[int]], None]]:
        nothing: Callable[[list[int]], None] = lambda _: None  # noqa: E731 - accepted, and without effect here
        return dict.fromkeys(("*WAI", "REMT", "LCAL", "IFRS", "IFCF"), nothing) | {
            "*CLS": lambda _: self._clear(),
            "*RST": lambda _: self._restore(Settings()),
            "*SAV": self._save,
            "*RCL": self._recall,
            "*TRG": lambda _: self._fire(),
            "*OPC": lambda _: self._note(_COMPLETE),
            "*ESE": lambda values: self._enable("*ESE", values),
            "*SRE": lambda values: self._enable("*SRE", values),
            "INSE": lambda values: self._enable("INSE", values),
            "XTRM": self._set_terminator,
        }

    def _interface(self, values: list[int]) -> str:
        """Tell one of the settings of its ports."""
        if len(values) != 1:
            raise Refused(MISSING if not values else EXTRA)
        if not 0 <= values[0] < len(_PORTS):
            raise Refused(ILLEGAL_VALUE)
        return _PORTS[values[0]] or str(self.baud)

    def _note(self, bits: int) -> None:
        self._event_status |= bits

    def _read_event_status(self) -> str:
        value, self._event_status = self._event_status, 0
        return str(value)

    def _read_status(self) -> str:
        value, self._status = self._status, 0
        return str(value)

    def _status_byte(self) -> int:
        summary = 1 * bool(self._status & self._enables["INSE"])
        summary |= 32 * bool(self._event_status & self._enables["*ESE"])
        return summary | 64 * bool(summary & self._enables["*SRE"])

    def _enable(self, name: str, values: list[int]) -> None:
        if len(values) != 1:
            raise Refused(MISSING if not values else EXTRA)
        if not 0 <= values[0] <= 255:
            raise Refused(ILLEGAL_VALUE)
        self._enables[name] = values[0]

    def _clear(self) -> None:
        self._errors.clear()
        self._event_status = self._status = 0

    def _restore(self, settings: Settings) -> None:
        self.settings = settings

    def _place(self, values: list[int]) -> int:
        if len(values) != 1:
            raise Refused(MISSING if not values else EXTRA)
        if not 0 <= values[0] <= 9:
            raise Refused(ILLEGAL_VALUE)
        return values[0]

    def _save(self, values: list[int]) -> None:
        self._saved[self._place(values)] = deepcopy(self.settings)

    def _recall(self, values: list[int]) -> None:
        place = self._place(values)
        if place == 0:  # location 0 holds the factory settings
            self._restore(Settings())
        elif place in self._saved:
            self._restore(deepcopy(self._saved[place]))
        else:
            raise Refused(RECALL_FAILED)

    def _fire(self) -> None:
        if self.settings.source != _SINGLE:
            raise Refused(ILLEGAL_MODE)
        if not (self.plant.trigger.inhibit_input and self.settings.inhibit):
            self._status |= _TRIGGERED | _END_OF_DELAY

    def _set_terminator(self, values: list[int]) -> None:
        if not 1 <= len(values) <= 3:
            raise Refused(EXTRA if values else MISSING)
        if not all(0 <= value <= 255 for value in values):
            raise Refused(ILLEGAL_VALUE)
        self._terminator = bytes(value for value in values if value)


def _integers(arguments: list[str]) -> list[int]:
    values = [value for text in arguments if (value := read_integer(text)) is not None]
    if len(values) != len(arguments):
        raise Refused(NOT_AN_INTEGER)
    return values


def _reals(arguments: list[str]) -> list[float]:
    values = [value for text in arguments if (value := read_float(text)) is not None]
    if len(values) != len(arguments):
        raise Refused(NOT_A_NUMBER)
    return values
