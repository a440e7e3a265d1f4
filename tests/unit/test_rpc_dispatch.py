"""Requests and replies as bytes: what is refused, what is remembered, what never escapes."""

import itertools
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from evapd.errors import ConfigError, StateError
from evapd.rpc import MAX_REQUEST_BYTES, Args, Command, Dispatcher, NoArgs


class SetArgs(Args):
    target_rate: float | None = Field(default=None, gt=0, le=0.5)
    law: str = "pi-log"


class Recorder:
    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.raises: Exception | None = None
        self.result: Any = {}

    def __call__(self, args: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(args)
        if self.raises is not None:
            raise self.raises
        return self.result or {"calls": len(self.calls)}


@pytest.fixture
def handler() -> Recorder:
    return Recorder()


@pytest.fixture
def dispatcher(handler: Recorder) -> Dispatcher:
    commands = [Command("set", SetArgs, handler, True, "Change settings."), Command("ping", NoArgs, handler)]
    # A second between two looks at the clock: nobody here asks too often, however fast the machine is.
    return Dispatcher(commands, clock=itertools.count().__next__)


def request(cmd: str = "set", args: Any = None, **more: Any) -> bytes:
    return json.dumps({"v": 1, "id": "a", "cmd": cmd, "args": {} if args is None else args} | more).encode()


def answer(dispatcher: Dispatcher, body: bytes, peer: bytes = b"p") -> dict[str, Any]:
    reply = dispatcher.answer(peer, body)
    assert reply is not None
    return json.loads(reply)


def refusal(dispatcher: Dispatcher, body: bytes) -> tuple[str, str]:
    reply = answer(dispatcher, body)
    assert reply["ok"] is False
    return reply["error"]["kind"], reply["error"]["message"]


def test_a_request_is_answered_under_its_id_with_the_handlers_result(dispatcher):
    assert answer(dispatcher, request()) == {"v": 1, "id": "a", "ok": True, "result": {"calls": 1}}


def test_a_handler_sees_every_field_of_its_model(dispatcher, handler):
    answer(dispatcher, request(args={"target_rate": 0.01}))
    assert handler.calls == [{"target_rate": 0.01, "law": "pi-log"}]


def test_a_repeated_id_gives_the_same_reply_without_executing_again(dispatcher, handler):
    first, second = dispatcher.answer(b"p", request()), dispatcher.answer(b"p", request())
    assert first == second
    assert len(handler.calls) == 1


def test_a_refusal_by_the_handler_is_remembered_too(dispatcher, handler):
    handler.raises = StateError("a run is under way")
    first = dispatcher.answer(b"p", request())
    handler.raises = None
    assert dispatcher.answer(b"p", request()) == first


def test_two_peers_may_use_the_same_id(dispatcher, handler):
    dispatcher.answer(b"p", request())
    dispatcher.answer(b"q", request())
    assert len(handler.calls) == 2


def test_a_named_client_is_recognised_over_a_reconnect(dispatcher, handler):
    dispatcher.answer(b"before", request(client="me"))
    dispatcher.answer(b"after", request(client="me"))
    assert len(handler.calls) == 1


def test_an_id_cannot_be_used_for_another_request(dispatcher, handler):
    dispatcher.answer(b"p", request())
    assert "used for another request" in refusal(dispatcher, request(args={"law": "hold"}))[1]
    assert len(handler.calls) == 1


def test_what_is_remembered_is_bounded(dispatcher, handler):
    for number in range(200):
        dispatcher.answer(b"p", request(id=str(number)))
    dispatcher.answer(b"p", request(id="0"))
    assert len(handler.calls) == 201


def test_a_reply_too_long_to_keep_is_not_executed_again(dispatcher, handler):
    handler.result = {"text": "x" * 100_000}
    dispatcher.answer(b"p", request())
    assert "ask again" in refusal(dispatcher, request())[1]
    assert len(handler.calls) == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"target_rate": -1}, "target_rate"),
        ({"target_rat": 0.1}, "target_rat"),
        ([], "object"),
        ("x", "object"),
    ],
)
def test_wrong_arguments_are_named_and_not_executed(dispatcher, handler, args, says):
    kind, message = refusal(dispatcher, request(args=args))
    assert kind == "InvalidRequest"
    assert says in message
    assert handler.calls == []


