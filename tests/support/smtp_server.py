"""A small mail server on loopback, written from RFC 5321, 3207 and 4954, with faults."""

import base64
import contextlib
import email
import email.policy
import socket
import ssl
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Self


@dataclass
class Letter:
    """What was taken."""

    sender: str
    to: list[str] = field(default_factory=list)
    message: EmailMessage = field(default_factory=EmailMessage)


class SmtpServer:
    """Serves one connection after the other; `fault` is refuse-recipient, refuse-data, hang, garbage or close."""

    def __init__(
        self, context: ssl.SSLContext | None = None, security: str = "none", fault: str = ""
    ) -> None:
        self.letters: list[Letter] = []
        self.logins: list[tuple[str, str]] = []
        self._context, self._security, self._fault = context, security, fault
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(OSError, UnicodeDecodeError):
                peer, _ = self._listener.accept()
                peer.settimeout(20.0)
                self._serve(peer)

    def _serve(self, peer: socket.socket) -> None:
        if self._context is not None and self._security == "tls":
            peer = self._context.wrap_socket(peer, server_side=True)
        try:
            if self._fault == "hang":
                self._ending.wait(20.0)
            elif self._fault == "garbage":
                peer.sendall(b"\x00\xff\x1b[2Jhello\r\n")
            elif self._fault != "close":
                peer = self._talk(peer)
        finally:
            peer.close()

    def _talk(self, peer: socket.socket) -> socket.socket:
        peer.sendall(b"220 test\r\n")
        lines, letter = peer.makefile("rb"), Letter("")
        while line := lines.readline():
            verb, _, rest = line.decode("ascii").strip().partition(" ")
            match verb.upper():
                case "EHLO":
                    further = ["AUTH PLAIN"] + (["STARTTLS"] if self._security == "starttls" else [])
                    peer.sendall(
                        "".join(f"250-{one}\r\n" for one in ["test", *further]).encode() + b"250 SIZE\r\n"
                    )
                case "STARTTLS" if self._context is not None:
                    peer.sendall(b"220 go\r\n")
                    lines.close()
                    peer = self._context.wrap_socket(peer, server_side=True)
                    lines = peer.makefile("rb")
                case "AUTH":
                    _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
                    self.logins.append((user, password))
                    peer.sendall(b"235 in\r\n")
                case "MAIL":
                    letter = Letter(rest)
                    peer.sendall(b"250 ok\r\n")
                case "RCPT":
                    letter.to.append(rest.partition("<")[2].partition(">")[0])
                    peer.sendall(
                        b"550 nobody here\r\n" if self._fault == "refuse-recipient" else b"250 ok\r\n"
                    )
                case "DATA":
                    peer.sendall(b"354 go\r\n")
                    content = b"".join(iter(lines.readline, b".\r\n"))
                    letter.message = email.message_from_bytes(content, policy=email.policy.default)  # type: ignore[assignment]  # the policy makes it one
                    if self._fault == "refuse-data":
                        peer.sendall(b"554 no\r\n")
                    else:
                        self.letters.append(letter)
                        peer.sendall(b"250 taken\r\n")
                case "QUIT":
                    peer.sendall(b"221 bye\r\n")
                    break
                case _:
                    peer.sendall(b"250 ok\r\n")
        lines.close()
        return peer
