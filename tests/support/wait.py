"""Waiting for something that happens on another thread or process, with a deadline instead of a guess."""

import time
from collections.abc import Callable


def wait_for(
    condition: Callable[[], object],
    what: str | Callable[[], str],
    timeout_s: float = 30.0,
    *,
    every_s: float = 0.005,
) -> None:
    """Return as soon as the condition holds; fail with `what`, made only then, when it does not in time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline_s:
            raise AssertionError(
                f"waited {timeout_s:g} s in vain for: {what if isinstance(what, str) else what()}"
            )
        time.sleep(every_s)
