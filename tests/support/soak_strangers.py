"""A program that means no good: raw bytes, half-open and half-said connections at many sockets at once, until its input ends.

`python soak_strangers.py HELD NAME=ADDRESS ...` with addresses HOST:PORT or a path of a unix socket. At each it holds HELD
connections that say nothing, the beginning of a greeting, or half a request, opens them again when they are ended, and in
between connects, sends rubbish and leaves with a reset. Tells at its end, as JSON, what it did by name.
"""

import json
import random
import select
import socket
import struct
import sys
import time
from collections import Counter
from contextlib import suppress

from support.raw_zmtp import SIGNATURE, command, greeting, message, ready

PER_S = 40.0  # rubbish at each socket
HALF = [b"", b"\xff", SIGNATURE, greeting()[:30], greeting(), greeting() + b"\x04\x29\x05REA", b"GET / HT",
        b"POST /api/x HTTP/1.1\r\nContent-Length: 100000\r\n\r\n{"]  # fmt: skip
WHOLE = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n" * 5, b"GET " + b"/a" * 40_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ?\r\n\r\n" + bytes(500),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), bytes(2000), b"\xff" * 2000, b"\x01\x00\x06\x00hello",
    greeting(b"CURVE") + command(b"HELLO", b"\x01\x00" + bytes(192)), greeting(b"PLAIN") + command(b"HELLO", b"\x01a\x01b"),
    greeting(version=b"\x03\xff"), greeting() + command(b"READY", b"\xff" * 20), greeting() + b"\x06" + struct.pack(">Q", 2**63),
    greeting() + ready(Socket_Type=b"SUB") + b"\x02" + struct.pack(">Q", 2**62),
    greeting() + ready(Socket_Type=b"SUB", Identity=b"") + message(b"\x01" + b"x" * 300),
    greeting() + ready(Socket_Type=b"DEALER", Identity=b"") + message(b"", b"[" * 5000) + message(b"{") * 3,
    greeting() + ready(Socket_Type=b"DEALER", Identity=b"") + message(b"x" * 200_000),
]  # fmt: skip


class Target:
    """One socket that is attacked."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self._address = name, address
        self.held: list[socket.socket] = []
        self.done: Counter[str] = Counter()

    def connect(self) -> socket.socket | None:
        """A connection, or none when it is not let in."""
        unix = self._address.startswith("/")
        link = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        link.settimeout(0.05)
        host, _, port = self._address.rpartition(":")
        try:
            link.connect(self._address if unix else (host, int(port)))
        except OSError:
            link.close()
            self.done["turned away"] += 1
            return None
        return link

    def hold(self, dice: random.Random, how_many: int) -> None:
        """Keep so many half-open ones."""
        ended = select.select(self.held, [], [], 0)[0] if self.held else []
        for link in ended:
            with suppress(OSError):
                if link.recv(65536):
                    continue
            link.close()
            self.held.remove(link)
            self.done["ended by the daemon"] += 1
        while len(self.held) < how_many and (link := self.connect()) is not None:
            with suppress(OSError):
                link.sendall(dice.choice(HALF))
            self.held.append(link)
            self.done["half-open"] += 1

    def shout(self, dice: random.Random) -> None:
        """Send something strange and leave, half of the times by a reset."""
        link = self.connect()
        if link is None:
            return
        said = dice.choice(WHOLE) if dice.random() < 0.6 else dice.randbytes(dice.randrange(4000))
        with suppress(OSError):
            link.sendall(said)
            self.done["bytes"] += len(said)
        if dice.random() < 0.5:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.close()
        self.done["raw"] += 1


def main(held: int, targets: list[Target]) -> None:
    """Go on until standard input ends."""
    dice = random.Random(8)
    print("begun", flush=True)
    next_s = time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, next_s - time.monotonic()))[0]:
        next_s = max(next_s + 1 / PER_S, time.monotonic())
        for target in targets:
            target.shout(dice)
            target.hold(dice, held)
    print(json.dumps({target.name: target.done for target in targets}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), [Target(*one.split("=", 1)) for one in sys.argv[2:]])
