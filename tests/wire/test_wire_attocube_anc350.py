"""The ANC350 in virtual time: outputs, the reference mark, ends of travel, events, noise between telegrams."""

import struct

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.attocube_anc350 import AttocubeAnc350Wire

GET, SET, ACK, TELL = 1, 0, 3, 4
STATUS, MARK, TARGET, RUN, FORWARD, POSITION, OUTPUT = 0x404, 0x407, 0x408, 0x40D, 0x40E, 0x415, 0x3030


def telegram(*words):
    return struct.pack(f"<{len(words) + 1}i", 4 * len(words), *words)


class Bench:
    def __init__(self, **settings):
        self.plant, self.now_s = Plant(), 10.0
        self.wire = AttocubeAnc350Wire(self.plant, **settings)
        self.wire.advance(self.now_s)

    def send(self, data, after_s=0.0):
        self.now_s += after_s
        return self.wire.receive(data, self.now_s)

    def get(self, address, axis=0, after_s=0.0):
        words = struct.unpack("<7i", self.send(telegram(GET, address, axis, 5), after_s))
        assert words[:6] == (24, ACK, address, axis, 5, 0)
        return words[6]

    def set(self, address, value, axis=0, after_s=0.0):
        words = struct.unpack("<6i", self.send(telegram(SET, address, axis, 6, value), after_s))
        assert words[:5] == (20, ACK, address, axis, 6)
        return words[5]


@pytest.fixture
def bench():
    return Bench()


def test_nothing_runs_without_its_output(bench):
    assert bench.set(RUN, 1) == 3
    bench.set(OUTPUT, 1)
    assert bench.set(RUN, 1) == 0
    bench.set(FORWARD, 1)
    assert bench.get(STATUS, after_s=0.1) & 1
    bench.set(OUTPUT, 0)
    assert not bench.get(STATUS) & 1


def test_the_mark_is_valid_once_it_was_passed_and_the_counter_goes_on(bench):
    axis = bench.plant.stage.axes[0]
    axis.push(-2.0)
    axis.lose_power()
    bench.set(OUTPUT, 1)
    bench.set(FORWARD, 1)
    assert not bench.get(STATUS, after_s=0.2) & 0x800
    assert bench.get(STATUS, after_s=1.0) & 0x800
    assert bench.get(MARK) == 2_000_000
    bench.set(FORWARD, 0)
    assert bench.get(POSITION) == pytest.approx(6_000_000, rel=0.01)


def test_the_end_of_travel_is_told_and_switches_the_output_off_where_wanted(bench):
    bench.set(OUTPUT, 1)
    bench.set(0x450, 1)
    bench.set(FORWARD, 1)
    status = bench.get(STATUS, after_s=20.0)
    assert (status & 1, status & 2, status & 0x1000) == (0, 2, 0)


@pytest.mark.parametrize(("version", "unit", "reached"), [("v2", True, False), ("v4", False, True)])
def test_the_versions_tell_a_unit_or_whether_the_target_is_reached(version, unit, reached):
    bench = Bench(version=version)
    for address, there in ((0x41D, unit), (0x3037, reached)):
        words = struct.unpack_from("<6i", bench.send(telegram(GET, address, 0, 1)))
        assert words[5] == (0 if there else 1)


def test_events_come_by_themselves_once_they_are_enabled(bench):
    assert bench.wire.poll(11.0) == b""
    bench.send(telegram(SET, 0x145, 0, 1, 1), 1.0)
    events = bench.wire.poll(11.2)
    words = [struct.unpack_from("<6i", events, at) for at in range(0, len(events), 24)]
    assert [word[1:4] for word in words] == [
        (TELL, address, axis) for axis in range(3) for address in (STATUS, POSITION)
    ]
    bench.wire.disconnected()
    assert bench.wire.poll(12.0) == b""


def test_the_firmware_comes_in_fragments_of_four_letters(bench):
    reply = bench.send(telegram(SET, 0x16C, 0, 1, 1))
    fragments = [struct.unpack_from("<5iI", reply, at)[5] for at in range(24, len(reply), 24)]
    text = b"".join(fragment.to_bytes(4, "big") for fragment in fragments)
    assert text.startswith(b"2.1.4")


@pytest.mark.parametrize(
    "noise", [b"\x00", b"\xff" * 7, b"\x10\x00\x00\x00\x09\x00\x00\x00", b"HELLO\r\n", b"\x11\x00\x00\x00"]
)
def test_it_finds_the_next_telegram_after_noise(bench, noise):
    reply = bench.send(noise + telegram(GET, POSITION, 0, 5))
    assert reply == telegram(ACK, POSITION, 0, 5, 0, 0)


def test_half_a_telegram_is_forgotten_after_half_a_second(bench):
    whole = telegram(GET, POSITION, 0, 5)
    assert bench.send(whole[:13]) == b""
    assert bench.send(whole[13:], 0.3) != b""
    bench.send(whole[:13])
    assert bench.send(whole, 0.6) == telegram(ACK, POSITION, 0, 5, 0, 0)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((GET, POSITION, 3, 1), 1), ((GET, 0x999, 0, 1), 1), ((SET, POSITION, 0, 1, 5), 1), ((SET, 0x400, 0, 1, -1), 2), ((SET, TARGET, 0, 1), 2),
        ((SET, 0x999, 0, 1, 1), 1),
    ],
)  # fmt: skip
def test_what_is_refused_is_acknowledged_with_a_reason(bench, words, reason):
    assert struct.unpack("<6i", bench.send(telegram(*words)))[5] == reason


def test_a_set_without_a_correlation_is_carried_out_and_not_acknowledged():
    bench = Bench()
    assert bench.send(telegram(SET, 0x400, 0, 0, 25_000)) == b""
    assert bench.send(telegram(GET, 0x400, 0, 1)).endswith(struct.pack("<i", 25_000))
