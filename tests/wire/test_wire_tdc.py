"""The TDC in virtual time: pulse numbers, heartbeats, loss that is told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd_sim.plant import Plant
from evapd_sim.wire.tdc_stream import TdcStreamWire
from wire.frames import (
    ACK,
    ARM,
    DATA,
    DISARM,
    EXHAUSTED,
    HELLO,
    IDENT,
    LOSS,
    NAK,
    SATURATED,
    all_frames,
    request,
)

EMPTY = (np.empty(0, int), np.empty(0, np.uint8), np.empty(0, np.int32))


def armed(**options):
    wire = TdcStreamWire(Plant(), **options)
    assert all_frames(wire.receive(request(ARM), 0.0))[0].kind == ACK
    return wire


def give(wire, offsets, pulses, **rest):
    zeros = np.zeros(len(offsets), int)
    return wire.deliver(np.array(offsets, int), zeros, zeros, pulses=pulses, **({"t_device_ns": 0} | rest))


def out(wire, now_s=0.0):
    return all_frames(b"".join(wire.frames_out(now_s)))


def test_nothing_is_sent_before_arm_and_after_disarm():
    wire = TdcStreamWire(Plant())
    assert not give(wire, [0], 1)
    assert out(wire, 1.0) == []
    wire.receive(request(ARM) + request(DISARM), 1.0)
    assert out(wire, 2.0) == []


def test_silence_is_filled_with_heartbeats_at_least_every_5_ms():
    wire = armed()
    times = [tick / 1000 for tick in range(1000) if wire.poll(tick / 1000)]
    assert np.diff([0.0, *times]).max() <= 0.005


def test_a_heartbeat_says_which_pulse_comes_next_and_what_time_it_is():
    wire = armed()
    give(wire, [], 1000, t_device_ns=7_000_000)
    out(wire, 0.0)
    (beat,) = out(wire, 0.004)
    assert (beat.kind, beat.first_pulse, beat.pulses, beat.payload) == (DATA, 1000, 0, b"")
    assert beat.t_device_ns == 11_000_000


def test_disarm_is_answered_after_the_last_data():
    wire = armed()
    give(wire, [0], 1)
    assert [each.kind for each in all_frames(wire.receive(request(DISARM), 0.0))] == [DATA, ACK]


def test_a_client_that_leaves_disarms():
    wire = armed()
    give(wire, [0], 5)
    wire.disconnected()
    assert not wire.armed
    wire.receive(request(ARM), 1.0)
    give(wire, [1], 2)
    assert out(wire, 1.0)[0][:5] == (DATA, 0, 0, 0, 2)


def test_ident_is_answered_while_armed():
    assert all_frames(armed().receive(request(IDENT, 9), 0.0))[0][:3] == (HELLO, 0, 9)


def test_words_that_find_no_room_are_counted_and_their_pulses_still_told():
    wire = armed(fifo_words=10)
    for _ in range(4):
        give(wire, [0, 1, 2, 3], 5, inhibited=1)
    frames = out(wire)
    assert [len(each.words) for each in frames] == [4, 4, 0]
    assert (frames[2].flags, frames[2].lost_words) == (LOSS | SATURATED, 8)
    assert (frames[2].first_pulse, frames[2].pulses, frames[2].inhibited) == (10, 10, 2)


def test_a_client_that_never_reads_costs_no_memory():
    wire = armed(fifo_words=100)
    for _ in range(10_000):
        give(wire, [0, 1], 2)
    assert len(wire._queue) <= 51
    assert sum(each.pulses for each in out(wire)) == 20_000


def test_loss_of_the_tdc_itself_is_told_once_and_counted_for_ever():
    wire = armed()
    give(wire, [], 1, lost=3)
    first = out(wire)[0]
    give(wire, [], 1)
    second = out(wire)[0]
    assert (first.flags, first.lost_words, second.flags, second.lost_words) == (LOSS, 3, 0, 3)


def test_the_end_of_recorded_data_is_said_again_in_every_heartbeat_and_not_before():
    wire = armed()
    give(wire, [0], 1)
    give(wire, [], 0, exhausted=True)
    flags = [each.flags for each in [*out(wire), *out(wire, 0.01)]]
    assert flags == [0, EXHAUSTED, EXHAUSTED]


def test_a_delivery_beyond_the_largest_payload_becomes_several_frames():
    wire = armed(fifo_words=1 << 23)
    offsets = np.repeat(np.arange(1_000_000), 5)
    times = np.arange(len(offsets), dtype=np.int32)
    wire.deliver(offsets, np.full(len(offsets), 4, np.uint8), times, pulses=1_200_000, t_device_ns=0)
    frames = out(wire)
    assert len(frames) == 3
    assert max(len(each.payload) for each in frames) <= 16_777_216
    assert frames[-1].first_pulse + frames[-1].pulses == 1_200_000
    halves = [np.frombuffer(each.payload, "<u4").reshape(-1, 2) for each in frames]
    pulses = [(half[:, 1] >> 8) + each.first_pulse for half, each in zip(halves, frames, strict=True)]
    assert (np.concatenate(pulses) == offsets).all()
    assert (np.concatenate([half[:, 0] for half in halves]) == times).all()
    assert all(int(half[-1, 1] >> 8) < each.pulses for half, each in zip(halves, frames, strict=True))


@pytest.mark.parametrize(
    ("offsets", "pulses"), [([5], 5), ([-1], 5), ([2, 1], 5), ([0], 2**32), ([2**24], 2**25)]
)
def test_what_the_protocol_cannot_say_is_refused(offsets, pulses):
    with pytest.raises(ValueError, match=r"pulse"):
        give(armed(), offsets, pulses)


def test_a_channel_beyond_a_byte_is_refused():
    with pytest.raises(ValueError, match="channel"):
        armed().deliver([0], [256], [0], pulses=1, t_device_ns=0)


def test_noise_is_complained_of_once_and_a_good_request_is_found_behind_it():
    frames = all_frames(TdcStreamWire(Plant()).receive(b"EVnoiseEVTnoise" + request(IDENT, 5), 0.0))
    assert [(each.kind, each.seq) for each in frames] == [(NAK, 0), (HELLO, 5)]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 49), max_size=6), st.integers(0, 50), st.booleans()), max_size=20
    ),
    st.integers(0, 20),
)
def test_pulses_are_covered_without_gap_and_every_word_arrives_or_is_counted(deliveries, fifo_words):
    wire = armed(fifo_words=fifo_words)
    frames, sent, total = [], 0, 0
    for number, (offsets, pulses, read) in enumerate(deliveries):
        fitting = sorted(offset for offset in offsets if offset < pulses)
        give(wire, fitting, pulses)
        sent, total = sent + len(fitting), total + pulses
        frames += out(wire, number / 1000) if read else []
    frames += out(wire, 10.0)
    assert [each.seq for each in frames] == list(range(len(frames)))
    assert [each.first_pulse for each in frames] == list(
        np.cumsum([0] + [each.pulses for each in frames])[:-1]
    )
    assert sum(each.pulses for each in frames) == total
    assert sum(len(each.words) for each in frames) + (frames[-1].lost_words if frames else 0) == sent
