"""What a person reads who is woken at night."""

import os

from hypothesis import given
from hypothesis import strategies as st

from evapd.alarms.messages import TITLE_CHARACTERS, Situation, compose
from evapd.alarms.model import Alarm
from support.hooks import sent, webhook


def alarm(**changes):
    return Alarm(**{"id": 17, "name": "tdc-silent-long", "severity": "alarm", "what": "the TDC is silent for 5.0 s", "source": "guard",
                    "effect": "ramp_down", "lasting": True, "waits": True, "began_s": 0.0, "began_utc_s": 1.8e9, "active": True, **changes})  # fmt: skip


SITUATION = Situation(
    rig="demo",
    folder="/var/lib/evapd",
    control="tcp://127.0.0.1:17700",
    energy_state="ramping_down",
    v_dc_v=2310.4,
    run="r1",
    run_state="running",
    hits=12,
)


def test_a_person_woken_at_night_reads_what_since_when_what_was_done_and_what_to_do():
    text = compose("alarm", [alarm()], SITUATION, 65.0).text
    for words in ("the TDC is silent", "2027-01-15 08:00:00 UTC, 65 s ago", "ramped down", "ramping_down, V_dc 2310 V", "12 hits",
                  "evapd alarms ack 17 --folder /var/lib/evapd", "evapd abort --control tcp://127.0.0.1:17700 --folder /var/lib/evapd"):  # fmt: skip
        assert words in text


def test_what_is_not_known_is_said_and_not_guessed():
    text = compose(
        "alarm", [alarm(name="guard-gone", effect="")], Situation(rig="r", folder="f", control="c"), 1.0
    ).text
    assert "the guard does not answer" in text
    assert "switch the specimen supply off by hand" in text
    assert "V_dc" not in text.partition("Energy:")[2].partition("\n")[0]


def test_others_are_named_and_counted():
    message = compose(
        "alarm", [alarm(), *[alarm(id=n, name=f"other-{n}") for n in range(37)]], SITUATION, 1.0
    )
    assert "and 37 more" in message.title
    assert "Also:    37 more: other-0" in message.text


@given(st.text(st.characters(), max_size=3000), st.text(max_size=200))
def test_no_text_whatever_breaks_a_title_or_steers_a_terminal(what, name):
    message = compose("alarm", [alarm(what=what, name=name)], SITUATION, 1.0)
    assert len(message.title) <= TITLE_CHARACTERS
    assert message.title.isprintable()
    assert message.text.replace("\n", "").isprintable()
    assert len(message.text) < 7_000


def test_a_secret_in_the_environment_is_asked_for_by_name():
    os.environ.pop("NOT_SET_ANYWHERE", None)
    hook = webhook("https://127.0.0.1:1/", token_env="NOT_SET_ANYWHERE")
    assert "NOT_SET_ANYWHERE is not set" in sent(hook).what
