"""Waiting for something that happens on another thread or process, with a deadline instead of a guess."""

import time
from collections.abc import Callable


def wait_for(
    condition: Callable[[], object], what: str, timeout_s: float = 10.0, *, every_s: float = 0.005
) -> None:
    """Return as soon as the condition holds; fail with `what` when it does not in time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s:g} s in vain for: {what}"
        time.sleep(every_s)
