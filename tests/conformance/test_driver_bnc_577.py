"""BNC 577: codec against literal bytes, behaviour against a scripted generator."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import DeviceError, DeviceIdentityError, DeviceProtocolError, DeviceRefused
from evapd_drivers.pulser import bnc_577 as codec
from evapd_drivers.pulser.bnc_577 import Bnc577
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer


class Generator:
    """Stands still at 1 kHz; `forgets` names keywords that its firmware does not know."""

    def __init__(self):
        self.values = {b"STAT": b"0", b"PER": b"0.001000000", b"MOD": b"NORM", b"TRIG:MOD": b"DIS"}
        self.forgets = set()
        self.echo = False
        self.peer = Peer(self.answer)

    def answer(self, command):
        return (command + b"\r\n") * self.echo + self.said(command) + b"\r\n"

    def said(self, command):
        if command == b"*IDN?":
            return b"QC,9534,02311,1.2.2-1.2.0"
        keyword, _, value = command.removeprefix(b":PULSE0:").partition(b" ")
        if keyword.removesuffix(b"?") in self.forgets:
            return b"?3"
        if keyword.endswith(b"?"):
            return self.values[keyword[:-1]]
        self.values[keyword] = value
        return b"ok"


@pytest.fixture
def generator():
    return Generator()


@pytest.fixture
def make(generator, tmp_path):
    with drivers_at(generator.peer, tmp_path, Bnc577, rate_max_hz="250 kHz") as make_:
        yield make_


def test_commands_name_the_system_timer():
    assert codec.encode("STAT") == b":PULSE0:STAT?\r\n"
    assert codec.encode("PER", codec.encode_period(200e3)) == b":PULSE0:PER 0.000005000\r\n"


def test_identity_is_split_and_other_makers_are_refused():
    identity = codec.decode_identity(b"BNC,577-4,31309,2.4.1-2.0.11")
    assert (identity.model, identity.serial) == ("577-4", "31309")
    with pytest.raises(DeviceIdentityError):
        codec.decode_identity(b"Stanford Research Systems,DG645,s/n001234,ver1.18.11E")


@given(st.binary(max_size=40))
def test_random_replies_are_values_in_range_or_device_errors(line):
    for decode in (
        lambda text: 0 < codec.decode_period(text) <= codec.MAX_PERIOD_S,
        lambda text: codec.decode_flag(text) in {True, False},
        lambda text: codec.decode_word(text).isalpha(),
        lambda text: codec.decode_identity(text).vendor,
    ):
        with contextlib.suppress(DeviceError):
            assert decode(line)


def test_opening_asks_only(make, generator):
    make(opened=False).open()
    assert all(command.endswith(b"?") for command in generator.peer.heard)


def test_a_burst_or_an_outer_trigger_is_not_called_enabled(make, generator):
    driver = make()
    generator.values[b"STAT"] = b"1"
    assert driver.read().enabled is True
    generator.values[b"MOD"] = b"BURS"
    assert driver.read().enabled is None
    generator.values |= {b"MOD": b"NORM", b"TRIG:MOD": b"TRIG"}
    assert driver.read().enabled is None


def test_enabling_makes_it_continuous_first(make, generator):
    driver = make()
    generator.values |= {b"MOD": b"SING", b"TRIG:MOD": b"TRIG"}
    driver.enable(True)
    assert generator.values == {b"STAT": b"1", b"PER": b"0.001000000", b"MOD": b"NORM", b"TRIG:MOD": b"DIS"}


def test_inhibit_is_the_first_thing_sent(make, generator):
    driver = make()
    generator.values[b"STAT"] = b"1"
    driver.make_safe()
    assert generator.peer.heard == [b":PULSE0:STAT 0", b":PULSE0:STAT?"]


@pytest.mark.parametrize("silent", [False, True])
def test_a_firmware_without_modes_does(make, generator, silent):
    generator.forgets = {b"MOD", b"TRIG:MOD"}
    if silent:
        generator.peer.faults = {b":PULSE0:MOD?": b"", b":PULSE0:TRIG:MOD?": b""}
    driver = make()
    driver.enable(True)
    assert driver.read().enabled is True


def test_a_refusal_says_what_it_means(make, generator):
    driver = make()
    generator.peer.faults[b":PULSE0:PER 0.000005000"] = b"?8\r\n"
    with pytest.raises(DeviceRefused, match=r"\?8: not available in this state"):
        driver.set_rate(200e3)


def test_a_period_that_reads_otherwise_is_a_refusal(make, generator):
    driver = make()
    generator.peer.faults[b":PULSE0:PER 0.000005000"] = b"ok\r\n"
    with pytest.raises(DeviceRefused, match=r"reads 0\.001 s after"):
        driver.set_rate(200e3)


def test_an_inhibit_that_is_not_taken_is_a_refusal(make, generator):
    driver = make()
    generator.values[b"STAT"] = b"1"
    generator.peer.faults[b":PULSE0:STAT 0"] = b"ok\r\n"
    with pytest.raises(DeviceRefused, match="T0 is running"):
        driver.make_safe()


def test_an_echo_is_seen_at_open_and_checked_from_then_on(make, generator):
    generator.echo = True
    driver = make()
    driver.set_rate(200e3)
    assert driver.read().rate_hz == pytest.approx(200e3)
    generator.peer.faults[b":PULSE0:STAT?"] = b":PULSE0:STAT!\r\n1\r\n"
    with pytest.raises(DeviceProtocolError, match="came back as"):
        driver.read()


def test_an_echo_that_begins_later_is_no_reading(make, generator):
    driver = make()
    generator.echo = True
    with pytest.raises(DeviceProtocolError):
        driver.read()


@pytest.mark.parametrize("reply", [b"2\r\n", b"ok\r\n", b"\r\nON\r\n", b"1\r\n1\r\n"])
def test_a_bad_reply_is_never_a_reading(make, generator, reply):
    driver = make()
    generator.peer.faults[b":PULSE0:STAT?"] = reply
    with pytest.raises(DeviceProtocolError):
        driver.read()
