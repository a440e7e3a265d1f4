"""What is written down of who asked for what."""

import logging
from typing import Any

import pytest

from evapd.rpc.audit import Asked, Audit, brief
from evapd.rpc.caller import Caller
from evapd.security.roles import Peer, Role

CALLER = Caller(Peer("anna", Role.OPERATE), "script", "7", {"name": "Bert"})


class Written:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.opening = False

    def __call__(self, severity: str, what: str, /, **details: Any) -> None:
        self.events.append({"severity": severity, "what": what, **details})


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def audit(written: Written) -> Audit:
    return Audit(written, lambda: written.opening)


def test_a_command_is_written_with_who_asked_and_for_whom(audit, written):
    audit.asked(Asked("set", {"target_rate": 0.01}, CALLER), 5.0)
    [event] = written.events
    assert event["severity"] == "info"
    assert event | {"what": ""} == {
        "severity": "info", "what": "", "cmd": "set", "args": {"target_rate": 0.01}, "peer": "anna", "client": "script",
        "id": "7", "asked_by": {"name": "Bert"}, "ok": True, "error": None, "t_asked_us": 5_000_000,
    }  # fmt: skip


def test_a_refusal_is_written_with_its_kind(audit, written):
    audit.asked(Asked("set", {}, CALLER, "LeaseHeld", "bert commands"), 5.0)
    [event] = written.events
    assert (event["ok"], event["error"], event["message"]) == (False, "LeaseHeld", "bert commands")


def test_a_flood_is_told_as_a_number_once_a_second(audit, written):
    for _ in range(5000):
        audit.asked(Asked("abort", {}, CALLER), 5.0)
    for tick in range(100):
        audit.tick(5.0 + tick / 20)
    assert len(written.events) == 401
    assert written.events[-1]["counted"] == {"abort carried out": 4600}


def test_what_is_counted_names_few_peers_however_many_there_are(audit, written):
    for number in range(1000):
        audit.counted("RateLimited", Caller(Peer(f"peer {number}", Role.READ)))
    audit.tick(1.0)
    [event] = written.events
    assert event["counted"] == {"RateLimited": 1000}
    assert len(event["peers"]) <= 8


def test_what_is_asked_while_a_run_is_opened_waits_for_its_record_in_order(audit, written):
    written.opening = True
    for command in ("start", "note", "stop"):
        audit.asked(Asked(command, {}, CALLER), 5.0)
    audit.tick(6.0)
    assert written.events == []
    written.opening = False
    audit.tick(7.0)
    assert [event["cmd"] for event in written.events] == ["start", "note", "stop"]


def test_long_arguments_are_cut_and_secrets_left_out():
    shown = brief(
        {"text": "x" * 10_000, "password": "p", "api_token": ["t"], "deep": {"a": {"b": {"c": 1}}}, "n": 1.5}
    )
    assert len(shown["text"]) < 300
    assert shown["password"] == shown["api_token"] == "***"
    assert shown["deep"] == {"a": {"b": "... (1 entries)"}}
    assert shown["n"] == 1.5


def test_the_log_hears_of_it_only_where_details_are_asked_for(audit, caplog):
    with caplog.at_level(logging.INFO):
        audit.asked(Asked("set", {}, CALLER), 5.0)
    assert caplog.text == ""
    with caplog.at_level(logging.DEBUG):
        audit.asked(Asked("set", {}, CALLER), 5.0)
    assert "anna (script) asked for set" in caplog.text
