"""When a run ends by itself."""

from evapd.acquire.ends import Ends
from evapd.config.model import End


def ask(
    ends: Ends, elapsed_s: float, hits: int = 0, v_dc_v: float = 0.0, *, exhausted: bool = False
) -> str | None:
    return ends.reason(elapsed_s=elapsed_s, hits_window=hits, v_dc_v=v_dc_v, exhausted=exhausted)


def test_without_conditions_a_run_goes_on() -> None:
    assert ask(Ends(End()), 1e6, 10**9, 1e4, exhausted=True) is None


def test_each_condition_ends_the_run_and_says_which() -> None:
    assert "hits" in str(ask(Ends(End(hits=100)), 1.0, 100))
    assert "80 s" in str(ask(Ends(End(time_s=80)), 80.0))
    assert "V_dc" in str(ask(Ends(End(v_dc_v=3000)), 1.0, v_dc_v=3000.5))
    assert "no more data" in str(ask(Ends(End(source_exhausted=True)), 1.0, exhausted=True))


def test_silence_before_evaporation_is_not_an_end() -> None:
    ends = Ends(End(no_ions_s=5))
    assert [ask(ends, t, hits=20) for t in (0.0, 10.0, 100.0)] == [None] * 3


def test_silence_after_evaporation_is_an_end() -> None:
    ends = Ends(End(no_ions_s=5))
    assert ask(ends, 10.0, hits=500) is None
    assert ask(ends, 14.0, hits=500) is None
    assert "no ions" in str(ask(ends, 15.1, hits=500))


def test_silence_while_a_person_has_paused_is_not_an_end() -> None:
    ends = Ends(End(no_ions_s=5))
    assert ask(ends, 10.0, hits=500) is None
    for elapsed_s in (20.0, 100.0):
        paused = ends.reason(elapsed_s=elapsed_s, hits_window=500, v_dc_v=0.0, exhausted=False, standing=True)
        assert paused is None
    assert ask(ends, 104.0, hits=500) is None
    assert "no ions" in str(ask(ends, 106.0, hits=500))


def test_unknown_voltage_does_not_end_a_run() -> None:
    assert ask(Ends(End(v_dc_v=3000)), 1.0, v_dc_v=float("nan")) is None
