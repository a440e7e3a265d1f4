"""Checks of every driver: what it is, opening, reading, closing."""

import math
from dataclasses import fields, is_dataclass
from typing import Any

from evapd.device.conformance.bench import Bench, fails, must, outcome
from evapd.device.conformance.check import check
from evapd.device.conformance.instrument import offers
from evapd.device.conformance.leaks import open_files, threads
from evapd.device.conformance.roles import ROLES, SOURCES
from evapd.device.protocols import DriverConfig
from evapd.device.readings import Identity, Reading
from evapd.errors import DeviceError, DeviceIdentityError, DeviceLost


@check(safety=True)
def constructor_touches_nothing(bench: Bench) -> None:
    """A constructor opens nothing, sends nothing and starts nothing."""
    address = bench.address
    before = open_files(), threads()
    bench.driver(connect=address)
    must(bench.cable.opened == 0, "the constructor opened its transport: that belongs into open()")
    must((open_files(), threads()) == before, "the constructor opened a file or started a thread")


@check(safety=True)
def fulfils_its_protocol(bench: Bench) -> None:
    """The class has every method of its Protocol, and a `Config` that is a `DriverConfig`."""
    driver = bench.kind.driver
    must(
        isinstance(bench.driver(), driver.protocol),
        f"{driver.__name__} lacks a method of {driver.protocol.__name__}, which it says to be",
    )
    must(issubclass(driver.Config, DriverConfig), f"{driver.__name__}.Config is no evapd.device.DriverConfig")
    missing = set(bench.role.shows) - {setpoint.method for setpoint in bench.kind.setpoints}
    must(not missing, f"{bench.kind.__name__}.setpoints says nothing of {', '.join(sorted(missing))}")


@check()
def open_says_who_answers(bench: Bench) -> None:
    """`open` gives vendor and model, the same at every open, with the serial number where one is told."""
    driver = bench.driver()
    first = driver.open()
    must(isinstance(first, Identity), f"open gave {first!r} where an Identity is due")
    must(first.vendor and first.model, f"{first!r} names no vendor or no model")
    driver.close()
    again = driver.open()
    must(again == first, f"the same instrument is {first!r} and then {again!r}")
    if bench.kind.serial is not None:
        must(
            first.serial == bench.kind.serial, f"serial number {first.serial!r}, it is {bench.kind.serial!r}"
        )


@check(safety=True, energy=True, wants=("energised",))
def open_never_energises(bench: Bench) -> None:
    """`open`, `read` and `close` leave an instrument that is off as it is."""
    driver = bench.driver()
    must(not bench.instrument.energised(), f"{bench.kind.__name__} is energised when it starts")
    for step in (driver.open, driver.read, driver.close, driver.open, driver.read):
        step()
        must(not bench.instrument.energised(), f"{step.__name__}() energised the instrument")


@check()
def readings_carry_their_time(bench: Bench) -> None:
    """A reading is its Protocol's, of finite numbers, and carries the time at which it was asked for."""
    driver = bench.opened()
    began_s = bench.clock()
    first = driver.read()
    must(
        isinstance(first, bench.role.reading),
        f"read gave {first!r} where a {bench.role.reading.__name__} is due",
    )
    well_formed(first)
    asks = bench.role.shows or bench.role.quiet is not None
    second = driver.read()
    must(second.t_mono_s >= first.t_mono_s, "the second reading is older than the first")
    must(second.t_mono_s <= bench.clock(), "a reading comes from the future: stamp it with the clock given")
    if asks:
        must(
            first.t_mono_s >= began_s, f"a reading is {began_s - first.t_mono_s:g} s older than its question"
        )
        must(second.t_mono_s > first.t_mono_s, "two readings carry the same time")


@check(protocols=tuple(known for known in ROLES if known not in SOURCES), wants=("alter",))
def readings_follow_the_instrument(bench: Bench) -> None:
    """What changes at the instrument is in the next readings: nothing is remembered instead of asked."""
    driver = bench.opened()
    shows = bench.instrument.alter()
    reading = driver.read()
    must(shows(reading), f"{reading!r} does not show what has changed at the instrument")


@check(safety=True)
def close_is_idempotent(bench: Bench) -> None:
    """`close` may be called at any time and any number of times, and never raises."""
    driver = bench.driver()
    for step in (driver.close, driver.open, driver.close, driver.close, driver.open, driver.close):
        result = outcome(step, f"{step.__name__}()")
        must(not isinstance(result, DeviceError), f"{step.__name__}() raised {result!r}")


@check(safety=True)
def a_closed_link_is_lost(bench: Bench) -> None:
    """Before `open` and after `close` every call that asks or sets raises `DeviceLost`, and `make_safe` where there is energy to end."""
    driver = bench.driver()
    for when in ("before open", "after close"):
        for what, call in bench.settings_of(driver):
            fails(call, f"{what} {when}", DeviceLost)
        if bench.role.quiet is not None:
            fails(driver.make_safe, f"make_safe {when}", DeviceLost)
        fails(driver.read, f"read {when}", DeviceLost)
        fails(lambda: bench.role.ask(driver), f"asking {when}", DeviceLost)
        driver.open()
        driver.close()


@check(safety=True)
def another_unit_is_refused(bench: Bench) -> None:
    """A unit that the settings do not name is refused at open and at every reconnect; where none can be told, none can be named."""
    kind = bench.kind
    named = dict(kind.named) or ({"serial_number": kind.serial} if kind.serial else {})
    misnamed = dict(kind.misnamed) or {"serial_number": "not-this-one"}
    try:
        other = bench.driver(**misnamed)
    except ValueError as error:
        must(
            not named,
            f"the settings refuse {misnamed} ({error}), though the instrument tells which unit it is",
        )
        return
    _refused(bench, other, f"open with {misnamed} in the settings")
    if named:
        must(
            offers(kind, "renumber"),
            f"{kind.__name__} offers no renumber(), though it tells which unit it is",
        )
        driver = bench.driver(**named)
        driver.open()
        driver.close()
        bench.instrument.renumber()
        _refused(bench, driver, "open after another unit took the place of the first")


def _refused(bench: Bench, driver: Any, what: str) -> None:
    fails(driver.open, what, DeviceIdentityError)
    fails(lambda: bench.role.ask(driver), f"asking after the refused {what}", DeviceLost)


def well_formed(reading: Any) -> None:
    """Require a reading without nan and infinities, also within its tables."""
    must(isinstance(reading, Reading), f"{reading!r} is no reading")
    for name, value in _numbers(reading):
        must(math.isfinite(value), f"{name} is {value}: what an instrument cannot tell is None")


def _numbers(value: Any, name: str = "reading") -> list[tuple[str, float]]:
    if isinstance(value, float):
        return [(name, value)]
    if is_dataclass(value):
        return [one for each in fields(value) for one in _numbers(getattr(value, each.name), each.name)]
    if isinstance(value, dict):
        return [one for key, each in value.items() for one in _numbers(each, f"{name}[{key!r}]")]
    return []
