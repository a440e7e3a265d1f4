"""Checks of settings and switches: limits, reading back, refusals, LOCAL, trips."""

import math
from functools import partial
from typing import Any

from evapd.device.conformance.bench import Bench, eventually, fails, must, outcome, refused
from evapd.device.conformance.check import check
from evapd.device.conformance.instrument import Setpoint
from evapd.device.conformance.roles import SETTABLE, Shows
from evapd.device.protocols import HighVoltageSupply, Laser, PulseAmplitude, Pulser
from evapd.errors import DeviceError, DeviceRefused


@check(safety=True, protocols=SETTABLE)
def limits_are_refused_before_a_byte_is_sent(bench: Bench) -> None:
    """A value outside the limits, or that is no number, is a `LimitError`, and nothing is sent."""
    driver = bench.opened()
    for setpoint in bench.kind.setpoints:
        for value in _bad(setpoint):
            what = f"{setpoint.method}({', '.join(map(repr, (*setpoint.lead, value)))})"
            refused(partial(assign, driver, setpoint, value), what)
            must(not bench.cable.sent, f"{what} sent {bench.cable.sent!r} before it was refused")
    if bench.role.quiet is not None:
        must(not bench.instrument.energised(), "a refused value energised the instrument")


@check(protocols=SETTABLE)
def what_is_set_is_read_back(bench: Bench) -> None:
    """Every setting is taken over and shows in the readings, each value in turn, and still after a reopening."""
    driver = bench.opened()
    for setpoint in bench.kind.setpoints:
        for value in setpoint.good:
            assign(driver, setpoint, value)
            shown(bench, driver, setpoint, value)
    driver.close()
    driver.open()
    for setpoint in bench.kind.setpoints:
        if setpoint.good:
            shown(bench, driver, setpoint, setpoint.good[-1])


@check(safety=True, protocols=(HighVoltageSupply, Pulser, Laser))
def switches_are_read_back(bench: Bench) -> None:
    """What is switched on and off says so in the readings, and the instrument agrees."""
    driver = bench.opened()
    for name, shows in bench.role.switches.items():
        for on in (True, False, False, True):
            getattr(driver, name)(on)
            eventually(
                partial(_says, driver, shows, on),
                f"a reading that says {on} after {name}({on})",
            )
    driver.make_safe()
    eventually(lambda: not bench.instrument.energised(), "the instrument to be off after make_safe")


@check(safety=True, wants=("refuse",))
def a_refusal_is_told(bench: Bench) -> None:
    """What the instrument refuses, or silently does not do, is `DeviceRefused`, and the link stays open."""
    driver = bench.opened()
    calls = bench.settings_of(driver) or [("asking", lambda: bench.role.ask(driver))]
    bench.instrument.refuse()
    results = [(what, outcome(call, f"{what}, refused")) for what, call in calls]
    for what, result in results:
        must(
            result is None or isinstance(result, DeviceRefused),
            f"{what}, refused by the instrument, gave {result!r} where DeviceRefused is due",
        )
    must(
        any(isinstance(result, DeviceRefused) for _, result in results),
        f"none of {', '.join(what for what, _ in results)} told that the instrument refused",
    )


@check(safety=True, protocols=(HighVoltageSupply, PulseAmplitude), wants=("local",))
def local_mode_refuses(bench: Bench) -> None:
    """In LOCAL every setting that energises is `DeviceRefused`, and nothing is energised."""
    driver = bench.opened()
    bench.instrument.local()
    for what, call in bench.settings_of(driver):
        fails(call, f"{what} in LOCAL", DeviceRefused)
    must(not bench.instrument.energised(), "the instrument was energised in LOCAL")
    reading = outcome(driver.read, "read in LOCAL")
    must(not isinstance(reading, DeviceError), f"read in LOCAL gave {reading!r}: reading is always allowed")
    must(getattr(reading, "remote", None) is not True, "the reading says remote in LOCAL")


@check(safety=True, protocols=(HighVoltageSupply, PulseAmplitude), wants=("trip",))
def a_trip_is_told(bench: Bench) -> None:
    """After a trip no reading says that the output is on, and none denies the trip."""
    driver = bench.energised()
    bench.instrument.trip()
    eventually(lambda: driver.read().output_on is not True, "a reading that does not say on after a trip")
    reading = driver.read()
    must(getattr(reading, "tripped", None) is not False, f"{reading!r} says that nothing tripped")
    must(not bench.instrument.energised(), "reading switched the output on again after a trip")


def assign(driver: Any, setpoint: Setpoint, value: float | bool) -> None:  # noqa: FBT001 - a value to be set
    """Set one value."""
    getattr(driver, setpoint.method)(*setpoint.lead, value)


def _says(driver: Any, shows: Shows, on: bool) -> bool:  # noqa: FBT001 - a value to be read
    return shows(driver.read()) in {on, None}


def _bad(setpoint: Setpoint) -> list[float | bool]:
    reals = [value for value in (*setpoint.good, *setpoint.bad) if not isinstance(value, bool)]
    return [*setpoint.bad, *((math.nan, math.inf, -math.inf) if reals else ())]


def shown(bench: Bench, driver: Any, setpoint: Setpoint, value: float | bool) -> None:  # noqa: FBT001 - a value to be set
    """Require that readings show a value before long, where they show it at all."""
    shows = bench.role.shows[setpoint.method]
    if shows is None:
        return

    def agrees() -> bool:
        found = shows(driver.read(), *setpoint.lead)
        return found is not None and abs(found - value) <= setpoint.tolerance

    eventually(agrees, f"a reading that shows {setpoint.method} {value!r} within {setpoint.tolerance:g}")
