"""tdc-stream: codec against the protocol page's bytes, behaviour against a scripted TDC."""

import contextlib
import json
import struct
import zlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evapd.blocks import Loss
from evapd.errors import (
    DeviceLost,
    DeviceProtocolError,
    DeviceRefused,
)
from evapd_drivers.tdc import tdc_stream as codec
from evapd_drivers.tdc.tdc_stream import Kind, TdcStream
from support.scripted_peer import SocketPeer

IDENT = bytes.fromhex("45565444 01100000 01000000" + "00" * 36 + "dc6bcbea")
EXAMPLE = bytes.fromhex(
    "45565444 01020000 07000000 28000000 e803000000000000 05000000 00000000 404b4c0000000000 00000000 00000000"
    "409c000000030000 e0ab000001030000 44ac000004030000 a0ad000002030000 d4ad000003030000 7a992b81"
)
HELLO = {
    "vendor": "x",
    "model": "y",
    "serial": "0001",
    "firmware": "1",
    "bin_ps": [5000, 384],
    "channels": 5,
    "counter_bits": 48,
}


def frame(kind, seq=0, payload=b"", *, flags=0, first=0, pulses=0, inhibited=0, lost=0):
    """A frame as the page describes it, packed apart from the driver's codec."""
    head = struct.pack(
        "<4sBBHIIQIIQII", b"EVTD", 1, kind, flags, seq, len(payload), first, pulses, inhibited, 0, lost, 0
    )
    return head + payload + struct.pack("<I", zlib.crc32(head + payload))


def words(*rows):
    """Payload of (pulse offset, channel, time) rows."""
    return b"".join(
        struct.pack("<Q", pulse << 40 | channel << 32 | time & 0xFFFFFFFF) for pulse, channel, time in rows
    )


def columns(payload, pulses, first=0):
    data = frame(2, payload=payload, pulses=pulses, first=first)
    decoded = codec.decode_words(codec.decode_frame(data))
    return list(
        zip(decoded.pulse.tolist(), decoded.channel.tolist(), decoded.time.tolist(), strict=True)
    ), decoded.damaged


class Tdc:
    """Answers requests; after ARM sends what the test has laid ready."""

    def __init__(self):
        self.hello = dict(HELLO)
        self.after_arm = b""
        self.before_disarm_ack = b""
        self.replies = {}
        self.kinds = []

    def feed(self, data):
        reply = b""
        for at in range(0, len(data), 52):
            kind, seq = data[at + 5], struct.unpack_from("<I", data, at + 8)[0]
            self.kinds.append(kind)
            usual = {
                16: lambda seq=seq: frame(1, seq, json.dumps(self.hello).encode()),
                17: lambda seq=seq: frame(3, seq) + self.after_arm,
                18: lambda seq=seq: self.before_disarm_ack + frame(3, seq),
            }
            reply += self.replies[kind] if kind in self.replies else usual[kind]()
        return reply


@pytest.fixture
def tdc():
    return Tdc()


@pytest.fixture
def make(tdc, tmp_path):
    wire = SocketPeer(tmp_path / "tdc.sock", tdc.feed)
    drivers = []

    def make_(*, armed=False, **settings):
        driver = TdcStream(TdcStream.Config(**{"connect": wire.connect, "timeout_s": 5.0} | settings))
        drivers.append(driver)
        if armed:
            driver.open()
            driver.arm()
        return driver

    make_.wire = wire
    yield make_
    for driver in drivers:
        driver.close()
    wire.close()


def test_a_request_is_the_pages_bytes():
    assert codec.encode_request(Kind.IDENT, 1) == IDENT
    assert codec.frame_length(IDENT) == 52


def test_the_pages_data_frame_decodes_to_the_pages_words():
    decoded = codec.decode_frame(EXAMPLE)
    assert (decoded.seq, decoded.first_pulse, decoded.pulses, decoded.t_device_ns) == (7, 1000, 5, 5_000_000)
    got = codec.decode_words(decoded)
    assert got.pulse.tolist() == [1003] * 5
    assert got.channel.tolist() == [0, 1, 4, 2, 3]
    assert got.time.tolist() == [40000, 44000, 44100, 44448, 44500]
    assert [column.dtype.str for column in got[:3]] == ["<u8", "|u1", "<i4"]
    assert not got.damaged


def test_negative_and_extreme_times_keep_their_sign():
    rows = [(0, 0, -12), (0, 1, 5), (7, 0, 2**31 - 1), (9, 6, -(2**31))]
    assert columns(words(*rows), 10) == (rows, False)


@given(st.data())
def test_any_ordered_words_come_back_as_they_were_sent(data):
    pulses = data.draw(st.integers(1, 1 << 24))
    first = data.draw(st.integers(0, 1 << 62))
    row = st.tuples(st.integers(0, pulses - 1), st.integers(0, 6), st.integers(-(2**31), 2**31 - 1))
    rows = sorted(data.draw(st.lists(row, max_size=30)), key=lambda one: (one[0], one[2]))
    got, damaged = columns(words(*rows), pulses, first)
    assert got == [(first + pulse, channel, time) for pulse, channel, time in rows]
    assert not damaged


