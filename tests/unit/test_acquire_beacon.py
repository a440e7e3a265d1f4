"""The record that the guard gets every 10 ms."""

from evapd.acquire.beacon import Beacon
from evapd.acquire.counts import Counts
from evapd.acquire.surge import Surge
from evapd.link import LinkFlag, LinkRecord
from support.wait import wait_for


class Wire:
    """A sender that keeps what it is given."""

    connected = True

    def __init__(self) -> None:
        self.sent: list[LinkRecord] = []

    def send(self, record: LinkRecord) -> bool:
        self.sent.append(record)
        return True

    def close(self) -> None:
        pass


def beacon(counts: list[Counts], heartbeat_s: float | None = 1.0) -> Beacon:
    return Beacon(Wire(), b"12345678", lambda: counts[-1], lambda: heartbeat_s, lambda: LinkFlag.ARMED)  # type: ignore[arg-type]


def test_loss_is_flagged_once_when_it_happens() -> None:
    counts = [Counts()]
    made = beacon(counts)
    counts.append(Counts(lost_blocks=1, saturated_blocks=1))
    first, second = made.record(0, 0), made.record(1, 0)
    assert first.flags == LinkFlag.ARMED | LinkFlag.LOSS | LinkFlag.SATURATED
    assert second.flags == LinkFlag.ARMED


def test_counts_are_carried_as_they_are() -> None:
    record = beacon(
        [Counts(pulses=1000, live_pulses=900, hits=12, hits_window=10, hits_background=1)]
    ).record(7, 5)
    assert (record.pulse_counter, record.live_pulses, record.hits_total) == (1000, 900, 12)
    assert (record.hits_window, record.background_hits, record.config) == (10, 1, b"12345678")


def test_age_of_the_heartbeat_is_that_at_the_instant_of_the_record() -> None:
    assert beacon([Counts()], heartbeat_s=1.0).record(0, 1_250_000_000).heartbeat_age_us == 250_000


def test_no_heartbeat_ever_is_the_oldest_age_there_is() -> None:
    assert beacon([Counts()], heartbeat_s=None).record(0, 10**18).heartbeat_age_us == 2**32 - 1


def test_a_surge_is_told_at_once_and_not_with_the_next_record(monkeypatch) -> None:
    monkeypatch.setattr("evapd.acquire.beacon.PERIOD_S", 3600.0)
    made = beacon([Counts()])
    sent = made._sender.sent  # type: ignore[attr-defined]
    made.start()
    for number in range(1, 21):
        wait_for(lambda: made.hurry() or len(sent) > number, "the urgent record")  # noqa: B023 - used at once
    made.stop()
    assert [record.seq for record in sent] == list(range(len(sent)))


def test_what_is_urgent_is_five_times_the_usual_rate_and_no_chance() -> None:
    surge = Surge()
    assert not any(surge.seen(10, 1000) for _ in range(100))
    assert not surge.seen(49, 1000)
    assert not surge.seen(59, 100)
    assert surge.seen(80, 1000)


def test_what_stays_high_is_usual_soon() -> None:
    surge = Surge()
    assert not any(surge.seen(10, 1000) for _ in range(100))
    assert sum(surge.seen(200, 1000) for _ in range(100)) < 10
