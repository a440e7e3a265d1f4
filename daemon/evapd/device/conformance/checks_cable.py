"""Checks with a faulty cable: silence, noise, half, late, doubled and dribbling replies, echoes, wrong speed, unplugged."""

from collections.abc import Callable
from functools import partial
from typing import Any

from evapd.config.descriptor import SerialDescriptor, parse_descriptor
from evapd.device.conformance.bench import Bench, Nonconformance, fails, must, outcome
from evapd.device.conformance.cable import Fault
from evapd.device.conformance.check import check
from evapd.device.conformance.checks_setting import assign, shown
from evapd.device.conformance.instrument import offers
from evapd.device.conformance.roles import SETTABLE
from evapd.device.protocols import HighVoltageSupply, PulseAmplitude
from evapd.errors import DeviceError, DeviceLost, DeviceTimeout

_ROUNDS = 3
_NOISY_S = 0.2  # a real deadline: noise of a wrong speed does not end by itself


@check(safety=True, over_bytes=True)
def silence_is_a_timeout(bench: Bench) -> None:
    """An instrument that does not answer is a `DeviceTimeout`, of every call, within its deadline; then it opens again."""
    for what, call in _calls(bench):
        driver = bench.opened()
        bench.cable.fault = Fault.SILENT
        result = bench.timed(partial(call, driver), f"{what} in silence")
        must(
            isinstance(result, DeviceTimeout), f"{what} in silence gave {result!r} where DeviceTimeout is due"
        )
        bench.reopened(driver)
        driver.close()
    _at_every_question(bench, Fault.SILENT)


@check(safety=True, over_bytes=True)
def dribbling_bytes_do_not_stretch_a_deadline(bench: Bench) -> None:
    """A deadline covers the whole answer, however many bytes dribble in."""
    driver = bench.opened()
    bench.cable.fault = Fault.DRIP
    for what, call in (("asking", bench.role.ask), ("open", lambda driver: driver.open())):
        result = bench.timed(partial(call, driver), f"{what} while bytes dribble in")
        must(isinstance(result, DeviceError), f"{what} while bytes dribble in gave {result!r}")
    bench.reopened(driver)


@check(safety=True, over_bytes=True)
def garbage_is_never_a_reading(bench: Bench) -> None:
    """Noise in place of replies is an error of every call that needs a reply, and the link recovers."""
    _spoilt(bench, Fault.GARBAGE, "noise in place of replies")


@check(safety=True, over_bytes=True)
def half_a_reply_is_never_a_reading(bench: Bench) -> None:
    """A reply that is cut off is an error, and the link recovers."""
    _spoilt(bench, Fault.HALF, "only half of each reply")


@check(safety=True, over_bytes=True)
def a_late_reply_answers_nothing(bench: Bench) -> None:
    """What comes after its deadline never answers the next question."""
    for _ in range(_ROUNDS):
        driver = bench.opened()
        bench.cable.fault = Fault.LATE
        fails(partial(bench.role.ask, driver), "asking with late replies", DeviceTimeout)
        shows = bench.instrument.alter() if offers(bench.kind, "alter") else None
        bench.reopened(driver)
        _still_true(bench, driver, shows, "after late replies")
        driver.close()


@check(safety=True, protocols=SETTABLE, over_bytes=True)
def a_late_acknowledgement_confirms_nothing(bench: Bench) -> None:
    """A setting whose answer is late is a `DeviceTimeout`, and its answer does not confirm the next setting."""
    for setpoint in bench.kind.setpoints:
        if len(setpoint.good) > 1:
            driver = bench.opened()
            bench.cable.fault = Fault.LATE
            late = partial(assign, driver, setpoint, setpoint.good[-1])
            fails(late, f"{setpoint.method} with late replies", DeviceTimeout)
            bench.reopened(driver)
            assign(driver, setpoint, setpoint.good[0])
            shown(bench, driver, setpoint, setpoint.good[0])
            driver.close()


@check(safety=True, over_bytes=True)
def a_doubled_reply_is_an_error_or_the_truth(bench: Bench) -> None:
    """A reply that comes twice never answers the next question."""
    _echoed(bench, Fault.DOUBLED, "every reply comes twice")


@check(safety=True, over_bytes=True)
def an_echo_is_an_error_or_the_truth(bench: Bench) -> None:
    """What the driver sent itself is never a reply."""
    _echoed(bench, Fault.ECHO, "what is sent comes back")


@check(safety=True, over_bytes=True, when="echoes")
def a_wrong_echo_is_an_error(bench: Bench) -> None:
    """Where an instrument echoes, an echo with one wrong bit is an error: it may have understood another number."""
    driver = bench.opened()
    bench.cable.fault = Fault.FLIPPED
    for what, call in [("read", driver.read), *bench.settings_of(driver)]:
        fails(call, f"{what} with a wrong echo", DeviceError)
        bench.reopened(driver)
        bench.cable.fault = Fault.FLIPPED


