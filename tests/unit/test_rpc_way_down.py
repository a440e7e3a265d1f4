"""What only lowers the energy is not refused because others, or the same program, asked for too much else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.guard.requests import make_commands
from evapd.rpc import Dispatcher
from evapd.rpc.bucket import Buckets
from evapd.security.roles import Peer, Role

ANNA, BERT = Peer("anna", Role.OPERATE), Peer("bert", Role.OPERATE)
DOWN = [
    ("inhibit", {}), ("inhibit", {"on": True}), ("hold", {"on": True}), ("pause", {}), ("detector_off", {}),
    ("stage_stop", {}), ("run_end", {"reason": "the specimen is gone"}), ("abort", {}),
]  # fmt: skip
UP = [("inhibit", {"on": False}), ("hold", {"on": False}), ("resume", {}), ("set", {"target_rate": 0.01})]


class Guard:
    """Accepts everything and does nothing."""

    def __getattr__(self, _: str) -> Any:
        return lambda *args, **named: {"accepted": True}


class Bench:
    """The commands of the guard's socket behind its rate, or behind that of acquire's, at one moment."""

    def __init__(self, *, guard: bool) -> None:
        self.dispatcher = Dispatcher(
            make_commands(Guard()), buckets=Buckets(500.0, 500), lowering_waits=not guard, clock=lambda: 100.0
        )
        self.number = 0

    def kind(self, cmd: str, args: Any, peer: Peer = ANNA) -> str:
        self.number += 1
        body = json.dumps({"v": 1, "id": f"r{self.number}", "cmd": cmd, "args": args}).encode()
        reply = json.loads(self.dispatcher.answer(b"c", body, peer) or b"{}")
        return "" if reply["ok"] else str(reply["error"]["kind"])

    def flood(self, cmd: str, args: Any, times: int = 600) -> None:
        kinds = [self.kind(cmd, args) for _ in range(times)]
        assert kinds[-1] == "RateLimited"


@pytest.mark.parametrize(("cmd", "args"), DOWN, ids=str)
def test_the_guard_never_refuses_the_way_down_for_its_rate(cmd, args):
    bench = Bench(guard=True)
    bench.flood("resume", {})
    assert {bench.kind(cmd, args) for _ in range(1000)} == {""}


@pytest.mark.parametrize(("cmd", "args"), UP, ids=str)
def test_what_may_raise_the_energy_waits_at_the_guard_too(cmd, args):
    bench = Bench(guard=True)
    bench.flood("resume", {})
    assert bench.kind(cmd, args) == "RateLimited"


@pytest.mark.parametrize(("cmd", "args"), DOWN, ids=str)
def test_who_has_used_up_its_rate_can_still_go_down(cmd, args):
    bench = Bench(guard=False)
    bench.flood("resume", {})
    assert bench.kind(cmd, args) == ""


def test_elsewhere_a_flood_of_stops_is_refused_and_takes_nothing_from_others():
    bench = Bench(guard=False)
    bench.flood("pause", {})
    assert bench.kind("pause", {}, BERT) == ""
    assert bench.kind("resume", {}) == ""


@given(
    args=st.recursive(
        st.none() | st.booleans() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one)
    )
)
def test_wrong_arguments_are_no_way_round_the_rate(args):
    command = next(one for one in make_commands(Guard()) if one.name == "inhibit")
    assert command.surely_lowers(args) == (args in ({}, {"on": True}))


def test_thousands_of_keys_are_not_looked_through_before_the_rate():
    command = next(one for one in make_commands(Guard()) if one.name == "run_end")
    assert not command.surely_lowers({f"k{number}": 0 for number in range(10_000)})
