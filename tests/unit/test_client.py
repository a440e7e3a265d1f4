"""The client: commands, typed answers, iterators over the stream, and an abort that does not give up."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from evapd.blocks import Column
from evapd.client import Client, ClientKeys, RequestError, RequestTimeout, Status, abort_now
from evapd.config.layout import Layout
from evapd.errors import StreamError
from evapd.rpc import Args, Command, Service
from evapd.security.keys import Secret
from evapd.stream.frame import EVENT, HITS, LOOP
from support.stream_daemon import STATUS, Daemon
from support.stream_parts import make_hits, wait_for

KEYS = ClientKeys(*(2 * [zmq.curve_keypair()[0]]), Secret(zmq.curve_keypair()[1]))
NOBODY = "tcp://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon() as running:
        yield running


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    publisher = daemon.publisher
    with Client(daemon.service.address, publisher.address, publisher.replay_address, timeout_s=30) as made:
        yield made


class Reason(Args):
    reason: str = ""


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[list[str]]:
    """The guard's own socket in a rig's folder; gives the reasons of the aborts that it took."""
    taken: list[str] = []

    def take(args: dict[str, Any]) -> dict[str, Any]:
        taken.append(args["reason"])
        return {"energy_state": "ramping_down"}

    Layout(tmp_path).make()
    with Service(Layout(tmp_path).guard_ipc, [Command("abort", Reason, take)]):
        yield taken


def test_status_is_typed_and_keeps_keys_it_does_not_know(client):
    status = client.status()
    assert (status.run_state, status.guard.energy_state, status.devices["vacuum"].state) == (
        "running", "controlling", "unknown"
    )  # fmt: skip
    assert status.guard.model_extra == {"run_id": "x"}


def test_a_status_with_nothing_known_is_still_a_status():
    status = Status.read({"instance": "i", "run_state": "idle", "run": None, "guard": None})
    assert (status.guard, status.run, status.devices) == (None, None, {})


@pytest.mark.parametrize(
    "content", [{}, {"instance": "i"}, STATUS | {"hits": "many"}, STATUS | {"devices": [1]}]
)
def test_an_answer_that_is_not_a_status_is_a_stream_error(content):
    with pytest.raises(StreamError, match="not a Status"):
        Status.read(content)


def test_commands_arrive_with_their_arguments(client, daemon):
    client.start("W110", notes="first")
    client.set(target_rate=0.005)
    client.hold()
    client.note("tip looks blunt")
    client.stop("enough")
    assert daemon.calls == [
        ("start", {"name": "W110", "notes": "first"}),
        ("set", {"target_rate": 0.005, "hold": None}),
        ("hold", {"on": True}),
        ("note", {"text": "tip looks blunt"}),
        ("stop", {"reason": "enough"}),
    ]


def test_a_refused_command_says_why(client):
    with pytest.raises(RequestError, match="under way") as caught:
        client.start("second")
    assert caught.value.kind == "StateError"


def test_a_wrong_setting_is_refused_by_name(client):
    with pytest.raises(TypeError, match="target_rat"):
        client.set(target_rat=0.1)
    with pytest.raises(RequestError, match="target_rat"):
        client.request("set", target_rat=0.1)


def test_describe_lists_the_commands(client):
    described = client.describe()
    names = {command.name for command in described.commands}
    assert {"start", "stop", "abort", "set", "note", "status", "describe"} <= names
    assert "target_rate" in described["set"].args["properties"]


def test_hits_come_as_blocks_of_arrays(client, daemon):
    with client.hits(timeout_s=30) as blocks:
        daemon.publisher.publish(daemon.framer.hits(make_hits(100)))
        np.testing.assert_array_equal(next(blocks).tof_ps, make_hits(100).tof_ps)


def test_hits_are_subscribed_from_the_moment_the_iterator_exists(client, daemon):
    blocks = client.hits(timeout_s=30)
    for n in (1, 2, 3):
        daemon.publisher.publish(daemon.framer.hits(make_hits(n)))
    assert [next(blocks).n for _ in range(3)] == [1, 2, 3]


def test_an_iterator_ends_after_silence(client):
    assert list(client.hits(timeout_s=0.05)) == []


def test_loop_samples_come_as_columns_by_name(client, daemon):
    with client.loop(timeout_s=30) as samples:
        daemon.publisher.publish(daemon.framer.samples(LOOP, {Column("v_dc_v", "<f8", "V"): [1.0, 2.0]}))
        assert next(samples)["v_dc_v"].tolist() == [1.0, 2.0]


def test_messages_come_as_they_are(client, daemon):
    with client.messages([EVENT], timeout_s=30) as messages:
        daemon.publisher.publish(daemon.framer.document(EVENT, {"what": "x"}))
        assert next(messages).document == {"what": "x"}


def test_lost_frames_are_reported_also_after_the_iterator_is_closed(client, daemon, caplog):
    with client.hits(timeout_s=30) as blocks:
        for n in (1, 2, 3):
            frame = daemon.framer.hits(make_hits(n))
            if n != 2:  # numbered, but neither sent nor kept
                daemon.publisher.publish(frame)
        assert [next(blocks).n for _ in range(2)] == [1, 3]
    client.hits(timeout_s=30).close()
    assert client.lost_frames == 1
    assert f"1 frames of {HITS} lost" in caplog.text


def test_a_feed_that_is_not_read_for_a_while_misses_nothing_in_the_end():
    # 1000 frames of 27 kB: more than sockets and kernel keep, less than the daemon's memory of the past.
    with Daemon(budget_bytes=40_000_000) as daemon:
        publisher = daemon.publisher
        with (
            Client(
                daemon.service.address, publisher.address, publisher.replay_address, timeout_s=30
            ) as client,
            client.hits(timeout_s=30) as blocks,
        ):
            frames = [daemon.framer.hits(make_hits(1500, first_pulse=number)) for number in range(1000)]
            for frame in frames:
                publisher.publish(frame)
            wait_for(lambda: publisher.stats().frames == 1000, 30.0)
            first = [next(blocks).first_pulse for _ in range(200)]
            for _ in range(2):
                publisher.publish(daemon.framer.beat())  # as twice a second: tells what was lost at the end
            assert first + [next(blocks).first_pulse for _ in range(800)] == list(range(1000))
            assert blocks.counts.recovered[HITS] > 0
            assert client.lost_frames == 0


def test_a_client_finds_a_restarted_daemon(tmp_path):
    addresses = [f"ipc://{tmp_path}/{name}.ipc" for name in ("control", "stream", "replay")]
    with Client(*addresses, timeout_s=30) as client:
        with Daemon(*addresses):
            blocks = client.hits(timeout_s=30)
            assert client.status().instance == "first-start"
        with Daemon(*addresses, instance="second-start") as second:
            assert client.status().instance == "second-start"
            wait_for(lambda: blocks.receive(0.05) is None and blocks.counts.restarts, 30.0)
            second.publisher.publish(second.framer.hits(make_hits(7)))
            assert next(blocks).n == 7
            assert "restart" in [notice.kind for notice in blocks.notices()]


def test_without_a_daemon_a_command_and_a_feed_say_so():
    with Client(NOBODY, NOBODY, NOBODY, timeout_s=0.05) as client:
        with pytest.raises(RequestTimeout, match="is evapd running"):
            client.status()
        with pytest.raises(RequestTimeout, match="nobody streams"):
            client.hits()


def test_abort_goes_through_acquire_when_it_answers(client, daemon):
    assert client.abort("arc seen").via == "acquire"
    assert daemon.calls == [("abort", {"reason": "arc seen"})]


def test_abort_goes_straight_to_the_guard_when_acquire_is_gone(tmp_path, guard):
    with Client(NOBODY, NOBODY, guard=Layout(tmp_path).guard_ipc) as client:
        assert client.abort("arc seen").via == "guard"
    assert guard == ["arc seen"]


def test_abort_goes_straight_to_the_guard_when_acquire_refuses(tmp_path, guard):
    with (
        Service("tcp://127.0.0.1:*", []) as stupid,
        Client(stupid.address, guard=Layout(tmp_path).guard_ipc) as client,
    ):
        assert client.abort("arc seen").via == "guard"
    assert guard == ["arc seen"]


def test_a_client_learns_the_guards_address_from_the_status(tmp_path, guard):
    with (
        Daemon() as daemon,
        Client(daemon.service.address, daemon.publisher.address, timeout_s=30) as client,
    ):
        daemon.status = STATUS | {"guard_address": Layout(tmp_path).guard_ipc}
        client.status()
        daemon.service.stop()
        assert client.abort().via == "guard"


def test_the_guards_address_on_another_machine_is_no_address_here():
    far, near = (Client(control, keys=KEYS) for control in ("tcp://192.0.2.1:17604", "tcp://127.0.0.1:17604"))
    with far, near:
        for client in (far, near):
            script = client.__class__.status(client)
            next(script)
            with pytest.raises(StopIteration):
                script.send(STATUS | {"guard_address": "ipc:///run/guard.ipc"})
        assert (far._guard, near._guard) == (None, "ipc:///run/guard.ipc")


def test_an_abort_that_nobody_confirms_tells_the_operator_to_act():
    with Client(NOBODY) as client, pytest.raises(StreamError, match="by hand"):
        client.abort()


def test_the_command_line_aborts_through_the_guard_of_the_rigs_folder(tmp_path, guard):
    assert "through guard" in abort_now(NOBODY, tmp_path)
    assert guard == ["aborted from the command line"]


def test_the_command_line_abort_without_any_daemon_says_act_by_hand(tmp_path):
    with pytest.raises(StreamError, match="by hand"):
        abort_now(NOBODY, tmp_path / "nothing-here")
