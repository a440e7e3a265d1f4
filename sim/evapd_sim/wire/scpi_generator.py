"""Function generators with SCPI, as their cable shows them: Keysight 33500 and Tektronix AFG3000.

Source: Keysight 33500 operating and service guide, Tektronix AFG3000 programmer manual, headers as open clients use them. By practice only: how numbers are
written, the texts of errors, and that a command may go on in the path of the one before it. Wave forms and modulation are not simulated: what matters is the rate of pulses.
"""

from collections.abc import Callable
from typing import ClassVar

from evapd_sim.plant import Plant
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import read_integer
from evapd_sim.wire.scpi import ErrorQueue, choice, header
from evapd_sim.wire.scpi_generator_settings import LEAVES, Leaf, Settings, Value, find, read, write

_SYNTAX, _MISSING, _UNDEFINED, _EXCESS, _PROTECTED = -102, -109, -113, -108, -203
_TRIGGER_IGNORED, _CONFLICT, _RANGE, _ILLEGAL = -211, -221, -222, -224
_TEXTS = {
    0: "No error",
    _SYNTAX: "Syntax error",
    _EXCESS: "Parameter not allowed",
    _MISSING: "Missing parameter",
    _UNDEFINED: "Undefined header",
    _PROTECTED: "Command protected",
    _TRIGGER_IGNORED: "Trigger ignored",
    _CONFLICT: "Settings conflict; pulse width decreased due to period",
    _RANGE: "Data out of range",
    _ILLEGAL: "Illegal parameter value",
    -363: "Input buffer overrun",
}
_EDGES = {"PULS", "SQU", "RAMP", "SIN", "TRI"}  # shapes whose edge would trigger something
# Accepted, and without effect on pulses.
_IGNORED = header("{SYSTem:BEEPer[:IMMediate]|SYSTem:LOCal|SYSTem:REMote|SYSTem:RWLock|DISPlay[:STATe]|DISPlay:TEXT[:CLEar]|DISPlay:BRIGhtness|CALibration[:ALL]|DIAGnostic[:ALL]|[SOURce#:]PHASe:{SYNChronize|INITiate|REFerence}|ABORt|INITiate#[:IMMediate]|*WAI|*OPC|*ESE|*SRE|FORMat:BORDer|TRIGger#[:SEQuence][:IMMediate]}")  # fmt: skip


_APPLY = header("[SOURce#:]APPLy:{SINusoid|SQUare|PULSe|RAMP|NOISe|DC}")


