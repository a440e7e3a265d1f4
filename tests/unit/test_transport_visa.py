"""VISA resources behave as every other transport."""

import socket
from collections.abc import Iterator

import pytest

from evapd.device import Transport, open_transport
from evapd.errors import DeviceBusy, DeviceLost, DeviceTimeout

Cable = tuple[Transport, socket.socket, str]


@pytest.fixture
def cable() -> Iterator[Cable]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"visa:TCPIP0::127.0.0.1::{server.getsockname()[1]}::SOCKET"
        link = open_transport(where, 0.5)
        peer, _ = server.accept()
        with peer:
            yield link, peer, where
            link.close()


def test_question_and_answer(cable: Cable) -> None:
    link, peer, _ = cable
    link.write(b"*IDN?\n")
    assert peer.recv(100) == b"*IDN?\n"
    peer.sendall(b"LSCI,MODEL336\r\nrest")
    assert link.read_until(b"\r\n") == b"LSCI,MODEL336"
    assert link.read_exactly(4) == b"rest"


def test_silence_is_a_timeout_and_half_a_line_is_shown(cable: Cable) -> None:
    link, peer, _ = cable
    peer.sendall(b"+48.0")
    with pytest.raises(DeviceTimeout, match=r"so far came b'\+48.0'"):
        link.read_until(b"\n", timeout_s=0.1)


def test_flush_drops_a_late_reply(cable: Cable) -> None:
    link, peer, _ = cable
    peer.sendall(b"old\nolder\n")
    link.read_until(b"\n")
    link.flush_input()
    peer.sendall(b"new\n")
    assert link.read_until(b"\n") == b"new"


def test_a_second_owner_is_refused(cable: Cable) -> None:
    with pytest.raises(DeviceBusy):
        open_transport(cable[2], 0.5)


def test_a_refused_connection_is_lost_at_the_first_byte() -> None:
    link = open_transport("visa:TCPIP0::127.0.0.1::1::SOCKET", 0.2)
    with pytest.raises(DeviceLost):
        link.write(b"*IDN?\n")
    link.close()


@pytest.mark.parametrize("resource", ["nonsense", "GPIB0::5::INSTR", "ASRL/dev/nonexistent::INSTR"])
def test_a_resource_that_cannot_be_opened_is_lost_and_free_again(resource: str) -> None:
    for _ in range(2):
        with pytest.raises(DeviceLost, match="cannot be opened"):
            open_transport(f"visa:{resource}", 0.2)
