"""The Time Tagger driver at a module with the maker's classes."""

import pytest

from conformance.library_words import PERIOD_PS, PULSES, block_until, measured, same_words, streamed
from evapd.blocks import Loss
from evapd.errors import DeviceLost
from evapd_drivers.tdc.swabian import Swabian
from evapd_sim.sdk.swabian import MISSED, OVERFLOW_BEGIN, FakeTimeTagger

HERE = "module:evapd_sim.sdk.swabian"


@pytest.fixture
def tagger():
    made = FakeTimeTagger(PERIOD_PS)
    made.plug()
    return made


@pytest.fixture
def armed(tagger):
    made = []

    def make(**settings):
        driver = Swabian(Swabian.Config(connect=HERE, **settings))
        made.append(driver)
        driver.open()
        driver.arm()
        return driver

    yield make
    for driver in made:
        driver.close()


def test_every_word_of_a_twin_comes_through(armed, tagger):
    driver = armed()
    block = measured(driver, tagger.deliver, streamed())
    assert same_words(block, streamed())
    assert block.last_pulse == PULSES - 1
    assert block.loss is Loss.NONE


def test_missed_events_are_counted_and_are_no_words(armed, tagger):
    driver = armed()
    tagger.deliver([0], [0], [5], pulses=2)
    tagger.tell(MISSED, 17)
    tagger.deliver([], [], [], pulses=2)
    block = block_until(driver, lambda block: block.loss)
    assert (block.loss, block.n, block.pulses) == (Loss.WORDS_LOST, 1, 3)
    assert driver.read().lost_words == 17


def test_an_overflow_is_loss_and_saturation(armed, tagger):
    driver = armed()
    tagger.tell(OVERFLOW_BEGIN)
    assert block_until(driver, lambda block: block.loss).loss == Loss.WORDS_LOST | Loss.SATURATED
    assert driver.read().saturated


def test_a_reading_that_fills_the_buffer_may_have_lost_some(armed, tagger):
    driver = armed(buffer_events=1000)
    tagger.deliver([], [], [], pulses=2000)
    assert block_until(driver, lambda block: block.loss).loss == Loss.WORDS_LOST | Loss.OVERFLOW


def test_an_unplugged_tagger_is_lost(armed, tagger):
    driver = armed()
    tagger.unplug()
    with pytest.raises(DeviceLost, match="ended by itself"):
        block_until(driver, lambda block: False)


def test_thresholds_are_set_on_every_channel_in_use(armed, tagger):
    driver = armed(start=-1, channels={2: 0, -3: 1}, threshold_v=-0.3)
    assert driver._tagger.levels_v == {1: -0.3, 2: -0.3, 3: -0.3}


def test_the_makers_package_is_asked_for_only_at_open():
    driver = Swabian(Swabian.Config(connect="module:no_such_module_anywhere"))
    with pytest.raises(DeviceLost, match=r"evapd\[swabian\]"):
        driver.open()


def test_a_tagger_in_use_is_lost(armed, tagger):
    armed()
    with pytest.raises(DeviceLost, match="in use"):
        armed()
