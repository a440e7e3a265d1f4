"""Who commands: one at a time, for a while, known by name. Virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import LeaseHeld, StateError
from evapd.rpc.lease import Holder, Lease

ANNA, BERT = Holder("local", "anna"), Holder("local", "bert")


def changes(lease: Lease, now_s: float) -> list[str]:
    return [details["change"] for _, details in lease.news(now_s)]


def test_while_nobody_holds_it_everybody_may_command():
    assert Lease().admits(ANNA, 0.0)
    assert Lease().document(0.0) is None


def test_while_one_holds_it_nobody_else_may_command():
    lease = Lease()
    lease.take(ANNA, 30.0, 0.0)
    assert lease.admits(ANNA, 29.0)
    assert not lease.admits(BERT, 29.0)
    assert not lease.admits(Holder("key of another", "anna"), 29.0)


def test_its_time_ends_and_that_is_told_once():
    lease = Lease()
    lease.take(ANNA, 30.0, 0.0)
    assert lease.admits(BERT, 30.0)
    assert changes(lease, 31.0) == ["taken", "expired"]
    assert changes(lease, 99.0) == []


def test_a_command_of_the_holder_begins_its_time_anew_and_one_of_another_does_not():
    lease = Lease()
    lease.take(ANNA, 30.0, 0.0)
    lease.used(ANNA, 20.0)
    lease.used(BERT, 40.0)
    assert lease.document(45.0) == {"holder": "local", "client": "anna", "remaining_s": 5.0}
    assert lease.document(50.0) is None


def test_a_command_after_the_end_does_not_bring_it_back():
    lease = Lease()
    lease.take(ANNA, 30.0, 0.0)
    lease.used(ANNA, 31.0)
    assert lease.document(31.0) is None


def test_a_second_one_is_refused_and_told_who_and_how_long():
    lease = Lease()
    lease.take(ANNA, 30.0, 0.0)
    with pytest.raises(LeaseHeld) as caught:
        lease.take(BERT, 30.0, 10.0)
    assert caught.value.fields == {"holder": "local", "client": "anna", "remaining_s": 20.0}


def test_force_takes_it_over_and_everybody_hears_from_whom():
    lease = Lease()
    lease.take(ANNA, 30.0, 0.0)
    lease.take(BERT, 60.0, 10.0, force=True)
    assert not lease.admits(ANNA, 11.0)
    [_, (what, details)] = lease.news(11.0)
    assert details == {
        "change": "taken over", "holder": "local", "client": "bert", "before": "local", "before_client": "anna"
    }  # fmt: skip
    assert "anna" in what


def test_taking_it_again_changes_its_terms():
    lease = Lease()
    lease.take(ANNA, 30.0, 0.0)
    assert lease.take(ANNA, 600.0, 10.0)["remaining_s"] == 600.0
    assert changes(lease, 10.0) == ["taken"]


def test_after_its_end_it_is_not_renewed_but_taken_anew():
    lease = Lease()
    lease.take(ANNA, 30.0, 0.0)
    with pytest.raises(StateError, match="take it anew"):
        lease.renew(ANNA, 30.0)
    lease.take(ANNA, 30.0, 30.0)
    assert lease.renew(ANNA, 40.0)["remaining_s"] == 30.0


def test_nobody_renews_or_releases_another_s():
    lease = Lease()
    lease.take(ANNA, 30.0, 0.0)
    for act in (lease.renew, lease.release):
        with pytest.raises(LeaseHeld):
            act(BERT, 1.0)
    assert lease.admits(ANNA, 1.0)


def test_released_it_is_free_and_releasing_it_twice_harms_nobody():
    lease = Lease()
    lease.take(ANNA, 30.0, 0.0)
    assert lease.release(ANNA, 1.0) is True
    assert lease.release(ANNA, 1.0) is False
    assert lease.admits(BERT, 1.0)


def test_a_program_without_a_name_could_not_be_known_again():
    with pytest.raises(StateError, match="client"):
        Lease().take(Holder("local", ""), 30.0, 0.0)


steps = st.tuples(
    st.sampled_from(["take", "force", "renew", "release", "used"]),
    st.sampled_from([ANNA, BERT]),
    st.floats(0, 40),
)


@given(st.lists(steps, max_size=40))
def test_whatever_happens_there_is_at_most_one_holder_and_its_end_is_never_far(history):
    lease, now_s = Lease(), 0.0
    for step, who, wait_s in history:
        now_s += wait_s
        try:
            if step in {"take", "force"}:
                lease.take(who, 30.0, now_s, force=step == "force")
            else:
                getattr(lease, step)(who, now_s)
        except (LeaseHeld, StateError):
            pass  # a refusal is an answer
        document = lease.document(now_s)
        admitted = [one for one in (ANNA, BERT) if lease.admits(one, now_s)]
        assert len(admitted) == (2 if document is None else 1)
        assert document is None or 0 < document["remaining_s"] <= 30.0
