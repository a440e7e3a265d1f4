"""The scTDC drivers at a library made of C, whose own thread calls back: hits and words as measured, losses told."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.instruments.library_tdcs import built
from conformance.library_words import PULSES, block_until, joined, measured, rest_of, same_words, streamed
from evapd.blocks import Loss
from evapd.errors import DeviceIdentityError, DeviceLost, DeviceTimeout
from evapd_drivers.tdc.inbox import Inbox
from evapd_drivers.tdc.pulse_order import PulseOrder
from evapd_drivers.tdc.sctdc_structs import TDC_EVENT
from evapd_drivers.tdc.surface_concept import SurfaceConceptHits, SurfaceConceptWords
from evapd_sim.sdk.sctdc import BIN_PS, FakeScTdc
from support.wait import wait_for


@pytest.fixture
def tdc():
    return FakeScTdc(built())


@pytest.fixture
def opened(tdc):
    made = []

    def make(kind=SurfaceConceptWords, fake=tdc, **settings):
        driver = kind(kind.Config(connect=f"library:{fake.path}", ini=str(fake.ini), **settings))
        made.append(driver)
        driver.open()
        driver.arm()
        return driver

    yield make
    for driver in made:
        driver.close()


@pytest.mark.parametrize("pipe", ["user", "buffered"])
def test_every_word_of_a_twin_comes_through_either_pipe(opened, tdc, pipe):
    driver = opened(pipe=pipe, buffered_events=1000)
    block = measured(driver, tdc.deliver, streamed(BIN_PS))
    assert same_words(block, streamed(BIN_PS))
    assert block.last_pulse <= PULSES - 1
    assert block.loss is Loss.NONE


@pytest.mark.parametrize("pipe", ["user", "buffered"])
def test_every_hit_comes_through_with_its_place_and_time(opened, tdc, pipe):
    driver = opened(SurfaceConceptHits, pipe=pipe)
    tdc.deliver_hits([3, 3, 8], [500_000, 900_000, 250_000], [0.0, 20.0, -30.0], [10.0, 0.0, 5.0], pulses=10)
    hits = rest_of(driver)
    assert (hits.pulse + hits.first_pulse).tolist() == [3, 3, 8]
    assert np.abs(hits.tof_ps - [500_000, 900_000, 250_000]).max() <= 4
    assert np.abs(hits.x_um - [0, 20_000, -30_000]).max() <= 17
    assert np.abs(hits.y_um - [10_000, 0, 5_000]).max() <= 17
    assert hits.multiplicity.tolist() == [2, 2, 1]


def test_the_newest_pulse_is_given_when_nothing_follows(opened, tdc):
    driver = opened()
    tdc.deliver([7], [0], [1000], pulses=8)
    assert block_until(driver, lambda block: block.n).last_pulse == 7


def test_pulses_are_counted_without_a_hit_where_the_trigger_is_on_a_channel(opened, tdc):
    tdc.trigger = 7
    driver = opened(SurfaceConceptHits, trigger_channel=7)
    nothing = np.empty(0)
    due = 0

    def counted():
        nonlocal due
        tdc.deliver_hits(nothing, nothing, nothing, nothing, pulses=200)
        block = driver.read_block(0.002)
        assert block is None or (block.first_pulse, block.loss) == (due, Loss.NONE)
        due = due if block is None else block.last_pulse + 1
        return due >= 1000

    wait_for(counted, "pulses")


def test_the_trigger_on_a_channel_loses_no_hit(opened, tdc):
    tdc.trigger = 7
    driver = opened(SurfaceConceptHits, trigger_channel=7)
    made, blocks = 0, []

    def step():
        nonlocal made
        tdc.deliver_hits([3, 90], [5e5, 6e5], [0, 0], [0, 0], pulses=100)
        made += 2
        blocks.append(driver.read_block(0.002))
        return made >= 400

    wait_for(step, "hits")
    whole = joined([*[block for block in blocks if block is not None], rest_of(driver)])
    assert (whole.n, whole.loss) == (made, Loss.NONE)


def test_the_trigger_needs_the_users_pipe(tdc):
    with pytest.raises(ValueError, match="pipe: user"):
        SurfaceConceptHits.Config(connect="library:x", ini="x", pipe="buffered", trigger_channel=7)


def test_a_narrow_counter_that_wraps_counts_on(opened):
    tdc = FakeScTdc(built(), counter_bits=16)
    driver = opened(fake=tdc, counter_bits=16)
    pulses = []
    for _ in range(5):
        tdc.deliver([29_999], [0], [1000], pulses=30_000)
        pulses.append(int(block_until(driver, lambda block: block.n).pulse[0]))
    assert pulses == [29_999, 59_999, 89_999, 119_999, 149_999]


def test_events_without_room_are_counted_and_flagged(opened, tdc):
    driver = opened(waiting_events=1000)
    tdc.deliver(np.arange(3000), np.zeros(3000), np.arange(3000), pulses=3000)
    wait_for(lambda: tdc.library.sim_waiting() == 0, "all to be decoded")
    block = block_until(driver, lambda block: block.loss)
    assert block.loss == Loss.WORDS_LOST | Loss.OVERFLOW
    assert driver.read().lost_words == 3000


def test_what_the_hardware_could_not_hand_over_is_told_at_the_end(opened, tdc):
    driver = opened()
    tdc.library.sim_drop(12)
    driver.disarm()
    assert block_until(driver, lambda block: block.loss).loss & Loss.WORDS_LOST
    assert driver.read().lost_words == 12


def test_a_measurement_that_ends_is_followed_by_another_and_the_gap_is_told(opened, tdc):
    driver = opened(exposure_s=0.02)
    tdc.deliver([5], [0], [1000], pulses=10)
    first = block_until(driver, lambda block: block.loss & Loss.COUNTER_JUMP)
    wait_for(
        lambda: driver.read_block(0.0) is None and tdc.deliver([0], [0], [2000], pulses=1), "a measurement"
    )
    second = block_until(driver, lambda block: block.n)
    assert first.loss & Loss.WORDS_LOST
    assert second.first_pulse > 5


def test_a_full_buffer_of_the_library_is_told_and_measuring_goes_on(opened, tdc):
    driver = opened()
    tdc.library.sim_not_ready(3)
    tdc.library.sim_overrun()
    assert block_until(driver, lambda block: block.loss & Loss.SATURATED).loss & Loss.WORDS_LOST
    wait_for(lambda: tdc.library.sim_measurement() == 2, "the next measurement")


def test_a_device_that_never_gets_ready_is_a_timeout(opened, tdc):
    driver = opened(timeout_s=0.05)
    tdc.library.sim_not_ready(1_000_000)
    driver.disarm()
    with pytest.raises(DeviceTimeout, match="not ready"):
        driver.arm()


def test_heartbeats_end_with_the_milliseconds_of_the_hardware(opened, tdc):
    driver = opened()
    wait_for(lambda: driver.read_block(0.02) and driver._inbox.ticks > 5, "milliseconds")
    tdc.library.sim_silent(1)
    wait_for(lambda: driver.read_block(0.02) is None, "silence")


def test_a_broken_connection_is_lost_with_the_librarys_words(opened, tdc):
    driver = opened()
    tdc.library.sim_lost_link(1)
    with pytest.raises(DeviceLost, match="connection to the device is lost"):
        block_until(driver, lambda block: False)


def test_a_missing_ini_and_a_later_version_are_refused(tdc):
    with pytest.raises(DeviceLost, match="cannot open the ini file"):
        SurfaceConceptWords(
            SurfaceConceptWords.Config(connect=f"library:{tdc.path}", ini="/nowhere.ini")
        ).open()
    tdc.library.sim_later_version(1)
    with pytest.raises(DeviceIdentityError, match="sc_DldEvent has 56 bytes"):
        SurfaceConceptHits(SurfaceConceptHits.Config(connect=f"library:{tdc.path}", ini=str(tdc.ini))).open()


def test_an_error_in_a_callback_is_raised_by_the_readout():
    inbox = Inbox(10)
    inbox.fail(ValueError("bad record"))
    with pytest.raises(ValueError, match="bad record"):
        inbox.take()
    assert inbox.take().records == []


def events(starts, times):
    made = np.zeros(len(starts), TDC_EVENT)
    made["start_counter"], made["time_data"] = starts, times
    return made


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 50)), max_size=60),
    st.lists(st.integers(0, 60), max_size=5),
    st.sampled_from([16, 32, 64]),
    st.booleans(),
)
def test_events_come_out_once_in_order_and_pulses_are_covered_without_gap(words, cuts, bits, wrapping):
    words = sorted(words)
    offset = 2**16 - 300 if wrapping and bits == 16 else 0
    order = PulseOrder(TDC_EVENT, counter_bits=bits, settle=0, counter="start_counter", time="time_data")
    order.restart()
    if offset:
        order.add(events([offset // 2], [0]))
        order.add(events([offset], [0]))
        order.flush()
    edges = [0, *sorted(min(cut, len(words)) for cut in cuts), len(words)]
    due, out = order.due, []
    for a, b in itertools.pairwise(edges):
        part = events(
            [(start + offset + 1) % 2**bits for start, _ in words[a:b]], [at for _, at in words[a:b]]
        )
        for over in (order.add(part),):
            assert over.first_pulse == due
            assert over.loss is Loss.NONE
            due = over.last_pulse + 1
            out += list(zip(over.pulse.tolist(), over.events["time_data"].tolist(), strict=True))
    over = order.flush()
    out += list(zip(over.pulse.tolist(), over.events["time_data"].tolist(), strict=True))
    assert out == [(start + offset + 1, at) for start, at in words]


@pytest.mark.parametrize("bits", [32, 64])
def test_a_counter_that_does_not_begin_at_zero_begins_with_its_first_event(bits):
    order = PulseOrder(TDC_EVENT, counter_bits=bits, settle=0, counter="start_counter", time="time_data")
    first = order.add(events([4_000_000_000], [1]), most=1000)
    over = order.add(events([4_000_000_007], [1]))
    assert first.loss is Loss.COUNTER_JUMP
    assert (over.loss, over.pulse.tolist(), over.last_pulse) == (Loss.NONE, [0], 6)


def test_an_event_of_a_pulse_that_is_over_is_damaged_and_counted():
    order = PulseOrder(TDC_EVENT, counter_bits=64, settle=0, counter="start_counter", time="time_data")
    order.add(events([5, 9], [1, 1]))
    over = order.add(events([4, 10, 2**40], [1, 1, 1]))
    assert over.loss is Loss.DAMAGED
    assert order.impossible == 2
    assert over.pulse.tolist() == [9]


def test_disorder_within_the_settling_pulses_is_put_right():
    order = PulseOrder(TDC_EVENT, counter_bits=64, settle=10, counter="start_counter", time="time_data")
    order.add(events([5, 9, 3], [1, 1, 7]))
    over = order.add(events([30], [1]))
    assert over.pulse.tolist() == [3, 5, 9]
    assert over.loss is Loss.NONE
