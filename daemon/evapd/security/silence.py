"""Why nobody answers: a look at what listens at an address, for the message that a person reads."""

import socket
from contextlib import suppress

from evapd.security.keys import VARIABLE

_BEGINNING = (
    b"\xff" + bytes(8) + b"\x7f\x03\x00"
)  # of a greeting, RFC 23: the other side tells its own and waits
_GREETING_BYTES = 64
_LOOK_S = 0.5


def mechanism_at(address: str) -> str:
    """Ask who listens at a TCP address for its mechanism: NULL, CURVE, ... or nothing when it does not speak ZeroMQ."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    if not address.startswith("tcp://") or not port.isdecimal():
        return ""
    greeting = b""
    with suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), _LOOK_S) as link:
        link.sendall(_BEGINNING)
        while len(greeting) < _GREETING_BYTES and (more := link.recv(_GREETING_BYTES - len(greeting))):
            greeting += more
    if len(greeting) < 32 or greeting[0] != 0xFF or greeting[9] != 0x7F:
        return ""
    name = greeting[12:32].rstrip(b"\0").decode("ascii", "replace")
    return name if name.isalnum() else ""


def explain_silence(address: str, *, keyed: bool) -> str:
    """Say what a client may do when nobody answered at an address; "" when nothing is known."""
    mechanism = mechanism_at(address)
    if mechanism == "CURVE" and not keyed:
        return f"it demands keys: name their folder with --keys or {VARIABLE}"
    if mechanism == "CURVE":
        return "it does not let these keys in: is the public key on its list (`evapd keys list`), is server.pub its own?"
    if mechanism == "NULL" and keyed:
        return f"it has no keys: leave out --keys and {VARIABLE}"
    return ""
