"""Transports: deadlines over whole calls, and messages that say what came."""

import os
import pty
import socket
import threading
import time
import tty
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.device import Transport, open_transport
from evapd.errors import ConfigError, DeviceError, DeviceLost, DeviceProtocolError, DeviceTimeout


@dataclass
class Other:
    """The instrument's end of a cable."""

    transport: Transport
    fd: int
    trace: list[tuple[str, bytes]] = field(default_factory=list)

    def send(self, data: bytes) -> None:
        os.write(self.fd, data)

    def shut(self, how: int) -> None:
        with socket.socket(fileno=os.dup(self.fd)) as again:
            again.shutdown(how)

    def receive(self, n: int) -> bytes:
        return os.read(self.fd, n)


def _serial() -> Iterator[Other]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    trace: list[tuple[str, bytes]] = []
    link = open_transport(
        f"serial:{os.ttyname(slave)}:115200-8N1", 0.5, trace=lambda *seen: trace.append(seen)
    )
    os.close(slave)
    yield Other(link, master, trace)
    link.close()
    os.close(master)


def _tcp(family: int = socket.AF_INET) -> Iterator[Other]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        trace: list[tuple[str, bytes]] = []
        link = open_transport(
            f"tcp:127.0.0.1:{server.getsockname()[1]}", 0.5, trace=lambda *seen: trace.append(seen)
        )
        peer, _ = server.accept()
    with peer:
        yield Other(link, peer.fileno(), trace)
        link.close()


@pytest.fixture(params=[_serial, _tcp], ids=["serial", "tcp"])
def other(request: pytest.FixtureRequest) -> Iterator[Other]:
    yield from request.param()


@pytest.fixture
def peer() -> Iterator[Other]:
    yield from _tcp()


def test_a_line_is_given_without_its_terminator_and_the_rest_waits(other: Other) -> None:
    other.send(b"E0\r\nnext")
    assert other.transport.read_until(b"\r\n") == b"E0"
    assert other.transport.read_exactly(4) == b"next"


def test_what_is_written_arrives_whole_and_is_traced(other: Other) -> None:
    other.transport.write(b">M0?\n")
    assert other.receive(100) == b">M0?\n"
    assert other.trace == [("write", b">M0?\n")]


def test_silence_raises_and_says_who_and_what(other: Other) -> None:
    with pytest.raises(DeviceTimeout, match=r"(serial|tcp):.*ended by b'\\n'.*nothing came"):
        other.transport.read_until(b"\n", timeout_s=0.02)


def test_half_a_line_is_shown_and_not_consumed(other: Other) -> None:
    other.send(b"M0:+1.2")
    with pytest.raises(DeviceTimeout, match=r"so far came b'M0:\+1.2'"):
        other.transport.read_until(b"\n", timeout_s=0.05)
    other.send(b"3\n")
    assert other.transport.read_until(b"\n") == b"M0:+1.23"


def test_the_end_of_the_link_is_lost_not_silence(peer: Other) -> None:
    peer.shut(socket.SHUT_RDWR)
    with pytest.raises(DeviceLost, match="closed the link"):
        peer.transport.read_some(10)


def test_an_unplugged_serial_port_is_lost() -> None:
    cable = _serial()
    other = next(cable)
    os.close(other.fd)
    with pytest.raises(DeviceLost):
        other.transport.read_exactly(1)
    other.transport.close()


def test_what_came_before_the_end_is_still_read(peer: Other) -> None:
    peer.send(b"last")
    peer.shut(socket.SHUT_WR)
    assert peer.transport.read_exactly(4) == b"last"


def test_flush_drops_what_was_buffered_and_what_is_in_the_cable(other: Other) -> None:
    other.send(b"a\nstale")
    other.transport.read_until(b"\n")
    other.send(b"more")
    time_limit = time.monotonic() + 5.0
    while other.transport.read_some(100, 0.5) != b"more" and time.monotonic() < time_limit:
        other.send(b"more")
    other.transport.flush_input()
    with pytest.raises(DeviceTimeout, match="nothing came"):
        other.transport.read_some(100, 0.0)


