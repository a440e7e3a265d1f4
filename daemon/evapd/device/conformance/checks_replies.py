"""Random replies: whatever comes back, a driver neither crashes nor calls noise a reading.

`EVAPD_CONFORMANCE_REPLIES` is how many are tried of each kind; the full number is 10000.
"""

import os

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from evapd.device.conformance.bench import Bench, must, outcome
from evapd.device.conformance.check import check
from evapd.device.conformance.checks_basic import well_formed
from evapd.device.readings import Reading
from evapd.errors import DeviceError

FEW, FULL = 200, 10_000
_ENDS = (b"", b"\r", b"\n", b"\r\n", b"\n\r", b"\x00")
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
    noise = b""

    def answer(_: bytes) -> bytes:
        nonlocal noise
        noise = rng.bytes(int(rng.integers(4, 61))) + _ENDS[int(rng.integers(len(_ENDS)))]
        return noise

    bench.cable.answer = answer
    for _ in range(replies()):
        for what, call in (("open", driver.open), ("asking", lambda: bench.role.ask(driver))):
            result = outcome(call, f"{what}, answered {noise!r},")
            must(isinstance(result, DeviceError), f"{what} made {result!r} of random bytes such as {noise!r}")
    driver.close()


@check(safety=True, over_bytes=True)
def spoilt_replies_never_crash_it(bench: Bench) -> None:
    """Replies as the instrument gives them, mutilated in any way, are a reading of finite numbers or an error."""
    learnt = _learnt(bench)
    driver = bench.driver()

    @settings(max_examples=replies(), deadline=None, database=None, phases=_PHASES,
              suppress_health_check=list(HealthCheck), derandomize=True)  # fmt: skip
    @given(st.data())
    def try_one(data: st.DataObject) -> None:
        given_: list[bytes] = []

        def answer(sent: bytes) -> bytes:
            given_.append(data.draw(_mutilated(learnt.get(sent, b""))))
            return given_[-1]

        bench.cable.answer = answer
        for what, call in (
            ("open", driver.open),
            ("asking", lambda: bench.role.ask(driver)),
            ("make_safe", driver.make_safe),
        ):
            result = outcome(call, f"{what}, answered {given_[-8:]!r},")
            if isinstance(result, Reading):
                well_formed(result)

    try_one()
    driver.close()


def _learnt(bench: Bench) -> dict[bytes, bytes]:
    """Listen to a healthy exchange: what the instrument answers to each thing that the driver sends."""
    driver = bench.opened()
    heard = bench.cable.listen()
    driver.open()
    bench.role.ask(driver)
    driver.make_safe()
    driver.close()
    return heard


@st.composite
def _mutilated(draw: st.DrawFn, reply: bytes) -> bytes:
    """Cut, doubled, bytes changed, digits changed, or something else altogether; often enough as it was."""
    place = draw(st.integers(0, max(0, len(reply) - 1)))
    head, rest = reply[:place], reply[place:]
    spoilt = (
        draw(st.binary(max_size=60)) + draw(st.sampled_from(_ENDS)),
        head,
        head + draw(st.binary(min_size=1, max_size=3)) + rest[1:],
        head + draw(st.sampled_from((b"9", b"-", b"e", b"nan", b"inf", b",", b"\xff"))) + rest,
        reply * 2,
        b"",
        reply,
        reply,
    )
    return draw(st.sampled_from(spoilt))
