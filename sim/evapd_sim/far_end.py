"""The far end of a cable: where a simulated instrument listens so that a driver's `connect` finds it."""

import re

from evapd.config.descriptor import (
    PtyDescriptor,
    SerialDescriptor,
    TcpDescriptor,
    UnixDescriptor,
    VisaDescriptor,
    parse_descriptor,
)
from evapd.errors import ConfigError

_VISA_SOCKET = re.compile(r"TCPIP\d*::(?P<host>[^:]+)::(?P<port>\d+)::SOCKET", re.IGNORECASE)


def far_end(connect: str, *, own_speed: bool = False) -> str:
    """Descriptor of the listening side.

    `serial:`, `tcp:` and `unix:` stay as they are, a VISA raw socket becomes its TCP port. A serial instrument is set to
    the speed of the cable, or with `own_speed` keeps the one it was built with.

    Raises:
        ConfigError: for a resource that no simulated instrument can offer.
    """
    descriptor = parse_descriptor(connect)
    match descriptor:
        case SerialDescriptor() if own_speed:
            return str(PtyDescriptor(descriptor.path))
        case SerialDescriptor() | TcpDescriptor() | UnixDescriptor():
            return str(descriptor)
        case VisaDescriptor():
            socket = _VISA_SOCKET.fullmatch(descriptor.resource)
            if socket is not None:
                return str(TcpDescriptor(socket["host"], int(socket["port"])))
    raise ConfigError(
        f"the twin cannot stand at '{connect}'; use serial:, tcp:, unix: or visa:TCPIP0::HOST::PORT::SOCKET"
    )
