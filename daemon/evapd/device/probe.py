"""Who is at the other end of a cable? Every driver's own identification is asked, and nothing else is ever sent.

A driver takes part by a static method `identify(link) -> Identity`: a question, mostly that with which its `open` begins, and the check
of the answer. It must change nothing in the driver's own instrument, **and be nothing that sets, moves or switches in anybody else's**:

- `*IDN?` (IEEE 488.2) is asked first, by all drivers that begin with it. Where one of them knows the instrument, nothing else is sent. Where the
  answer has the standard's four fields, it knows the standard, and nothing but questions of that form follow (`:DEV:SNUM?` of SmarAct).
- Then the questions of text protocols, which elsewhere are unknown words, refused or ignored: `$BD:00,CMD:MON,...` (CAEN), `?S902` (Edwards),
  `PNR` after ETX, and ENQ only behind an ACK (Pfeiffer), `VE?` and `1VE` (Newport), `ly_oxp2_dev_status` (NKT), and two that are framed
  and carry a checksum: SOH `Q51` (Glassman; not its `V56`, which in languages of one letter is a voltage or a speed of 56) and STX `28,` (Spellman).
  ETX and ENQ alone are questions for position and motion in the General Command Set of PI, and nothing elsewhere.
- Binary frames mean something else to every other binary instrument: some motor controllers take six bytes as a command, and zeros and ones in them as
  *all devices, go home*. So a driver of such a protocol has `binary_port`, the TCP port of its protocol, and is asked there, or at a unix socket, and never on
  a serial line or another port, behind which a serial server may stand: Modbus (502), ANC350 (2101). A tdc-stream has no port of its own: a unix socket only.
- Left out, because their only question is a command to others: `technix-sr` (`a1` and `E`: an acceleration of 1 in a motor's language), `tdk-genesys`
  (`ADR 6` chooses an address on a bus, and sets one in a gauge controller). Vendors' libraries and recorded data have no cable.

At a wrong speed an instrument hears noise; the usual speeds are tried from the most usual on, and none once somebody has answered.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from evapd.config.check import PROTOCOLS_OF_ROLE
from evapd.config.descriptor import SerialDescriptor, TcpDescriptor, UnixDescriptor, parse_descriptor
from evapd.config.explain import schema_of, wanted_at
from evapd.config.plugins import INSTALLED, Plugins
from evapd.device.link import Link, TransportFactory
from evapd.device.opening import open_transport
from evapd.device.protocols import DriverConfig
from evapd.device.readings import Identity
from evapd.errors import ConfigError, DeviceBusy, DeviceError, DeviceLost, DeviceRefused

USUAL_LINES = ("9600-8N1", "115200-8N1", "57600-7O1", "38400-8N1", "19200-8N1", "57600-8N1", "921600-8N1")
_STANDARD = re.compile(rb"\*IDN\?\s*")
_SCPI = re.compile(rb"[*:][A-Z]+(?::[A-Z]+)*\?\s*")
_ANY = re.compile(rb".*", re.DOTALL)
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


class _LaterError(Exception):
    """A question that is asked only where the standard's was of no use."""


class _Asking(Link):
    """Asks each question once, whoever wants to know: most drivers begin with the same one."""

    def __init__(self, config: DriverConfig, factory: TransportFactory, clock: Callable[[], float]) -> None:
        super().__init__(config, factory, clock)
        self.answers: dict[bytes, bytes | DeviceError] = {}
        self.allowed = _STANDARD
        self._stale = False

    @property
    def told(self) -> bool:
        """Whether the standard's question was answered as the standard says: maker, model, serial number, firmware."""
        return any(isinstance(answer, bytes) and answer.count(b",") >= 3 for answer in self.answers.values())

    def send(self, data: bytes) -> None:
        """Send on a fresh link where something failed before: a late answer must not answer the next question."""
        self._check(data)
        if self._stale:
            with self.opening():
                self._stale = False
        super().send(data)

    def failed(self) -> None:
        """Open afresh before the next question."""
        self._stale = True

    def ask(self, data: bytes) -> bytes:
        """Give the answer, asked now or earlier."""
        self._check(data)
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

    def _check(self, data: bytes) -> None:
        if not self.allowed.fullmatch(data):
            raise _LaterError


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
            later: list[str] = []
            found = list(_known(link, connect, plugins, plugins.driver_names(), later))
            if not found:
                link.allowed = _SCPI if link.told else _ANY
                found = list(_known(link, connect, plugins, later, []))
        finally:
            link.close()
        answers += [_told(connect, question, reply) for question, reply in link.answers.items()]
        if found:
            return found, answers
    return [], answers


def _known(
    link: _Asking, connect: str, plugins: Plugins, names: Iterable[str], later: list[str]
) -> Iterator[Found]:
    for name in names:
        identify = _identification(plugins, name, connect)
        if identify is None:
            continue
        try:
            yield Found(name, identify(link), connect)
        except (DeviceBusy, DeviceLost):
            link.failed()  # it hung up on a question that it did not like; the next one may please it
        except _LaterError:
            later.append(name)
        except DeviceRefused:
            pass  # a whole answer, of an instrument that does not know the question
        except DeviceError:
            link.failed()


def never_asked(descriptor: str, plugins: Plugins = INSTALLED) -> list[str]:
    """Name the installed drivers of which nothing is asked at `descriptor`: see above why."""
    connect = lines_to_try(descriptor)[0]
    return [name for name in plugins.driver_names() if _identification(plugins, name, connect) is None]


def _identification(plugins: Plugins, name: str, connect: str) -> Callable[[Link], Identity] | None:
    try:
        driver: Any = plugins.find_driver(name)
    except ConfigError:  # `evapd drivers` says why it cannot be used
        return None
    identify: Any = getattr(driver, "identify", None)
    return identify if callable(identify) and _is_at_home(driver, connect) else None


def _is_at_home(driver: Any, connect: str) -> bool:
    """Whether a driver's frames mean at `connect` what they mean to its instrument."""
    if not hasattr(driver, "binary_port"):
        return True
    descriptor = parse_descriptor(connect)
    own = isinstance(descriptor, TcpDescriptor) and descriptor.port == driver.binary_port
    return own or isinstance(descriptor, UnixDescriptor)


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
