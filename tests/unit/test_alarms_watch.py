import ast
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.alarms.catalogue import catalogue, entry, markdown, name_of
from evapd.alarms.escalation import Escalation
from evapd.alarms.model import Policy
from evapd.alarms.watch import Watch
from evapd.guard.rules.table import RULES

ROOT = Path(__file__).resolve().parents[2]
GUARD = {"instance": "g1", "energy_state": "evaporating", "v_dc_v": 3000.0, "alarm_list": []}
ACQUIRE = {
    "instance": "a1",
    "run_state": "running",
    "run": {"id": "r1"},
    "hits": 7,
    "last_run": None,
    "alarm_list": [],
}
UTC_S = 1.8e9


class Scene:
    """A watch in virtual time; acquire, guard and beats are there until they are told to be silent."""

    def __init__(self):
        self.core = Escalation([Policy(name="a", severity_min="info")])
        self.now_s = 100.0
        self.watch = Watch(self.core, 3.0, self.now_s)
        self.guard, self.acquire, self.beats, self.number = dict(GUARD), dict(ACQUIRE), True, 0

    def go(self, seconds=1.0):
        for _ in range(round(seconds / 0.5)):
            self.now_s += 0.5
            if self.guard:
                self.watch.hear_guard(self.guard, self.now_s - 0.01, self.now_s, UTC_S)
            if self.acquire:
                self.watch.hear_acquire(self.acquire, self.now_s - 0.01, self.now_s, UTC_S)
            if self.beats:
                self.watch.hear_beat(self.now_s)
            self.watch.tick(self.now_s, UTC_S)
        return self

    def event(self, age_s=0.0, **content):
        self.number += 1
        header = {"t_mono_us": round((self.now_s - age_s) * 1e6) + self.number}
        self.watch.hear_event(header, content, self.now_s, UTC_S)
        return header

    def alarm(self, name):
        return next((one for one in self.core.alarms if one.name == name), None)

    def there(self):
        return {one.name for one in self.core.alarms if one.active}


def rule(name, **more):
    return {"name": name, "severity": "alarm", "what": "w", "active": True, "latch": False, **more}


def test_a_daemon_that_is_well_is_no_alarm():
    assert Scene().go(60).core.alarms == []


def test_an_acquire_that_is_silent_is_told_with_the_run_and_what_the_guard_does():
    scene = Scene().go()
    scene.acquire, scene.beats = None, False
    scene.guard["energy_state"] = "ramping_down"
    scene.go(4)
    alarm = scene.alarm("acquire-gone")
    assert alarm.active
    assert "run r1 was under way (7 hits)" in alarm.what
    assert (alarm.effect, alarm.waits) == ("ramp_down", True)


def test_an_acquire_that_comes_back_is_over_and_its_successor_is_told():
    scene = Scene().go()
    scene.acquire, scene.beats = None, False
    scene.go(5)
    scene.acquire, scene.beats = ACQUIRE | {"instance": "a2", "run": None, "run_state": "idle"}, True
    scene.go()
    assert not scene.alarm("acquire-gone").active
    assert scene.alarm("acquire-restarted").severity == "alarm"


def test_an_acquire_that_was_restarted_quicker_than_silence_counts_is_told():
    scene = Scene().go()
    scene.acquire["instance"] = "a2"
    assert "run r1 was under way" in scene.go().alarm("acquire-restarted").what


def test_a_guard_that_is_silent_is_told():
    scene = Scene().go()
    scene.guard = None
    assert scene.go(4).alarm("guard-gone").active


def test_a_guard_that_was_restarted_under_voltage_is_an_alarm_and_one_at_rest_is_not():
    for state, severity in (("evaporating", "alarm"), ("standby", "warning")):
        scene = Scene()
        scene.guard["energy_state"] = state
        scene.go()
        scene.guard = GUARD | {"instance": "g2"}
        assert scene.go().alarm("guard-restarted").severity == severity


def test_a_stream_that_is_silent_and_a_control_socket_that_is_are_told_apart():
    deaf = Scene().go()
    deaf.beats = False
    dumb = Scene().go()
    dumb.acquire = None
    assert (deaf.go(7).there(), dumb.go(7).there()) == ({"stream-silent"}, {"control-silent"})


def test_a_daemon_that_is_being_started_has_half_a_minute():
    scene = Scene()
    scene.guard = scene.acquire = None
    scene.beats = False
    assert scene.go(29).core.alarms == []
    assert scene.go(3).there() == {"guard-gone", "acquire-gone"}


def test_what_the_guard_lists_is_there_until_it_is_listed_no_more():
    scene = Scene()
    scene.guard["alarm_list"] = [rule("tdc-silent", severity="warning", effect="inhibit")]
    assert scene.go().there() == {"tdc-silent"}
    scene.guard["alarm_list"] = []
    assert scene.go().there() == set()


def test_a_latched_alarm_whose_cause_is_over_waits_until_a_person_acknowledges_at_the_guard():
    scene = Scene()
    scene.guard["alarm_list"] = [rule("readback", latch=True)]
    scene.go()
    scene.guard["alarm_list"] = [rule("readback", latch=True, active=False)]
    assert scene.go().alarm("readback").open
    scene.guard["alarm_list"] = []
    assert scene.go().alarm("readback").acknowledged_s is not None


def test_a_latched_alarm_that_came_and_went_between_two_looks_is_told_once_and_waits():
    scene = Scene()
    scene.guard["alarm_list"] = [rule("acquire-lost", latch=True, active=False)]
    alarm = scene.go(10).alarm("acquire-lost")
    assert (alarm.active, alarm.open, alarm.times) == (False, True, 1)


