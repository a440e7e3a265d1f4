"""ZMTP by hand (ZeroMQ RFC 23), for peers that do what no library would."""

import socket
import struct
from contextlib import suppress

SIGNATURE = b"\xff" + bytes(8) + b"\x7f"


def greeting(mechanism: bytes = b"NULL", version: bytes = b"\x03\x00", *, as_server: bool = False) -> bytes:
    """The 64 bytes that each side begins with."""
    return SIGNATURE + version + mechanism.ljust(20, b"\0") + bytes([as_server]) + bytes(31)


def command(name: bytes, body: bytes = b"") -> bytes:
    """A command of the handshake."""
    content = bytes([len(name)]) + name + body
    if len(content) > 255:
        return b"\x06" + struct.pack(">Q", len(content)) + content
    return b"\x04" + bytes([len(content)]) + content


def ready(**properties: bytes) -> bytes:
    """The READY command of the NULL mechanism; `_` in a name stands for `-`."""
    body = b""
    for name, value in properties.items():
        word = name.replace("_", "-").encode()
        body += bytes([len(word)]) + word + struct.pack(">I", len(value)) + value
    return command(b"READY", body)


def message(*parts: bytes) -> bytes:
    """One message of some parts."""
    wire = b""
    for number, part in enumerate(parts):
        more = number < len(parts) - 1
        long = len(part) > 255
        wire += (
            bytes([more | 2 * long]) + (struct.pack(">Q", len(part)) if long else bytes([len(part)])) + part
        )
    return wire


def dial(port: int, host: str = "127.0.0.1") -> socket.socket:
    """Connect; answers are awaited for twenty seconds at most."""
    return socket.create_connection((host, port), 20.0)


def rest_of(link: socket.socket) -> bytes:
    """All that the other side still sends until it hangs up, or is silent for the link's time-out."""
    got = b""
    with suppress(OSError):
        while more := link.recv(65536):
            got += more
    return got


def hangs_up(link: socket.socket, within_s: float) -> bool:
    """Whether the other side ends the connection in time, whatever it says before."""
    link.settimeout(within_s)
    try:
        while link.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def enter(link: socket.socket, **properties: bytes) -> None:
    """Shake hands as the NULL mechanism does, and wait until the other side is ready: it expects no message before."""
    link.sendall(greeting() + ready(**properties))
    got = b""
    while b"READY" not in got and b"ERROR" not in got:
        more = link.recv(4096)
        if not more:
            return
        got += more