class _Refused(Exception):
    """A command that is not carried out, with its error code."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class ScpiGeneratorWire(LineWire):
    """A function generator. Channel `pulses_by` drives `plant.trigger`: running and rate; in gated bursts the inhibit input stops it.

    Args:
        plant: the physical quantities.
        model: in `*IDN?`.
        serial: serial number in `*IDN?`.
        rate_hz: frequency of every channel at power-on.
        width_s: width of the pulse at power-on.
        shape: short form of the shape at power-on.
        channels: how many.
        pulses_by: the channel that triggers.
        external_hz: rate of what is connected to the trigger input.
    """

    ends = b"\n\r"
    max_length = 1024
    tells_serial = True
    named: ClassVar[str]  # `*IDN?` with {} for model and serial number
    usual_model: ClassVar[str]
    usual_serial: ClassVar[str]
    number_form: ClassVar[str]
    error_form: ClassVar[str]
    max_hz: ClassVar[float]
    clips: ClassVar[bool]  # what is out of range becomes the limit
    runs_by: ClassVar[str] = "IMM"  # its word for the trigger source after *RST

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "",
        serial: str = "",
        rate_hz: float = 1000.0,
        width_s: float = 1e-6,
        shape: str = "PULS",
        channels: int = 2,
        pulses_by: int = 1,
        external_hz: float = 0.0,
    ) -> None:
        super().__init__(plant)
        self._model = model or self.usual_model
        self.renumber(serial or self.usual_serial)
        self._channels, self._by = channels, pulses_by
        self.external_hz = external_hz
        self.protected = False  # another interface has locked it: sets are refused
        self.errors = ErrorQueue(_TEXTS, self.error_form.format)
        self.settings = Settings()
        for channel in range(1, channels + 1):
            start: dict[str, Value] = {"rate_hz": rate_hz, "width_s": width_s, "shape": shape}
            self.settings.values |= {(channel, name): value for name, value in start.items()}
        self._saved: dict[int, dict[tuple[int, str], Value]] = {}
        self._status = 128  # event status: power on
        self._path = ""
        self._queries = self._make_queries()
        self._commands = self._make_commands()

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self.identity = self.named.format(self._model, serial)

    # -- time -------------------------------------------------------------------------------------------------------

    def _advanced(self, dt_s: float) -> None:  # noqa: ARG002 - this one follows at once
        by, values, trigger = self._by, self.settings, self.plant.trigger
        gated = bool(values[by, "burst"]) and values[by, "burst_mode"] == "GAT"
        hz = values.number(by, "rate_hz")
        if values[by, "burst"] and not gated:
            hz = self._burst_hz(hz)
        trigger.running = bool(values[by, "output"]) and values[by, "shape"] in _EDGES and hz > 0.0
        trigger.inhibit_honoured = gated
        if hz > 0.0:
            trigger.rate_hz = hz

    def _burst_hz(self, hz: float) -> float:
        """Pulses per second of N cycles at each trigger."""
        by, values = self._by, self.settings
        cycles = values.number(by, "cycles")
        if cycles > 1e30:
            return hz
        source = values[by, "trigger"]
        every_s = values.number(by, "burst_s") if source in {"IMM", "INT"} else values.number(by, "trigger_s")
        bursts_hz = {"EXT": self.external_hz, "BUS": 0.0}.get(str(source), 1.0 / every_s)
        return min(hz, bursts_hz * cycles)

    # -- lines ------------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        self.errors.add(-363)
        return b""

    def _answer(self, line: str) -> bytes:
        replies = []
        self._path = ""
        for part in line.split(";"):
            try:
                reply = self._command(part.strip()) if part.strip() else None
            except _Refused as refusal:
                self.errors.add(refusal.code)
                self._status |= 32 if refusal.code > -200 else 16
            else:
                replies += [] if reply is None else [reply]
        self._advanced(0.0)  # a command acts at once
        return ";".join(replies).encode("latin-1") + b"\n" if replies else b""

    def _command(self, text: str) -> str | None:
        head, _, argument = text.partition(" ")
        asks = head.endswith("?")
        path = head.removesuffix("?").upper()
        rooted = path.startswith((":", "*"))
        tries = [path.removeprefix(":")] if rooted else [self._path + path, path]
        for one in tries:
            if (found := find(one)) and 1 <= found[1] <= self._channels:
                self._path = one.rpartition(":")[0] + ":" if ":" in one else ""
                return self._setting(found, argument.strip(), asks=asks)
        return self._plain(tries[-1], argument.strip(), asks=asks)

    def _setting(self, found: tuple[str, int, Leaf], argument: str, *, asks: bool) -> str | None:
        name, channel, leaf = found
        if asks:
            if argument and (limit := read(leaf, argument)) is not None:
                return write(self._limited(name, leaf, limit), self.number_form)
            if name == "period_s":
                return format(1.0 / self.settings.number(channel, "rate_hz"), self.number_form)
            told = write(self.settings[channel, name], self.number_form)
            return self.runs_by if (name, told) == ("trigger", "IMM") else told
        if not argument:
            raise _Refused(_MISSING)
        value = read(leaf, argument)
        if value is None:
            raise _Refused(_ILLEGAL)
        self._free()
        if name == "period_s":
            name, leaf, value = "rate_hz", LEAVES["rate_hz"], 1.0 / max(float(value), 1e-12)
        limited = self._limited(name, leaf, value)
        if limited == value or self.clips:
            self.settings.values[channel, name] = limited
            self.settings.fit_levels(channel, name)
        if limited != value:
            raise _Refused(_RANGE)
        if name in {"rate_hz", "shape", "width_s"}:
            self._fit_width(channel)
        return None

    def _limited(self, name: str, leaf: Leaf, value: Value) -> Value:
        if isinstance(value, str | bool):
            return value
        low, high = leaf.limits
        return min(max(value, low), min(high, self.max_hz) if name.endswith("_hz") else high)

    def _fit_width(self, channel: int) -> None:
        """A pulse that is longer than its period is made shorter, and an error says so."""
        period_s = 1.0 / self.settings.number(channel, "rate_hz")
        if self.settings[channel, "shape"] == "PULS" and self.settings.number(channel, "width_s") >= period_s:
            self.settings.values[channel, "width_s"] = period_s / 2.0
            raise _Refused(_CONFLICT)

    def _free(self) -> None:
        if self.protected:
            raise _Refused(_PROTECTED)

    # -- what concerns the interface, and commands of several settings ------------------------------------------------

    def _plain(self, path: str, argument: str, *, asks: bool) -> str | None:
        for pattern, query in self._queries.items():
            if asks and header(pattern).fullmatch(path):
                return query()
        for pattern, command in self._commands.items():
            if not asks and (found := header(pattern).fullmatch(path)):
                command(*found.groups(), argument)
                return None
        if not asks and (applied := _APPLY.fullmatch(path)):
            self._apply(int(applied[1] or 1), path.rpartition(":")[2], argument)
            return None
        if not asks and _IGNORED.fullmatch(path):
            return None
        raise _Refused(_UNDEFINED if path.strip("*:").replace(":", "").isalnum() else _SYNTAX)

    def _make_queries(self) -> dict[str, Callable[[], str]]:
        return {
            "*IDN": lambda: self.identity,
            "*OPC": lambda: "1",
            "*TST": lambda: "0",
            "*OPT": lambda: "0",
            "*ESR": self._read_status,
            "*ESE": lambda: "0",
            "*SRE": lambda: "0",
            "*STB": lambda: str(4 * bool(len(self.errors))),
            "SYSTem:ERRor[:NEXT]": self.errors.pop,
            "SYSTem:ERRor:COUNt": lambda: str(len(self.errors)),
            "SYSTem:VERSion": lambda: "1999.0",
            "[SOURce#:]APPLy": self._applied,
        }

    def _make_commands(self) -> dict[str, Callable[..., None]]:
        return {
            "*RST": lambda _: self._restore({}),
            "*CLS": lambda _: self._clear(),
            "*TRG": lambda _: self._fire(),
            "*SAV": lambda argument: self._saved.__setitem__(
                self._place(argument), dict(self.settings.values)
            ),
            "*RCL": lambda argument: self._restore(self._saved.get(self._place(argument), {})),
        }

    def _apply(self, channel: int, shape: str, argument: str) -> None:
        """`APPL:PULS 1e3,2.5,1.0`: shape, frequency, amplitude and offset, then the output is switched on."""
        parts = [part.strip() for part in argument.split(",")] if argument else []
        if channel > self._channels or len(parts) > 3:
            raise _Refused(_UNDEFINED if channel > self._channels else _EXCESS)
        self._free()
        settings = [("shape", shape), *zip(("rate_hz", "amplitude_v", "offset_v"), parts, strict=False)]
        for name, text in settings:
            value = choice(text, LEAVES[name].words) if name == "shape" else read(LEAVES[name], text)
            if value is None or self._limited(name, LEAVES[name], value) != value:
                raise _Refused(_ILLEGAL if value is None else _RANGE)
            self.settings.values[channel, name] = value
            self.settings.fit_levels(channel, name)
        self.settings.values[channel, "output"] = True
        self._fit_width(channel)

    def _read_status(self) -> str:
        value, self._status = self._status, 0
        return str(value)

    def _clear(self) -> None:
        self.errors.clear()
        self._status = 0

    def _restore(self, values: dict[tuple[int, str], Value]) -> None:
        self._free()
        self.settings = Settings(dict(values))

    def _place(self, argument: str) -> int:
        place = read_integer(argument)
        if place is None or not 0 <= place <= 4:
            raise _Refused(_MISSING if not argument else _ILLEGAL)
        return place

    def _fire(self) -> None:
        if not any(self.settings[channel, "burst"] for channel in range(1, self._channels + 1)):
            raise _Refused(_TRIGGER_IGNORED)

    def _applied(self) -> str:
        values = [self.settings.number(1, name) for name in ("rate_hz", "amplitude_v", "offset_v")]
        return (
            f'"{self.settings[1, "shape"]} '
            + ",".join(format(value, self.number_form) for value in values)
            + '"'
        )


class Keysight33500Wire(ScpiGeneratorWire):
    """A 33522B. Out of range it sets its limit, and says so."""

    named, usual_model, usual_serial = (
        "Agilent Technologies,{},{},4.00-1.19-2.00-52-00",
        "33522B",
        "MY57801234",
    )
    number_form, error_form, max_hz, clips = "+.14E", '{0:+d},"{1}"', 30e6, True


class TektronixAfgWire(ScpiGeneratorWire):
    """An AFG3022C."""

    named, usual_model, usual_serial = "TEKTRONIX,{},{},SCPI:99.0 FV:1.0", "AFG3022C", "C100101"
    number_form, error_form, max_hz, clips = ".12E", '{0},"{1}"', 25e6, False
    runs_by = "TIM"
