"""Sequence numbers: whatever the network does, delivered plus missing is everything, once and in order."""

from hypothesis import given
from hypothesis import strategies as st

from evapd.stream.tracker import Gap, SequenceTracker, Verdict

T, I = "hits.", "one"  # noqa: E741 - I is the instance


def tracker(next_seq: int = 0) -> SequenceTracker:
    made = SequenceTracker([T, "loop."])
    made.welcome(I, {T: next_seq, "loop.": 0})
    return made


def test_frames_in_order_are_delivered_without_gaps():
    followed = tracker()
    assert [followed.frame(T, I, seq) for seq in range(3)] == [Verdict(deliver=True)] * 3


def test_a_jump_is_a_gap_before_the_frame():
    assert tracker().frame(T, I, 3) == Verdict(deliver=True, gap=Gap(I, T, 0, 2))


def test_a_number_seen_before_is_not_delivered_again():
    followed = tracker()
    followed.frame(T, I, 0)
    assert followed.frame(T, I, 0) == Verdict(deliver=False)


def test_without_a_welcome_the_first_frame_begins_the_count():
    followed = SequenceTracker([T])
    assert followed.frame(T, I, 41) == Verdict(deliver=True)
    assert followed.frame(T, I, 43).gap == Gap(I, T, 42, 42)


def test_the_first_frame_may_be_one_the_welcome_had_counted_already():
    followed = tracker(next_seq=8)
    assert followed.frame(T, I, 7) == Verdict(deliver=True)
    assert followed.frame(T, I, 8) == Verdict(deliver=True)


def test_topics_are_counted_apart():
    followed = tracker()
    followed.frame(T, I, 0)
    assert followed.frame("loop.", I, 0) == Verdict(deliver=True)


def test_a_welcome_after_a_reconnect_tells_what_was_missed():
    followed = tracker()
    followed.frame(T, I, 0)
    assert followed.welcome(I, {T: 5}) == ([Gap(I, T, 1, 4)], False)
    assert followed.frame(T, I, 5).gap is None


def test_another_instance_is_a_restart_and_counts_afresh():
    followed = tracker()
    followed.frame(T, I, 7)
    assert followed.frame(T, "two", 0) == Verdict(deliver=True, restarted=True)
    assert followed.frame(T, "two", 1) == Verdict(deliver=True)


def test_the_first_instance_is_not_a_restart():
    assert SequenceTracker([T]).welcome(I, {}) == ([], False)


def test_a_welcome_of_another_instance_is_a_restart():
    assert tracker().welcome("two", {T: 3}) == ([], True)


def test_a_lost_tail_is_found_by_the_second_beat():
    followed = tracker()
    followed.frame(T, I, 0)
    assert followed.beat(I, {T: 2}) == ([], False)
    assert followed.beat(I, {T: 2}) == ([Gap(I, T, 1, 2)], False)
    assert followed.beat(I, {T: 2}) == ([], False)


def test_a_frame_that_follows_the_beat_that_announced_it_is_not_missing():
    followed = tracker()
    followed.beat(I, {T: 0})
    assert followed.frame(T, I, 0) == Verdict(deliver=True)
    assert followed.beat(I, {T: 0}) == ([], False)


def test_a_beat_of_another_instance_is_a_restart():
    assert tracker().beat("two", {T: 3}) == ([], True)


@given(st.lists(st.sampled_from(["pass", "lose", "repeat"]), max_size=40), st.booleans())
def test_delivered_and_missing_together_are_everything_once_and_in_order(fates, beats):
    followed, seen, previous = tracker(), [], 0
    for seq, fate in enumerate(fates):
        arrivals = {"pass": [seq], "lose": [], "repeat": [seq, previous]}[fate]
        for arrived in arrivals:
            verdict = followed.frame(T, I, arrived)
            if verdict.gap is not None:
                seen.extend(range(verdict.gap.first_seq, verdict.gap.last_seq + 1))
            if verdict.deliver:
                seen.append(arrived)
            previous = seq
        if beats:
            for gap in followed.beat(I, {T: seq})[0]:
                seen.extend(range(gap.first_seq, gap.last_seq + 1))
    for gap in (gap for _ in range(2) for gap in followed.beat(I, {T: len(fates) - 1})[0]):
        seen.extend(range(gap.first_seq, gap.last_seq + 1))
    assert seen == list(range(len(fates)))
