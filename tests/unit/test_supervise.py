"""Supervision in virtual time: what one device worker does, step by step."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.device import DeviceState, DeviceWorker, Identity, Reading
from evapd.device.commands import CommandQueue
from evapd.errors import DeviceLost, DeviceProtocolError, DeviceRefused, DeviceTimeout, LimitError

IDENTITY = Identity(vendor="FuG", model="HCP 350-12500", serial="4711")


@dataclass
class Supply:
    """A small driver: it does as told, and fails as the test says."""

    now_s: float = 100.0
    identity: Identity = IDENTITY
    calls: list[str] = field(default_factory=list)
    failing: dict[str, Exception] = field(default_factory=dict)
    takes_s: float = 0.0

    def do(self, what: str) -> None:
        self.calls.append(what)
        self.now_s += self.takes_s
        if what in self.failing:
            raise self.failing[what]

    def open(self) -> Identity:
        self.do("open")
        return self.identity

    def close(self) -> None:
        self.do("close")

    def read(self) -> Reading:
        self.do("read")
        return Reading(t_mono_s=self.now_s)

    def make_safe(self) -> None:
        self.do("make_safe")

    def command(self, what: str) -> Callable[[], None]:
        return lambda: self.do(what)

    def since(self, what: str) -> list[str]:
        """What was called after the last `what`."""
        return self.calls[len(self.calls) - self.calls[::-1].index(what) :]


@dataclass
class Bench:
    """A worker without its thread, on a clock that only the test moves."""

    supply: Supply = field(default_factory=Supply)
    events: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.worker = DeviceWorker(
            "specimen-supply",
            self.supply,
            period_s=0.1,
            stale_s=2.0,
            clock=lambda: self.supply.now_s,
            on_event=lambda _, kind, message: self.events.append((kind, message)),
        )

    def step(self, wait_s: float = 0.0) -> float:
        self.supply.now_s += wait_s
        return self.worker.step()

    def run(self, seconds: float) -> None:
        """Step as the thread would, for so long."""
        end_s = self.supply.now_s + seconds
        while self.supply.now_s < end_s:
            self.supply.now_s += max(1e-6, self.worker.step())

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def online() -> Bench:
    bench = Bench()
    bench.step()
    bench.supply.calls.clear()
    bench.events.clear()
    return bench


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


@pytest.mark.parametrize("error", [DeviceTimeout("silence"), DeviceProtocolError("noise"), DeviceLost("EOF")])
def test_after_a_broken_exchange_the_link_is_closed_before_anything_else_is_sent(
    online: Bench, error: Exception
) -> None:
    online.supply.failing["1000 V"] = error
    online.worker.command("voltage", online.supply.command("1000 V"))
    online.worker.command("slew", online.supply.command("slew"))
    online.step()
    assert online.supply.calls == ["1000 V", "close"]
    assert online.worker.latest().errors == {type(error).__name__: 1, "dropped": 1}
    assert online.kinds() == ["error", "dropped"]


def test_while_reconnecting_a_fresh_reading_is_not_yet_unknown_but_commands_are_dropped(
    online: Bench,
) -> None:
    online.supply.failing["read"] = DeviceTimeout("silence")
    online.step(0.1)
    assert online.worker.latest().state is DeviceState.CONNECTING
    assert not online.worker.command("voltage", online.supply.command("1000 V"))


def test_a_dropped_command_is_reported_once_per_outage_and_counted_always(online: Bench) -> None:
    online.supply.failing["read"] = DeviceTimeout("silence")
    online.step(0.1)
    for _ in range(5):
        online.worker.command("voltage", online.supply.command("1000 V"))
    assert online.kinds() == ["error", "dropped"]
    assert online.worker.latest().errors["dropped"] == 5


def test_a_command_dropped_in_an_outage_is_not_sent_after_it(online: Bench) -> None:
    online.supply.failing["read"] = DeviceTimeout("silence")
    online.step(0.1)
    online.worker.command("voltage", online.supply.command("1000 V"))
    del online.supply.failing["read"]
    online.run(1.0)
    assert "1000 V" not in online.supply.calls


def test_attempts_back_off_to_five_seconds(bench: Bench) -> None:
    bench.supply.failing["open"] = DeviceLost("no such port")
    waits_s = [bench.step(0.0)]
    for _ in range(8):
        waits_s.append(bench.step(waits_s[-1]))
    assert waits_s == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])


def test_a_link_that_lasts_begins_again_with_the_shortest_pause(bench: Bench) -> None:
    bench.supply.failing["open"] = DeviceLost("no such port")
    bench.run(20.0)
    del bench.supply.failing["open"]
    bench.run(15.0)
    bench.supply.failing["read"] = DeviceTimeout("silence")
    assert bench.step(0.1) == pytest.approx(0.1)


def test_a_link_that_fails_at_every_other_reading_backs_off(bench: Bench) -> None:
    bench.run(1.0)

    class Alternating(DeviceTimeout):
        pass

    for _ in range(8):
        bench.supply.failing["read"] = Alternating("silence")
        wait_s = bench.step(0.1)
        del bench.supply.failing["read"]
        bench.step(wait_s)
    assert wait_s > 2.0


def test_an_error_is_reported_once_until_it_changes(bench: Bench) -> None:
    bench.supply.failing["open"] = DeviceLost("no such port")
    bench.run(20.0)
    bench.supply.failing["open"] = DeviceLost("permission denied")
    bench.run(20.0)
    assert bench.events == [("error", "no such port"), ("error", "permission denied")]
    assert bench.worker.latest().last_error == "permission denied"


def test_an_error_that_comes_back_after_recovery_is_reported_again(online: Bench) -> None:
    for _ in range(2):
        online.supply.failing["read"] = DeviceTimeout("silence")
        online.step(0.1)
        del online.supply.failing["read"]
        online.run(2.0)
    assert online.kinds() == ["error", "online", "error", "online"]


@pytest.mark.parametrize("other", [
    Identity(vendor="FuG", model="HCP 350-12500", serial="4712"),
    Identity(vendor="FuG", model="MCP 140", serial="4711"),
])  # fmt: skip
def test_another_instrument_on_the_same_cable_is_told_nothing(online: Bench, other: Identity) -> None:
    online.supply.failing["read"] = DeviceLost("unplugged")
    online.step(0.1)
    del online.supply.failing["read"]
    online.supply.identity = other
    online.worker.safe()
    online.supply.calls.clear()
    online.run(20.0)
    assert set(online.supply.calls) == {"open", "close"}
    assert online.worker.latest().errors["DeviceIdentityError"] > 3


def test_another_instrument_makes_the_state_unknown_at_once(online: Bench) -> None:
    online.supply.failing["read"] = DeviceLost("unplugged")
    online.step(0.1)
    online.supply.identity = Identity(vendor="FuG", model="other", serial="1")
    online.step(0.1)
    assert online.worker.latest().state is DeviceState.UNKNOWN


def test_the_right_instrument_is_taken_back(online: Bench) -> None:
    online.supply.failing["open"] = online.supply.failing["read"] = DeviceLost("unplugged")
    online.run(5.0)
    online.supply.failing.clear()
    online.run(6.0)
    assert online.worker.latest().state is DeviceState.ONLINE


def test_a_bug_in_a_driver_is_a_fault_of_the_device_not_the_end_of_its_thread(online: Bench) -> None:
    online.supply.failing["read"] = ZeroDivisionError("division by zero")
    online.step(0.1)
    assert online.worker.latest().last_error.startswith(
        "ZeroDivisionError: division by zero; this is a fault"
    )
    online.supply.failing.clear()
    online.run(1.0)
    assert online.worker.latest().state is DeviceState.ONLINE


def test_a_driver_that_fails_to_close_is_reopened_all_the_same(online: Bench) -> None:
    online.supply.failing |= {"read": DeviceLost("gone"), "close": OSError("bad file descriptor")}
    online.step(0.1)
    online.supply.failing.clear()
    online.run(1.0)
    assert online.worker.latest().state is DeviceState.ONLINE
    assert online.worker.latest().errors == {"DeviceLost": 1, "OSError": 1}


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
