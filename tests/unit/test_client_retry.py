"""A command without an answer: asked again where that is safe, and never executed twice."""

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import pytest

from evapd.client import Client, Forbidden, LeaseHeld, RateLimited, RequestError, RequestTimeout
from evapd.errors import refusal
from support.scripted_service import scripted

IDLE = {"instance": "first", "run_state": "idle"}
NOBODY = "tcp://127.0.0.1:9"


def in_turn(*answers: dict[str, Any] | None) -> Any:
    """Give each command's answers one after the other, the last one again and again; `status` always tells the newest instance of `IDLE`."""
    rest: Iterator[dict[str, Any] | None] = chain(answers, repeat(answers[-1]))
    return lambda request: {"result": IDLE} if request["cmd"] == "status" else next(rest)


def refused(kind: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": "no", **fields}}


def test_a_command_whose_answer_was_lost_is_asked_again_under_the_same_id():
    with scripted(in_turn(None, {"result": {}})) as service:
        with Client(service.address, timeout_s=0.1, retry_s=30.0) as evapd:
            evapd.note("x")
        first, *again = (request for request in service.requests if request["cmd"] == "note")
        assert again
        assert all(one == first for one in again)


def test_without_retry_the_time_out_tells_that_it_may_have_been_executed():
    with scripted(in_turn(None)) as service, Client(service.address, timeout_s=2.0) as evapd:
        with pytest.raises(RequestTimeout, match="not known") as caught:
            evapd.note("x")
        assert caught.value.sent
        assert caught.value.request_id == service.requests[-1]["id"]


def test_a_command_is_not_asked_again_of_a_daemon_that_was_restarted_meanwhile():
    instances = iter(["first", "second"])

    def answer(request: dict[str, Any]) -> dict[str, Any] | None:
        return {"result": IDLE | {"instance": next(instances)}} if request["cmd"] == "status" else None

    with scripted(answer) as service, Client(service.address, timeout_s=2.0, retry_s=30.0) as evapd:
        with pytest.raises(RequestTimeout, match="restarted") as caught:
            evapd.start("once")
        assert caught.value.sent
        assert service.count("start") == 1


def test_a_read_is_asked_again_as_long_as_allowed():
    answers = chain([None, None], repeat({"result": IDLE}))
    with (
        scripted(lambda _: next(answers)) as service,
        Client(service.address, timeout_s=0.1, retry_s=30) as evapd,
    ):
        assert evapd.status().instance == "first"


def test_a_command_that_never_left_was_certainly_not_executed():
    with Client(NOBODY, timeout_s=0.05, retry_s=0.2) as evapd, pytest.raises(RequestTimeout) as caught:
        evapd.start()
    assert not caught.value.sent


def test_a_read_that_came_too_often_waits_as_long_as_it_is_told():
    answers = iter([refused("RateLimited", retry_after_s=0.05), {"result": IDLE}])
    with scripted(lambda _: next(answers)) as service, Client(service.address, timeout_s=30.0) as evapd:
        assert evapd.status().instance == "first"
        first, second = service.requests
        assert first["id"] != second["id"]


@pytest.mark.parametrize("retry_after_s", [3600.0, None])
def test_a_read_does_not_wait_longer_than_its_deadline(retry_after_s):
    with scripted(lambda _: refused("RateLimited", retry_after_s=retry_after_s)) as service:
        with Client(service.address) as evapd, pytest.raises(RateLimited) as caught:
            evapd.status()
        assert caught.value.retry_after_s == retry_after_s


def test_a_command_that_came_too_often_is_refused_at_once():
    with (
        scripted(in_turn(refused("RateLimited", retry_after_s=0.01))) as service,
        Client(service.address) as evapd,
    ):
        with pytest.raises(RateLimited):
            evapd.note("x")
        assert service.count("note") == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"kind": "Forbidden", "message": "m"}, Forbidden),
        ({"kind": "LeaseHeld", "message": "m", "holder": "anna", "client": "sweep", "remaining_s": 4}, LeaseHeld),
        ({"kind": "RateLimited", "message": "m", "retry_after_s": "soon"}, RateLimited),
        ({"kind": "Unheard", "message": "m", "more": 1}, RequestError),
        ({}, RequestError),
    ],
)  # fmt: skip
def test_a_refusal_has_the_class_of_its_kind_and_keeps_its_fields(error, kind):
    made = refusal(error)
    assert type(made) is kind
    assert made.fields == {key: value for key, value in error.items() if key not in ("kind", "message")}


def test_whoever_holds_the_lease_is_named():
    held = refusal(
        {"kind": "LeaseHeld", "message": "m", "holder": "anna", "client": "sweep", "remaining_s": 4}
    )
    assert isinstance(held, LeaseHeld)
    assert (held.holder, held.client, held.remaining_s) == ("anna", "sweep", 4.0)
