"""What stands between a request and its handler: role, lease, rate, memory; and `abort`, before which nothing stands."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.errors import LimitError, RequestError, StateError
from evapd.rpc import Command, Dispatcher, NoArgs
from evapd.rpc.arguments import OnArgs, ReasonArgs, SetArgs, always, only_lowers, turns_on
from evapd.rpc.audit import Audit
from evapd.rpc.caller import served
from evapd.rpc.description import reply_schema, request_schema
from evapd.rpc.lease import Lease
from evapd.rpc.lease_commands import lease_commands
from evapd.security.roles import Peer, Role

ANNA, BERT, READER = Peer("anna", Role.OPERATE), Peer("bert", Role.OPERATE), Peer("carl", Role.READ)
REPLY = jsonschema.Draft202012Validator(reply_schema())


class Bench:
    """A dispatcher in virtual time; remembers what its handlers were called with, and what was audited."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.audited: list[dict[str, Any]] = []
        self.raises: Exception | None = None
        lease = Lease()
        self.audit = Audit(lambda severity, what, /, **details: self.audited.append(details))
        self.dispatcher = Dispatcher(
            [
                Command("status", NoArgs, self._take("status"), who=Role.READ, keep_s=0.05),
                Command("set", SetArgs, self._take("set"), lowers=only_lowers),
                Command("start", NoArgs, self._take("start")),
                Command("stop", ReasonArgs, self._take("stop"), lowers=always),
                Command("inhibit", OnArgs, self._take("inhibit"), lowers=turns_on),
                Command("note", ReasonArgs, self._take("note"), lease=False),
                Command("abort", ReasonArgs, self._take("abort"), who=Role.READ, always=True),
                *lease_commands(lease, lambda: self.now_s),
            ],
            lease=lease,
            audit=self.audit,
            clock=lambda: self.now_s,
        )

    def _take(self, name: str) -> Any:
        def handler(args: dict[str, Any]) -> dict[str, Any]:
            self.calls.append((name, args))
            if self.raises is not None:
                raise self.raises
            return {"accepted": True, "calls": len(self.calls), "for": str(served())}

        return handler

    def raw(self, body: bytes, peer: Peer = ANNA, connection: bytes = b"c") -> dict[str, Any]:
        reply = self.dispatcher.answer(connection, body, peer)
        assert reply is not None
        content = json.loads(reply)
        REPLY.validate(content)
        return dict(content)

    def ask(
        self, cmd: str, args: Any = None, *, peer: Peer = ANNA, connection: bytes = b"c", **more: Any
    ) -> dict[str, Any]:
        self.number = getattr(self, "number", 0) + 1
        request = {
            "v": 1,
            "id": f"r{self.number}",
            "client": peer.name,
            "cmd": cmd,
            "args": {} if args is None else args,
        }
        return self.raw(json.dumps(request | more).encode(), peer, connection)

    def kind(self, cmd: str, args: Any = None, **more: Any) -> str:
        reply = self.ask(cmd, args, **more)
        return "" if reply["ok"] else str(reply["error"]["kind"])


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Roles.


@pytest.mark.parametrize("cmd", ["set", "start", "stop", "inhibit", "note", "lease_take", "lease_renew"])
def test_a_reader_commands_nothing(bench, cmd):
    assert bench.kind(cmd, peer=READER) == "Forbidden"
    assert bench.calls == []


def test_a_reader_reads_and_aborts(bench):
    assert [bench.kind(cmd, peer=READER) for cmd in ("status", "describe", "abort")] == ["", "", ""]


# The lease.


@pytest.mark.parametrize(
    ("cmd", "args"), [("set", {"target_rate": 0.01}), ("set", {}), ("set", {"hold": True, "law": "imm"}), ("start", {}),
                      ("inhibit", {"on": False}), ("set", {"hold": False})],
)  # fmt: skip
def test_while_another_holds_the_lease_nobody_commands(bench, cmd, args):
    bench.ask("lease_take", {"ttl_s": 30})
    reply = bench.ask(cmd, args, peer=BERT)
    assert reply["error"]["kind"] == "LeaseHeld"
    assert {key: reply["error"][key] for key in ("holder", "client", "remaining_s")} == {
        "holder": "anna", "client": "anna", "remaining_s": 30.0
    }  # fmt: skip
    assert bench.calls == []


@pytest.mark.parametrize(
    ("cmd", "args"), [("stop", {}), ("inhibit", {"on": True}), ("inhibit", {}), ("set", {"hold": True}), ("abort", {}),
                      ("status", {}), ("note", {"reason": "I heard a noise"})],
)  # fmt: skip
def test_what_only_lowers_the_energy_or_reads_passes_without_the_lease(bench, cmd, args):
    bench.ask("lease_take", {"ttl_s": 30})
    assert bench.kind(cmd, args, peer=BERT) == ""


