"""The speed of a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd_sim.wire.pacer import Pacer


def test_a_byte_comes_out_when_its_last_bit_has_passed():
    pacer = Pacer(0.001)
    pacer.push(b"abc", 10.0)
    assert [pacer.take(at) for at in (10.0005, 10.001, 10.0021, 10.0031)] == [b"", b"a", b"b", b"c"]


def test_bytes_wait_for_those_before_them():
    pacer = Pacer(0.001)
    pacer.push(b"ab", 0.0)
    pacer.push(b"cd", 0.0005)
    assert (pacer.take(0.002), pacer.take(0.00301), pacer.take(0.1)) == (b"ab", b"c", b"d")


def test_a_network_delivers_a_chunk_at_once_but_not_before_its_time():
    pacer = Pacer()
    pacer.push(b"late", 1.0)
    assert (pacer.take(0.9), pacer.due_s(), pacer.take(1.0), bool(pacer)) == (b"", 1.0, b"late", False)


@given(
    st.lists(st.tuples(st.binary(max_size=10), st.floats(0, 0.02)), max_size=10), st.lists(st.floats(0, 0.05))
)
def test_no_byte_is_lost_swapped_or_early(chunks, times):
    pacer, now_s, sent, got = Pacer(0.001), 0.0, b"", b""
    for data, pause_s in chunks:
        now_s += pause_s
        pacer.push(data, now_s)
        sent += data
        got += pacer.take(now_s)
        assert len(got) <= now_s / 0.001 + 1e-3
    for pause_s in times:
        now_s += pause_s
        got += pacer.take(now_s)
    assert sent.startswith(got)
    assert got + pacer.take(now_s + 1.0) == sent
    assert pacer.due_s() == pytest.approx(float("inf"))
