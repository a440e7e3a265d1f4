"""`evapd probe`: every driver's identification is asked, the right one answers, and nothing else is ever sent."""

import json
import re
import time

import pytest
import yaml
from typer.testing import CliRunner

from conformance.instruments.served import Served
from conformance.test_kit import INSTRUMENTS
from evapd.cli import app
from evapd.config.plugins import INSTALLED
from evapd.device.conformance.instrument import offers
from evapd.device.probe import USUAL_LINES, block, lines_to_try, never_asked, probe
from evapd.device.transport import BufferedTransport, Terms
from evapd.errors import ConfigError, DeviceLost, DeviceTimeout
from support.scripted_line import ScriptedLine
from support.scripted_peer import Peer, SocketPeer

KNOWN = [name for name, kind in INSTRUMENTS.items() if hasattr(kind.driver, "identify")]
# What answers to more than one name, because the makers share a command family.
RELATED: dict[str, set[str]] = {}


@pytest.fixture
def served(tmp_path):
    """Serve one of the described instruments; its descriptor, and itself."""
    running = []

    def serve(name):
        running.append(INSTRUMENTS[name]())
        return running[-1].start(f"unix:{tmp_path / 'who'}"), running[-1]

    yield serve
    for one in running:
        one.stop()


def asked_over(line, connect):
    """Probe at a scripted cable, on which no silence takes time."""
    return probe(connect, transport_factory=line.open, clock=line.clock)[0]


class LineToWire(ScriptedLine):
    """A cable to a simulated instrument, as on a socket: it notices that a connection has ended."""

    def __init__(self, wire):
        super().__init__(lambda data: wire.receive(data, self.clock()) + wire.poll(self.clock()))
        self.wire, wire.serial_line = wire, False

    def open(self, connect, timeout_s):
        self.wire.disconnected()
        return super().open(connect, timeout_s)


def at(answer):
    """A peer that answers by a function of the command, and what a probe finds there."""
    peer = Peer(answer)
    return peer, asked_over(ScriptedLine(peer.feed), "unix:/scripted")


@pytest.fixture
def peer_at(tmp_path):
    """Serve a function of the command."""
    made = []

    def serve(answer):
        peer = Peer(answer)
        made.append(SocketPeer(tmp_path / "peer.sock", peer.feed))
        return peer, made[-1].connect

    yield serve
    for one in made:
        one.close()


@pytest.mark.parametrize("name", KNOWN)
def test_an_instrument_is_known_by_its_own_driver_alone_and_stays_off(name):
    instrument = INSTRUMENTS[name]()
    found = asked_over(LineToWire(instrument.wire), "unix:/scripted")
    assert {one.driver for one in found} == {name} | RELATED.get(name, set())
    assert not (offers(INSTRUMENTS[name], "energised") and instrument.energised())


LEFT_OUT = {"technix-sr", "tdk-genesys"}


def test_every_instrument_on_a_cable_has_a_question_but_those_whose_question_is_a_command_to_others():
    cabled = {name for name, kind in INSTRUMENTS.items() if issubclass(kind, Served)}
    assert cabled - set(KNOWN) == LEFT_OUT


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_one_that_is_left_out_hears_nothing_that_it_obeys_and_is_named(name, served):
    connect, instrument = served(name)
    told = CliRunner().invoke(app, ["probe", connect, "--timeout", "0.05"])
    assert told.exit_code == 1
    assert name in told.output
    assert not (offers(INSTRUMENTS[name], "energised") and instrument.energised())


def test_who_has_answered_as_the_standard_says_is_asked_nothing_but_questions_of_the_standard():
    peer, _ = at(lambda command: b"ACME,X1,7,1.0\r\n" if command == b"*IDN?" else b"")
    assert set(peer.heard) == {b"*IDN?", b":DEV:SNUM?"}


def test_who_is_known_by_the_standards_question_is_asked_nothing_else():
    peer, found = at(
        lambda command: b"FUG HCP 14 - 20 000 MOD 17022-01-01\r\n" if command == b"*IDN?" else b""
    )
    assert [one.driver for one in found] == ["fug-probus"]
    assert set(peer.heard) == {b"*IDN?"}


def test_no_question_of_any_driver_is_a_command_of_one_letter_and_a_number():
    peer, _ = at(lambda _: b"")
    for heard in peer.heard:  # Q51 is Glassman's, and no value that anybody sets
        assert not re.fullmatch(rb"[0-9]*[A-PR-Za-pr-z][ =]?[0-9.]*", heard.strip(b"\x00\x01\x02\x03 "))


class Recorded(BufferedTransport):
    """Keeps what was sent; nobody answers."""

    def __init__(self, sent):
        super().__init__("nobody", Terms(0.01, time.monotonic, None))
        self.sent = sent

    def _send(self, data, timeout_s):
        self.sent.append(data)

    def _receive(self, limit, timeout_s):
        if timeout_s > 0.0:
            raise DeviceTimeout("nobody")
        return b""

    def _shut(self):
        pass