def test_commands_of_the_holder_prolong_the_lease_and_reads_do_not(bench):
    bench.ask("lease_take", {"ttl_s": 30})
    bench.now_s += 29
    bench.ask("set", {"target_rate": 0.01})
    bench.now_s += 29
    bench.ask("status")
    assert bench.kind("start", peer=BERT) == "LeaseHeld"
    bench.now_s += 1
    assert bench.kind("start", peer=BERT) == ""


def test_a_refused_command_does_not_prolong_the_lease(bench):
    bench.ask("lease_take", {"ttl_s": 30})
    bench.now_s += 29
    bench.raises = StateError("no")
    bench.ask("start")
    bench.now_s += 1
    bench.raises = None
    assert bench.kind("start", peer=BERT) == ""


def test_the_lease_outlives_a_reconnect(bench):
    bench.ask("lease_take")
    assert bench.kind("set", {"target_rate": 0.01}, connection=b"new one") == ""


def test_another_key_under_the_same_client_name_is_another(bench):
    bench.ask("lease_take")
    assert bench.kind("start", peer=BERT, client="anna") == "LeaseHeld"


def test_by_force_it_changes_hands(bench):
    bench.ask("lease_take")
    assert bench.kind("lease_take", peer=BERT) == "LeaseHeld"
    assert bench.kind("lease_take", {"force": True}, peer=BERT) == ""
    assert bench.kind("start") == "LeaseHeld"


# Ids.


@pytest.mark.parametrize(
    ("cmd", "args"),
    [("start", {}), ("stop", {}), ("set", {"target_rate": 0.01}), ("lease_take", {}), ("note", {})],
)
def test_the_same_id_again_gets_the_same_reply_and_is_not_carried_out_again(bench, cmd, args):
    first = bench.ask(cmd, args, id="same")
    assert bench.ask(cmd, args, id="same", connection=b"after a reconnect") == first
    assert len(bench.calls) <= 1


def test_the_same_id_and_client_under_another_key_is_another_request(bench):
    bench.ask("start", id="same", client="script")
    reply = bench.ask("start", id="same", client="script", peer=BERT)
    assert reply["result"]["calls"] == 2


def test_the_same_connection_id_under_another_key_shares_no_memory(bench):
    bench.ask("start", id="same", client="")
    assert bench.ask("start", id="same", client="", peer=BERT)["result"]["calls"] == 2


def test_what_was_refused_for_the_lease_may_be_asked_again_under_its_id(bench):
    bench.ask("lease_take", {"ttl_s": 1})
    assert bench.kind("start", peer=BERT, id="same") == "LeaseHeld"
    bench.now_s += 2
    assert bench.kind("start", peer=BERT, id="same") == ""


def test_what_was_carried_out_is_answered_from_memory_also_when_another_commands_by_now(bench):
    bench.ask("start", id="same")
    bench.ask("lease_take", peer=BERT)
    assert bench.kind("start", id="same") == ""
    assert len(bench.calls) == 1


def test_an_id_of_another_command_is_refused(bench):
    bench.ask("start", id="same")
    assert bench.kind("stop", id="same") == "InvalidRequest"


def test_reads_are_answered_anew(bench):
    bench.ask("status", id="same")
    bench.ask("start")
    assert bench.ask("status", id="same")["result"]["calls"] == 3


def test_memory_is_bounded_in_clients_and_bytes(bench):
    for number in range(600):
        bench.now_s += 1.0
        bench.ask("note", {"reason": "x" * 900}, client=f"client {number}")
    assert len(bench.dispatcher._memory._clients) <= 256
    assert bench.dispatcher._memory.nbytes <= 8 * 1024 * 1024


# Rates.


def test_beyond_the_rate_a_peer_is_told_when_to_ask_again(bench):
    kinds = [bench.kind("set", {"target_rate": 0.01}) for _ in range(201)]
    assert kinds.count("") == 200
    error = bench.ask("start")["error"]
    assert error["kind"] == "RateLimited"
    bench.now_s += error["retry_after_s"] + 1e-6
    assert bench.kind("start") == ""


def test_an_abort_is_never_throttled(bench):
    for _ in range(500):
        bench.ask("start")
    assert {bench.kind("abort") for _ in range(1000)} == {""}


def test_local_programs_have_a_rate_each(bench):
    local = Peer("local", Role.OPERATE)
    for _ in range(300):
        bench.ask("start", peer=local, connection=b"flood")
    assert bench.kind("start", peer=local, connection=b"calm") == ""


# Abort, whatever is wrong with it.


@pytest.mark.parametrize(
    "wrong",
    [
        {"args": {"reason": 5}}, {"args": {"reason": "x" * 2000}}, {"args": {"because": "of this"}}, {"args": []},
        {"v": 2}, {"v": None}, {"client": 5}, {"client": "x" * 100}, {"more": 1}, {"asked_by": 3},
        {"args": {"reason": "\ud800"}},
    ],
    ids=lambda wrong: str(wrong)[:40],
)  # fmt: skip
def test_an_abort_that_is_a_little_wrong_aborts_and_says_what_was_wrong(bench, wrong):
    reply = bench.ask("abort", **wrong)
    assert reply["ok"] is True
    assert reply["result"]["problem"]
    assert [name for name, _ in bench.calls] == ["abort"]


