"""Supervision in virtual time: what one device worker does, step by step."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.device import DeviceState, DeviceWorker, Identity, Reading
from evapd.device.commands import CommandQueue
from evapd.errors import DeviceLost, DeviceRefused, DeviceTimeout, LimitError
from support.supervised import IDENTITY, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def online() -> Bench:
    return Bench.online()


def test_before_the_first_step_nothing_is_opened(bench: Bench) -> None:
    snapshot = bench.worker.latest()
    assert (bench.supply.calls, snapshot.state, snapshot.reading, snapshot.age_s) == (
        [],
        DeviceState.CONNECTING,
        None,
        None,
    )


def test_a_device_is_online_with_its_first_reading(bench: Bench) -> None:
    bench.step()
    snapshot = bench.worker.latest()
    assert (snapshot.state, snapshot.identity, snapshot.age_s) == (DeviceState.ONLINE, IDENTITY, 0.0)
    assert bench.events == [("online", "FuG HCP 350-12500 s/n 4711 answers")]


def test_readings_keep_to_the_grid_of_the_period(online: Bench) -> None:
    online.supply.takes_s = 0.03
    online.run(10.0)
    assert 98 <= online.supply.calls.count("read") <= 101


def test_a_reading_that_grows_old_makes_the_state_unknown_though_no_step_returns(online: Bench) -> None:
    online.supply.now_s += 2.0
    snapshot = online.worker.latest()
    assert (snapshot.state, snapshot.age_s, snapshot.reading) == (
        DeviceState.UNKNOWN,
        2.0,
        Reading(t_mono_s=100.0),
    )


def test_a_device_that_never_answered_becomes_unknown(bench: Bench) -> None:
    bench.supply.failing["open"] = DeviceLost("no such port")
    bench.run(2.5)
    assert bench.worker.latest().state is DeviceState.UNKNOWN


def test_commands_run_in_order_of_first_arrival_and_the_newest_per_key_wins(online: Bench) -> None:
    for key, what in [("voltage", "1000 V"), ("slew", "50 V/s"), ("voltage", "1001 V")]:
        assert online.worker.command(key, online.supply.command(what))
    online.step()
    assert online.supply.calls == ["1001 V", "50 V/s", "read"]


def test_safe_overtakes_and_cancels_what_waits(online: Bench) -> None:
    online.worker.command("voltage", online.supply.command("1000 V"))
    online.worker.safe()
    online.step()
    assert online.supply.calls == ["make_safe", "read"]
    assert online.worker.safe_done()
    assert online.kinds() == ["cancelled", "safe"]


def test_safe_comes_before_the_next_command_of_the_same_batch(online: Bench) -> None:
    online.worker.command("voltage", online.worker.safe)
    online.worker.command("slew", online.supply.command("slew"))
    online.step()
    assert online.supply.calls == ["make_safe", "read"]


def test_what_is_commanded_after_safe_follows_it(online: Bench) -> None:
    online.worker.safe()
    online.worker.command("output", online.supply.command("output off"))
    online.step()
    assert online.supply.calls == ["make_safe", "output off", "read"]


def test_safe_is_not_done_before_it_was_asked_nor_while_it_waits(online: Bench) -> None:
    assert not online.worker.safe_done()
    online.worker.safe()
    assert not online.worker.safe_done()


def test_a_failed_make_safe_is_sent_again_first_thing_after_reopening(online: Bench) -> None:
    online.supply.failing["make_safe"] = DeviceTimeout("no reply")
    online.worker.safe()
    online.step()
    del online.supply.failing["make_safe"]
    online.run(0.15)
    assert online.supply.calls[:5] == ["make_safe", "close", "open", "make_safe", "read"]
    assert online.worker.safe_done()


def test_safe_does_not_wait_for_the_pause_between_two_attempts(bench: Bench) -> None:
    bench.supply.failing["open"] = DeviceLost("no such port")
    bench.run(10.0)
    del bench.supply.failing["open"]
    bench.worker.safe()
    bench.step()
    assert bench.supply.since("close") == ["open", "make_safe", "read"]


def test_a_refused_make_safe_keeps_the_link_and_is_repeated_each_period(online: Bench) -> None:
    online.supply.failing["make_safe"] = DeviceRefused("local mode")
    online.worker.safe()
    online.step()
    online.step(0.1)
    assert online.supply.calls == ["make_safe", "read", "make_safe", "read"]
    assert not online.worker.safe_done()


@pytest.mark.parametrize("error", [LimitError("9 kV"), DeviceRefused("interlock open")])
def test_a_refused_command_is_reported_and_keeps_the_link(online: Bench, error: Exception) -> None:
    online.supply.failing["9 kV"] = error
    online.worker.command("voltage", online.supply.command("9 kV"))
    online.step()
    assert online.events == [("refused", f"voltage: {error}")]
    assert (online.supply.calls, online.worker.latest().state) == (["9 kV", "read"], DeviceState.ONLINE)


def test_a_receiver_of_events_that_fails_costs_nothing(online: Bench) -> None:
    def refuse(name: str, kind: str, message: str) -> None:
        raise RuntimeError(name, kind, message)

    worker = DeviceWorker("x", online.supply, period_s=0.1, stale_s=2.0, clock=lambda: 100.0, on_event=refuse)
    worker.step()
    assert worker.latest().state is DeviceState.ONLINE


def test_the_time_of_a_command_includes_the_reading_behind_it(online: Bench) -> None:
    online.supply.takes_s = 0.02
    online.worker.command("voltage", online.supply.command("1000 V"))
    online.step()
    snapshot = online.worker.latest()
    assert snapshot.last_command_s == pytest.approx(0.04)
    assert snapshot.longest_command_s == pytest.approx(0.04)


def test_wake_reads_before_the_period_is_over(online: Bench) -> None:
    online.step(0.01)
    assert online.supply.calls == []
    online.worker.wake()
    online.step()
    assert online.supply.calls == ["read"]


def test_a_reading_from_the_future_does_not_stay_fresh_for_longer(online: Bench) -> None:
    online.supply.read = lambda: Reading(t_mono_s=1e9)  # type: ignore[method-assign]
    online.step(0.1)
    online.supply.now_s += 2.0
    assert online.worker.latest().state is DeviceState.UNKNOWN


_ACTION = st.sampled_from(["command", "safe", "step", "fail", "heal", "swap"])


@settings(max_examples=200, deadline=None)
@given(st.lists(_ACTION, max_size=40))
def test_no_history_lets_a_command_overtake_safe_or_cross_a_reopening(actions: list[str]) -> None:
    bench = Bench()
    for number, action in enumerate(actions):
        match action:
            case "command":
                bench.worker.command("voltage", bench.supply.command(f"V{number}"))
            case "safe":
                bench.worker.safe()
            case "fail":
                bench.supply.failing["read"] = DeviceTimeout("silence")
            case "heal":
                bench.supply.failing.clear()
            case "swap":
                bench.supply.identity = Identity(vendor="x", model="y", serial=str(number % 3))
            case "step":
                asked = bench.worker._queue.safe_waits
                before = len(bench.supply.calls)
                bench.step(0.1)
                new = bench.supply.calls[before:]
                commands = [call for call in new if call.startswith("V")]
                assert not commands or "open" not in new, "a command crossed a reopening"
                assert not (asked and commands) or new.index("make_safe") < new.index(commands[0])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers())))
def test_the_queue_gives_the_newest_call_of_each_key_once(puts: list[tuple[str, int]]) -> None:
    queue, ran = CommandQueue(), []
    for key, value in puts:
        queue.put(key, lambda value=value: ran.append(value))  # type: ignore[misc]
    while (taken := queue.take()) is not None:
        taken[1]()
    assert ran == list(dict(puts).values())
