"""Simulated instruments behind real sockets and pseudo-terminals, and what can go wrong on the way."""

import os
import socket
import time

import pytest
import serial

from evapd.config.descriptor import UnixDescriptor
from evapd.errors import ConfigError
from evapd_sim.plant import Plant
from evapd_sim.wire.ea_scpi import EaScpiWire
from evapd_sim.wire.endpoint import SocketEndpoint
from evapd_sim.wire.fug_probus import FugProbusWire
from evapd_sim.wire.serve import serve_wire
from evapd_sim.wire.tdc_stream import TdcStreamWire
from support.wait import wait_for
from wire.frames import ARM, DATA, HELLO, IDENT, cut, request

IDENTITY = b"FUG HCP 14 - 20 000 MOD 17022-01-01\r\n"


def connect(address):
    kind, _, rest = address.partition(":")
    if kind == "unix":
        link = socket.socket(socket.AF_UNIX)
        link.connect(rest)
    else:
        link = socket.create_connection(tuple(rest.rsplit(":", 1)))
    link.settimeout(20.0)
    return link


def read_line(link):
    data = b""
    while not data.endswith(b"\n"):
        more = link.recv(100)
        if not more:
            break
        data += more
    return data


def ask(link, command):
    link.sendall(command)
    return read_line(link)


@pytest.fixture
def fug():
    with serve_wire(FugProbusWire(Plant()), "tcp:127.0.0.1:0") as server:
        yield server


def port(tmp_path, baud=9600, **options):
    return serial.Serial(str(tmp_path / "fug"), baud, timeout=20, **options)


# -- sockets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_an_instrument_answers_on_a_socket(kind, tmp_path):
    endpoint = "tcp:127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path / 'sub' / 'fug.sock'}"
    with serve_wire(FugProbusWire(Plant()), endpoint) as server, connect(server.address) as link:
        assert ask(link, b"*IDN?\n") == IDENTITY


def test_the_next_client_does_not_see_what_the_last_one_left_half_said(fug):
    with connect(fug.address) as link:
        link.sendall(b">S0 99")
    with connect(fug.address) as link:
        assert ask(link, b"*IDN?\n") == IDENTITY


def test_a_second_client_of_the_tdc_is_refused_and_the_first_goes_on(tmp_path):
    with (
        serve_wire(TdcStreamWire(Plant()), f"unix:{tmp_path / 'tdc'}") as server,
        connect(server.address) as first,
    ):
        first.sendall(request(IDENT))
        assert cut(first.recv(1000))[0][0].kind == HELLO
        with connect(server.address) as second:
            assert second.recv(1) == b""
        first.sendall(request(IDENT))
        assert cut(first.recv(1000))[0][0].kind == HELLO


def test_the_tdc_beats_although_nobody_delivers(tmp_path):
    with (
        serve_wire(TdcStreamWire(Plant()), f"unix:{tmp_path / 'tdc'}") as server,
        connect(server.address) as link,
    ):
        link.sendall(request(ARM))
        frames, rest = [], b""
        while len(frames) < 101:
            new, rest = cut(rest + link.recv(10_000))
            frames += new
    beats = [each for each in frames if each.kind == DATA]
    assert [each.seq for each in beats] == list(range(100))


def test_a_client_that_stops_reading_loses_words_but_no_pulses(tmp_path):
    wire = TdcStreamWire(Plant(), fifo_words=2000)
    with serve_wire(wire, f"unix:{tmp_path / 'tdc'}") as server, connect(server.address) as link:
        link.sendall(request(ARM))
        wait_for(lambda: wire.armed, "the TDC to be armed")
        columns = ([0] * 1000, [0] * 1000, list(range(1000)))
        for _ in range(400):
            wire.deliver(*columns, pulses=10, t_device_ns=0)
        frames, rest = [], b""
        while sum(each.pulses for each in frames) < 4000:
            new, rest = cut(rest + link.recv(1 << 20))
            frames += [each for each in new if each.kind == DATA]
    seen = sum(len(each.words) for each in frames)
    assert 0 < seen < 400_000
    assert seen + frames[-1].lost_words == 400_000


