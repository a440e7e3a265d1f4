"""Newport SMC100CC, SMC100PP and CONEX-CC motion controllers, one per axis, several on one line by their address.

Written from how QMI, BLISS, hvl_ccb and several laboratories' drivers use the command set; the manual itself was not seen. Commands end with CR LF and begin
with the controller's address; an answer repeats address and command. Sets answer nothing and leave a letter for `TE`. RS-232 at 57600 8N1 with XON/XOFF
(`serial:PATH:57600-8N1-xonxoff`), CONEX by USB at 921600 8N1.

Confidence: commands, states and letters agree in many clients. In doubt: whether every firmware knows `TH` (setting `following_error`) and how the text
of `VE` looks. The controller itself moves nothing before a search, and searches once only: after that the state is READY, and a second `OR` is
refused until it is reset. A stop of an axis that stands leaves an error letter, which is no failure.
Nothing here was tried on hardware.
"""

import re
from typing import ClassVar, NamedTuple

from evapd.device.link import Link, number
from evapd.device.readings import AxisReading, Identity
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused
from evapd_drivers.stage import newport
from evapd_drivers.stage.axes import MAX_MM

ERRORS = {
    "A": "unknown command or address", "B": "wrong address", "C": "parameter missing or out of range", "D": "not allowed", "E": "already homing",
    "F": "not known to the stage", "G": "displacement out of limits", "H": "not referenced", "I": "in configuration", "J": "disabled", "K": "in READY",
    "L": "homing", "M": "moving", "N": "out of software limit", "S": "communication time-out", "U": "EEPROM", "V": "error during execution",
    "W": "not allowed for PP version", "X": "not allowed for CC version",
}  # fmt: skip
_NOT_REFERENCED = range(0x0A, 0x12)
_READY = range(0x32, 0x39)
_MOVING = {0x1E, 0x1F, 0x28, 0x46, 0x47}
_REFERENCED = {0x28, *range(0x32, 0x48)}
_STATES = {*_NOT_REFERENCED, 0x14, *_MOVING, *_REFERENCED}
_STATE = re.compile(rb"([0-9A-Fa-f]{4})([0-9A-Fa-f]{2})")
_LETTER = re.compile(rb"[@A-Z]")
_VERSION = re.compile(r"((?:SMC|CONEX)[A-Za-z0-9-]*(?:_[A-Z]+)?)[ _-]*(?:Controller-driver version)?(.*)")


class State(NamedTuple):
    """What `TS` says: errors of the positioner as bits, and the state of the controller."""

    errors: int
    moving: bool
    referenced: bool
    ready: bool


def decode(channel: int, command: str, line: bytes) -> bytes:
    """Take address and command off an answer, `1TP4.99981`; another address or command is an error."""
    head = f"{channel}{command}".encode()
    if not line.startswith(head):
        raise DeviceProtocolError(f"{line!r} where an answer to {head.decode()} is due")
    return line[len(head) :].strip(b" ")


def decode_state(text: bytes) -> State:
    """`000033`: positioner errors and state, both hexadecimal."""
    found = _STATE.fullmatch(text)
    code = int(found[2], 16) if found else -1
    if found is None or code not in _STATES:
        raise DeviceProtocolError(f"{text!r} where a state of the controller is due")
    return State(int(found[1], 16), code in _MOVING, code in _REFERENCED, code in _READY)


def decode_error(text: bytes) -> str:
    """`@` (none) or a letter."""
    if not _LETTER.fullmatch(text):
        raise DeviceProtocolError(f"{text!r} where an error letter is due")
    return text.decode()


def decode_mm(text: bytes) -> float:
    """A position in mm."""
    return number(text, -MAX_MM, MAX_MM)


def decode_version(text: bytes) -> Identity:
    """`SMC_CC - Controller-driver version  3. 1. 2` or `CONEX-CC 2.0.1`."""
    words = text.decode("ascii", "replace").strip()
    found = _VERSION.fullmatch(words)
    if found is None:
        raise DeviceIdentityError(f"'{words}' answers, not an SMC100 or CONEX: check `connect`")
    return Identity(vendor="Newport", model=found[1], firmware=found[2].replace(" ", ""), raw=words)


class NewportSmc100(newport.NewportStage):
    """SMC100 or CONEX controllers with named axes; `channel` is the address. Positions in mm."""

    end = b"\r\n"
    conformance_skips: ClassVar[dict[str, str]] = {
        "a_reference_is_told": "an axis that is referenced searches again only after a reset of the controller",
    }

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there, at the first address; changes nothing, in no instrument."""
        return decode_version(decode(1, "VE", link.ask(b"1VE\r\n")))

    def _ask(self, channel: int, command: str) -> bytes:
        return decode(channel, command.rstrip("?"), self._link.ask(self._encode(channel, command)))

    def _identify(self) -> Identity:
        found = [decode_version(self._ask(axis.channel, "VE")) for axis in self._config.axes.values()]
        return found[0]

    def _stage(self, channel: int) -> str:
        return self._ask(channel, "ID?").decode("ascii", "replace")

    def _errors(self, channel: int) -> str:
        letter = decode_error(self._ask(channel, "TE"))
        return (
            ""
            if letter == "@"
            else f"controller {channel}: {letter} ({ERRORS.get(letter, 'see the manual')})"
        )

    def _state(self, channel: int) -> State:
        return decode_state(self._ask(channel, "TS"))

    def _moving(self, channel: int) -> bool:
        return self._state(channel).moving

    def _axis(self, name: str, channel: int) -> AxisReading:  # noqa: ARG002 - the address is enough
        set_mm = decode_mm(self._ask(channel, "TH")) if self._follows else None
        position_mm, state = decode_mm(self._ask(channel, "TP")), self._state(channel)
        return AxisReading(
            position_mm=position_mm,
            referenced=state.referenced,
            moving=state.moving,
            in_position=state.ready and not state.errors and self._in_position(position_mm, set_mm),
            following_error_mm=None if set_mm is None else set_mm - position_mm,
        )

    def _referenced(self, name: str, channel: int) -> bool:  # noqa: ARG002 - the address is enough
        return self._state(channel).referenced

    def _ready(self, channel: int) -> None:
        """End a move under way, because the controller takes no other before it has ended.

        Raises:
            DeviceRefused: it does not come to rest within the deadline.
        """
        deadline_s = self._clock() + self._config.timeout_s
        state = self._state(channel)
        if not (state.moving and state.referenced):
            return  # what else it does, or that it is disabled, the controller says itself
        self._do(channel, "ST")
        while self._state(channel).moving:
            if self._clock() > deadline_s:
                raise DeviceRefused(
                    f"controller {channel} still moves {self._config.timeout_s:g} s after a stop"
                )

    def reference(self, axis: str) -> None:
        """Start the search for home of an axis that is not referenced.

        Raises:
            DeviceRefused: the controller refuses, also because the axis is referenced already.
        """
        try:
            super().reference(axis)
        except DeviceRefused as refusal:
            raise DeviceRefused(
                f"{refusal}; a referenced axis searches again after a reset (RS) only"
            ) from None
