from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.alarms.escalation import GATHER_S, HOUR_S, MOST_ALARMS, OVER_S, RETRY_S, Escalation
from evapd.alarms.keeping import pack, unpack
from evapd.alarms.model import Policy, Report

TICK_S = 0.25


class Desk:
    """An escalation in virtual time, whose hooks work, fail or hang as told."""

    def __init__(self, *policies):
        self.core = Escalation(policies)
        self.now_s = 1_000.0
        self.sent = []  # (time, hook, kind, names)
        self.broken, self.hung = set(), set()

    def note(self, name="x", severity="alarm", *, lasting=True, waits=False):
        self.core.note(
            Report(name=name, severity=severity, what=f"{name} is wrong", lasting=lasting, waits=waits),
            self.now_s,
            0.0,
        )

    def over(self, name="x", **kwargs):
        self.core.over(name, self.now_s, **kwargs)

    def go(self, seconds):
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.turn()
            self.now_s = min(until_s, self.now_s + TICK_S)
        self.turn()

    def turn(self):
        for order in self.core.due(self.now_s):
            if order.hook in self.hung:
                continue
            names = tuple(self.core.by_id(number).name for number in order.alarms)
            ok = order.hook not in self.broken
            if ok:
                self.sent.append((self.now_s, order.hook, order.kind, names))
            self.core.delivered(order.hook, self.now_s, ok=ok)

    def told(self, hook="a", kind="alarm"):
        return [names for _, one, what, names in self.sent if (one, what) == (hook, kind)]


def test_the_first_level_is_told_at_once_and_the_second_after_its_delay():
    desk = Desk(Policy(name="a"), Policy(name="b", delay_s=60))
    desk.note()
    desk.go(59)
    assert (desk.told("a"), desk.told("b")) == ([("x",)], [])
    desk.go(2)
    assert desk.told("b") == [("x",)]


def test_what_is_acknowledged_does_not_escalate():
    desk = Desk(Policy(name="a"), Policy(name="b", delay_s=60, repeat_s=60))
    desk.note()
    desk.go(10)
    desk.core.acknowledge(None, desk.now_s)
    desk.go(600)
    assert desk.told("b") == []


def test_what_is_over_by_itself_does_not_escalate_unless_a_person_must_see_it():
    desk = Desk(Policy(name="b", delay_s=60))
    desk.note("gone")
    desk.note("latched", waits=True)
    desk.go(10)
    desk.over("gone")
    desk.over("latched")
    desk.go(60)
    assert desk.told("b") == [("latched",)]


def test_what_came_and_went_between_two_messages_is_still_told_by_the_first_level():
    desk = Desk(Policy(name="a"))
    desk.note("first")
    desk.go(1)
    desk.note("short")
    desk.over("short")
    desk.go(GATHER_S)
    assert ("short",) in desk.told("a")


def test_recovery_is_told_once_by_those_who_told_the_alarm():
    desk = Desk(Policy(name="a"), Policy(name="b", delay_s=600), Policy(name="c", recovery=False))
    desk.note()
    desk.go(10)
    desk.over()
    desk.go(3 * OVER_S)
    assert (desk.told("a", "over"), desk.told("b", "over"), desk.told("c", "over")) == ([("x",)], [], [])


def test_what_has_happened_once_has_no_recovery_and_waits_for_a_person():
    desk = Desk(Policy(name="a"), Policy(name="b", delay_s=60))
    desk.note(lasting=False)
    desk.go(100)
    assert (desk.told("a"), desk.told("b"), desk.told("a", "over")) == ([("x",)], [("x",)], [])


def test_an_alarm_that_comes_and_goes_is_told_once_per_quiet_time():
    desk = Desk(Policy(name="a", quiet_s=300))
    for _ in range(100):
        desk.note()
        desk.go(2)
        desk.over()
        desk.go(2)
    assert len(desk.told("a")) == 2
    assert desk.told("a", "over") == []


def test_an_alarm_that_comes_anew_after_it_was_over_is_quiet_for_as_long():
    desk = Desk(Policy(name="a", quiet_s=300))
    desk.note()
    desk.go(1)
    desk.over()
    desk.go(30)
    desk.note()
    desk.go(200)
    assert len(desk.told("a")) == 1
    desk.go(100)
    assert len(desk.told("a")) == 2


def test_an_alarm_is_repeated_until_somebody_acknowledges():
    desk = Desk(Policy(name="a", repeat_s=60))
    desk.note()
    desk.go(150)
    assert len(desk.told("a")) == 3
    desk.core.acknowledge(1, desk.now_s)
    desk.go(600)
    assert len(desk.told("a")) == 3


def test_what_grows_worse_is_told_at_once_also_when_it_was_acknowledged():
    desk = Desk(Policy(name="a", severity_min="warning"))
    desk.note(severity="warning")
    desk.go(1)
    desk.core.acknowledge(None, desk.now_s)
    desk.note(severity="alarm")
    desk.go(GATHER_S)
    assert len(desk.told("a")) == 2


def test_severity_and_names_choose_the_hook():
    desk = Desk(Policy(name="a"), Policy(name="b", severity_min="info", only=frozenset({"disk-low"})))
    desk.note("disk-low", "warning")
    desk.note("arc")
    desk.go(10)
    assert (desk.told("a"), desk.told("b")) == ([("arc",)], [("disk-low",)])


def test_silence_for_two_hours_holds_for_new_occurrences_and_ends():
    desk = Desk(Policy(name="a", quiet_s=60))
    desk.note()
    desk.go(1)
    desk.core.acknowledge(None, desk.now_s, 7200.0)
    for _ in range(10):
        desk.over()
        desk.go(100)
        desk.note()
        desk.go(100)
    assert len(desk.told("a")) == 1
    desk.go(7200)
    assert len(desk.told("a")) == 2


