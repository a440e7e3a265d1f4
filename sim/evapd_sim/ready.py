"""Telling a service manager that the instruments are there (the protocol of sd_notify(3))."""

import os
import socket


def notify(message: str) -> None:
    """Send `message`, such as `READY=1`, to `$NOTIFY_SOCKET`; without one, do nothing.

    Raises:
        OSError: when the socket is named but nobody listens; the manager would wait in vain.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    # A leading @ stands for the zero byte of the abstract name space.
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto(message.encode(), target)
