"""Checks of `make_safe`: from every state, through every fault, and never as if it had gone through when it has not."""

from collections.abc import Callable
from functools import partial
from typing import Any

from evapd.device.conformance.bench import Bench, eventually, must, outcome
from evapd.device.conformance.cable import Fault
from evapd.device.conformance.check import check
from evapd.device.conformance.instrument import offers
from evapd.device.conformance.roles import energise
from evapd.errors import DeviceError, DeviceLost, DeviceRefused


@check(safety=True)
def make_safe_may_always_be_called(bench: Bench) -> None:
    """`make_safe` works on an instrument that is safe already, twice in a row, and after a reopening."""
    driver = bench.opened()
    for _ in range(2):
        result = bench.timed(driver.make_safe, "make_safe when all is safe")
        must(not isinstance(result, DeviceError), f"make_safe when all is safe gave {result!r}")
    driver.close()
    driver.open()
    driver.make_safe()


@check(safety=True, energy=True, wants=("energised",))
def make_safe_ends_the_energy(bench: Bench) -> None:
    """`make_safe` ends it from every state, readings confirm it, and it can be energised again afterwards."""
    for what, prepare in _states(bench):
        driver = bench.energised()
        prepare(driver)
        bench.cable.sent.clear()
        result = bench.timed(driver.make_safe, f"make_safe, {what},")
        must(not isinstance(result, DeviceError), f"make_safe, {what}, gave {result!r}")
        _is_safe(bench, driver, what)
        driver.close()


@check(safety=True, energy=True, over_bytes=True, wants=("energised",))
def make_safe_goes_through_a_bad_cable(bench: Bench) -> None:
    """Though no answer can be understood, `make_safe` sends all that is needed, within its deadline, and says that it failed."""
    for fault in (Fault.SILENT, Fault.GARBAGE, Fault.HALF, Fault.LATE):
        driver = bench.energised()
        bench.cable.fault = fault
        result = bench.timed(driver.make_safe, f"make_safe ({fault.name} cable)", timeouts=3)
        must(
            isinstance(result, DeviceError),
            f"make_safe returned as if all were well, though the cable is {fault.name}",
        )
        eventually(
            lambda: not bench.instrument.energised(),
            f"the instrument to be off after make_safe ({fault.name} cable): send everything, whatever is answered",
        )
        bench.reopened(driver)
        _is_safe(bench, driver, f"reopened after a {fault.name} cable")
        driver.close()
    for question in range(1, _questions(bench)):
        driver = bench.energised()
        bench.cable.break_at(Fault.SILENT, question)
        bench.timed(driver.make_safe, f"make_safe, silent from question {question} on,", timeouts=3)
        eventually(
            lambda: not bench.instrument.energised(),
            f"the instrument to be off after make_safe, silent from question {question} on",
        )
        bench.reopened(driver)
        driver.close()


@check(safety=True, energy=True, over_bytes=True, wants=("energised",))
def make_safe_says_when_it_is_lost(bench: Bench) -> None:
    """With the cable unplugged `make_safe` is `DeviceLost`; after it is back it goes through."""
    driver = bench.energised()
    bench.cable.fault = Fault.CUT
    result = outcome(driver.make_safe, "make_safe with the cable unplugged")
    must(isinstance(result, DeviceLost), f"make_safe with the cable unplugged gave {result!r}")
    bench.reopened(driver)
    driver.make_safe()
    _is_safe(bench, driver, "after the cable came back")


@check(safety=True, energy=True, wants=("energised",))
def make_safe_never_pretends(bench: Bench) -> None:
    """Where the instrument refuses, or stands in LOCAL, `make_safe` ends the energy all the same or is `DeviceRefused`."""
    for hinder in ("refuse", "local"):
        if not offers(bench.kind, hinder):
            continue
        with Bench(bench.kind) as other:
            driver = other.energised()
            getattr(other.instrument, hinder)()
            result = outcome(driver.make_safe, f"make_safe after {hinder}()")
            if result is None:
                _is_safe(other, driver, f"after {hinder}()")
            must(
                result is None or isinstance(result, DeviceRefused),
                f"make_safe after {hinder}() gave {result!r} where DeviceRefused is due",
            )


def _questions(bench: Bench) -> int:
    """How often `make_safe` sends something."""
    driver = bench.energised()
    driver.make_safe()
    driver.close()
    return len(bench.cable.sent)


def _states(bench: Bench) -> list[tuple[str, Callable[[Any], object]]]:
    """Give states to make safe from, each prepared on an energised instrument."""
    states: list[tuple[str, Callable[[Any], object]]] = [
        ("energised", lambda _: None),
        ("read meanwhile", lambda driver: driver.read()),
        ("energised twice", lambda driver: energise(driver, bench.instrument)),
        ("reopened", lambda driver: (driver.close(), driver.open())),
        ("opened again without a close", lambda driver: driver.open()),
        ("after silence", lambda driver: _silent_for_once(bench, driver)),
        ("safe already", lambda driver: driver.make_safe()),
    ]
    for place, (what, _) in enumerate(bench.settings_of(bench.driver())):
        states.append((f"after {what}", partial(bench.do_setting, place)))
    if offers(bench.kind, "trip"):
        states.append(("tripped", lambda _: bench.instrument.trip()))
    return states


def _silent_for_once(bench: Bench, driver: Any) -> None:
    if bench.speaks_bytes:
        bench.cable.fault = Fault.SILENT
        outcome(driver.read, "read in silence")
        bench.reopened(driver)


def _is_safe(bench: Bench, driver: Any, when: str) -> None:
    quiet = bench.role.quiet
    eventually(
        lambda: not bench.instrument.energised(),
        f"the instrument to be off after make_safe ({when})",
    )
    if quiet is not None:
        eventually(lambda: quiet(driver.read()), f"a reading that says so after make_safe ({when})")