def test_what_is_right_in_a_wrong_abort_is_kept(bench):
    bench.ask("abort", {"reason": "smoke", "loud": True})
    assert bench.calls == [("abort", {"reason": "smoke"})]


@pytest.mark.parametrize("request_id", [None, 5, "", "x" * 65])
def test_an_abort_without_a_readable_id_aborts_and_is_answered_without_one(bench, request_id):
    reply = bench.ask("abort", id=request_id)
    assert (reply["ok"], reply["id"]) == (True, None)
    assert [name for name, _ in bench.calls] == ["abort"]


def test_the_shortest_abort_is_one(bench):
    assert bench.raw(b'{"cmd": "abort"}')["ok"] is True


def test_an_abort_under_an_id_of_the_past_is_carried_out_again(bench):
    for _ in range(2):
        bench.ask("abort", id="1")
    bench.ask("start", id="2")
    bench.ask("abort", id="2")
    assert [name for name, _ in bench.calls] == ["abort", "abort", "start", "abort"]


def test_an_abort_of_a_reader_passes_a_lease_and_a_flood(bench):
    bench.ask("lease_take")
    for _ in range(300):
        bench.ask("status", peer=READER)
    assert bench.kind("abort", peer=READER) == ""


# What is written down.


def test_every_command_is_audited_also_refused_ones_and_no_read(bench):
    bench.ask("lease_take")
    bench.ask("status")
    bench.ask("set", {"target_rate": 2}, peer=BERT)
    bench.ask("start", peer=BERT)
    bench.ask("stop", peer=READER)
    bench.raises = LimitError("too much")
    bench.ask("set", {"target_rate": 0.1})
    bench.ask("abort", {"loud": 1})
    told = [(one["cmd"], one["peer"], one["error"]) for one in bench.audited]
    assert told == [
        ("lease_take", "anna", None), ("set", "bert", "InvalidRequest"), ("start", "bert", "LeaseHeld"),
        ("stop", "carl", "Forbidden"), ("set", "anna", "LimitError"), ("abort", "anna", "LimitError"),
    ]  # fmt: skip


def test_a_renewal_changes_nothing_and_is_not_written_down(bench):
    bench.ask("lease_take")
    bench.ask("lease_renew")
    assert len(bench.audited) == 1


def test_a_repetition_is_not_written_down_twice(bench):
    bench.ask("start", id="same")
    bench.ask("start", id="same")
    assert len(bench.audited) == 1


def test_refusals_by_rate_are_one_number(bench):
    for _ in range(1000):
        bench.ask("start")
    bench.audit.tick(bench.now_s)
    assert bench.audited[-1]["counted"] == {"RateLimited": 800}


def test_a_handler_knows_for_whom_it_works(bench):
    assert bench.ask("start")["result"]["for"] == "anna (anna)"
    assert served() is None


def test_what_the_guard_refused_reaches_the_client_under_the_guard_s_kind(bench):
    bench.raises = RequestError("LimitError", "at most 3", {"most": 3})
    assert bench.ask("start")["error"] == {"kind": "LimitError", "message": "at most 3", "most": 3}


# Reads that many ask for.


def test_a_status_asked_for_by_many_is_made_once_but_never_older_than_the_last_command(bench):
    for number in range(10):
        bench.ask("status", client=f"display {number}")
    assert len(bench.calls) == 1
    bench.ask("start")
    assert bench.ask("status")["result"]["calls"] == 3
    bench.now_s += 0.06
    assert bench.ask("status")["result"]["calls"] == 4


# Schemas.


def test_the_schema_of_requests_says_what_is_refused(bench):
    described = bench.ask("describe")["result"]
    schema = described["request"]
    assert schema == request_schema([command["name"] for command in described["commands"]])
    good = {"v": 1, "id": "a", "cmd": "status"}
    jsonschema.validate(good, schema)
    for more in ({"v": 2}, {"id": ""}, {"cmd": "fly"}, {"args": []}, {"token": "x"}, {"client": "x" * 65}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(good | more, schema)
        assert (
            bench.raw(json.dumps(good | {"id": "b"} | more).encode())["ok"] is False
            if more != {"id": ""}
            else True
        )


CROWD = Bench()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["status", "set", "start", "stop", "inhibit", "lease_take", "abort", "describe"]),
    st.dictionaries(st.sampled_from(["v", "args", "client", "asked_by", "id", "x"]), json_values),
    st.sampled_from([ANNA, BERT, READER]),
)
def test_every_reply_fits_the_schema_whatever_was_asked(cmd, fields, peer):
    CROWD.now_s += 10.0
    request = {"v": 1, "id": "a", "cmd": cmd} | fields
    reply = CROWD.dispatcher.answer(b"c", json.dumps(request).encode(), peer)
    if reply is not None:
        REPLY.validate(json.loads(reply))
