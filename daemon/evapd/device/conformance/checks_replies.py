"""Random replies: whatever comes back, a driver neither crashes nor calls noise a reading.

`EVAPD_CONFORMANCE_REPLIES` is how many are tried of each kind; the full number is 10000.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from evapd.device.conformance.bench import Bench, must, outcome
from evapd.device.conformance.cable import Fault
from evapd.device.conformance.check import check
from evapd.device.conformance.checks_basic import well_formed
from evapd.device.readings import Reading
from evapd.errors import DeviceError

FEW = 60
_ENDS = (b"", b"\r", b"\n", b"\r\n", b"\n\r", b"\x00")
_TEXTS = (b"9", b"-", b"e", b"nan", b"inf", b",", b"\xff")
_SPOILING = st.tuples(
    st.integers(0, 7), st.floats(0.0, 1.0, exclude_max=True), st.binary(max_size=60), st.sampled_from(_ENDS)
)
# Shrinking would run a cheap test thousands of times; the reply that failed is in the message as it is.
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


def replies() -> int:
    """How many replies are tried of each kind."""
    return int(os.environ.get("EVAPD_CONFORMANCE_REPLIES", FEW))


@check(safety=True, over_bytes=True)
def random_bytes_are_never_a_reading(bench: Bench) -> None:
    """Random bytes in place of every reply, with any line end, are an error of `open` and of every question."""
    rng = np.random.default_rng(20_261)
    driver = bench.driver()
    noise: list[bytes] = []

    def noisy(_: bytes) -> bytes:
        noise[:] = [*noise[-2:], rng.bytes(int(rng.integers(4, 61))) + _ENDS[int(rng.integers(len(_ENDS)))]]
        return noise[-1]

    bench.cable.spoil = noisy
    for _ in range(replies()):
        for what, call in _questions(bench, driver):
            bench.cable.fault = Fault.SPOILT
            result = outcome(call, f"{what}, answered {noise!r},")
            must(isinstance(result, DeviceError), f"{what} made {result!r} of random bytes such as {noise!r}")


@check(safety=True, over_bytes=True)
def spoilt_replies_never_crash_it(bench: Bench) -> None:
    """Replies as the instrument gives them, mutilated in any way, are a reading of finite numbers or an error."""
    driver = bench.driver()

    @settings(max_examples=replies(), deadline=None, database=None, phases=_PHASES,
              suppress_health_check=list(HealthCheck), derandomize=True)  # fmt: skip
    @given(st.lists(_SPOILING, min_size=1, max_size=12))
    def try_one(spoilings: list[tuple[int, float, bytes, bytes]]) -> None:
        turn = cycle(spoilings)
        given_: deque[bytes] = deque(maxlen=8)

        def spoil(reply: bytes) -> bytes:
            given_.append(_spoilt(reply, *next(turn)))
            return given_[-1]

        bench.cable.spoil = spoil
        for what, call in [*_questions(bench, driver), ("make_safe", driver.make_safe)]:
            bench.cable.fault = Fault.SPOILT
            result = outcome(call, f"{what}, answered among others {list(given_)!r},")
            if isinstance(result, Reading):
                well_formed(result)

    try_one()


def _questions(bench: Bench, driver: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Give what is to be asked over a spoilt cable; between the two the driver is opened over a healthy one."""
    yield "open", driver.open
    bench.reopened(driver)
    yield "asking", partial(bench.role.ask, driver)


def _spoilt(reply: bytes, kind: int, place: float, junk: bytes, end: bytes) -> bytes:
    """Something else altogether, cut, changed, doubled, nothing; often enough as it was."""
    at = int(place * len(reply))
    head, rest = reply[:at], reply[at:]
    return (junk + end, head, head + junk[:3] + rest[1:], head + _TEXTS[len(junk) % len(_TEXTS)] + rest, reply * 2, b"", reply, reply)[kind]  # fmt: skip
