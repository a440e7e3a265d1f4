"""Descriptors: where an instrument is connected, as one line of text.

`serial:/dev/ttyUSB0:115200-8N1` (with flow control `115200-8N1-rtscts` or `-xonxoff`), `tcp:host:port` (IPv6 in brackets), `unix:PATH`, `visa:RESOURCE`, and, on the side that
listens, `pty:PATH`. What has no cable: `library:PATH` (a vendor's shared library), `module:NAME` (a vendor's Python
module), `file:PATH` (something recorded).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from evapd.errors import ConfigError

ALLOWED = "serial:PATH:BAUD-8N1, tcp:HOST:PORT, unix:PATH, visa:RESOURCE, pty:PATH, library:PATH, module:NAME or file:PATH"
Parity = Literal["N", "E", "O", "M", "S"]
Flow = Literal["", "rtscts", "xonxoff"]

_SERIAL = re.compile(
    r"(?P<path>.+):(?P<baud>[0-9]{1,8})(?:-(?P<bits>[5-8])(?P<parity>[NEOMS])(?P<stop>1\.5|1|2)(?:-(?P<flow>rtscts|xonxoff))?)?"
)
_TCP = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%A-Za-z]+)\]|(?P<host>[^:\[\]\s/]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class SerialDescriptor:
    """A serial port: device path, baud rate, data bits 5 to 8, parity N E O M S, stop bits 1, 1.5 or 2, flow control."""

    path: str
    baud: int
    bits: int = 8
    parity: Parity = "N"
    stop: float = 1.0
    flow: Flow = ""

    def __str__(self) -> str:
        line = f"serial:{self.path}:{self.baud}-{self.bits}{self.parity}{self.stop:g}"
        return f"{line}-{self.flow}" if self.flow else line


@dataclass(frozen=True, slots=True)
class TcpDescriptor:
    """A TCP port of a host."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp:[{self.host}]:{self.port}" if ":" in self.host else f"tcp:{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixDescriptor:
    """A unix stream socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class VisaDescriptor:
    """A VISA resource name."""

    resource: str

    def __str__(self) -> str:
        return f"visa:{self.resource}"


@dataclass(frozen=True, slots=True)
class PtyDescriptor:
    """A pseudo-terminal that a simulated instrument offers under a name; only the listening side uses it."""

    path: str

    def __str__(self) -> str:
        return f"pty:{self.path}"


@dataclass(frozen=True, slots=True)
class LibraryDescriptor:
    """A vendor's shared library: a path, or a name that the dynamic loader finds."""

    path: str

    def __str__(self) -> str:
        return f"library:{self.path}"


@dataclass(frozen=True, slots=True)
class ModuleDescriptor:
    """A vendor's Python module by its import name."""

    name: str

    def __str__(self) -> str:
        return f"module:{self.name}"


@dataclass(frozen=True, slots=True)
class FileDescriptor:
    """A file or folder with something recorded."""

    path: str

    def __str__(self) -> str:
        return f"file:{self.path}"


Descriptor = (
    SerialDescriptor
    | TcpDescriptor
    | UnixDescriptor
    | VisaDescriptor
    | PtyDescriptor
    | LibraryDescriptor
    | ModuleDescriptor
    | FileDescriptor
)


def parse_descriptor(text: str) -> Descriptor:
    """Read a descriptor.

    Raises:
        ConfigError: when it is none; the message says what is allowed.
    """
    kind, _, rest = text.partition(":")
    if kind in _NAMED:
        if not rest.strip() or "\0" in rest:
            raise ConfigError(f"'{text}' names nothing, allowed is {ALLOWED}")
        return _NAMED[kind](rest)
    if kind == "serial":
        return _serial(text, rest)
    if kind == "tcp":
        return _tcp(text, rest)
    raise ConfigError(f"'{text}' is not a descriptor, allowed is {ALLOWED}")


def below(descriptor: Descriptor, folder: Path) -> Descriptor:
    """Make a relative path of a descriptor absolute below `folder`; others stay as they are."""
    if isinstance(descriptor, SerialDescriptor | UnixDescriptor | PtyDescriptor | FileDescriptor):
        return replace(descriptor, path=str(folder / descriptor.path))
    return descriptor


def address(descriptor: Descriptor) -> str:
    """Give what two instruments cannot share: the descriptor without baud rate and frame."""
    return f"serial:{descriptor.path}" if isinstance(descriptor, SerialDescriptor) else str(descriptor)


_NAMED: dict[str, Callable[[str], Descriptor]] = {
    "unix": UnixDescriptor,
    "visa": VisaDescriptor,
    "pty": PtyDescriptor,
    "library": LibraryDescriptor,
    "module": ModuleDescriptor,
    "file": FileDescriptor,
}


def _serial(text: str, rest: str) -> SerialDescriptor:
    found = _SERIAL.fullmatch(rest)
    if found is None:
        raise ConfigError(
            f"'{text}' is not a serial descriptor, allowed is serial:PATH:BAUD or serial:PATH:BAUD-8N1 "
            "(bits 5 to 8, parity N E O M S, stop bits 1, 1.5 or 2, then -rtscts or -xonxoff where the instrument wants it)"
        )
    baud = int(found["baud"])
    if not 50 <= baud <= 4_000_000:
        raise ConfigError(f"baud rate {baud} in '{text}' is out of range, allowed is 50 to 4000000")
    return SerialDescriptor(
        found["path"],
        baud,
        int(found["bits"] or 8),
        cast("Parity", found["parity"] or "N"),
        float(found["stop"] or 1),
        cast("Flow", found["flow"] or ""),
    )


def _tcp(text: str, rest: str) -> TcpDescriptor:
    found = _TCP.fullmatch(rest)
    if found is None:
        raise ConfigError(
            f"'{text}' is not a TCP descriptor, allowed is tcp:HOST:PORT, an IPv6 address in brackets"
        )
    port = int(found["port"])
    if not 1 <= port <= 65535:
        raise ConfigError(f"port {port} in '{text}' is out of range, allowed is 1 to 65535")
    return TcpDescriptor(found["six"] or found["host"], port)
