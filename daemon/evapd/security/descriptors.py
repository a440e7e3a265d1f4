"""How many files and sockets this process may still open.

They must never run out: libzmq 4.3.5 ends the process by an assertion when it cannot accept on a Unix socket for want of
one (ipc_listener.cpp), and asks the kernel again at full speed on TCP.
"""

import os
import resource

DESCRIPTORS = "/proc/self/fd"
_LEAST, _SHARE = 4, 12  # connections at one socket, and the part of all descriptors


def descriptors() -> tuple[int, int]:
    """Count the files and sockets that this process may still open, and those that are open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        used = len(os.listdir(DESCRIPTORS))  # noqa: PTH208 - numbers are enough, many times a second
    except OSError:
        used = soft  # not even one to look with
    return max(0, soft - used), used


def most_connections(wanted: int, descriptors_in_all: int) -> int:
    """Give how many connections one socket may have: so few that four sockets leave most descriptors to others."""
    return min(wanted, max(_LEAST, descriptors_in_all // _SHARE))


def raise_descriptor_limit(to: int = 65536) -> int:
    """Let this process open as many files as its hard limit allows, at most `to`; gives the limit from now on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = to if hard == resource.RLIM_INFINITY else min(hard, to)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
