"""DG645: codec against literal bytes, behaviour against a scripted generator."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import (
    DeviceError,
    DeviceIdentityError,
    DeviceProtocolError,
    DeviceRefused,
)
from evapd_drivers.pulser import dg645 as codec
from evapd_drivers.pulser.dg645 import Dg645
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer


class Generator:
    """Triggers at 1 kHz, with an old error in its queue."""

    def __init__(self):
        self.modes = {"TRAT": "+1000.000000", "TSRC": "0", "INHB": "0"}
        self.errors = [110]
        self.events = 0
        self.peer = Peer(self.answer)

    def answer(self, command):
        text = command.decode()
        if text == "*IDN?":
            return b"Stanford Research Systems,DG645,s/n001234,ver1.18.11E\r\n"
        if text == "LERR?":
            return b"%d\r\n" % (self.errors.pop(0) if self.errors else 0)
        if text == "INSR?" and self.events is None:
            return b""
        if text == "INSR?":
            events, self.events = self.events, 0
            return b"%d\r\n" % events
        if text.endswith("?"):
            return self.modes[text[:4]].encode() + b"\r\n"
        name, value = text.split()
        self.modes[name] = value
        return b""


@pytest.fixture
def generator():
    return Generator()


@pytest.fixture
def make(generator, tmp_path):
    with drivers_at(generator.peer, tmp_path, Dg645, rate_max_hz="250 kHz") as make_:
        yield make_


@pytest.mark.parametrize(
    ("command", "value", "sent"),
    [
        ("TSRC", 5, b"TSRC 5\n"),
        ("TRAT", 200000.0, b"TRAT 200000.000000\n"),
        ("LERR?", None, b"LERR?\n"),
        ("INHB", 1, b"INHB 1\n"),
    ],
)
def test_commands_are_four_letters_and_a_number(command, value, sent):
    assert codec.encode(command, value) == sent


@pytest.mark.parametrize("line", [b"", b"-1", b"7.0", b"256", b"0x1", b"zero", b"1 2"])
def test_a_status_is_a_whole_number_in_range(line):
    assert codec.decode_integer(b"16", 255) == 16
    with pytest.raises(DeviceProtocolError):
        codec.decode_integer(line, 255)


def test_identity_gives_serial_number_and_firmware():
    identity = codec.decode_identity(b"Stanford Research Systems,DG645,s/n001234,ver1.18.11E")
    assert (identity.model, identity.serial, identity.firmware) == ("DG645", "001234", "1.18.11E")
    with pytest.raises(DeviceIdentityError):
        codec.decode_identity(b"Stanford Research Systems,DG535,s/n001234,ver1")


def test_an_identity_with_maker_and_model_in_one_field_is_read():
    identity = codec.decode_identity(b"SRS DG645,s/n001332,ver1.07.10E")
    assert (identity.vendor, identity.model, identity.serial, identity.firmware) == (
        "SRS",
        "DG645",
        "001332",
        "1.07.10E",
    )


def test_without_an_answer_to_insr_it_opens_and_does_not_ask_again(make, generator):
    generator.events = None
    driver = make()
    assert driver.read().enabled is True
    assert generator.peer.heard == [b"TRAT?", b"TSRC?"]


@given(st.binary(max_size=40))
def test_random_replies_are_values_in_range_or_device_errors(line):
    for decode in (
        lambda text: 0 <= codec.decode_integer(text, 6) <= 6,
        lambda text: codec.decode_identity(text).model,
    ):
        with contextlib.suppress(DeviceError):
            assert decode(line)


def test_opening_empties_the_error_queue_and_leaves_the_trigger_alone(make, generator):
    driver = make(opened=False)
    assert generator.peer.heard == []
    driver.open()
    assert generator.errors == []
    assert all(command.endswith(b"?") for command in generator.peer.heard)


def test_the_rear_inhibit_is_configured_only_where_the_settings_name_it(make, generator):
    driver = make(opened=False, inhibit_input="triggers")
    driver.open()
    assert generator.modes["INHB"] == "1"


def test_a_reading_tells_rate_and_whether_pulses_come(make, generator):
    driver = make()
    assert (driver.read().rate_hz, driver.read().enabled) == (1000.0, True)
    generator.modes["TSRC"] = "5"
    assert driver.read().enabled is False
    generator.modes["TSRC"] = "1"
    assert driver.read().enabled is None


def test_pulses_stopped_by_the_rear_input_are_not_called_enabled(make, generator):
    driver = make()
    generator.events = 16
    assert driver.read().enabled is False


def test_missed_triggers_are_counted_and_begin_anew_at_open(make, generator):
    driver = make()
    generator.events = 2
    assert driver.read().missed == 1
    assert driver.read().missed == 1
    generator.events = 3
    assert driver.read().missed == 2
    driver.open()
    assert driver.read().missed == 0


def test_a_rate_is_set_checked_for_errors_and_read_back(make, generator):
    make().set_rate(200e3)
    assert generator.peer.heard == [b"TRAT 200000.000000", b"LERR?", b"TRAT?"]


def test_an_error_in_the_queue_refuses_the_set_in_words(make, generator):
    driver = make()
    generator.errors = [15, 10]
    with pytest.raises(DeviceRefused, match=r"15 \(not allowed: locked by another interface\), error 10"):
        driver.set_rate(200e3)
    assert generator.errors == []


def test_a_rate_that_reads_otherwise_is_a_refusal(make, generator):
    driver = make()
    generator.peer.faults[b"TRAT 200000.000000"] = b""
    with pytest.raises(DeviceRefused, match="reads 1000 after 200000"):
        driver.set_rate(200e3)


def test_inhibit_is_the_first_thing_sent(make, generator):
    driver = make()
    driver.enable(False)
    assert generator.peer.heard == [b"TSRC 5", b"LERR?", b"TSRC?"]
    driver.enable(True)
    assert generator.modes["TSRC"] == "0"
    driver.make_safe()
    assert generator.modes["TSRC"] == "5"


def test_an_old_error_does_not_make_a_good_inhibit_look_failed(make, generator):
    driver = make()
    generator.errors = [10]
    driver.enable(False)
    assert driver.read().enabled is False


def test_an_inhibit_that_is_not_taken_is_a_refusal(make, generator):
    driver = make()
    generator.peer.faults[b"TSRC 5"] = b""
    generator.errors = [15]
    with pytest.raises(DeviceRefused, match="locked by another interface"):
        driver.make_safe()


def test_an_error_queue_without_end_is_a_protocol_error(make, generator):
    driver = make()
    generator.peer.faults[b"LERR?"] = b"10\r\n"
    with pytest.raises(DeviceProtocolError, match="does not end"):
        driver.set_rate(1e3)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"-1000.0\r\n", DeviceProtocolError),
        (b"\x15\r\n", DeviceProtocolError),
        (b"0\r\n+1000.0\r\n", DeviceProtocolError),
    ],
)
def test_a_bad_reply_is_never_a_reading(make, generator, reply, error):
    driver = make()
    generator.peer.faults[b"TRAT?"] = reply
    with pytest.raises(error):
        driver.read()
