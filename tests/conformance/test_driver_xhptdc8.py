"""The xHPTDC8 driver at a library made of C: words as measured, losses told, other versions refused."""

import pytest

from conformance.instruments.library_tdcs import built
from conformance.library_words import PERIOD_PS, PULSES, block_until, measured, same_words, streamed
from evapd.blocks import Loss
from evapd.errors import DeviceIdentityError, DeviceLost
from evapd_drivers.tdc.xhptdc8 import Xhptdc8, loss_of
from evapd_sim.sdk.xhptdc8 import FakeXhptdc8


@pytest.fixture
def board():
    return FakeXhptdc8(built(), PERIOD_PS)


@pytest.fixture
def driver(board):
    made = Xhptdc8(Xhptdc8.Config(connect=f"library:{board.path}"))
    yield made
    made.close()


def one_word(board):
    board.deliver([0], [0], [5000], pulses=2)


def test_every_word_of_a_twin_comes_through(driver, board):
    driver.open()
    driver.arm()
    block = measured(driver, board.deliver, streamed())
    assert same_words(block, streamed())
    assert block.last_pulse == PULSES - 1
    assert block.loss is Loss.NONE


def test_a_full_host_buffer_is_told(driver):
    board = FakeXhptdc8(built(), PERIOD_PS, capacity=100)
    driver.open()
    driver.arm()
    board.deliver([], [], [], pulses=150)
    block_until(driver, lambda block: block.pulses)
    one_word(board)
    block = block_until(driver, lambda block: block.loss)
    assert block.loss == Loss.WORDS_LOST | Loss.SATURATED
    assert driver.read().saturated
    assert driver.read().lost_words == 1


@pytest.mark.parametrize(
    ("flags", "loss"),
    [
        (0x01, Loss.NONE),
        (0x02, Loss.WORDS_LOST),
        (0x02 | 0x04, Loss.WORDS_LOST | Loss.SATURATED),
        (0x02 | 0x08, Loss.DAMAGED | Loss.COUNTER_JUMP),
        (0x02 | 0x10, Loss.WORDS_LOST),
        (0x02 | 0x20, Loss.WORDS_LOST),
        (0x02 | 0x40, Loss.WORDS_LOST | Loss.SATURATED),
        (0x02 | 0x80, Loss.WORDS_LOST | Loss.SATURATED),
    ],
)
def test_each_flag_of_the_maker_is_a_loss_of_ours(flags, loss):
    assert loss_of(flags) == loss


def test_an_error_code_is_never_taken_for_a_count(driver, board):
    driver.open()
    driver.arm()
    board.library.sim_lost_board()
    with pytest.raises(DeviceLost, match="not capturing"):
        block_until(driver, lambda block: False)


def test_a_library_of_another_version_is_refused(driver, board):
    board.library.sim_later_version(1)
    with pytest.raises(DeviceIdentityError, match="another version"):
        driver.open()
    with pytest.raises(DeviceLost):
        driver.arm()


def test_a_missing_board_or_library_is_lost(driver, board):
    board.library.sim_boards(0)
    with pytest.raises(DeviceLost, match="0 xHPTDC8 boards"):
        driver.open()
    with pytest.raises(DeviceLost, match="install the vendor's driver"):
        Xhptdc8(Xhptdc8.Config(connect="library:/nowhere/libxhptdc8.so")).open()


def test_another_vendors_library_is_refused():
    with pytest.raises(DeviceIdentityError, match="xhptdc8_init"):
        Xhptdc8(Xhptdc8.Config(connect="library:libm.so.6")).open()


def test_only_inputs_in_use_are_enabled(board):
    driver = Xhptdc8(Xhptdc8.Config(connect=f"library:{board.path}", channels={"B": 0}))
    driver.open()
    driver.arm()
    board.deliver([0, 0], [0, 1], [10, 20], pulses=3)
    block = block_until(driver, lambda block: block.pulses)
    driver.close()
    assert block.channel.tolist() == [0]


def test_thresholds_beyond_the_board_are_refused_in_the_settings():
    with pytest.raises(ValueError, match="less than or equal to 1"):
        Xhptdc8.Config(connect="library:x.so", threshold_v=1.2)
    with pytest.raises(ValueError, match="library:PATH"):
        Xhptdc8.Config(connect="tcp:host:1")
