"""Keysight 33500 and Tektronix AFG: codec against literal bytes, behaviour against a scripted generator."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers import scpi as codec
from evapd_drivers.pulser.keysight_33500 import MODELS, Keysight33500
from evapd_drivers.pulser.scpi_generator import decode_identity
from evapd_drivers.pulser.tektronix_afg import TektronixAfg
from support.scripted_drivers import drivers_at
from support.scripted_peer import SILENCE_S, Peer, SocketPeer


class Generator:
    """A sine of 1 kHz, off, with an old error in its queue; says nothing to what is `unknown`."""

    def __init__(self, idn, output, frequency, shape, burst):
        self.idn = idn
        self.output, self.frequency, self.shape, self.burst = output, frequency, shape, burst
        self.mode = burst.replace(b"STAT", b"MODE")
        self.values = {output: b"0", frequency: b"+1.0E+03", shape: b"SIN", burst: b"0", self.mode: b"TRIG"}
        self.errors = [b'-113,"Undefined header"']
        self.unknown = set()
        self.peer = Peer(self.answer)

    def answer(self, command):
        if command in self.unknown:
            return b""
        if command == b"*IDN?":
            return self.idn + b"\n"
        if command == b"SYST:ERR?":
            return (self.errors.pop(0) if self.errors else b'+0,"No error"') + b"\n"
        if command.endswith(b"?"):
            return self.values[command[:-1]] + b"\n"
        header, value = command.split(b" ")
        self.values[header] = {b"ON": b"1", b"OFF": b"0"}.get(value, value)
        return b""


KINDS = {
    Keysight33500: lambda: Generator(
        b"Agilent Technologies,33220A,MY44036372,2.02-2.02-22-2", b"OUTP", b"FREQ", b"FUNC", b"BURS:STAT"
    ),
    TektronixAfg: lambda: Generator(
        b"TEKTRONIX,AFG3021,C100101,SCPI:99.0 FV:1.0",
        b"OUTP1:STAT",
        b"SOUR1:FREQ:FIX",
        b"SOUR1:FUNC:SHAP",
        b"SOUR1:BURS:STAT",
    ),
}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


@pytest.fixture
def generator(kind):
    return KINDS[kind]()


@pytest.fixture
def make(kind, generator, tmp_path):
    with drivers_at(generator.peer, tmp_path, kind, rate_max_hz="250 kHz") as make_:
        yield make_


def test_commands_are_header_and_value():
    assert codec.encode("FREQ", 200e3) == b"FREQ 200000.000000\n"
    assert codec.encode("OUTP", "OFF") == b"OUTP OFF\n"
    assert codec.encode("OUTP") == b"OUTP?\n"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'+0,"No error"', (0, "No error")),
        (b'0, "No error"', (0, "No error")),
        (b'-222,"Data out of range; value, too"', (-222, "Data out of range; value, too")),
    ],
)
def test_an_error_is_code_and_text(line, error):
    assert codec.decode_error(line) == error


@pytest.mark.parametrize("line", [b"", b"0", b'+0,"No error', b'no,"No error"', b"2", b"YES"])
def test_anything_else_is_neither_error_nor_flag(line):
    for decode in (codec.decode_error, codec.decode_flag):
        if line != b"0" or decode is codec.decode_error:
            with pytest.raises(DeviceProtocolError):
                decode(line)


def test_other_makers_are_refused():
    assert decode_identity(b"Keysight Technologies,33612A,MY1,3.0", MODELS).model == "33612A"
    for line in (
        b"Agilent Technologies,34401A,MY1,3.0",
        b"TEKTRONIX,AFG3021,C1,1",
        b"Agilent Technologies,33220A",
    ):
        with pytest.raises(DeviceIdentityError):
            decode_identity(line, MODELS)


@given(st.binary(max_size=40))
def test_random_replies_are_values_or_device_errors(line):
    for decode in (
        lambda text: codec.decode_flag(text) in {True, False},
        lambda text: codec.decode_word(text).isalnum(),
        lambda text: isinstance(codec.decode_error(text)[0], int),
        lambda text: decode_identity(text, MODELS).model,
    ):
        with contextlib.suppress(DeviceError):
            assert decode(line)


def test_opening_empties_the_error_queue_and_asks_only(make, generator):
    make(opened=False).open()
    assert generator.errors == []
    assert all(command.endswith(b"?") for command in generator.peer.heard)


def test_enabling_makes_it_a_pulse_first(make, generator):
    driver = make()
    generator.values[generator.burst] = b"1"
    driver.enable(True)
    assert generator.values[generator.shape] == b"PULS"
    assert (generator.values[generator.burst], driver.read().enabled) == (b"0", True)


def test_a_square_is_left_as_it_is(make, generator):
    driver = make()
    generator.values[generator.shape] = b"SQU"
    driver.enable(True)
    assert generator.values[generator.shape] == b"SQU"


@pytest.mark.parametrize(("name", "value"), [("shape", b"SIN"), ("burst", b"ON")])
def test_another_shape_or_a_burst_is_not_called_enabled(make, generator, name, value):
    driver = make()
    generator.values |= {generator.output: b"1", generator.shape: b"PULS", getattr(generator, name): value}
    assert driver.read().enabled is None


def test_a_gate_is_left_as_it_is_for_it_may_be_the_interlock_s(make, generator):
    driver = make()
    generator.values |= {generator.burst: b"1", generator.mode: b"GAT", generator.shape: b"PULS"}
    driver.enable(True)
    assert (generator.values[generator.burst], driver.read().enabled) == (b"1", True)


def test_inhibit_is_the_first_thing_sent(make, generator):
    driver = make()
    generator.values[generator.output] = b"1"
    driver.make_safe()
    assert generator.peer.heard[0].startswith(generator.output + b" ")
    assert generator.peer.heard[1] == generator.output + b"?"


def test_an_error_in_the_queue_refuses_the_set_in_words(make, generator):
    driver = make()
    generator.errors = [b'-221,"Settings conflict; pulse width decreased due to period"']
    with pytest.raises(DeviceRefused, match="pulse width decreased"):
        driver.set_rate(200e3)


def test_a_frequency_that_reads_otherwise_is_a_refusal(make, generator):
    driver = make()
    generator.peer.faults[generator.frequency + b" 200000.000000"] = b""
    with pytest.raises(DeviceRefused, match="reads 1000 Hz after 200000"):
        driver.set_rate(200e3)


def test_an_inhibit_that_is_not_taken_is_a_refusal(make, generator):
    driver = make()
    generator.values[generator.output] = b"1"
    for word in (b" OFF", b" 0"):
        generator.peer.faults[generator.output + word] = b""
    with pytest.raises(DeviceRefused, match=r"the output is on after enable\(False\)"):
        driver.make_safe()


def test_a_generator_that_tells_neither_burst_nor_errors_does(make, generator):
    generator.unknown = {b"SYST:ERR?", generator.burst + b"?"}
    driver = make(opened=False)
    driver.open()
    driver.set_rate(200e3)
    driver.enable(True)
    assert (driver.read().rate_hz, driver.read().enabled) == (200e3, True)
    driver.make_safe()
    assert driver.read().enabled is False


def test_an_error_queue_without_end_is_a_protocol_error(make, generator):
    driver = make()
    generator.peer.faults[b"SYST:ERR?"] = b'-113,"Undefined header"\n'
    with pytest.raises(DeviceProtocolError, match="does not end"):
        driver.set_rate(1e3)


def test_the_second_channel_has_headers_of_its_own(kind):
    dialect = kind.dialect(2)
    assert all("2" in header for header in dialect[:4])


def test_it_works_through_pyvisa(kind, generator):
    wire = SocketPeer(None, generator.peer.feed)
    driver = kind(kind.Config(connect=wire.connect, rate_max_hz=1e6, timeout_s=SILENCE_S))
    driver.open()
    driver.set_rate(200e3)
    driver.enable(True)
    assert driver.read().enabled is True
    generator.peer.faults[generator.output + b"?"] = b""
    with pytest.raises(DeviceTimeout):
        driver.read()
    driver.close()
    wire.close()
