"""The trace of bytes: nothing while off, both ways while on, never more than its bound."""

import logging
import socket
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.device import ByteTrace, DeviceWorker, build_device, open_transport
from evapd.device.trace import KEPT_BYTES, KEPT_PIECES, LONGEST_PIECE
from evapd.errors import DeviceTimeout
from support.wait import wait_for


@pytest.fixture
def cable():
    """A transport with a trace, and the socket at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        trace = ByteTrace("supply", clock=lambda: 12.5)
        link = open_transport(f"tcp:127.0.0.1:{server.getsockname()[1]}", 5.0, trace=trace)
        peer, _ = server.accept()
    with peer:
        yield link, peer, trace
        link.close()


def talk(link, peer):
    link.write(b"*IDN?\n")
    assert peer.recv(100) == b"*IDN?\n"
    peer.sendall(b"FUG\n")
    link.read_until(b"\n")


def test_what_passes_while_it_is_on_is_kept_both_ways(cable):
    link, peer, trace = cable
    talk(link, peer)
    trace.switch(on=True)
    talk(link, peer)
    trace.switch(on=False)
    talk(link, peer)
    assert [str(piece) for piece in trace.pieces()] == ["12.500000 > b'*IDN?\\n'", "12.500000 < b'FUG\\n'"]


def test_half_a_reply_before_a_time_out_is_in_the_trace(cable):
    link, peer, trace = cable
    trace.switch(on=True)
    peer.sendall(b"S0:+1.")
    with pytest.raises(DeviceTimeout):
        link.read_until(b"\n", timeout_s=0.2)
    assert [piece.data for piece in trace.pieces()] == [b"S0:+1."]


def test_what_a_flush_drops_is_in_the_trace(cable):
    link, peer, trace = cable
    peer.sendall(b"late\n")
    link.read_some(1)
    trace.switch(on=True)
    peer.sendall(b"later\n")

    def flushed():
        link.flush_input()
        return trace.pieces()

    wait_for(flushed, "what came late")
    assert b"".join(piece.data for piece in trace.pieces()) == b"later\n"


def test_a_new_beginning_forgets_the_old_pieces_and_an_end_keeps_them():
    trace = ByteTrace("x")
    trace.switch(on=True)
    trace("write", b"old")
    trace.switch(on=False)
    assert len(trace.pieces()) == 1
    trace.switch(on=True)
    assert trace.pieces() == ()


def test_each_piece_is_a_line_of_the_log_where_wanted(caplog):
    trace = ByteTrace("supply", clock=lambda: 1.0)
    with caplog.at_level(logging.INFO, "evapd.device.trace"):
        trace.switch(on=True)
        trace("write", b"silent")
        trace.switch(on=True, to_log=True)
        trace("read", b"E0\r\n")
    assert caplog.messages == ["supply: 1.000000 < b'E0\\r\\n'"]


@given(st.lists(st.integers(0, 3 * LONGEST_PIECE), max_size=300))
def test_it_never_keeps_more_than_its_bound_and_keeps_the_newest(lengths):
    trace = ByteTrace("x", clock=lambda: 0.0)
    trace.switch(on=True)
    for length in lengths * 3:
        trace("read", bytes(length))
    kept = trace.pieces()
    assert sum(len(piece.data) for piece in kept) <= KEPT_BYTES
    assert [piece.length for piece in kept] == (lengths * 3)[len(lengths) * 3 - len(kept) :]


def test_small_pieces_are_bounded_in_number():
    trace = ByteTrace("x")
    trace.switch(on=True)
    for _ in range(KEPT_PIECES + 10):
        trace("write", b"x")
    assert len(trace.pieces()) == KEPT_PIECES


class Traced:
    """A driver that takes a transport factory."""

    protocol = object

    def __init__(self, config, *, transport_factory=open_transport):
        self.open = lambda: transport_factory(config, 5.0)


class Plain:
    """A driver that has no transport: of a vendor's library."""

    protocol = object

    def __init__(self, config):
        self.config = config


def built(driver, descriptor, trace):
    loaded = SimpleNamespace(
        path="rig.yaml",
        devices={"supply": descriptor},
        rig=SimpleNamespace(devices={"supply": SimpleNamespace(driver="x")}),
    )
    return build_device("supply", loaded, SimpleNamespace(find_driver=lambda _: driver), trace)


def test_a_device_is_built_with_its_trace_and_its_worker_switches_it():
    trace = ByteTrace("supply")
    with socket.create_server(("127.0.0.1", 0)) as server:
        device = built(Traced, f"tcp:127.0.0.1:{server.getsockname()[1]}", trace)
        worker = DeviceWorker("supply", device, period_s=0.1, stale_s=1.0, trace=trace)
        link = device.open()
        worker.trace(on=True)
        link.write(b"traced")
        worker.trace(on=False)
        link.write(b"not traced")
        link.close()
    assert [piece.data for piece in trace.pieces()] == [b"traced"]


def test_a_driver_without_transports_is_built_without_a_trace():
    assert built(Plain, "settings", ByteTrace("tdc")).config == "settings"


def test_a_worker_without_a_trace_says_so():
    worker = DeviceWorker("supply", object(), period_s=0.1, stale_s=1.0)
    assert worker.trace(on=True) is None
