"""Who is at the other end of a cable? Every driver's own identification is asked, and nothing else is ever sent.

A driver takes part by a static method `identify(link) -> Identity`: the question with which its `open` begins, which changes nothing
in any instrument that its maker knows of, and the check of the answer. Some instruments of other makers may still dislike a question that
is not theirs (an error message, a line in their error queue); none is known that energises by one.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from evapd.config.check import PROTOCOLS_OF_ROLE
from evapd.config.descriptor import SerialDescriptor, parse_descriptor
from evapd.config.explain import schema_of, wanted_at
from evapd.config.plugins import INSTALLED, Plugins
from evapd.device.link import Link, TransportFactory
from evapd.device.opening import open_transport
from evapd.device.protocols import DriverConfig
from evapd.device.readings import Identity
from evapd.errors import ConfigError, DeviceBusy, DeviceError, DeviceLost, DeviceRefused

USUAL_LINES = ("9600-8N1", "115200-8N1", "57600-7O1", "38400-8N1", "19200-8N1", "57600-8N1", "921600-8N1")
_COMMON = {"connect", "timeout_s", "serial_number"}


@dataclass(frozen=True, slots=True)
class Found:
    """An instrument that a driver knows: the driver's name, who answered, the descriptor at which it did."""

    driver: str
    identity: Identity
    connect: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back to one question, or why nothing did: for the person who looks at an instrument that no driver knows."""

    connect: str
    question: bytes
    reply: bytes | None
    error: str = ""


class _Asking(Link):
    """Asks each question once, whoever wants to know: most drivers begin with the same one."""

    def __init__(self, config: DriverConfig, factory: TransportFactory, clock: Callable[[], float]) -> None:
        super().__init__(config, factory, clock)
        self.answers: dict[bytes, bytes | DeviceError] = {}
        self._stale = False

    def send(self, data: bytes) -> None:
        """Send on a fresh link where something failed before: a late answer must not answer the next question."""
        if self._stale:
            with self.opening():
                self._stale = False
        super().send(data)

    def failed(self) -> None:
        """Open afresh before the next question."""
        self._stale = True

    def ask(self, data: bytes) -> bytes:
        """Give the answer, asked now or earlier."""
        if data not in self.answers:
            try:
                self.answers[data] = super().ask(data)
            except DeviceError as error:
                self.failed()
                self.answers[data] = error
        answer = self.answers[data]
        if isinstance(answer, DeviceError):
            raise answer
        return answer


def lines_to_try(descriptor: str) -> tuple[str, ...]:
    """Give the descriptors to try: `serial:PATH` without a speed stands for the usual ones, everything else for itself.

    Raises:
        ConfigError: when it is no descriptor.
    """
    kind, _, path = descriptor.partition(":")
    if kind == "serial" and path:
        try:
            parse_descriptor(descriptor)
        except ConfigError:
            candidates = tuple(f"serial:{path}:{line}" for line in USUAL_LINES)
            if isinstance(parse_descriptor(candidates[0]), SerialDescriptor) and ":" not in path:
                return candidates
            raise
    return (str(parse_descriptor(descriptor)),)


def probe(
    descriptor: str,
    *,
    timeout_s: float = 0.5,
    plugins: Plugins = INSTALLED,
    transport_factory: TransportFactory = open_transport,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[list[Found], list[Answer]]:
    """Ask who is there, at the usual speeds of a serial line one after the other until somebody answers.

    Args:
        descriptor: as in a rig file; a serial one may do without its speed.
        timeout_s: for each answer.
        plugins: where drivers are looked up.
        transport_factory: opens the link.
        clock: monotonic time in s.

    Returns:
        Which drivers know the instrument, and every question with what came back.

    Raises:
        ConfigError: when `descriptor` is none.
        DeviceBusy: when another program owns the port: stop that daemon first.
        DeviceLost: when there is no such port, or nobody listens there.
    """
    answers: list[Answer] = []
    for connect in lines_to_try(descriptor):
        link = _Asking(DriverConfig(connect=connect, timeout_s=timeout_s), transport_factory, clock)
        with link.opening():
            pass
        try:
            found = list(_known(link, connect, plugins))
        finally:
            link.close()
        answers += [_told(connect, question, reply) for question, reply in link.answers.items()]
        if found:
            return found, answers
    return [], answers


def _known(link: _Asking, connect: str, plugins: Plugins) -> Iterator[Found]:
    for name in plugins.driver_names():
        identify = _identification(plugins, name)
        if identify is None:
            continue
        try:
            yield Found(name, identify(link), connect)
        except (DeviceBusy, DeviceLost):
            link.failed()  # it hung up on a question that it did not like; the next one may please it
        except DeviceRefused:
            pass  # a whole answer, of an instrument that does not know the question
        except DeviceError:
            link.failed()


def _identification(plugins: Plugins, name: str) -> Callable[[Link], Identity] | None:
    try:
        identify: Any = getattr(plugins.find_driver(name), "identify", None)
    except ConfigError:  # `evapd drivers` says why it cannot be used
        return None
    return identify if callable(identify) else None


def _told(connect: str, question: bytes, reply: bytes | DeviceError) -> Answer:
    if isinstance(reply, DeviceError):
        return Answer(connect, question, None, str(reply))
    return Answer(connect, question, reply)


def block(found: Found, name: str, plugins: Plugins = INSTALLED) -> str:
    """Give the lines to paste below `devices:` of a rig file; what only a person can know is left to be filled in.

    Args:
        found: who answered.
        name: of the device in the rig.
        plugins: where the driver is looked up.
    """
    driver = plugins.find_driver(found.driver)
    schema = schema_of(driver.Config)
    roles = [role for role, protocols in PROTOCOLS_OF_ROLE.items() if driver.protocol.__name__ in protocols]
    lines = [f"  {name}:  # {found.identity}", f"    driver: {found.driver}"]
    lines.append(
        f"    role: {roles[0]}" if len(roles) == 1 else f"    role:  # fill in: {' or '.join(roles)}"
    )
    lines += ["    settings:", f'      connect: "{found.connect}"']
    if found.identity.serial:
        lines.append(f'      serial_number: "{found.identity.serial}"')
    missing = [key for key in schema.get("required", []) if key not in _COMMON]
    lines += [f"      {key}:  # fill in: {wanted_at(schema, (key,))}" for key in missing]
    return "\n".join(lines)
