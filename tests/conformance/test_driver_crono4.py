"""The TimeTagger4 and xTDC4 drivers at a library made of C: packets of a ring, one for every start."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.instruments.library_tdcs import built
from conformance.library_words import PULSES, block_until, measured, rest_of, same_words, streamed
from evapd.blocks import Loss
from evapd.errors import DeviceIdentityError, DeviceLost
from evapd_drivers.tdc import crono4_packets
from evapd_drivers.tdc.crono4 import TimeTagger4, Xtdc4
from evapd_sim.converter import Words
from evapd_sim.sdk.tdc4 import FakeTdc4, packed

BIN_PS = 500


@pytest.fixture
def board():
    return FakeTdc4(built())


@pytest.fixture
def armed(board):
    made = []

    def make(kind=TimeTagger4, fake=board, **settings):
        driver = kind(kind.Config(connect=f"library:{fake.path}", **settings))
        made.append(driver)
        driver.open()
        driver.arm()
        return driver

    yield make
    for driver in made:
        driver.close()


def stops(words):
    """What a board with 4 stops sees: all but the MCP."""
    return Words(*(column[words.channel > 0] for column in words))


@pytest.mark.parametrize(("kind", "bin_ps"), [(TimeTagger4, 500.0), (Xtdc4, 5000 / 384)])
def test_every_stop_of_a_twin_comes_through(armed, board, kind, bin_ps):
    driver = armed(kind)
    block = measured(driver, board.deliver, streamed(bin_ps))
    assert same_words(block, stops(streamed(bin_ps)))
    assert block.last_pulse == PULSES - 1
    assert block.loss is Loss.NONE
    assert float(block.bin_ps) == pytest.approx(bin_ps, rel=1e-6)
    assert board.library.sim_unacknowledged() == 0


def test_pulses_without_hits_are_counted(armed, board):
    driver = armed()
    board.deliver([], [], [], pulses=1234)
    assert block_until(driver, lambda block: block.pulses).last_pulse == 1233


def test_times_beyond_one_turn_of_a_hits_clock_are_whole(armed, board):
    driver = armed()
    board.deliver([0, 0, 0, 1], [1, 2, 3, 1], [5, 2**24 + 7, 5 * 2**24, 9], pulses=2)
    assert rest_of(driver).time.tolist() == [5, 2**24 + 7, 5 * 2**24, 9]


def test_a_full_host_buffer_is_told(armed):
    board = FakeTdc4(built(), capacity=16 * 100)
    driver = armed(fake=board)
    board.deliver([], [], [], pulses=150)
    block_until(driver, lambda block: block.pulses)
    board.deliver([], [], [], pulses=1)
    block = block_until(driver, lambda block: block.loss)
    assert block.loss == Loss.WORDS_LOST | Loss.COUNTER_JUMP | Loss.SATURATED
    assert driver.read().lost_words == 1


def test_missed_starts_are_a_jump_of_the_counter(armed, board):
    driver = armed()
    board.library.sim_miss()
    board.deliver([0], [1], [5], pulses=2)
    assert block_until(driver, lambda block: block.loss).loss == Loss.WORDS_LOST | Loss.COUNTER_JUMP


def test_a_board_in_need_of_a_new_start_is_lost(armed, board):
    driver = armed()
    board.library.sim_break(1)
    with pytest.raises(DeviceLost, match="initialized again"):
        block_until(driver, lambda block: False)


def test_structures_of_another_version_are_refused(board):
    board.library.sim_later_version(1)
    with pytest.raises(DeviceIdentityError, match="another version"):
        TimeTagger4(TimeTagger4.Config(connect=f"library:{board.path}")).open()


def test_a_missing_board_is_lost(board):
    board.library.sim_boards(0)
    with pytest.raises(DeviceLost, match="0 xTDC4 boards"):
        Xtdc4(Xtdc4.Config(connect=f"library:{board.path}")).open()


def test_a_stop_that_is_not_in_use_is_damaged(armed, board):
    driver = armed(channels={"A": 1})
    board.deliver([0, 0], [1, 2], [5, 6], pulses=1)
    block = block_until(driver, lambda block: block.pulses)
    assert (block.n, block.loss) == (1, Loss.DAMAGED)


TABLE = np.array([1, 2, 3, 4] + [-1] * 12, np.int16)


def unpacked(data):
    pulse, channel, time = crono4_packets.columns(len(data))
    counts = np.zeros(crono4_packets.COUNTS, np.int64)
    crono4_packets.unpack(data, 0, 1 << 24, TABLE, pulse, channel, time, counts)
    n = counts[crono4_packets.WORDS]
    return pulse[:n], channel[:n], time[:n], counts


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2**26), st.integers(0, 3)), max_size=80))
def test_packets_hold_every_hit_once_in_its_place(rows):
    rows = sorted(rows)
    pulse, time, stop = (np.array([row[k] for row in rows], np.int64) for k in range(3))
    data = packed(pulse, stop.astype(np.uint32), time, 31, np.arange(31))
    got = unpacked(data.view(np.int64))
    assert list(zip(*(column.tolist() for column in (got[0], got[2], got[1])), strict=True)) == [
        (p, t, s + 1) for p, t, s in rows
    ]
    assert got[3][crono4_packets.PACKETS] == 31


@given(st.binary(max_size=400))
def test_random_bytes_never_end_the_kernel_nor_write_beyond(data):
    words = np.frombuffer(data[: len(data) // 8 * 8], np.int64).copy()
    pulse, _, time, counts = unpacked(words)
    assert len(pulse) <= 2 * len(words)
    assert (time >= 0).all()
    assert counts[crono4_packets.PACKETS] <= len(words)