def test_acknowledging_what_is_over_leaves_what_is_there():
    desk = Desk(Policy(name="a"))
    desk.note("over", waits=True)
    desk.over("over")
    desk.note("there")
    assert desk.core.acknowledge(None, desk.now_s, over_only=True) == [1]
    assert [alarm.open for alarm in desk.core.alarms] == [False, True]


def test_a_hook_that_hangs_or_fails_delays_no_other():
    desk = Desk(Policy(name="a"), Policy(name="b"), Policy(name="c"))
    desk.broken, desk.hung = {"a"}, {"b"}
    desk.note()
    desk.turn()
    assert desk.told("c") == [("x",)]


def test_a_hook_that_fails_is_tried_again_ever_more_slowly_until_it_works():
    desk = Desk(Policy(name="a"))
    desk.broken = {"a"}
    desk.note(waits=True)
    desk.go(600)
    assert desk.core.failures("a") == 7
    desk.broken = set()
    desk.go(max(RETRY_S))
    assert desk.told("a") == [("x",)]


def test_a_flood_is_few_messages_that_name_everything_and_a_bounded_memory():
    desk = Desk(Policy(name="a", max_per_hour=10))
    for number in range(10_000):
        desk.note(f"kind-{number}", lasting=False)
        if number % 100 == 0:
            desk.go(TICK_S)
    desk.go(HOUR_S / 2)
    assert len(desk.told("a")) <= 10
    assert len(desk.core.alarms) <= MOST_ALARMS + 1
    told = {name for names in desk.told("a") for name in names}
    assert told == {alarm.name for alarm in desk.core.alarms}
    assert next(alarm for alarm in desk.core.alarms if alarm.name == "further-alarms").times > 9_000


def test_warnings_leave_half_of_the_hour_to_alarms():
    desk = Desk(Policy(name="a", severity_min="warning", max_per_hour=10, quiet_s=1))
    for number in range(100):
        desk.note(f"w{number}", "warning", lasting=False)
        desk.go(2 * GATHER_S)
    assert len(desk.told("a")) == 5
    desk.note("grave")
    desk.go(GATHER_S)
    assert "grave" in desk.told("a")[-1]


def test_what_was_told_and_acknowledged_is_known_after_a_restart():
    desk = Desk(Policy(name="a"), Policy(name="b", delay_s=60))
    desk.note("seen")
    desk.core.acknowledge(None, desk.now_s)
    desk.note("open")
    desk.go(30)
    successor = Desk(Policy(name="a"), Policy(name="b", delay_s=60))
    unpack(pack(desk.core, desk.now_s, 5_000.0, "boot"), successor.core, desk.now_s, 5_000.0, "boot")
    successor.now_s = desk.now_s
    successor.go(40)
    assert (successor.told("a"), successor.told("b")) == ([], [("open",)])


def test_the_clocks_go_on_over_a_reboot_by_utc():
    desk = Desk(Policy(name="b", delay_s=3600))
    desk.note()
    desk.go(10)
    data = pack(desk.core, desk.now_s, 50_000.0, "one boot")
    successor = Desk(Policy(name="b", delay_s=3600))
    successor.now_s = 5.0
    unpack(data, successor.core, 5.0, 50_000.0 + 3580.0, "another")
    successor.go(5)
    assert successor.told("b") == []
    successor.go(10)
    assert successor.told("b") == [("x",)]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\xff", b'{"v": 2}', b'{"v": 1, "boot": 3}', b"null", b"[" * 100_000]
)
def test_a_file_of_something_else_is_refused_and_changes_nothing(data):
    desk = Desk(Policy(name="a"))
    desk.note()
    with pytest.raises(ValueError):  # noqa: PT011 - each is another text
        unpack(data, desk.core, 0.0, 0.0, "")
    assert [alarm.name for alarm in desk.core.alarms] == ["x"]


def _policies():
    numbers = st.sampled_from
    return st.builds(
        Policy, name=st.just("a"), delay_s=numbers([0.0, 30.0]), repeat_s=numbers([None, 60.0]), quiet_s=numbers([1.0, 60.0, 300.0]),
        max_per_hour=numbers([1, 3, 20]),
    )  # fmt: skip


_STEPS = st.lists(
    st.tuples(st.sampled_from(["note", "event", "over", "ack", "wait", "long", "break", "mend"]), st.sampled_from("xyz")), max_size=60
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(_policies(), _STEPS)
def test_any_course_of_things_keeps_the_rules(policy, steps):
    desk = Desk(policy)
    for what, name in steps:
        match what:
            case "note":
                desk.note(name)
            case "event":
                desk.note(name, lasting=False)
            case "over":
                desk.over(name)
            case "ack":
                desk.core.acknowledge(None, desk.now_s)
            case "break":
                desk.broken = {"a"}
            case "mend":
                desk.broken = set()
        desk.go(40.0 if what == "long" else 1.0)
    desk.broken = set()
    times = [at for at, *_ in desk.sent]
    assert all(sum(at <= one < at + HOUR_S for one in times) <= policy.max_per_hour for at in times)
    assert all(after - before >= GATHER_S for before, after in pairwise(times))
    least_s = min(policy.quiet_s, policy.repeat_s or policy.quiet_s)
    for name in "xyz":
        said = [at for at, _, kind, names in desk.sent if kind == "alarm" and name in names]
        assert all(after - before >= least_s for before, after in pairwise(said))
    # Whatever is open in the end is told, as soon as the hour has room for it.
    desk.note("last")
    desk.go(HOUR_S + policy.delay_s + 310.0)
    assert any("last" in names for names in desk.told("a"))