@pytest.mark.parametrize(
    "endpoint", ["tcp:0.0.0.0:0", "tcp:192.0.2.1:5000", "visa:X", "nonsense", "tcp:127.0.0.1:port"]
)
def test_only_this_machine_can_be_listened_for(endpoint):
    with pytest.raises(ConfigError):
        serve_wire(FugProbusWire(Plant()), endpoint)


def test_an_address_in_use_is_not_taken_over(fug, tmp_path):
    path = tmp_path / "fug.sock"
    with serve_wire(FugProbusWire(Plant()), f"unix:{path}"):
        for endpoint in (f"unix:{path}", fug.address):
            with pytest.raises(ConfigError, match="cannot listen"):
                serve_wire(FugProbusWire(Plant()), endpoint)


def test_a_socket_left_by_a_dead_program_is_replaced_but_a_file_is_not(tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    (tmp_path / "file").write_text("precious")
    serve_wire(FugProbusWire(Plant()), f"unix:{tmp_path / 'dead'}").close()
    for kind in ("unix", "pty"):
        with pytest.raises(ConfigError, match="exists"):
            serve_wire(FugProbusWire(Plant()), f"{kind}:{tmp_path / 'file'}")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_client_that_reconnects_is_let_in_although_its_last_words_were_not_read_yet(tmp_path):
    endpoint = SocketEndpoint(UnixDescriptor(str(tmp_path / "fug")))
    endpoint.open()
    try:
        with connect(endpoint.address) as old:
            endpoint.read()
            old.sendall(b"last words")
        with connect(endpoint.address) as new:
            assert [endpoint.read() for _ in range(2)] == [(b"last words", False), (b"", True)]
            new.sendall(b"first words")
            assert endpoint.read() == (b"first words", False)
    finally:
        endpoint.close()


def test_a_second_client_is_refused_once_the_first_has_nothing_more_to_say(tmp_path):
    endpoint = SocketEndpoint(UnixDescriptor(str(tmp_path / "fug")))
    endpoint.open()
    try:
        with connect(endpoint.address) as first, connect(endpoint.address) as second:
            first.sendall(b"busy")
            heard = [endpoint.read()[0] for _ in range(4)]
            assert b"".join(heard) == b"busy"
            assert second.recv(1) == b""
            first.sendall(b"still here")
            assert endpoint.read() == (b"still here", False)
    finally:
        endpoint.close()


# -- faults -------------------------------------------------------------------------------------------------------------


def test_a_pulled_cable_breaks_the_link_until_it_is_put_back(fug):
    with connect(fug.address) as link:
        ask(link, b">S0 700\n")
        fug.unplug()
        assert link.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(fug.address)
    fug.replug()
    with connect(fug.address) as link:
        assert ask(link, b">S0?\n") == b"S0:+7.00000E+02\r\n"


def test_a_silent_instrument_acts_but_does_not_answer(fug):
    with connect(fug.address) as link:
        fug.silent = True
        link.sendall(b">S0 700\n")
        wait_for(lambda: fug.wire.voltage.wanted == 700, "the set value to arrive")
        link.settimeout(0.5)
        with pytest.raises(TimeoutError):
            link.recv(1)
        link.settimeout(20.0)
        fug.silent = False
        assert ask(link, b">S0?\n") == b"S0:+7.00000E+02\r\n"


def test_a_deaf_instrument_does_not_act(fug):
    with connect(fug.address) as link:
        fug.deaf = True
        link.sendall(b">S0 700\n")
        link.settimeout(0.1)
        with pytest.raises(TimeoutError):
            link.recv(1)
        assert fug.wire.voltage.wanted == 0


def test_a_late_reply_comes_late_and_in_order(fug):
    with connect(fug.address) as link:
        fug.delay_s = 0.2
        start_s = time.monotonic()
        link.sendall(b"*IDN?\n>DON?\n")
        assert read_line(link).startswith(b"FUG")
        assert time.monotonic() - start_s >= 0.2


@pytest.mark.parametrize(
    ("fault", "value", "expected"),
    [("half_lines", True, IDENTITY[:18]), ("duplicate", True, IDENTITY * 2), ("drop_every", 1, b"")],
)
def test_a_reply_can_be_spoilt(fug, fault, value, expected):
    setattr(fug, fault, value)
    assert fug.spoil(IDENTITY) == expected


def test_every_third_reply_can_be_lost(fug):
    fug.drop_every = 3
    assert [fug.spoil(b"x") for _ in range(6)] == [b"x", b"x", b"", b"x", b"x", b""]


def test_garbage_has_the_length_of_the_reply_and_nothing_of_its_text(fug):
    fug.garbage = True
    spoilt = fug.spoil(IDENTITY)
    assert len(spoilt) == len(IDENTITY)
    assert b"FUG" not in spoilt


# -- pseudo-terminals ---------------------------------------------------------------------------------------------------


def test_an_instrument_answers_on_a_port_that_is_closed_and_opened_again(tmp_path):
    with serve_wire(FugProbusWire(Plant(), baud=115_200), f"pty:{tmp_path / 'fug'}"):
        for _ in range(2):
            with port(tmp_path, 115_200) as link:
                link.write(b"*IDN?\n")
                assert link.readline() == IDENTITY
    assert list(tmp_path.iterdir()) == []


def test_a_driver_s_own_descriptor_sets_the_speed_of_the_instrument(tmp_path):
    wire = EaScpiWire(Plant())
    with serve_wire(wire, f"serial:{tmp_path / 'ea'}:57600-7O1") as server:
        assert (wire.baud, wire.bits_per_byte) == (57_600, 10)
        assert server.address == f"serial:{tmp_path / 'ea'}:57600"


def test_a_slow_line_takes_as_much_longer_as_its_speed_says(tmp_path):
    def spent_s(baud):
        with (
            serve_wire(FugProbusWire(Plant(), baud=baud), f"pty:{tmp_path / 'fug'}"),
            port(tmp_path, baud) as link,
        ):
            start_s = time.monotonic()
            link.write(b"*IDN?\n")
            assert link.readline() == IDENTITY
            return time.monotonic() - start_s

    slow_s = spent_s(600)
    assert slow_s >= 0.95 * (6 + len(IDENTITY)) * 10 / 600
    wait_for(
        lambda: 4 * spent_s(19_200) < slow_s, "the quick line to be quick"
    )  # a busy machine may hold it up once


@pytest.mark.parametrize("baud", [4800, 19_200, 115_200, 625_000])
def test_the_wrong_speed_gives_garbage_and_changes_nothing(tmp_path, baud):
    wire = FugProbusWire(Plant(), baud=9600)
    with serve_wire(wire, f"pty:{tmp_path / 'fug'}"):
        with port(tmp_path, baud) as link:
            link.write(b">S0 1000\n")
            answer = link.read(9)
        assert len(answer) == 9
        assert b"E0" not in answer
        assert wire.voltage.wanted == 0.0


def test_a_pulled_usb_adapter_vanishes_and_comes_back(tmp_path):
    with serve_wire(FugProbusWire(Plant(), baud=9600), f"pty:{tmp_path / 'fug'}") as server:
        with port(tmp_path) as link:
            server.unplug()
            with pytest.raises(serial.SerialException):
                link.read(1)
        assert not os.path.lexists(tmp_path / "fug")
        server.replug()
        with port(tmp_path) as link:
            link.write(b"*IDN?\n")
            assert link.readline() == IDENTITY


def test_what_nobody_reads_is_lost_and_does_not_block_the_instrument(tmp_path):
    wire = FugProbusWire(Plant(), baud=4_000_000)
    with serve_wire(wire, f"pty:{tmp_path / 'fug'}") as server, port(tmp_path, 4_000_000) as link:
        for number in range(3000):
            link.write(b"*IDN?\n" if number < 2999 else b">S0 5\n")
        wait_for(lambda: wire.voltage.wanted == 5, "the last command to act")
        wait_for(lambda: server._endpoint.overruns > 0, "replies to be lost")
