"""Mutated and malformed messages: nothing crashes, nothing is carried out that was no valid command, and the service answers.

EVAPD_MUTATIONS=100000 sends as many; a few thousand is the short form.
"""

import copy
import json
import os
import random
from collections import Counter
from typing import Any

import jsonschema
import zmq

from evapd.rpc import Command, Dispatcher, NoArgs, Requester, Service
from evapd.rpc.arguments import OnArgs, ReasonArgs, SetArgs, always, turns_on
from evapd.rpc.bucket import Buckets
from evapd.rpc.description import reply_schema, request_schema
from evapd.rpc.lease import Lease
from evapd.rpc.lease_commands import lease_commands
from evapd.security.roles import Role
from support.bench_table import Row
from support.soak_page import tell

MUTATIONS = int(os.environ.get("EVAPD_MUTATIONS", "5000"))
MODELS = {
    "status": NoArgs,
    "set": SetArgs,
    "stop": ReasonArgs,
    "inhibit": OnArgs,
    "start": NoArgs,
    "abort": ReasonArgs,
}
SEEDS: list[dict[str, Any]] = [
    {"v": 1, "id": "a", "client": "c", "cmd": "set", "args": {"target_rate": 0.01, "law": "imm"}},
    {"v": 1, "id": "a", "cmd": "inhibit", "args": {"on": True}},
    {"v": 1, "id": "a", "cmd": "stop", "args": {"reason": "enough"}, "asked_by": {"name": "x"}},
    {"v": 1, "id": "a", "client": "c", "cmd": "lease_take", "args": {"ttl_s": 30, "force": True}},
    {"v": 1, "id": "a", "cmd": "status"},
    {"v": 1, "id": "a", "cmd": "abort", "args": {"reason": "now"}},
]
ODD = [
    None,
    True,
    0,
    -1,
    1e308,
    2**53,
    "",
    "x" * 70,
    "\x00",
    "\ud800",
    [],
    {},
    [[]],
    {"on": True},
    "set",
    "__class__",
    "../",
]


def mutated(dice: random.Random) -> bytes:
    """One message: a request with keys or values changed, its bytes changed, or nothing that was ever a request."""
    request = json.loads(json.dumps(dice.choice(SEEDS)))
    kind = dice.random()
    if kind < 0.5:
        for _ in range(dice.randint(1, 3)):
            place = (
                request["args"] if dice.random() < 0.4 and isinstance(request.get("args"), dict) else request
            )
            key = dice.choice([*place, "extra", "Cmd"]) if place else "extra"
            if dice.random() < 0.3:
                place.pop(key, None)
            else:
                place[key] = copy.deepcopy(dice.choice(ODD))
        return json.dumps(request).encode()
    body = bytearray(json.dumps(request).encode())
    if kind < 0.8:
        for _ in range(dice.randint(1, 6)):
            where = dice.randrange(len(body))
            body[where : where + dice.randint(0, 3)] = dice.randbytes(dice.randint(0, 3))
        return bytes(body)
    if kind < 0.9:
        return bytes(body[: dice.randrange(len(body))]) + dice.choice(
            [b"", b"[" * 5000, b"\xff\xfe", b'"' * 9]
        )
    return dice.randbytes(dice.randint(0, 200))


def is_valid(body: bytes, described: dict[str, Any]) -> bool:
    """Whether the published schemas admit it."""
    try:
        request = json.loads(body)
        jsonschema.Draft202012Validator(described["request"]).validate(request)
        [command] = [one for one in described["commands"] if one["name"] == request["cmd"]]
        jsonschema.Draft202012Validator(command["args"]).validate(request.get("args", {}))
    except (ValueError, jsonschema.ValidationError, RecursionError):
        return False
    return True


def test_mutated_messages_crash_nothing_and_carry_out_nothing_that_no_schema_admits():
    carried_out: list[str] = []

    def take(name: str) -> Any:
        return lambda args: carried_out.append(name) or {"accepted": True}

    lowers = {"stop": always, "inhibit": turns_on}
    lease = Lease()
    commands = [
        Command(
            name, model, take(name), who=Role.READ if name in {"status", "abort"} else Role.OPERATE,
            always=name == "abort", lowers=lowers.get(name),
        )
        for name, model in MODELS.items()
    ]  # fmt: skip
    now_s = [0.0]
    dispatcher = Dispatcher(
        [*commands, *lease_commands(lease, lambda: now_s[0])],
        lease=lease,
        buckets=Buckets(1e9, 10**9),
        clock=lambda: now_s[0],
    )
    described, dice = dispatcher.describe(), random.Random(20260301)
    assert described["request"] == request_schema([one["name"] for one in described["commands"]])
    replies = jsonschema.Draft202012Validator(reply_schema())
    counts: Counter[str] = Counter()
    for number in range(MUTATIONS):
        now_s[0] += 0.01
        body, before = mutated(dice), len(carried_out)
        reply = dispatcher.answer(number.to_bytes(4, "big"), body)
        done = carried_out[before:]
        if reply is None:
            counts["not answered"] += 1
        else:
            content = json.loads(reply)
            if number % 10 == 0:
                replies.validate(content)
            counts["carried out" if content["ok"] else content["error"]["kind"]] += 1
        if done and done != ["abort"]:
            assert is_valid(body, described), body
        if done == ["abort"]:
            assert b'"abort"' in body  # an abort is heard in bytes, too, that are no proper JSON
            counts["aborts"] += 1
    tell(
        "mutations",
        f"{MUTATIONS:,} mutated and malformed messages at the dispatcher",
        [
            *(Row(kind, f"{count:,}") for kind, count in sorted(counts.items()) if kind != "InternalError"),
            Row("InternalError", str(counts["InternalError"]), "0"),
        ],
    )
    assert counts["InternalError"] == 0
    assert (
        json.loads(dispatcher.answer(b"c", b'{"v": 1, "id": "last", "cmd": "status"}') or b"{}")["ok"] is True
    )


def test_over_a_socket_the_service_answers_after_all_of_them():
    carried_out: list[dict[str, Any]] = []
    commands = [
        Command("set", SetArgs, lambda args: carried_out.append(args) or args),
        Command("ping", NoArgs, lambda _: {}),
    ]
    dice = random.Random(7)
    with (
        Service("tcp://127.0.0.1:*", commands) as service,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as dealer,
        Requester(service.address, timeout_s=20.0) as requester,
    ):
        dealer.linger, dealer.sndhwm, dealer.sndtimeo = 0, 100, 5000
        dealer.connect(service.address)
        for _ in range(min(MUTATIONS, 20_000)):
            dealer.send_multipart([mutated(dice) for _ in range(dice.choice([1, 1, 1, 2, 5]))])
        assert requester.request("ping") == {}
        assert requester.request("set", {"target_rate": 0.02})
    assert carried_out[-1]["target_rate"] == 0.02