def test_a_latched_alarm_that_was_acknowledged_does_not_come_anew_while_the_guard_lists_it():
    scene = Scene()
    scene.guard["alarm_list"] = [rule("acquire-lost", latch=True, active=False)]
    scene.go()
    scene.core.acknowledge(None, scene.now_s)
    scene.core.due(scene.now_s + 3600.0)
    assert scene.go(5).alarm("acquire-lost") is None


def test_a_latched_alarm_that_went_with_its_guard_was_seen_by_nobody():
    scene = Scene()
    scene.guard["alarm_list"] = [rule("readback", latch=True)]
    scene.go()
    scene.guard = GUARD | {"instance": "g2"}
    assert scene.go().alarm("readback").open


def test_an_event_begins_an_alarm_before_the_next_status_and_ends_it():
    scene = Scene().go()
    scene.event(
        kind="rule", severity="alarm", rule="tdc-silent", what="silent", source="guard", effect="inhibit"
    )
    assert scene.there() == {"tdc-silent"}
    scene.event(kind="rule", severity="info", rule="tdc-silent", what="over: silent", source="guard")
    assert scene.there() == set()


def test_a_status_from_before_an_event_does_not_end_its_alarm():
    scene = Scene().go()
    scene.event(kind="rule", severity="alarm", rule="tdc-silent", what="silent", source="guard")
    scene.watch.hear_guard(GUARD, scene.now_s - 0.2, scene.now_s + 0.1, UTC_S)
    assert scene.there() == {"tdc-silent"}


def test_what_has_happened_waits_for_a_person():
    scene = Scene().go()
    scene.event(
        kind="micro-fracture",
        severity="warning",
        rule="micro-fracture",
        what="a piece broke off",
        source="guard",
    )
    alarm = scene.go(5).alarm("micro-fracture")
    assert (alarm.active, alarm.open) == (False, True)


def test_an_event_that_is_told_again_or_is_old_changes_nothing():
    scene = Scene().go()
    content = {"kind": "abort", "severity": "alarm", "what": "x"}
    header = scene.event(**content)
    scene.watch.hear_event(header, content, scene.now_s, UTC_S)
    scene.event(age_s=60.0, kind="law", severity="alarm", what="long ago")
    assert [(one.name, one.times) for one in scene.core.alarms] == [("abort", 1)]


def test_a_person_who_acknowledges_at_the_guard_has_seen_what_is_over():
    scene = Scene().go()
    scene.event(kind="abort", severity="alarm", what="x")
    scene.event(kind="command", severity="info", cmd="acknowledge", ok=True, what="acknowledge")
    assert not scene.alarm("abort").open


@pytest.mark.parametrize(
    ("conditions", "severity"), [(["GOOD"], "info"), (["TAINTED"], "warning"), (["ABORTED"], "alarm")]
)
def test_the_end_of_a_run_is_as_grave_as_what_became_of_it(conditions, severity):
    scene = Scene().go()
    scene.acquire = scene.acquire | {
        "run_state": "idle",
        "run": None,
        "last_run": {"id": "r1", "end_reason": "done", "conditions": conditions},
    }
    assert scene.go().alarm("run-ended").severity == severity


@pytest.mark.parametrize(("free", "severity"), [(3e9, None), (1.5e9, "warning"), (0.5e9, "alarm")])
def test_a_disk_that_fills_is_told_before_its_reserve_is_reached(free, severity):
    scene = Scene()
    scene.watch.hear_disk(free, 1e9, scene.now_s, UTC_S)
    found = scene.alarm("disk-low")
    assert (found.severity if found else None) == severity


_JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "what", "instance", "alarm_list", "run", "id", "hits", "last_run", "kind", "severity", "rule", "t_mono_us", "energy_state"]), inner, max_size=5), max_leaves=12)  # fmt: skip


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["alarm_list", "run", "last_run", "instance", "run_state", "energy_state", "hits"]),
        _JSON,
    ),
    _JSON,
)
def test_no_status_and_no_event_whatever_ends_the_watch(status, content):
    scene = Scene()
    for _ in range(2):
        scene.watch.hear_guard(status, 0.0, scene.now_s, UTC_S)
        scene.watch.hear_acquire(status, 0.0, scene.now_s, UTC_S)
        scene.watch.hear_event({"t_mono_us": round(scene.now_s * 1e6)}, content, scene.now_s, UTC_S)
        scene.watch.tick(scene.now_s + 60.0, UTC_S)
    assert scene.core.due(scene.now_s + 61.0)


# The catalogue.


def _warning_kinds():
    """Kinds of events in the source of guard and acquire that may be more than information."""
    found = set()
    for path in (
        *(ROOT / "daemon/evapd/acquire").rglob("*.py"),
        *(ROOT / "daemon/evapd/guard").rglob("*.py"),
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                words = [
                    arg.value
                    for arg in node.args
                    if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
                ]
                found |= {kind for kind, severity in pairwise(words) if severity in ("warning", "alarm")}
    return {kind for kind in found if kind not in ("rule", "warning", "alarm", "info") and "," not in kind}


def test_every_alarm_that_the_code_can_raise_has_words():
    kinds = _warning_kinds()
    assert {"guard", "abort", "journal", "time_sum"} <= kinds
    assert sorted(kind for kind in kinds if name_of(kind) not in catalogue()) == []
    assert {one.name for one in RULES} <= catalogue().keys()


def test_every_alarm_says_what_it_means_and_what_to_do():
    assert [name for name, one in catalogue().items() if not (one.meaning and one.advice)] == []


def test_a_name_that_nobody_knows_gets_words_that_help():
    assert "evapd abort" in entry("never-heard-of").advice


def test_the_page_holds_the_catalogue():
    page = (ROOT / "docs/alarms.md").read_text()
    assert (
        page.partition("<!-- alarms: begin -->")[2].partition("<!-- alarms: end -->")[0].strip() == markdown()
    )
