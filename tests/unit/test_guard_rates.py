import pytest

from evapd.guard.rates import RateMeter
from evapd.link import LinkFlag, LinkRecord

MS = 1_000_000


def record(t_ms, pulses, hits, *, background=0, flags=LinkFlag.ARMED, heartbeat_age_us=0):
    return LinkRecord(
        seq=t_ms,
        t_mono_ns=t_ms * MS,
        flags=flags,
        pulse_counter=pulses,
        live_pulses=pulses,
        hits_window=hits,
        background_hits=background,
        heartbeat_age_us=heartbeat_age_us,
    )


def test_counts_are_differences_and_the_background_is_scaled_by_the_widths():
    meter = RateMeter(background_ratio=0.5)
    meter.take([record(0, 0, 0), record(10, 2000, 20, background=4), record(20, 4000, 50, background=8)])
    tick = meter.since_tick()
    assert (tick.pulses, tick.hits, tick.background) == (4000, 50, 4.0)
    assert tick.dt_s == pytest.approx(0.02)
    assert meter.since_tick() is None


def test_a_dropped_record_loses_nothing():
    meter = RateMeter(0.0)
    meter.take([record(0, 0, 0), record(40, 8000, 80)])
    assert meter.recent(1.0).hits == 80


@pytest.mark.parametrize(
    "after",
    [
        record(20, 100, 1),
        record(20, 9000, 1),
        record(20, 9000, 99, flags=LinkFlag.NONE),
        record(5, 9000, 99),
    ],
)
def test_a_new_arming_or_a_clock_that_goes_back_is_never_a_rate(after):
    meter = RateMeter(0.0)
    meter.take([record(0, 0, 0), record(10, 8000, 80), after])
    assert meter.recent(1.0) is None
    assert meter.since_tick() is None


def test_the_age_of_the_heartbeat_grows_while_no_record_comes():
    meter = RateMeter(0.0)
    assert meter.heartbeat_age_s(1.0) == float("inf")
    meter.take([record(1000, 0, 0, heartbeat_age_us=4000)])
    assert meter.heartbeat_age_s(1.5) == pytest.approx(0.504)


def test_after_a_rebase_only_new_counts_count():
    meter = RateMeter(0.0)
    meter.take([record(0, 0, 0), record(10, 2000, 900)])
    meter.rebase()
    meter.take([record(20, 4000, 920)])
    assert meter.recent(1.0).hits == 20
