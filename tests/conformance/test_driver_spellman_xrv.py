"""Spellman XRV: codec against literal bytes, behaviour against a scripted supply."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evapd.errors import (
    DeviceError,
    DeviceIdentityError,
    DeviceProtocolError,
    DeviceRefused,
    DeviceTimeout,
    LimitError,
)
from evapd_drivers.hv import spellman_xrv as codec
from evapd_drivers.hv.spellman_xrv import SpellmanXrv
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer, PtyPeer

FRAMES = re.compile(rb"\x02[^\x03]*\x03")
USUAL = {"v_max_v": 15000, "i_max_a": 0.005}
ON, INTERLOCK_1, FAULT, LOCAL = 0, 1, 4, 5


class Supply:
    """30 kV and 10 mA, in frames with or without checksum as it is asked; `peer.heard` holds what stands between STX and checksum."""

    def __init__(self):
        self.flags = [0, 1, 1, *[0] * 12, 1, 1]
        self.faults = [0] * 27
        self.values = {b"10": 0, b"11": 0}
        self.obeys, self.watchdog = True, b"0"
        self.peer = Peer(self.answer, FRAMES)

    def answer(self, frame):
        head, _, tail = frame.strip(b"\x02\x03").rpartition(b",")
        self.peer.heard[-1] = head
        reply = b"%s,%s," % (head[:2], self.peer.faults.get(head, self.said(*head.split(b","))))
        return (
            b""
            if head in self.peer.faults and not self.peer.faults[head]
            else b"\x02" + reply + codec.checksum(reply) * bool(tail) + b"\x03"
        )

    def said(self, command, value=b"0"):
        def joined(values):
            return b",".join(b"%d" % one for one in values)

        if command in self.values or command in {b"98", b"31"}:
            if self.obeys and command in self.values:
                self.values[command] = int(value)
            elif self.obeys and command == b"98":
                self.flags[ON] = int(value)
            elif self.obeys:
                self.flags[FAULT] = 0
            return b"$"
        return {
            b"14": b"%d" % self.values[b"10"], b"15": b"%d" % self.values[b"11"], b"19": b"1138,34,0,0,0,0,0,0",
            b"22": joined(self.flags), b"23": b"SWM1,7", b"27": b"0,110,0,0,0,0,0,0,0,30,10," + self.watchdog, b"28": b"30,10,0",
            b"68": joined(self.faults),
        }[command]  # fmt: skip


@pytest.fixture
def supply():
    return Supply()


@pytest.fixture
def make(supply, tmp_path):
    with drivers_at(supply.peer, tmp_path, SpellmanXrv, **USUAL) as make_:
        yield make_


def test_the_published_frame_is_what_is_sent_and_understood():
    assert codec.encode(28, signed=True) == b"\x0228,j\x03"
    assert codec.decode(28, b"\x0228,160,30,0,|", signed=True) == ["160", "30", "0"]


def test_over_ethernet_answers_with_and_without_checksum_are_read():
    for frame in (b"\x0228,160,30,0,|", b"\x0228,160,30,0,"):
        assert codec.decode(28, frame, signed=False) == ["160", "30", "0"]
    with pytest.raises(DeviceProtocolError):
        codec.decode(28, b"\x0228,160,30,0,", signed=True)


@pytest.mark.parametrize(
    "frame", [b"", b"\x02", b"28,160,30,0,|", b"\x0228,160,30,0,{", b"\x0228|", b"\x0222,160,30,0,", b"\x0228,", b"\x028,1,"]
)  # fmt: skip
def test_what_is_no_answer_to_the_question_is_refused(frame):
    with pytest.raises(DeviceProtocolError):
        codec.decode(28, frame, signed=False)


@pytest.mark.parametrize(
    ("frame", "why"),
    [(b"\x0210,!,3,", "out of range"), (b"\x0210,2,", "invalid command"), (b"\x0210,!,9,", "unknown")],
)
def test_both_forms_of_a_refusal_are_understood(frame, why):
    with pytest.raises(DeviceRefused, match=why):
        codec.decode_ack(10, frame, signed=False)


def test_a_serial_line_carries_checksums_and_a_network_none(supply, tmp_path, make):
    make().close()
    assert supply.peer.heard[:1] == []
    wire = PtyPeer(tmp_path / "xrv.pty", supply.peer.feed)
    driver = SpellmanXrv(SpellmanXrv.Config(connect=wire.connect, **USUAL))
    assert driver.open().model == "30 kV 10 mA"
    driver.close()
    wire.close()


def test_the_unit_tells_what_its_counts_mean(make, supply):
    driver = make()
    driver.set_voltage(3000.0)
    assert supply.peer.heard == [b"10,410", b"14"]
    reading = driver.read()
    assert reading.v_set_v == pytest.approx(3003.7, abs=0.1)
    assert reading.v_meas_v == pytest.approx(10004.4, abs=0.1)
    assert reading.i_meas_a == pytest.approx(1e-4, rel=0.01)


def test_limits_beyond_the_units_rating_are_another_unit(make):
    with pytest.raises(DeviceIdentityError, match="30 kV and 10 mA"):
        make(v_max_v=40000)


def test_the_watchdog_of_the_settings_is_the_dead_man_and_must_be_the_units(make, supply):
    driver = make(opened=False, watchdog_s=3)
    with pytest.raises(DeviceIdentityError, match="watchdog"):
        driver.open()
    supply.watchdog = b"3"
    driver.open()
    assert driver.own_timeout_s == 3.0


def test_firmware_is_told_where_it_is_known_and_missing_where_not(make, supply):
    driver = make(opened=False)
    assert driver.open().firmware == "SWM1 7"
    supply.peer.faults[b"23"] = b"!,2"
    assert driver.open().firmware == ""


def test_a_fault_is_reset_by_switching_on_and_by_nothing_else(make, supply):
    driver = make()
    supply.flags[FAULT] = 1
    driver.set_voltage(1000.0)
    driver.make_safe()
    driver.output(False)
    assert b"31" not in supply.peer.heard
    driver.output(True)
    assert supply.peer.heard.index(b"31") < supply.peer.heard.index(b"98,1")


def test_switching_on_programs_a_current_only_where_there_is_none(make, supply):
    driver = make()
    driver.output(True)
    assert supply.values[b"11"] == 2047
    driver.set_current_limit(1e-3)
    driver.output(True)
    assert supply.values[b"11"] == 410


def test_hv_that_stays_off_says_why(make, supply):
    driver = make()
    supply.obeys, supply.flags[INTERLOCK_1], supply.flags[FAULT], supply.faults[21] = False, 0, 1, 1
    supply.values[b"11"] = 5
    with pytest.raises(DeviceRefused, match="interlock open, fault: watchdog"):
        driver.output(True)


def test_a_set_point_that_reads_otherwise_is_a_refusal(make, supply):
    driver = make()
    supply.obeys, supply.flags[LOCAL] = False, 1
    with pytest.raises(DeviceRefused, match="reads 0 after 410 was set: LOCAL"):
        driver.set_voltage(3000.0)


def test_make_safe_is_hv_off_then_set_point_zero_both_verified(make, supply):
    driver = make()
    driver.set_voltage(3000.0)
    driver.output(True)
    supply.peer.heard.clear()
    driver.make_safe()
    assert supply.peer.heard == [b"98,0", b"10,0", b"22", b"14"]


def test_make_safe_through_silence_sends_both(make, supply):
    driver = make()
    driver.set_voltage(3000.0)
    driver.output(True)
    supply.peer.faults[b"98,0"] = b""
    with pytest.raises(DeviceTimeout):
        driver.make_safe()
    supply.peer.faults.clear()
    driver.open()
    assert supply.values[b"10"] == 0


def test_make_safe_in_local_says_that_it_failed(make, supply):
    driver = make()
    driver.set_voltage(3000.0)
    supply.obeys, supply.flags[LOCAL] = False, 1
    with pytest.raises(DeviceRefused, match="LOCAL"):
        driver.make_safe()


def test_a_negative_unit_takes_and_gives_negative_voltages(make):
    driver = make(polarity="negative")
    driver.set_voltage(-3000.0)
    assert driver.read().v_set_v == pytest.approx(-3003.7, abs=0.1)
    with pytest.raises(LimitError):
        driver.set_voltage(3000.0)


def test_a_serial_number_cannot_be_named():
    with pytest.raises(ValidationError, match="tells no serial"):
        SpellmanXrv.Config(connect="unix:x", serial_number="1", **USUAL)


@pytest.mark.parametrize(
    ("query", "said"),
    [(b"22", b"1,1"), (b"22", b"2,1,1,0,0,0"), (b"19", b"1138"), (b"19", b"4096,0"), (b"14", b"1.5"), (b"14", b"$"), (b"14", b"nan")],
)  # fmt: skip
def test_a_bad_answer_is_never_a_reading(make, supply, query, said):
    driver = make()
    supply.peer.faults[query] = said
    with pytest.raises(DeviceProtocolError):
        driver.read()


@given(st.binary(max_size=40), st.booleans())
def test_random_frames_are_answers_to_the_question_or_device_errors(frame, signed):
    with contextlib.suppress(DeviceError):
        assert codec.decode(22, b"\x02" + frame, signed=signed)
        assert frame.startswith(b"22,")


def test_who_is_there_can_be_asked_without_settings(supply, make):
    driver = make()
    assert SpellmanXrv.identify(driver._link).model == "30 kV 10 mA"