@given(st.lists(st.integers(0, 2**64 - 1), max_size=30), st.integers(0, 2**32 - 1))
def test_whatever_words_come_columns_are_ordered_and_possible(values, pulses):
    got, _ = columns(struct.pack(f"<{len(values)}Q", *values), pulses, first=1000)
    assert all(1000 <= pulse < 1000 + pulses and channel <= 6 for pulse, channel, _ in got)
    assert [(pulse, time) for pulse, _, time in got] == sorted((pulse, time) for pulse, _, time in got)


@pytest.mark.parametrize("row", [(5, 0, 1), (0, 7, 1), (2**24 - 1, 255, -1)])
def test_impossible_words_are_discarded_and_told(row):
    assert columns(words((0, 0, 1), row), 5) == ([(0, 0, 1)], True)


def test_words_out_of_order_are_sorted_and_told():
    assert columns(words((3, 0, 9), (1, 2, 5), (1, 1, 4)), 5) == ([(1, 1, 4), (1, 2, 5), (3, 0, 9)], True)


@given(st.binary(max_size=200))
def test_random_bytes_are_incomplete_or_refused_but_never_a_frame(data):
    try:
        length = codec.frame_length(data)
        assert length is None or length > len(data)
    except DeviceProtocolError:
        pass


@given(st.integers(0, len(EXAMPLE) * 8 - 1))
def test_one_flipped_bit_is_always_noticed(bit):
    damaged = bytearray(EXAMPLE)
    damaged[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(DeviceProtocolError):
        length = codec.frame_length(damaged)
        assert length != len(EXAMPLE) or codec.decode_frame(damaged) is None


@pytest.mark.parametrize(
    "change",
    [
        {"bin_ps": [0, 1]},
        {"bin_ps": 13},
        {"channels": True},
        {"counter_bits": "48"},
        {"serial": 1},
        {"bin_ps": [1, 2.5]},
    ],
)
def test_a_hello_that_is_not_as_the_page_says_is_refused(change):
    with pytest.raises(DeviceProtocolError, match="HELLO"):
        codec.decode_hello(json.dumps(HELLO | change).encode())


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_random_hellos_are_refused(payload):
    with pytest.raises(DeviceProtocolError):
        codec.decode_hello(payload)


def test_only_stream_sockets_carry_tdc_stream():
    with pytest.raises(ValidationError, match="tcp:host:port or unix:path"):
        TdcStream.Config(connect="serial:/dev/ttyUSB0:115200-8N1")


def test_opening_asks_who_is_there_and_arms_nothing(make, tdc):
    driver = make()
    assert driver.open().serial == "0001"
    assert tdc.kinds == [Kind.IDENT]
    assert driver.describe().bin_ps == Fraction(5000, 384)
    assert not driver.read().armed


def test_a_frame_of_an_earlier_client_is_ignored(make, tdc):
    tdc.replies[16] = EXAMPLE + frame(1, 1, json.dumps(HELLO).encode()) + EXAMPLE[:60]
    driver = make()
    driver.open()
    tdc.replies[17] = EXAMPLE[60:] + frame(3, 2) + frame(2, 0, pulses=4)
    driver.arm()
    block = driver.read_block(1.0)
    assert (block.last_pulse, block.loss) == (3, Loss.NONE)


def test_words_become_a_block_with_an_anchor(make, tdc):
    tdc.after_arm = frame(2, 0, words((3, 0, 40000), (3, 1, 44000)), pulses=5, inhibited=2)
    driver = make(armed=True)
    block = driver.read_block(1.0)
    assert (block.first_pulse, block.last_pulse, block.inhibited_pulses, block.loss) == (0, 4, 2, Loss.NONE)
    assert (block.pulse.tolist(), block.time.tolist()) == ([3, 3], [40000, 44000])
    assert block.anchor.pulse == 5
    reading = driver.read()
    assert (reading.pulse_counter, reading.words, reading.armed) == (5, 2, True)
    assert block.anchor.t_mono_us == int(reading.t_mono_s * 1e6)


def test_a_heartbeat_is_an_empty_block(make, tdc):
    tdc.after_arm = frame(2, 0)
    block = make(armed=True).read_block(1.0)
    assert (block.n, block.pulses, block.first_pulse, block.last_pulse) == (0, 0, 0, -1)


def test_silence_is_none_and_half_a_frame_is_kept(make, tdc):
    tdc.after_arm = frame(2, 0, pulses=4) + frame(2, 1, first=4, pulses=3)[:30]
    driver = make(armed=True)
    assert driver.read_block(1.0).pulses == 4
    assert driver.read_block(0.01) is None
    tdc.replies[18] = frame(2, 1, first=4, pulses=3)[30:] + frame(3, 3)
    driver.disarm()
    assert driver.read_block(0.01).pulses == 3


@pytest.mark.parametrize(
    ("second", "loss"),
    [
        ({"seq": 1, "first": 4}, Loss.NONE),
        ({"seq": 3, "first": 4}, Loss.SEQUENCE_GAP),
        ({"seq": 1, "first": 9}, Loss.COUNTER_JUMP),
        ({"seq": 1, "first": 0}, Loss.COUNTER_JUMP),
        ({"seq": 1, "first": 4, "flags": 1}, Loss.WORDS_LOST),
        ({"seq": 1, "first": 4, "lost": 3}, Loss.WORDS_LOST),
        ({"seq": 1, "first": 4, "flags": 3, "lost": 3}, Loss.WORDS_LOST | Loss.SATURATED),
        ({"seq": 1, "first": 4, "inhibited": 9}, Loss.DAMAGED),
        ({"seq": 1, "first": 4, "payload": words((9, 0, 0))}, Loss.DAMAGED),
    ],
)
def test_every_loss_is_a_flag_of_its_block(make, tdc, second, loss):
    seq = second.pop("seq")
    tdc.after_arm = frame(2, 0, pulses=4) + frame(2, seq, pulses=2, **second)
    driver = make(armed=True)
    assert driver.read_block(1.0).loss is Loss.NONE
    assert driver.read_block(1.0).loss == loss


def test_counters_of_loss_are_in_the_reading(make, tdc):
    tdc.after_arm = frame(2, 1, flags=7, pulses=4, lost=17)
    driver = make(armed=True)
    driver.read_block(1.0)
    reading = driver.read()
    assert (reading.lost_words, reading.sequence_gaps, reading.saturated, reading.exhausted) == (
        17,
        1,
        True,
        True,
    )
    assert driver.exhausted


def test_after_a_wrapped_sequence_number_nothing_is_missing(make, tdc):
    tdc.after_arm = frame(2, 2**32 - 1) + frame(2, 0)
    driver = make(armed=True)
    driver.read_block(1.0)
    assert driver.read_block(1.0).loss is Loss.NONE


@pytest.mark.parametrize(
    "damage", [b"EVTX" + bytes(60), EXAMPLE[:-1] + b"\x00", b"garbage", frame(2, payload=b"12345")]
)
def test_lost_frame_boundaries_close_the_connection_until_it_is_opened_anew(make, tdc, damage):
    tdc.after_arm = damage
    driver = make(armed=True)
    with pytest.raises(DeviceProtocolError, match="open it anew"):
        driver.read_block(1.0)
    with pytest.raises(DeviceLost):
        driver.read_block(1.0)
    with pytest.raises(DeviceLost):
        driver.read()
    tdc.after_arm = frame(2, 0, pulses=4)
    driver.open()
    driver.arm()
    assert driver.read_block(1.0).pulses == 4


def test_arming_again_begins_at_zero_and_drops_old_frames(make, tdc):
    tdc.after_arm = frame(2, 0, pulses=4)
    driver = make(armed=True)
    assert driver.read_block(1.0).pulses == 4
    tdc.replies[17] = frame(2, 1, first=4, pulses=4) + frame(3, 3) + frame(2, 0, pulses=2)
    driver.arm()
    block = driver.read_block(1.0)
    assert (block.first_pulse, block.pulses, block.loss) == (0, 2, Loss.NONE)


def test_frames_before_the_end_of_disarming_are_not_lost(make, tdc):
    tdc.after_arm = frame(2, 0, pulses=4)
    tdc.before_disarm_ack = frame(2, 1, first=4, pulses=4) + frame(2, 2, first=8, pulses=4)
    driver = make(armed=True)
    driver.disarm()
    blocks = [driver.read_block(0.01) for _ in range(4)]
    assert [block and block.last_pulse for block in blocks] == [3, 7, 11, None]
    assert not driver.read().armed


def test_a_nak_is_a_refusal_in_the_tdcs_words(make, tdc):
    tdc.replies[17] = frame(4, 2, b"no reference clock")
    driver = make()
    driver.open()
    with pytest.raises(DeviceRefused, match="no reference clock"):
        driver.arm()


def test_the_answer_to_another_request_is_an_error(make, tdc):
    tdc.replies[17] = frame(3, 77)
    driver = make()
    driver.open()
    with pytest.raises(DeviceProtocolError, match="seq 77"):
        driver.arm()


def test_blocks_do_not_share_memory_with_what_comes_next(make, tdc):
    tdc.after_arm = frame(2, 0, words((0, 1, 7)), pulses=1) + frame(2, 1, words((0, 2, 8)), first=1, pulses=1)
    driver = make(armed=True)
    first, second = driver.read_block(1.0), driver.read_block(1.0)
    assert not np.shares_memory(first.time, second.time)
    assert (first.time[0], second.time[0]) == (7, 8)
