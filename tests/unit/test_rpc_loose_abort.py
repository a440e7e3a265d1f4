"""An abort in bytes that are no proper JSON is one all the same; nothing else is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.rpc import Command, Dispatcher
from evapd.rpc.arguments import ReasonArgs

WRONG = {
    "NaN": b'{"v":1,"id":"a","cmd":"abort","args":{"reason":"arc","x":NaN}}',
    "number without an end": b'{"v":1,"id":"a","cmd":"abort","args":{"reason":"arc","x":1e999}}',
    "integer without an end": b'{"v":1,"id":"a","cmd":"abort","args":{"reason":"arc","x":'
    + b"9" * 5000
    + b"}}",
    "nested": b'{"v":1,"id":"a","cmd":"abort","args":{"reason":"arc","x":' + b"[" * 300 + b"]" * 300 + b"}}",
    "closing zero of C": b'{"v":1,"id":"a","cmd":"abort","args":{"reason":"arc"}}\0',
    "not UTF-8": b'{"v":1,"id":"a","cmd":"abort","args":{"reason":"arc","x":"\xff"}}',
}


class Bench:
    def __init__(self) -> None:
        self.calls: list[tuple[str, dict]] = []
        self.dispatcher = Dispatcher(
            [
                Command("abort", ReasonArgs, lambda args: self._take("abort", args), always=True),
                Command("stop", ReasonArgs, lambda args: self._take("stop", args)),
            ]
        )

    def _take(self, name: str, args: dict) -> dict:
        self.calls.append((name, args))
        return {}


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
def test_an_abort_that_is_no_proper_json_aborts_and_says_so(bench: Bench, body: bytes) -> None:
    reply = json.loads(bench.dispatcher.answer(b"peer", body) or b"null")
    assert (reply["id"], reply["ok"]) == ("a", True)
    assert "not JSON" in reply["result"]["problem"]
    assert bench.calls == [("abort", {"reason": "arc"})]


def test_an_id_that_cannot_be_read_is_null_in_the_reply(bench: Bench) -> None:
    reply = json.loads(bench.dispatcher.answer(b"peer", b'{"v":1,"id":"\xff","cmd":"abort"}') or b"null")
    assert (reply["id"], reply["ok"]) == (None, True)


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
def test_other_commands_that_are_no_proper_json_get_no_reply(bench: Bench, body: bytes) -> None:
    assert bench.dispatcher.answer(b"peer", body.replace(b"abort", b"stop")) is None
    assert (bench.calls, bench.dispatcher.rejected) == ([], 1)


@given(st.binary(max_size=200))
def test_bytes_are_no_abort(body: bytes) -> None:
    bench = Bench()
    bench.dispatcher.answer(b"peer", body)
    bench.dispatcher.answer(b"peer", b"[" * 60_000 + body)
    assert bench.calls == []
