"""Sequence numbers as ranges: what is missing is exactly what lies between those seen."""

from hypothesis import given
from hypothesis import strategies as st

from evapd.record.journal.sequences import Sequence


@given(numbers=st.lists(st.integers(0, 60), max_size=120))
def test_ranges_say_what_a_set_would_say(numbers: list[int]) -> None:
    sequence, seen = Sequence(), set[int]()
    for number in numbers:
        assert sequence.add(number) is (number not in seen)
        seen.add(number)
    missing = {n for first, last in sequence.missing() for n in range(first, last + 1)}
    assert missing == (set(range(min(seen), max(seen) + 1)) - seen if seen else set())
    assert sequence.last == max(seen, default=-1)


def test_memory_grows_with_the_gaps_only() -> None:
    sequence = Sequence()
    for number in (*range(1000), *range(1005, 2000), 1002):
        sequence.add(number)
    assert list(sequence.missing()) == [(1000, 1001), (1003, 1004)]
    assert len(sequence._first) == 3
