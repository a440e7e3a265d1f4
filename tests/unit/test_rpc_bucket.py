"""How many requests a peer may make. Virtual time."""

from hypothesis import given
from hypothesis import strategies as st

from evapd.rpc.bucket import Buckets


def let_through(buckets: Buckets, peer: bytes, times_s: list[float], cost: float = 1.0) -> int:
    return sum(buckets.take(peer, now_s, cost) == 0.0 for now_s in times_s)


def test_a_burst_is_let_through_and_then_the_rate():
    buckets = Buckets(100.0, 200)
    assert let_through(buckets, b"a", [0.0] * 1000) == 200
    assert let_through(buckets, b"a", [1.0] * 1000) == 100


def test_a_refusal_says_when_the_next_one_is_let_through():
    buckets = Buckets(100.0, 1)
    buckets.take(b"a", 0.0)
    wait_s = buckets.take(b"a", 0.0)
    assert buckets.take(b"a", 0.0 + wait_s + 1e-9) == 0.0


def test_what_one_peer_asks_takes_nothing_from_another():
    buckets = Buckets(100.0, 200)
    let_through(buckets, b"a", [0.0] * 1000)
    assert let_through(buckets, b"b", [0.0] * 1000) == 200


def test_a_read_costs_a_part_of_a_command():
    assert let_through(Buckets(100.0, 200), b"a", [0.0] * 5000, cost=0.2) in range(999, 1001)


def test_a_clock_that_goes_back_gives_no_tokens():
    buckets = Buckets(100.0, 1)
    buckets.take(b"a", 10.0)
    assert buckets.take(b"a", 5.0) > 0.0


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=2), st.floats(0, 10)), max_size=300))
def test_memory_is_bounded_whoever_asks(asked):
    buckets = Buckets(peers=16)
    now_s = 0.0
    for peer, wait_s in asked:
        now_s += wait_s
        buckets.take(peer, now_s)
        assert len(buckets) <= 16
