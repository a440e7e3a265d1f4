"""The terminal view at 80 columns: old is STALE, unknown is unknown, and no text steers the terminal."""

import io
import json
from contextlib import ExitStack
from typing import Any

import pytest
from rich.console import Console

from evapd.client.status import Status
from evapd.client.view import View, clock, number, plain, render, sparkline
from evapd.client.watch import event_line, watch
from evapd.stream.frame import EVENT, decode
from support.stream_daemon import STATUS, Daemon
from support.stream_parts import make_framer

ADDRESS = "tcp://127.0.0.1:17604"
NOBODY = "tcp://127.0.0.1:9"


def text_of(view: View) -> str:
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=False).print(render(view))
    return out.getvalue()


def view(status: dict[str, Any] | None = None, **more: Any) -> View:
    return View(
        control_address=ADDRESS, status=Status.read(STATUS | (status or {})), **({"stream_age_s": 0.1} | more)
    )


def test_no_line_is_wider_than_the_terminal():
    events = ("12:00:00 info " + "a very long event " * 20,)
    assert max(len(line) for line in text_of(view(events=events, rates=(0.01,) * 24)).splitlines()) <= 80


@pytest.mark.parametrize(
    "expected",
    [
        "4,012.2 V", "set 4,013.0 V", "V_p 802.4 V", "1.010 %", "of 1.000 % wanted", "1,234,567 hits",
        "123,456,789 pulses", "controlling", "pi-log", "running", "1:02:05", "segment 2", "vacuum: no reply",
        "losses   none", "alive",
    ],
)  # fmt: skip
def test_the_view_shows(expected):
    assert expected in text_of(view())


def test_without_a_daemon_it_waits_and_says_what_to_do():
    text = text_of(View(control_address=ADDRESS, waited_s=3.0))
    assert ADDRESS in text
    assert "evapd run" in text


@pytest.mark.parametrize(("age_s", "stale"), [(1.9, False), (2.1, True)])
def test_values_older_than_two_seconds_are_stale(age_s, stale):
    assert ("STALE: no answer" in text_of(view(status_age_s=age_s))) is stale


def test_a_device_reading_ages_with_the_answer():
    rows = [line for line in text_of(view(status_age_s=5.0)).splitlines() if "specimen-su" in line]
    assert "STALE 5 s" in rows[0]


def test_a_stream_without_beats_is_stale():
    assert "STALE, last beat 7 s ago" in text_of(view(stream_age_s=7.0))


def test_what_is_not_known_is_never_shown_as_a_value():
    guard = {"energy_state": "unknown", "v_dc_v": None, "v_dc_set_v": None, "v_p_v": None}
    text = text_of(view({"guard": guard, "rate_per_pulse": None}))
    assert "V_dc     unknown" in text
    assert "rate     unknown" in text


def test_a_guard_that_does_not_answer_is_said():
    assert "the guard does not answer" in text_of(view({"guard": None}))


def test_who_commands_is_shown_while_anybody_does():
    assert "lease" not in text_of(view())
    assert "anna (sweep-1) commands" in text_of(view({"lease": {"holder": "anna", "client": "sweep-1"}}))


def test_losses_are_named():
    assert "lost_blocks 3" in text_of(view({"losses": {"lost_blocks": 3, "journal": 0}}))


def test_text_of_an_instrument_can_neither_steer_the_terminal_nor_be_read_as_markup():
    text = text_of(view({"alarms": ["\x1b[2Jcleared\x07", "[red]not markup[/red]"]}))
    assert "\x1b" not in text
    assert "[red]not markup[/red]" in text


def test_small_parts_of_the_view():
    assert (number(None, "V"), number(1234.56, "V"), clock(3725.9)) == ("unknown", "1,234.6 V", "1:02:05")
    assert sparkline((0.0, 0.5, 1.0, 2.0), 1.0) == "▁▅██"
    assert plain("a\x1b[1m\nb") == "a?[1m?b"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"severity": "alarm", "what": "arc"}, "22:13:20 alarm arc"),
        ({"kind": "note"}, "22:13:20  note"),
        ("text", "22:13:20  event"),
    ],
)
def test_an_event_is_one_line_with_its_time_of_day(content, expected):
    frame = make_framer().document(EVENT, content)
    assert event_line(decode(*map(bytes, frame.parts()))) == expected


def test_once_as_json_gives_the_status():
    out = io.StringIO()
    with Daemon() as daemon:
        code = watch(daemon.publisher.address, daemon.service.address, out=out, once=True, as_json=True)
    document = json.loads(out.getvalue())
    assert code == 0
    assert document["status"]["hits"] == 1_234_567
    assert document["stale"] is False


def test_once_without_a_daemon_fails_and_says_so(monkeypatch):
    monkeypatch.setattr("evapd.client.watch.ONCE_S", 0.1)
    out = io.StringIO()
    assert watch(NOBODY, NOBODY, out=out, once=True) == 1
    assert "waiting for evapd" in out.getvalue()


def test_the_live_view_shows_events_as_they_come():
    out, seen = io.StringIO(), []
    with Daemon() as daemon:

        def ended() -> bool:
            daemon.publisher.publish(
                daemon.framer.document(EVENT, {"severity": "info", "what": "the tip is cold"})
            )
            seen.append(1)
            return len(seen) > 100 or "the tip is cold" in out.getvalue()

        assert (
            watch(daemon.publisher.address, daemon.service.address, out=out, as_json=True, ended=ended) == 0
        )
    assert "the tip is cold" in out.getvalue()


def test_the_live_view_goes_on_over_a_restart_and_counts_it(tmp_path):
    addresses = [f"ipc://{tmp_path}/{name}.ipc" for name in ("control", "stream", "replay")]
    out, running, instances = io.StringIO(), ExitStack(), ["second-start"]

    def ended() -> bool:
        lines = out.getvalue().splitlines()
        newest = json.loads(lines[-1]) if lines else {"status": None, "stream": {"age_s": None}}
        if newest["status"] and newest["stream"]["age_s"] is not None and instances:
            running.close()
            running.enter_context(Daemon(*addresses, instance=instances.pop()))
        told = newest["stream"].get("restarts") == 1 and newest["status"]["instance"] == "second-start"
        return len(lines) > 100 or told

    with running:
        running.enter_context(Daemon(*addresses))
        watch(addresses[1], addresses[0], out=out, as_json=True, ended=ended)
    newest = json.loads(out.getvalue().splitlines()[-1])
    assert newest["stream"]["restarts"] == 1
    assert newest["status"]["instance"] == "second-start"


def test_the_live_view_draws_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    out, turns = Terminal(), []
    with Daemon() as daemon:

        def ended() -> bool:
            turns.append(1)
            return len(turns) > 100 or "running" in out.getvalue()

        watch(daemon.publisher.address, daemon.service.address, out=out, ended=ended)
    assert "running" in out.getvalue()
