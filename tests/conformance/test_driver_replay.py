"""Something recorded, played: every word and hit once, in its pulse, at its time, and then the end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.library_words import same_words
from evapd.blocks import HitBlock, Loss, join_hits, join_words
from evapd.device import HitSource, TdcSource
from evapd.errors import DeviceError, DeviceLost, DeviceRefused
from evapd.export.raw import RAW
from evapd.record.hitsfile import write_hits
from evapd_drivers.tdc.player import Player
from evapd_drivers.tdc.replay import ReplayHits, ReplayWords
from support.blocks import hits, words
from support.recorded_words import frames_of, record_words, save_words
from support.signals import SignalModel, simulate

RATE_HZ = 200_000


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def armed(clock):
    made = []

    def make(path, kind=ReplayWords, **settings):
        driver = kind(kind.Config(connect=f"file:{path}", **settings), clock=clock)
        made.append(driver)
        driver.open()
        driver.arm()
        return driver

    yield make
    for driver in made:
        driver.close()


@pytest.fixture(scope="module")
def block():
    return simulate(SignalModel(), 20_000, 1).block


def played(driver, clock, seconds, step_s=0.003):
    """Blocks of so many seconds."""
    blocks = []
    for _ in range(round(seconds / step_s)):
        clock.now_s += step_s
        blocks.append(driver.read_block(0.0))
    return [one for one in blocks if one is not None]


@pytest.mark.parametrize("where", ["file", "run"])
def test_every_recorded_word_comes_once_at_its_time_and_then_the_end(armed, clock, block, tmp_path, where):
    if where == "file":
        path, settings = save_words(tmp_path / "words.npz", block), {"pulse_rate_hz": RATE_HZ}
    else:
        store, _ = record_words(tmp_path, frames_of(block, 1000))
        path, settings = store.folder, {}
    driver = armed(path, **settings)
    half = join_words(played(driver, clock, 0.048))
    assert abs(half.last_pulse - 0.048 * RATE_HZ) <= 0.003 * RATE_HZ
    assert not driver.exhausted
    whole = join_words([half, *played(driver, clock, 0.09)])
    assert same_words(whole, block)
    assert driver.exhausted
    assert driver.read().exhausted
    assert played(driver, clock, 0.006)[0].pulses == 0


def test_speed_is_a_factor_and_zero_is_at_once(armed, clock, block, tmp_path):
    path = save_words(tmp_path / "words.npz", block)
    double = armed(path, pulse_rate_hz=RATE_HZ, speed=2)
    assert abs(join_words(played(double, clock, 0.03)).last_pulse - 12_000) <= 2 * 0.003 * RATE_HZ
    at_once = armed(path, pulse_rate_hz=RATE_HZ, speed=0)
    assert at_once.read_block(0.0).n == block.n
    assert at_once.exhausted


def test_arming_again_begins_again(armed, clock, block, tmp_path):
    driver = armed(save_words(tmp_path / "words.npz", block), pulse_rate_hz=RATE_HZ)
    played(driver, clock, 0.05)
    driver.arm()
    assert played(driver, clock, 0.006)[0].first_pulse == 0


def test_hits_of_a_run_are_those_that_were_recorded(armed, clock, block, tmp_path):
    store, recorded = record_words(tmp_path, frames_of(block, 1000))
    got = join_hits(played(armed(store.folder, ReplayHits), clock, 0.12))
    assert np.array_equal(got.pulse + got.first_pulse, recorded.pulse + recorded.first_pulse)
    assert np.array_equal(got.tof_ps, recorded.tof_ps)
    assert np.array_equal(got.quality, recorded.quality)


def test_a_raw_file_is_played_as_hits_at_its_own_pace(armed, clock, tmp_path):
    rows = np.zeros(3, RAW)
    rows["pulse"], rows["epoch"] = [1000, 1000, 1100], [-5, -5, 95]
    rows["x_mm"], rows["tof_ns"] = [1.5, -2.0, 0.25], [500.25, 600.0, 700.0]
    rows.tofile(tmp_path / "apyt.raw")
    driver = armed(tmp_path / "apyt.raw", ReplayHits)
    got = join_hits(played(driver, clock, 0.12))
    assert got.pulse.tolist() == [0, 0, 100]
    assert got.x_um.tolist() == [1500, -2000, 250]
    assert got.tof_ps.tolist() == [500_250, 600_000, 700_000]
    assert got.multiplicity.tolist() == [2, 2, 1]
    assert driver.exhausted


def test_a_hits_file_is_played(armed, clock, tmp_path):
    write_hits(tmp_path / "hits.npz", [hits(50, 149, [(3, 500_000), (90, 400_000)])])
    got = join_hits(played(armed(tmp_path / "hits.npz", ReplayHits, pulse_rate_hz=1e5), clock, 0.01))
    assert (np.diff(got.pulse.astype(np.int64))).tolist() == [87]


@pytest.mark.parametrize(
    ("name", "content"), [("absent.npz", None), ("torn.npz", b"PK\x03\x04"), ("odd.raw", b"123")]
)
def test_what_cannot_be_played_is_told_at_open(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    for kind in (ReplayWords, ReplayHits):
        with pytest.raises(DeviceError, match="replay"):
            kind(kind.Config(connect=f"file:{tmp_path / name}", pulse_rate_hz=1e5)).open()


def test_a_words_file_without_a_rate_asks_for_one(block, tmp_path):
    path = save_words(tmp_path / "words.npz", block)
    with pytest.raises(DeviceLost, match="set `pulse_rate_hz`"):
        ReplayWords(ReplayWords.Config(connect=f"file:{path}")).open()


def test_a_file_that_has_gone_is_refused_when_armed(armed, block, tmp_path):
    path = save_words(tmp_path / "words.npz", block)
    driver = armed(path, pulse_rate_hz=RATE_HZ)
    driver.disarm()
    path.unlink()
    with pytest.raises(DeviceRefused, match="does not exist"):
        driver.arm()


def test_each_says_what_it_delivers():
    assert (ReplayWords.protocol, ReplayHits.protocol) == (TdcSource, HitSource)


CUTS = st.lists(st.integers(0, 120), max_size=12)


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=10), CUTS, st.booleans(), st.integers(0, 1000)
)
def test_however_it_is_cut_everything_comes_once_and_pulses_are_covered_without_gap(
    offsets, cuts, as_hits, shift
):
    """Block k covers pulses 10 k to 10 k + 9, with hits or words at `offsets`."""
    make = hits if as_hits else words
    recorded = [
        make(shift + 10 * k, shift + 10 * k + 9, [_row(as_hits, shift + 10 * k, at) for at in sorted(part)])
        for k, part in enumerate(offsets)
    ]
    player, due, got = Player(iter(recorded)), 0, []
    for until in [*sorted(cuts), *[10 * len(recorded)] * (len(recorded) + 1)]:
        while (piece := player.take(until)) is not None:
            assert piece.first_pulse == due
            assert piece.last_pulse < until
            due = piece.last_pulse + 1
            got += [int(p) + (piece.first_pulse if isinstance(piece, HitBlock) else 0) for p in piece.pulse]
    assert got == [10 * k + at for k, part in enumerate(offsets) for at in sorted(part)]
    assert due == 10 * len(recorded)
    assert player.over


def _row(as_hits, first, at):
    return (at, 1000) if as_hits else (first + at, 0, 1000)


def test_a_counter_that_falls_in_the_recording_is_flagged_and_nothing_comes_twice():
    player = Player(iter([words(0, 9, [(5, 0, 1)]), words(4, 19, [(5, 0, 1), (12, 0, 1)])]))
    player.take(100)
    block = player.take(100)
    assert (block.first_pulse, block.pulse.tolist()) == (10, [12])
    assert block.loss == Loss.COUNTER_JUMP | Loss.DAMAGED


def test_losses_of_the_recording_are_told_once():
    player = Player(iter([words(0, 9, loss=Loss.WORDS_LOST), words(10, 19)]))
    assert [player.take(until).loss for until in (5, 10, 20)] == [Loss.WORDS_LOST, Loss.NONE, Loss.NONE]
