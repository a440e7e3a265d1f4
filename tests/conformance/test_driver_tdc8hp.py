"""The TDC8HP driver at a library made of C, and its reading of the board's words."""

import numpy as np
import pytest

from conformance.instruments.library_tdcs import built
from conformance.library_words import PULSES, block_until, measured, same_words, streamed
from evapd.blocks import Loss
from evapd.errors import DeviceLost, DeviceRefused
from evapd_drivers.tdc.tdc8hp import Tdc8Hp
from evapd_drivers.tdc.tdc8hp_words import TRIGGER, Words
from evapd_sim.sdk.tdc8hp import FakeTdc8Hp

BIN_PS = 25.0
PERIOD_BINS = 200_000  # 5 us


@pytest.fixture
def board():
    return FakeTdc8Hp(built(), PERIOD_BINS)


@pytest.fixture
def armed(board):
    made = []

    def make(fake=board, **settings):
        driver = Tdc8Hp(Tdc8Hp.Config(connect=f"library:{fake.path}", **settings))
        made.append(driver)
        driver.open()
        driver.arm()
        return driver

    yield make
    for driver in made:
        driver.close()


@pytest.mark.parametrize("grouped", [True, False])
def test_every_word_of_a_twin_comes_through_in_groups_or_as_a_stream(armed, board, grouped):
    driver = armed(grouped=grouped)
    block = measured(driver, board.deliver, streamed(BIN_PS))
    assert same_words(block, streamed(BIN_PS))
    assert block.last_pulse == PULSES - 1
    assert block.loss is Loss.NONE


def test_an_error_word_is_a_loss(armed):
    board = FakeTdc8Hp(built(), PERIOD_BINS, capacity=100)
    driver = armed(fake=board)
    board.deliver([], [], [], pulses=100)
    block_until(driver, lambda block: block.pulses)
    board.deliver([], [], [], pulses=2)
    assert block_until(driver, lambda block: block.loss).loss & Loss.WORDS_LOST
    assert driver.read().lost_words == 1


def test_a_missing_board_and_an_unknown_parameter_are_told(armed, board):
    with pytest.raises(DeviceRefused, match="'Colour blue'"):
        armed(parameters={"Colour": "blue"})
    board.library.sim_boards(0)
    with pytest.raises(DeviceLost, match="finds no board"):
        armed()


def hit(channel, time):
    return 0x80000000 | channel << 24 | time & 0xFFFFFF


def test_times_of_a_group_are_signed_and_count_from_its_trigger():
    words = np.array([0x10000002, 0x00000010, hit(7, 0), hit(1, 5), hit(2, -6)], np.uint32)
    edges = Words(grouped=True, trigger=7).edges(words)
    assert edges.channel.tolist() == [TRIGGER, 1, 2]
    assert (edges.time - 2 * 2**24).tolist() == [0x10, 0x15, 0xA]


def test_rollover_and_group_go_on_in_the_next_words():
    reading = Words(grouped=True, trigger=7)
    reading.edges(np.array([0x10000001, 0x00000020], np.uint32))
    assert reading.edges(np.array([hit(3, 1)], np.uint32)).time.tolist() == [2**24 + 0x21]


def test_edges_before_the_first_group_have_no_home():
    edges = Words(grouped=True, trigger=7).edges(np.array([hit(1, 5), 0x00000020, hit(1, 6)], np.uint32))
    assert edges.homeless == 1
    assert edges.time.tolist() == [0x20, 0x26]


def test_no_words_are_no_edges():
    for grouped in (True, False):
        assert len(Words(grouped=grouped, trigger=7).edges(np.empty(0, np.uint32)).time) == 0
