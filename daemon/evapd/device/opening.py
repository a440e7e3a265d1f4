"""From a descriptor to the transport that it names."""

import time

from evapd.config.descriptor import (
    FileDescriptor,
    LibraryDescriptor,
    ModuleDescriptor,
    PtyDescriptor,
    SerialDescriptor,
    TcpDescriptor,
    UnixDescriptor,
    parse_descriptor,
)
from evapd.device.transport import Clock, Terms, Trace, Transport
from evapd.errors import DeviceError


def open_transport(
    descriptor: str, timeout_s: float, clock: Clock = time.monotonic, trace: Trace | None = None
) -> Transport:
    """Open the link that a descriptor names and own its port alone.

    Args:
        descriptor: such as `serial:/dev/ttyUSB0:115200-8N1`, `tcp:host:port`, `unix:PATH`, `visa:RESOURCE`.
        timeout_s: deadline in s of opening and of each call that names none.
        clock: monotonic time in s.
        trace: called with each piece of bytes sent and received.

    Raises:
        ConfigError: when the descriptor is none, or names a listening side.
        DeviceBusy: when another program owns the port; nothing was sent.
        DeviceTimeout: when the other side does not answer the connection in time.
        DeviceLost: when there is no such port, or the connection is refused.
    """
    terms = Terms(timeout_s, clock, trace)
    # Each kind is imported when it is first used: pyvisa alone takes 0.3 s.
    match parse_descriptor(descriptor):
        case SerialDescriptor() as serial:
            from evapd.device.serial_port import open_serial  # noqa: PLC0415

            return open_serial(serial, terms)
        case TcpDescriptor() | UnixDescriptor() as stream:
            from evapd.device.sockets import open_socket  # noqa: PLC0415

            return open_socket(stream, terms)
        case PtyDescriptor() as pty:
            raise DeviceError(
                f"{pty} is the listening side of a simulated instrument; connect with serial:PATH:BAUD-8N1"
            )
        case LibraryDescriptor() | ModuleDescriptor() | FileDescriptor() as other:
            raise DeviceError(f"{other} is no cable: this driver needs serial:, tcp:, unix: or visa:")
        case visa:
            from evapd.device.visa import open_visa  # noqa: PLC0415

            return open_visa(visa, terms)
