"""Thousands of connections at a Unix socket: the program that has them loses them, and nobody else."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.rpc import Command, NoArgs, Requester, Service
from evapd.security.access import Access
from evapd.security.crowd import surplus
from evapd.security.descriptors import descriptors
from evapd.security.unix_listener import Connection, UnixListener
from support.rig_files import rig_folder
from support.wait import wait_for

PATIENCE_S = 30.0
COMMANDS = [Command("look", NoArgs, lambda _: {"left": descriptors()[0]})]
FLOOD = """
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
links, made = [], 0
while True:
    try:
        link = socket.socket(socket.AF_UNIX)
        link.setblocking(False)
        link.connect(sys.argv[1])
        links.append(link)
        made += 1
    except OSError:
        time.sleep(0.001)
    if made == int(sys.argv[2]):
        print(made, flush=True)
    if len(links) > resource.getrlimit(resource.RLIMIT_NOFILE)[0] * 3 // 4:
        links.pop(0).close()
"""


@pytest.fixture
def opened():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def path(opened):
    return opened.enter_context(rig_folder()) / "s.ipc"


def flood(opened, path: Path, how_many: int):
    """Open connections from another process without end, after how_many of which this returns."""
    child = opened.enter_context(
        subprocess.Popen([sys.executable, "-c", FLOOD, str(path), str(how_many)], stdout=subprocess.PIPE)
    )
    opened.callback(child.kill)
    assert child.stdout.readline()
    return child


def test_connections_at_a_unix_socket_are_known_by_program(opened, path):
    listener = UnixListener(path)
    opened.callback(listener.close)
    links = [opened.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
    with socket.socket(fileno=listener.duplicate()) as accepting:
        for link in links:
            link.connect(str(path))
            opened.enter_context(accepting.accept()[0])
    assert [one.program for one in listener.connections()] == [os.getpid()] * 3


def test_a_door_that_is_shut_lets_nobody_in_and_opens_again(opened, path):
    listener = UnixListener(path)
    opened.callback(listener.close)
    with listener.shut(), socket.socket(socket.AF_UNIX) as link, pytest.raises(FileNotFoundError):
        link.connect(str(path))
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(path))


def test_what_a_killed_process_left_is_replaced_and_nothing_stays_in_the_end(path):
    for left_over in (path, path.with_name(".s.ipc.shut")):
        left_over.touch()
    UnixListener(path).close()
    assert list(path.parent.iterdir()) == []


def test_while_a_program_opens_thousands_of_connections_who_is_in_stays_in_and_who_comes_gets_in(
    opened, path
):
    service = opened.enter_context(Service(f"ipc://{path}", COMMANDS, access=Access(max_connections=50)))
    standing = opened.enter_context(Requester(service.address, PATIENCE_S))
    before = standing.request("look")["left"]
    flood(opened, path, 3000)
    with Requester(service.address, PATIENCE_S) as fresh:
        assert fresh.request("look")
    # However many came at once while this machine was busy: it is the flood that goes, and soon.
    wait_for(lambda: standing.request("look")["left"] > before - 1000, "descriptors", PATIENCE_S)


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(1, 100))
def test_what_is_too_much_is_taken_from_whoever_has_most(held, most):
    numbers = count()
    all_of = [Connection(next(numbers), 0, program) for program, n in enumerate(held) for _ in range(n)]
    gone = surplus(all_of, most)
    left = [sum(one.program == program for one in set(all_of) - set(gone)) for program in range(len(held))]
    assert sum(left) <= max(most, len(held))
    assert sum(left) >= min(sum(held), most - len(held))
    assert all(n == had or n >= max(left) for n, had in zip(left, held, strict=True))
    assert all(n >= 1 for n in left)


def test_the_oldest_connections_of_a_program_stay():
    held = [Connection(number, 0, 7) for number in (5, 1, 9, 3)]
    assert {one.number for one in surplus(held, 2)} == {5, 9}
