"""ZeroMQ sockets the way evapd opens them: local or with keys, bounded, and closed to bytes that are not ZeroMQ.

Three traps of libzmq are dealt with here, once: without a ZAP domain, random TCP bytes reach the application as
messages (ZMTP 1.0 fall-back); without MAXMSGSIZE one peer can fill the memory; and binding an `ipc:` path silently
takes it away from whoever listens there.
"""

import ipaddress
import os
import re
import socket as posix
import threading
from pathlib import Path

import zmq

from evapd.config.layout import MAX_SOCKET_PATH
from evapd.errors import ConfigError, StreamError
from evapd.security.gate import ZAP_DOMAIN, Door, Gate
from evapd.security.keys import ClientKeys

LARGEST_FRAME_BYTES = 256 * 1024  # of hits and words, whose blocks are cut to it (evapd.acquire.pipeline)
_LEAST_HWM = 4
HANDSHAKE_MS = 3000  # who has not said who it is by then is sent away
_HOST = re.compile(r"\*|\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?", re.ASCII)


def high_water_mark(budget_bytes: int, largest_frame_bytes: int = LARGEST_FRAME_BYTES) -> int:
    """Turn a bytes budget into the messages that libzmq counts, at least 4.

    It is set before a socket connects or binds and never changed: lowered later, it may leave a connection without a
    word for ever, because libzmq 4.3.5 waits for an acknowledgement that the other end of its queue has no reason to send.
    """
    return max(_LEAST_HWM, budget_bytes // largest_frame_bytes)


def check_address(address: str, *, keyed: bool) -> str:
    """Accept an address and give it as libzmq wants it: without keys loopback TCP, ipc and inproc only.

    Args:
        address: As in a rig file: `tcp://HOST:PORT`, `ipc://PATH`, `inproc://NAME`.
        keyed: Whether CURVE keys go with it; then any host will do.

    Raises:
        ConfigError: for what is not an address, or one that others could reach without keys.
    """
    scheme, _, rest = address.partition("://")
    if scheme == "inproc" and rest:
        return address
    if scheme == "ipc" and rest:
        if len(os.fsencode(rest)) > MAX_SOCKET_PATH:
            raise ConfigError(
                f"{address}: a socket path has at most {MAX_SOCKET_PATH} bytes, choose a shorter folder"
            )
        return address
    host, _, port = rest.rpartition(":")
    if scheme != "tcp" or not _HOST.fullmatch(host) or not _is_port(port):
        raise ConfigError(f"{address!r} is not an address: allowed are tcp://HOST:PORT and ipc://PATH")
    host = "127.0.0.1" if host == "localhost" else host
    if not keyed and not is_loopback(host):
        raise ConfigError(
            f"{address} can be reached from other machines and there are no keys for it: see `evapd keys --help` and "
            "docs/security.md; without keys there are tcp://127.0.0.1:PORT, tcp://[::1]:PORT and ipc://PATH"
        )
    return f"tcp://{host}:{port}"


def reachable(address: str, via: str = "127.0.0.1") -> str:
    """Give the address to connect to where a program listens at every address of its machine.

    Args:
        address: As a rig file or a welcome has it, perhaps `tcp://*:PORT`, `tcp://0.0.0.0:PORT` or `tcp://[::]:PORT`.
        via: A host at which that machine is known to be reached, in brackets where it is IPv6.
    """
    head, _, port = address.rpartition(":")
    return f"tcp://{via}:{port}" if head in {"tcp://*", "tcp://0.0.0.0", "tcp://[::]"} else address


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its number and for sure: names may lead anywhere."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_port(port: str) -> bool:
    return port == "*" or (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536)


def open_socket(
    context: "zmq.Context[zmq.Socket[bytes]]",
    kind: int,
    *,
    max_message_bytes: int,
    send_hwm: int,
    receive_hwm: int,
    linger_ms: int = 0,
) -> "zmq.Socket[bytes]":
    """Open a socket with every limit set; nothing is left to libzmq's defaults of 1000 messages.

    Raises:
        StreamError: when the process has no file descriptors left.
    """
    try:
        socket = context.socket(kind)
    except zmq.ZMQError as error:
        raise StreamError(
            f"no socket can be opened: {error.strerror}; look for programs that open connections and never close them, or "
            "raise the limit of open files (ulimit -n)"
        ) from None
    socket.zap_domain = ZAP_DOMAIN
    socket.handshake_ivl = HANDSHAKE_MS
    socket.tcp_keepalive = 1  # a machine that vanished without a word is noticed within a minute
    socket.tcp_keepalive_idle, socket.tcp_keepalive_intvl, socket.tcp_keepalive_cnt = 30, 10, 3
    socket.maxmsgsize = max_message_bytes
    socket.sndhwm = send_hwm
    socket.rcvhwm = receive_hwm
    socket.linger = linger_ms
    return socket


def bind(socket: "zmq.Socket[bytes]", address: str, gate: Gate) -> Door:
    """Bind to an address through a gate; its endpoint has the port that `*` became. Closes the socket on failure.

    Raises:
        ConfigError: when the address is not local and the gate has no keys.
        StreamError: when the address cannot be had.
    """
    try:
        address = check_address(address, keyed=gate.access.keys is not None)
        socket.ipv6 = "[" in address
        if address.startswith("ipc://"):
            _refuse_live_ipc(Path(address.removeprefix("ipc://")))
        return gate.bind(socket, address)
    except (zmq.ZMQError, OSError) as error:
        socket.close(linger=0)
        raise StreamError(
            f"cannot listen on {address}: {error.strerror}; is another evapd running, does the folder exist?"
        ) from None
    except (ConfigError, StreamError):
        socket.close(linger=0)
        raise


def connect(socket: "zmq.Socket[bytes]", address: str, keys: ClientKeys | None = None) -> None:
    """Connect to an address; a peer that is not there yet is awaited in the background.

    Args:
        socket: What is to be connected; closed on failure.
        address: A local address, or any with `keys`.
        keys: With them TCP is CURVE: the daemon proves who it is, and so do we. An `ipc:` path needs none.

    Raises:
        ConfigError: when the address is not local and there are no keys for it.
    """
    try:
        address = check_address(address, keyed=keys is not None)
        if keys is not None and address.startswith("tcp://"):
            socket.curve_publickey, socket.curve_secretkey = keys.public, keys.secret.reveal()
            socket.curve_serverkey = keys.server
        socket.ipv6 = "[" in address
        socket.reconnect_ivl = 100
        socket.reconnect_ivl_max = 1000
        socket.connect(address)
    except zmq.ZMQError as error:
        socket.close(linger=0)
        raise ConfigError(f"cannot connect to {address}: {error.strerror}") from None
    except ConfigError:
        socket.close(linger=0)
        raise


def _refuse_live_ipc(path: Path) -> None:
    with posix.socket(posix.AF_UNIX, posix.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return  # nobody listens: a left-over file may be replaced
    raise StreamError(f"cannot listen on ipc://{path}: another evapd listens there; stop it first")


class Waker:
    """Wakes a thread that polls file descriptors; `wake` may be called from any thread, also after `close`."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closed = False
        self._lock = threading.Lock()  # a descriptor closed meanwhile may belong to somebody else by now

    def wake(self) -> None:
        """Make `fd` readable."""
        with self._lock:
            if not self._closed:
                os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        """Make `fd` quiet again."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return  # it was quiet

    def close(self) -> None:
        """Give the descriptor back."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self.fd)