@pytest.mark.parametrize(
    "more", [{"v": 2}, {"cmd": "fly"}, {"cmd": ["set"]}, {"client": 5}, {"client": "x" * 65}, {"cmd": None}]
)
def test_a_wrong_envelope_is_answered_where_the_id_is_readable(dispatcher, handler, more):
    assert refusal(dispatcher, request(**more))[0] == "InvalidRequest"
    assert handler.calls == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"[1]",
        b'"text"',
        b"{}",
        b'{"id": 5}',
        b'{"id": ""}',
        b'{"id": "a", "args": {"x": NaN}}',
        b'{"id": "a", "x": ' + b"[" * 2000 + b"]" * 2000 + b"}",
        b'{"id": "a", "x": ' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"id": "a", "x": ' + b"9" * 5000 + b"}",
        json.dumps({"id": "x" * 65}).encode(),
    ],
)
def test_without_a_readable_id_there_is_no_reply_but_a_count(dispatcher, body):
    assert dispatcher.answer(b"p", body) is None
    assert dispatcher.rejected == 1


def test_a_request_that_is_too_long_is_refused_with_a_reason(dispatcher, handler):
    assert "at most" in refusal(dispatcher, request(args={"law": "x" * MAX_REQUEST_BYTES}))[1]
    assert handler.calls == []


def test_an_error_of_ours_reaches_the_client_by_kind_and_message(dispatcher, handler):
    handler.raises = StateError("a run is under way: stop it first")
    assert refusal(dispatcher, request()) == ("StateError", "a run is under way: stop it first")


def test_any_other_exception_is_logged_and_answered(dispatcher, handler, caplog):
    handler.raises = ZeroDivisionError("division by zero")
    with caplog.at_level(logging.ERROR):
        assert refusal(dispatcher, request())[0] == "InternalError"
    assert "ZeroDivisionError" in caplog.text


def test_a_result_that_is_not_json_is_an_internal_error_not_a_crash(dispatcher, handler, caplog):
    handler.result = {"socket": object()}
    assert refusal(dispatcher, request())[0] == "InternalError"
    assert "TypeError" in caplog.text


def test_nan_in_a_result_becomes_null(dispatcher, handler):
    handler.result = {"v_dc_v": float("nan"), "list": [float("inf"), 1.5]}
    assert answer(dispatcher, request())["result"] == {"v_dc_v": None, "list": [None, 1.5]}


def test_describe_lists_the_commands_with_their_schemas(dispatcher):
    commands = {
        entry["name"]: entry for entry in answer(dispatcher, request("describe"))["result"]["commands"]
    }
    assert set(commands) == {"set", "ping", "describe"}
    assert commands["set"]["energy"] is True
    assert "target_rate" in commands["set"]["args"]["properties"]


def test_two_commands_of_one_name_are_a_mistake(handler):
    with pytest.raises(ConfigError, match="one name"):
        Dispatcher([Command("a", NoArgs, handler), Command("a", NoArgs, handler)])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_the_dispatcher_raise(body):
    dispatcher = Dispatcher([Command("ping", NoArgs, lambda _: {})])
    reply = dispatcher.answer(b"p", body)
    assert reply is None or json.loads(reply)["v"] == 1


@given(
    st.dictionaries(st.sampled_from(["v", "cmd", "args", "client"]), json_values),
    st.text(min_size=1, max_size=64),
)
def test_whatever_has_an_id_is_answered_under_it(fields, request_id):
    dispatcher = Dispatcher([Command("ping", NoArgs, lambda _: {})])
    reply = dispatcher.answer(b"p", json.dumps(fields | {"id": request_id}, allow_nan=True).encode())
    assert reply is None or json.loads(reply)["id"] == request_id
