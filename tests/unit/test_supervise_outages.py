"""Supervision in virtual time: broken links, pauses between attempts, and who answers afterwards."""

import pytest

from evapd.device import DeviceState, Identity
from evapd.errors import DeviceLost, DeviceProtocolError, DeviceTimeout
from support.supervised import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def online() -> Bench:
    return Bench.online()


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