@pytest.mark.parametrize(
    ("connect", "asked"),
    [
        ("serial:/dev/ttyUSB0:9600-8N1", set()),
        ("tcp:server:4001", set()),
        ("tcp:module:502", {"modbus-dio"}),
        ("tcp:stage:2101", {"attocube-anc350"}),
        ("unix:/tmp/x", {"modbus-dio", "attocube-anc350", "tdc-stream"}),
    ],
)
def test_binary_frames_are_sent_to_their_own_port_alone(connect, asked):
    binary = {"modbus-dio", "attocube-anc350", "tdc-stream"}
    sent = []
    probe(connect, timeout_s=0.01, transport_factory=lambda *_: Recorded(sent))
    assert binary - set(never_asked(connect)) == asked
    assert any(b"\0" in data for data in sent) is bool(asked)


def test_silence_finds_nobody_and_says_so(peer_at):
    peer, connect = peer_at(lambda _: b"")
    told = CliRunner().invoke(app, ["probe", connect, "--timeout", "0.05"])
    assert told.exit_code == 1
    assert "Nothing answered" in told.output
    assert peer.heard


def test_a_stranger_is_quoted_so_that_a_person_may_know_it(peer_at):
    _, connect = peer_at(lambda command: b"ACME,X1,7,1.0\r\n" if command == b"*IDN?" else b"")
    told = CliRunner().invoke(app, ["probe", connect, "--timeout", "2"])
    assert told.exit_code == 1
    assert "ACME,X1,7,1.0" in told.output


def test_garbage_is_nobody():
    assert at(lambda _: b"\xff\xfe\x00\x81\r\n")[1] == []


def test_each_question_is_asked_once_though_many_drivers_have_it():
    peer, _ = at(lambda _: b"?\r\n")
    assert peer.heard.count(b"*IDN?") <= 4  # with LF, with CR LF, and by two that hear out an echo


def test_a_late_answer_is_not_taken_for_the_next_question():
    # It answers the question before the present one, where that was another: the same with CR LF and with LF has one answer.
    asked = [b""]

    def one_behind(command):
        asked.append(command)
        late = b"FUG HCP 14 - 20 000 MOD 17022-01-01\r\n" if asked[-2] == b"*IDN?" else b"?\r\n"
        return b"" if asked[-2] in {b"", command} else late

    assert at(one_behind)[1] == []


def test_what_is_printed_can_be_pasted(served):
    connect, _ = served("fug-probus")
    told = CliRunner().invoke(app, ["probe", connect, "--name", "specimen-supply", "--timeout", "5"])
    assert told.exit_code == 0
    device = yaml.safe_load(told.output)["devices"]["specimen-supply"]
    assert device["driver"] == "fug-probus"
    assert device["settings"] == {
        "connect": connect, "serial_number": "17022-01-01", "v_max_v": None, "i_max_a": None,
    }  # fmt: skip


def test_programs_get_json(served):
    told = json.loads(
        CliRunner().invoke(app, ["probe", served("dg645")[0], "--json", "--timeout", "5"]).output
    )
    assert told["found"][0]["driver"] == "dg645"
    assert told["found"][0]["identity"]["serial"] == "001234"


def test_a_block_for_a_role_that_only_one_can_have_names_it(served):
    (found,), _ = probe(served("dg645")[0], timeout_s=5.0)
    assert "role: pulser\n" in block(found, "trigger")


def test_a_serial_port_without_a_speed_stands_for_the_usual_ones():
    assert lines_to_try("serial:/dev/ttyUSB0") == tuple(f"serial:/dev/ttyUSB0:{line}" for line in USUAL_LINES)
    assert lines_to_try("serial:/dev/ttyUSB0:9600-8N1") == ("serial:/dev/ttyUSB0:9600-8N1",)


@pytest.mark.parametrize("text", ["", "serial:", "serial:/dev/x:fast", "tcp:host", "gopher:x", "tcp:h:0"])
def test_what_is_no_descriptor_is_refused(text):
    with pytest.raises(ConfigError):
        lines_to_try(text)


def test_where_nobody_listens_it_says_so(tmp_path):
    with pytest.raises(DeviceLost):
        probe(f"unix:{tmp_path / 'nobody'}")


class FugAlone:
    """The installed drivers, of which one is asked for."""

    find_driver, twin_kinds, find_twin = INSTALLED.find_driver, INSTALLED.twin_kinds, INSTALLED.find_twin

    def driver_names(self):
        return ["fug-probus"]


def test_the_usual_speeds_are_tried_until_somebody_answers(tmp_path):
    instrument = INSTRUMENTS["fug-probus"]()
    instrument.start(f"pty:{tmp_path / 'port'}")
    try:
        found, _ = probe(f"serial:{tmp_path / 'port'}", timeout_s=2.0, plugins=FugAlone())
    finally:
        instrument.stop()
    assert [one.driver for one in found] == ["fug-probus"]
    assert found[0].connect.endswith(":115200-8N1")  # at 9600, tried first, it heard noise
