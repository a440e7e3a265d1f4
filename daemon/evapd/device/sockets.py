"""Stream sockets: TCP and unix."""

import os
import socket
from typing import Any, cast

from evapd.config.descriptor import TcpDescriptor, UnixDescriptor
from evapd.device.filedescriptor import FileTransport
from evapd.device.portlock import PortLock
from evapd.device.transport import Terms
from evapd.errors import DeviceLost, DeviceTimeout


def open_socket(descriptor: TcpDescriptor | UnixDescriptor, terms: Terms) -> FileTransport:
    """Connect to a TCP port or unix socket; see `open_transport`."""
    name = str(descriptor)
    family, address, key = _resolve(descriptor)
    lock = PortLock(key)
    link = socket.socket(family, socket.SOCK_STREAM)
    try:
        link.settimeout(terms.timeout_s)
        link.connect(address)
        if isinstance(descriptor, TcpDescriptor):
            _tune(link)
        link.setblocking(False)
    except TimeoutError as error:
        _drop(link, lock)
        raise DeviceTimeout(
            f"{name}: no connection within {terms.timeout_s:g} s; is the instrument on?"
        ) from error
    except OSError as error:
        _drop(link, lock)
        raise DeviceLost(f"{name}: cannot connect: {error.strerror or error}") from error
    except BaseException:
        _drop(link, lock)
        raise
    return FileTransport(name, link.fileno(), link.close, lock, terms)


def _resolve(descriptor: TcpDescriptor | UnixDescriptor) -> tuple[int, Any, str]:
    """Give family, address, and the name under which the port is locked."""
    if isinstance(descriptor, UnixDescriptor):
        return socket.AF_UNIX, descriptor.path, os.path.realpath(descriptor.path)
    try:
        found = socket.getaddrinfo(descriptor.host, descriptor.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DeviceLost(f"{descriptor}: the host is not known: {error}") from error
    family, _, _, _, address = found[0]
    host, port = cast("tuple[str, int]", address[:2])
    return family, address, f"tcp:{host}:{port}"


def _tune(link: socket.socket) -> None:
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A switched-off instrument sends no end of file: ask every 2 s after 5 s of silence, give up after 3.
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def _drop(link: socket.socket, lock: PortLock) -> None:
    link.close()
    lock.release()
