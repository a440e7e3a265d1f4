"""The TCP socket that listens for libzmq, on which we keep a hand: it can be shut while everything else goes on.

libzmq accepts without limit; with no descriptors left it asks the kernel again and again at full speed, and closing
its listener would end every connection that came through it. So the listening socket is made here, libzmq gets a
duplicate of it (ZMQ_USE_FD), and a socket filter that lets nothing pass keeps new connections waiting in the network.
"""

import ctypes
import os
import socket
import struct
from collections import Counter

from evapd.errors import StreamError
from evapd.security.descriptors import DESCRIPTORS

BACKLOG = 32  # what waits there is let in also after the listener was shut
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27  # asm-generic/socket.h
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF_RET | BPF_K, 0 bytes: linux/filter.h


class Listener:
    """A listening TCP socket.

    Args:
        address: `tcp://HOST:PORT`, where HOST may be a name, `*`, or an IPv6 address in brackets, PORT 0 or `*`.
        send_buffer: Bytes that the kernel may hold for each connection, 0 or less for its own choice. Connections have
            it of the socket that listens; libzmq gives them its ZMQ_SNDBUF only where it made that itself.

    Raises:
        StreamError: when the address cannot be had.
    """

    def __init__(self, address: str, send_buffer: int = 0) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        number = "0" if port == "*" else port
        try:
            family, kind, protocol, _, where = socket.getaddrinfo(
                None if host == "*" else host.strip("[]"),
                number,
                family=socket.AF_INET if host == "*" else socket.AF_UNSPEC,
                type=socket.SOCK_STREAM,
                flags=socket.AI_PASSIVE,
            )[0]
            self._socket = socket.socket(family, kind, protocol)
        except OSError as error:
            raise StreamError(
                f"cannot listen on {address}: {error.strerror}; is that this machine?"
            ) from None
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            if send_buffer > 0:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            self._socket.bind(where)
            self._socket.listen(BACKLOG)
        except OSError as error:
            self._socket.close()
            raise StreamError(
                f"cannot listen on {address}: {error.strerror}; is another evapd running, is that this machine?"
            ) from None
        here = self._socket.getsockname()
        self.port: int = here[1]
        self.endpoint = f"tcp://{host}:{self.port}"
        """The address as it was asked for, with the port that there is."""
        self.bound = (
            f"tcp://[{here[0]}]:{self.port}" if family == socket.AF_INET6 else f"tcp://{here[0]}:{self.port}"
        )
        self.is_shut = False

    def fileno(self) -> int:
        """Give our own descriptor: readable when a connection waits."""
        return self._socket.fileno()

    def duplicate(self) -> int:
        """Give a descriptor for libzmq, which closes it."""
        return os.dup(self._socket.fileno())

    def shut(self, *, shut: bool) -> None:
        """Let no new connection in, or let them in again; those that are in are not touched."""
        if shut == self.is_shut:
            return
        if shut:
            program = ctypes.create_string_buffer(_DROP_ALL, len(_DROP_ALL))
            filter_ = struct.pack("HP", 1, ctypes.addressof(program))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)
        else:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        self.is_shut = shut

    def close(self) -> None:
        """Close our side; the port is free when libzmq has closed its own."""
        self._socket.close()


def connections_by_port() -> dict[int, int]:
    """Count this process's connected TCP sockets by their port here; nothing when none is left to look with."""
    try:
        names = os.listdir(DESCRIPTORS)  # noqa: PTH208 - names are enough, twenty times a second
    except OSError:
        return {}
    ports = (_connected_port(int(name)) for name in names)
    return Counter(port for port in ports if port is not None)


def _connected_port(descriptor: int) -> int | None:
    """Port of a connected TCP socket; None for every other descriptor, also one that was closed meanwhile."""
    try:
        borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=descriptor)
    except OSError:
        return None
    try:
        borrowed.getpeername()
        here = borrowed.getsockname()
    except OSError:
        return None
    finally:
        borrowed.detach()
    return int(here[1]) if isinstance(here, tuple) else None
