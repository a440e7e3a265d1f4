"""Before a run is opened: who has only just been started is waited for, who stays away is named."""

from types import SimpleNamespace

import pytest

from evapd.acquire import readiness
from evapd.acquire.readiness import check_ready
from evapd.errors import StateError


@pytest.fixture
def moments(monkeypatch):
    """Virtual time: what happens at the n-th look, by n; the clock goes on with every look."""
    now_s, wanted, looks = [0.0], {}, [0]

    def sleep(s: float) -> None:
        now_s[0] += s
        looks[0] += 1
        wanted.get(looks[0], lambda: None)()

    monkeypatch.setattr(readiness, "time", SimpleNamespace(monotonic=lambda: now_s[0], sleep=sleep))
    return SimpleNamespace(at=wanted, now_s=lambda: now_s[0])


def ready(guard, readout, stopped=lambda: False, alive=lambda: None) -> None:
    check_ready(guard, readout, "d", stopped=stopped, alive=alive)


def guard(digest: str | None = "d") -> SimpleNamespace:
    return SimpleNamespace(status=None if digest is None else {"digest": digest})


def readout(*, online: bool = True) -> SimpleNamespace:
    return SimpleNamespace(online=online, last_error="cable out", name="tdc")


def test_a_guard_that_answers_a_little_later_is_waited_for(moments):
    late = guard(None)
    moments.at[20] = lambda: setattr(late, "status", {"digest": "d"})
    ready(late, readout())
    assert moments.now_s() == pytest.approx(1.0)


def test_a_guard_that_stays_silent_is_named_after_some_seconds(moments):
    with pytest.raises(StateError, match="guard does not answer"):
        ready(guard(None), readout())
    assert moments.now_s() == pytest.approx(readiness.READY_S, abs=0.1)


def test_a_tdc_that_stays_away_is_named_with_its_last_error(moments):
    with pytest.raises(StateError, match="'tdc' is not there: cable out"):
        ready(guard(), readout(online=False))


def test_another_configuration_is_refused_at_once(moments):
    with pytest.raises(StateError, match="different configurations"):
        ready(guard("other"), readout())
    assert moments.now_s() == 0.0


@pytest.mark.parametrize("of", [(guard(None), readout()), (guard(), readout(online=False))])
def test_a_stop_ends_the_waiting_without_a_complaint(moments, of):
    wanted = []
    moments.at[3] = lambda: wanted.append("stop")
    ready(*of, stopped=lambda: bool(wanted))
    assert moments.now_s() == pytest.approx(0.15)


def test_the_watchdog_hears_of_every_look(moments):
    heard = []
    with pytest.raises(StateError):
        ready(guard(None), readout(), alive=lambda: heard.append(1))
    assert len(heard) == pytest.approx(readiness.READY_S / 0.05, abs=2)
