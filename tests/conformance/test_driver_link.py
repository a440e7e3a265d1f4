"""What all line drivers rely on: numbers, limits, lines."""

import contextlib
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.device import open_transport
from evapd.device.link import MAX_LINE, Link, limited, number, same_serial
from evapd.device.protocols import DriverConfig
from evapd.errors import DeviceIdentityError, DeviceLost, DeviceProtocolError, DeviceTimeout, LimitError
from support.scripted_peer import SILENCE_S, Peer, SocketPeer


@pytest.mark.parametrize("text", [b"1500", b"1500.", b"+1.5E+03", b"1.5e3", b" 1500.0 ", b"0015E2"])
def test_a_number_is_read_in_every_usual_form(text):
    assert number(text, 0, 1e4) == 1500.0


@pytest.mark.parametrize(
    "text", [b"", b"nan", b"inf", b"1e999", b"1,5", b"0x10", b"1_0", b"--1", b"1.5 V", b"\xb2"]
)
def test_anything_else_is_no_number(text):
    with pytest.raises(DeviceProtocolError):
        number(text, -math.inf, 1e300)


@given(st.binary(max_size=30))
def test_random_bytes_are_a_number_in_range_or_an_error(text):
    with contextlib.suppress(DeviceProtocolError):
        assert -10 <= number(text, -10, 10) <= 10


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1, 10.1])
def test_a_value_outside_its_limits_is_refused(value):
    with pytest.raises(LimitError, match="nothing was sent"):
        limited("voltage", value, 0.0, 10.0, "V")


def test_a_serial_number_is_checked_only_where_one_is_named():
    same_serial(None, "1")
    same_serial("1", "1")
    with pytest.raises(DeviceIdentityError, match="2 answers, the configuration names 1"):
        same_serial("1", "2")


@pytest.fixture
def ask(tmp_path):
    """Ask a peer that gives the same raw reply to anything."""
    peers = []

    def ask_(reply, timeout_s=5.0):
        peer = SocketPeer(tmp_path / f"{len(peers)}.sock", Peer(lambda _: reply).feed)
        link = Link(DriverConfig(connect=peer.connect, timeout_s=timeout_s), open_transport, time.monotonic)
        peers.append((peer, link))
        with link.opening():
            return link.ask(b"?\n")

    yield ask_
    for peer, link in peers:
        link.close()
        peer.close()


@pytest.mark.parametrize("end", [b"\r\n", b"\n\r", b"\n", b"\r"])
def test_a_line_may_end_in_any_usual_way(ask, end):
    assert ask(b"E0" + end) == b"E0"


def test_half_a_line_is_a_time_out_and_no_answer(ask):
    with pytest.raises(DeviceTimeout):
        ask(b"S0:+1.0", SILENCE_S)


def test_two_lines_to_one_question_are_an_error(ask):
    with pytest.raises(DeviceProtocolError, match="twice"):
        ask(b"E0\r\nE0\r\n")


def test_noise_without_a_line_end_is_an_error_that_names_the_baud_rate(ask):
    with pytest.raises(DeviceProtocolError, match="baud"):
        ask(b"x" * (MAX_LINE + 300))


def test_a_line_that_is_not_ascii_is_an_error(ask):
    with pytest.raises(DeviceProtocolError, match="baud"):
        ask(b"\xfe\xff\x80\n")


def test_a_link_that_is_not_open_is_lost():
    link = Link(DriverConfig(connect="unix:/nowhere"), open_transport, time.monotonic)
    link.close()
    with pytest.raises(DeviceLost):
        link.send(b"?\n")


def test_a_failed_check_at_opening_closes_the_link(tmp_path):
    peer = SocketPeer(tmp_path / "s", Peer(lambda _: b"").feed)
    link = Link(DriverConfig(connect=peer.connect), open_transport, time.monotonic)
    with pytest.raises(DeviceIdentityError), link.opening():
        same_serial("1", "2")
    with pytest.raises(DeviceLost):
        _ = link.transport
    peer.close()
