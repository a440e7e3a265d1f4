"""The line of `evapd run`: its first moment waits shortly for the guard, and a guard that was never heard is starting."""

from io import StringIO

import pytest

from evapd.supervisor.progress import Progress

RUN = {"run_state": "running", "run": {"elapsed_s": 0.1}, "hits": 0, "guard": None, "rate_per_pulse": None}
HEARD = RUN | {"guard": {"energy_state": "ramping", "v_dc_v": 12.0, "law": "imm", "target_rate": 0.01}}


def told(*moments):
    """What is written when these (time, status) are shown."""
    out, times = StringIO(), iter([at_s for at_s, _ in moments])
    progress = Progress(out, lambda: next(times))
    for _, status in moments:
        progress.update(status)
    return out.getvalue().splitlines()


def test_the_first_line_waits_for_the_guard_s_first_answer():
    (line,) = told((0.0, RUN), (0.5, RUN), (1.0, HEARD))
    assert "ramping" in line
    assert "silent" not in line


@pytest.mark.parametrize(("at_s", "word"), [(2.0, "starting"), (11.0, "guard silent")])
def test_the_wait_is_bounded(at_s, word):
    (line,) = told((0.0, RUN), (at_s, RUN))
    assert word in line


def test_a_guard_that_was_heard_and_answers_no_more_is_silent():
    lines = told((0.0, HEARD), (6.0, RUN))
    assert "guard silent" in lines[-1]