def test_noise_without_a_terminator_is_refused_at_the_limit(peer: Other) -> None:
    peer.send(b"\xff" * 600)
    with pytest.raises(DeviceProtocolError, match="baud rate"):
        peer.transport.read_until(b"\n", limit=512)


def test_a_line_longer_than_the_limit_is_refused(peer: Other) -> None:
    peer.send(b"x" * 20 + b"\n")
    with pytest.raises(DeviceProtocolError, match="20 bytes"):
        peer.transport.read_until(b"\n", limit=10)


def test_a_zero_deadline_still_gives_what_is_there(peer: Other) -> None:
    peer.send(b"hit")
    assert peer.transport.read_exactly(3, 2.0) == b"hit"
    peer.send(b"x")
    while not (found := _at_once(peer.transport)):
        pass
    assert found == b"x"


def _at_once(transport: Transport) -> bytes:
    try:
        return transport.read_some(10, 0.0)
    except DeviceTimeout:
        return b""


def test_the_deadline_covers_the_call_though_bytes_dribble_in(peer: Other) -> None:
    stop = threading.Event()

    def dribble() -> None:
        while not stop.wait(0.01):
            peer.send(b".")

    thread = threading.Thread(target=dribble)
    thread.start()
    started_s = time.monotonic()
    with pytest.raises(DeviceTimeout):
        peer.transport.read_until(b"\n", timeout_s=0.15)
    stop.set()
    thread.join()
    assert time.monotonic() - started_s < 3.0  # without a deadline over the call it would never end


def test_a_peer_that_takes_nothing_times_the_write_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = open_transport(f"tcp:127.0.0.1:{server.getsockname()[1]}", 0.1)
        with pytest.raises(DeviceTimeout, match="bytes in"):
            link.write(bytes(50_000_000))
        link.close()


def test_a_unix_socket_carries_bytes(tmp_path: Path) -> None:
    path = str(tmp_path / "tdc.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        link = open_transport(f"unix:{path}", 0.5)
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"TDC1")
            assert link.read_exactly(4) == b"TDC1"
        link.close()


def test_close_is_idempotent_and_later_calls_say_closed(peer: Other) -> None:
    peer.transport.close()
    peer.transport.close()
    assert not peer.transport.is_open
    with pytest.raises(DeviceLost, match="is closed"):
        peer.transport.write(b"x")


@pytest.mark.parametrize(
    "descriptor",
    ["tcp:127.0.0.1:1", "unix:/nonexistent/tdc.sock", "serial:/nonexistent/tty:9600-8N1", "tcp:no such.invalid:5"],
)  # fmt: skip
def test_what_is_not_there_is_lost_or_no_descriptor(descriptor: str) -> None:
    with pytest.raises((DeviceLost, ConfigError)):
        open_transport(descriptor, 0.2)


def test_the_listening_side_cannot_be_connected_to() -> None:
    with pytest.raises(DeviceError, match="listening side"):
        open_transport("pty:/tmp/x", 0.2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_come_whole_however_the_bytes_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    cable = _tcp()
    other = next(cable)
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        other.send(stream[begin:end])
    assert [other.transport.read_until(b"\n") for _ in lines] == lines
    assert next(cable, None) is None


@pytest.mark.parametrize(
    ("flow", "rtscts", "xonxoff"), [("", False, False), ("-rtscts", True, False), ("-xonxoff", False, True)]
)
def test_flow_control_is_as_the_descriptor_says(flow, rtscts, xonxoff, monkeypatch):
    asked = {}

    def remember(_path, **settings):
        asked.update(settings)
        raise OSError(2, "no such port")

    monkeypatch.setattr("evapd.device.serial_port.serial.Serial", remember)
    with pytest.raises(DeviceLost):
        open_transport(f"serial:/dev/ttyUSB7:9600-8N1{flow}", 1.0)
    assert (asked["rtscts"], asked["xonxoff"]) == (rtscts, xonxoff)