@check(over_bytes=True)
def a_wrong_baud_rate_never_opens(bench: Bench) -> None:
    """At a wrong baud rate `open` fails within its deadline, and at the right one it opens; or serial ports are refused."""
    if not bench.kind.serial_port:
        try:
            bench.driver(connect="serial:/dev/ttyS0:9600-8N1")
        except ValueError:
            return
        raise Nonconformance(
            f"{bench.kind.__name__} takes serial: descriptors: set serial_port and serve a pseudo-terminal"
        )
    right = bench.start_serial()
    port = parse_descriptor(right)
    if not isinstance(port, SerialDescriptor):
        raise Nonconformance(
            f"{bench.kind.__name__}.start('pty:...') gave {right}, a serial: descriptor is due"
        )
    for baud in (port.baud // 2, 2 * port.baud):
        driver = bench.driver(connect=f"serial:{port.path}:{baud}-8N1", timeout_s=_NOISY_S)
        result = outcome(driver.open, f"open at {baud} instead of {port.baud} baud")
        must(isinstance(result, DeviceError), f"open at {baud} instead of {port.baud} baud gave {result!r}")
    bench.reopened(bench.driver(connect=right)).read()


@check(safety=True, over_bytes=True)
def unplugged_is_lost(bench: Bench) -> None:
    """An unplugged cable is `DeviceLost`, of every call, and the driver opens again when it is back."""
    for what, call in _calls(bench):
        driver = bench.opened()
        bench.cable.fault = Fault.CUT
        fails(partial(call, driver), f"{what} with the cable unplugged", DeviceLost)
        fails(partial(bench.role.ask, driver), f"asking after {what} was lost", DeviceLost)
        bench.reopened(driver)
        bench.role.ask(driver)
        driver.close()


def _calls(bench: Bench) -> list[tuple[str, Callable[[Any], Any]]]:
    """Give every call that needs an answer, with its name."""
    calls: list[tuple[str, Callable[[Any], Any]]] = [
        ("open", lambda driver: driver.open()),
        ("asking", bench.role.ask),
    ]
    for place, (what, _) in enumerate(bench.settings_of(bench.driver())):
        calls.append((what, partial(bench.do_setting, place)))
    return calls


def _spoilt(bench: Bench, fault: Fault, how: str) -> None:
    driver = bench.opened()
    for what, call in _calls(bench):
        for _ in range(_ROUNDS if what in {"open", "asking"} else 1):
            bench.cable.fault = fault
            result = bench.timed(partial(call, driver), f"{what} with {how}")
            must(isinstance(result, DeviceError), f"{what} with {how} gave {result!r} where an error is due")
            bench.reopened(driver)
    _still_true(bench, driver, None, f"after {how}")
    driver.close()
    _at_every_question(bench, fault)


def _at_every_question(bench: Bench, fault: Fault) -> None:
    """Let the fault begin in the middle of what is asked, at each question in turn."""
    driver = bench.opened()
    bench.role.ask(driver)
    for question in range(len(bench.cable.sent)):
        bench.cable.break_at(fault, question)
        result = bench.timed(
            partial(bench.role.ask, driver), f"asking, {fault.name} from question {question} on,"
        )
        must(
            isinstance(result, DeviceTimeout if fault is Fault.SILENT else DeviceError),
            f"asking, {fault.name} from question {question} on, gave {result!r} where an error is due",
        )
        bench.reopened(driver)


def _echoed(bench: Bench, fault: Fault, how: str) -> None:
    driver = bench.opened()
    for _ in range(_ROUNDS):
        bench.cable.fault = fault
        shows = bench.instrument.alter() if offers(bench.kind, "alter") else None
        result = outcome(lambda: bench.role.ask(driver), f"asking when {how}")
        if isinstance(result, DeviceError):
            bench.reopened(driver)
        elif shows is not None:
            _still_true(bench, driver, shows, f"when {how}")
    bench.reopened(driver)
    _still_true(bench, driver, None, f"after the time when {how}")
    if bench.kind.driver.protocol in {HighVoltageSupply, PulseAmplitude}:
        must(not bench.instrument.energised(), f"the instrument was energised by a mere question when {how}")


def _still_true(bench: Bench, driver: Any, shows: Callable[[Any], bool] | None, when: str) -> None:
    """Ask once more; where the truth is known, what is read must be it."""
    if shows is None:
        result = outcome(partial(bench.role.ask, driver), f"asking {when}")
        must(not isinstance(result, DeviceError), f"asking {when} gave {result!r}")
        return
    for _ in range(_ROUNDS):
        reading = outcome(driver.read, f"read {when}")
        if isinstance(reading, DeviceError):
            bench.reopened(driver)
        else:
            must(
                shows(reading), f"{reading!r} is not what is true, {when}: a reply answered another question"
            )
            return
    raise Nonconformance(f"read fails {_ROUNDS} times {when}")
