"""Cross checks of a rig: what each section cannot know of the others. Pure: opens nothing, imports nothing.

Every rule works on the sections that are valid by themselves, so its complaints appear beside all others.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from evapd.config.descriptor import Descriptor, UnixDescriptor, address
from evapd.config.layout import MAX_SOCKET_PATH, Layout
from evapd.config.model import DeviceSpec, Sockets, limit_conflicts
from evapd.config.problem import KeyPath
from evapd.config.web import Web
from evapd.config.wiring import DETECTOR_ROLES, Contacts
from evapd.webaddress import is_loopback

PROTOCOLS_OF_ROLE = {
    "specimen": ("HighVoltageSupply",),
    "mcp": ("HighVoltageSupply",),
    "anode": ("HighVoltageSupply",),
    "electrode": ("HighVoltageSupply",),
    "reflectron": ("HighVoltageSupply",),
    "pulse": ("PulseAmplitude", "HighVoltageSupply"),
    "pulser": ("Pulser",),
    "laser": ("Laser",),
    "vacuum": ("Gauge",),
    "temperature": ("Thermometer",),
    "tdc": ("TdcSource", "HitSource"),
    "stage": ("Stage",),
    "io": ("DigitalIo",),
}
_ONCE = ("specimen", "pulser", "pulse", "tdc", "laser")
_SOCKETS = ("stream", "live", "replay", "control")

Complaint = tuple[KeyPath, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is valid of a rig; `sections` by key of the rig, `all_devices` when no device was left out."""

    sections: Mapping[str, Any]
    devices: Mapping[str, DeviceSpec]
    all_devices: bool
    protocols: Mapping[str, str]  # name of the Protocol, by device
    connects: Mapping[str, Descriptor]  # absolute, by device
    layout: Layout


def complaints(parts: Parts) -> Iterator[Complaint]:
    """Find what does not fit together, each with the key where it stands."""
    for rule in _RULES:
        yield from rule(parts)


def _roles_fit(parts: Parts) -> Iterator[Complaint]:
    for name, protocol in parts.protocols.items():
        role = parts.devices[name].role
        allowed = PROTOCOLS_OF_ROLE[role]
        if protocol not in allowed:
            driver = parts.devices[name].driver
            what = (
                f"driver '{driver}' is a {protocol}, allowed for the role '{role}' is {' or '.join(allowed)}"
            )
            yield ("devices", name, "driver"), what


def _roles_once(parts: Parts) -> Iterator[Complaint]:
    first: dict[str, str] = {}
    for name, spec in parts.devices.items():
        if spec.role in _ONCE and first.setdefault(spec.role, name) != name:
            what = f"'{first[spec.role]}' has the role '{spec.role}' already, allowed is one"
            yield ("devices", name, "role"), what


def _roles_complete(parts: Parts) -> Iterator[Complaint]:
    if not parts.all_devices:
        return  # the missing one may be among those that are not valid
    have = {spec.role for spec in parts.devices.values()}
    control, pulse = parts.sections.get("control"), parts.sections.get("pulse")
    monitor = control is None or control.law == "monitor"
    if "tdc" not in have:
        yield ("devices",), "no device has the role 'tdc', wanted is one"
    if "specimen" not in have:
        yield ("devices",), "no device has the role 'specimen', wanted is one supply"
    if "pulser" not in have and not monitor:
        yield (
            ("devices",),
            "no device has the role 'pulser', wanted is one (only the law 'monitor' needs none)",
        )
    if pulse is None or pulse.mode != "voltage" or pulse.fraction <= 0:
        return
    if "pulse" not in have and not monitor:
        what = f"{pulse.fraction:g} needs a device with the role 'pulse', allowed without one is 0 or the law 'monitor'"
        yield ("pulse", "fraction"), what


def _actuator_is_there(parts: Parts) -> Iterator[Complaint]:
    pulse = parts.sections.get("pulse")
    if not parts.all_devices or pulse is None or pulse.mode != "laser" or pulse.actuator == "voltage":
        return
    if not any(spec.role == "laser" for spec in parts.devices.values()):
        what = f"'{pulse.actuator}' moves the energy of a laser, allowed without a device of role 'laser' is 'voltage'"
        yield ("pulse", "actuator"), what


def _ports_apart(parts: Parts) -> Iterator[Complaint]:
    first: dict[str, str] = {}
    for name, descriptor in parts.connects.items():
        where = address(descriptor)
        if first.setdefault(where, name) != name:
            yield (
                ("devices", name, "settings", "connect"),
                f"'{first[where]}' is connected at {where} already, allowed is one device per port",
            )


def _limits(parts: Parts) -> Iterator[Complaint]:
    have = parts.sections
    for where, what in limit_conflicts(have.get("specimen"), have.get("control"), have.get("pulse")):
        yield tuple(where.split(".")), what


def _windows(parts: Parts) -> Iterator[Complaint]:
    instrument = parts.sections.get("instrument")
    if instrument is None or instrument.background_window_ns is None:
        return
    (lo, hi), (b_lo, b_hi) = instrument.tof_window_ns, instrument.background_window_ns
    if b_lo < hi and lo < b_hi:
        what = f"overlaps tof_window_ns, allowed is a window that ends before {lo:g} ns or begins after {hi:g} ns"
        yield ("instrument", "background_window_ns"), what


def _sockets(parts: Parts) -> Iterator[Complaint]:
    sockets: Sockets | None = parts.sections.get("sockets")
    if sockets is None:
        return
    texts = {key: getattr(sockets, key) for key in _SOCKETS}
    counts = Counter(texts.values())
    for key, text in texts.items():
        wrong = _bad_endpoint(text, parts.layout, keyed=sockets.keys is not None)
        if wrong:
            yield ("sockets", key), wrong
        elif counts[text] > 1:
            others = ", ".join(other for other in _SOCKETS if other != key and texts[other] == text)
            yield (
                ("sockets", key),
                f"{text} is the address of {others} too, allowed is one address per socket",
            )


def _display(parts: Parts) -> Iterator[Complaint]:
    web: Web | None = parts.sections.get("web")
    if web is None:
        return
    host, _, port = web.address.rpartition(":")
    if not 0 < int(port) < 65536:
        yield ("web", "address"), f"there is no port {port}, allowed is 1 to 65535"
    elif web.tokens is None and not is_loopback(host.strip("[]")):
        what = (
            f"{web.address} can be reached from other machines, which needs a file of tokens in web.tokens (docs/display.md); "
            "allowed without is a loopback address such as 127.0.0.1:17606"
        )
        yield ("web", "address"), what


def _bad_endpoint(text: str, layout: Layout, *, keyed: bool) -> str:
    if text.startswith("ipc://"):
        path = text.removeprefix("ipc://")
        if not path or path.startswith("@"):
            return f"'{text}' names no file, allowed is ipc://PATH"
        return _too_long(str(layout.folder / path))
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if _is_strange(text) or host is None or not port:
        return f"'{text}' is not an address, allowed is tcp://127.0.0.1:PORT (1 to 65535) or ipc://PATH"
    if not keyed and not is_loopback(host):
        return (
            f"'{text}' can be reached from other machines, which needs CURVE keys: name their folder in sockets.keys "
            "(docs/security.md); allowed without is a loopback address such as tcp://127.0.0.1:17601"
        )
    return ""


def _is_strange(text: str) -> bool:
    """Whether a socket address has parts that ZeroMQ would not understand."""
    head, _, port = text.rpartition(":")
    return not head.startswith("tcp://") or any(mark in head[6:] for mark in "/@?#;") or not port.isdecimal()


def _socket_paths(parts: Parts) -> Iterator[Complaint]:
    for path in (str(parts.layout.link_socket), parts.layout.guard_ipc.removeprefix("ipc://")):
        wrong = _too_long(path)
        if wrong:
            yield ("folder",), wrong
            break  # one folder, one complaint
    for name, descriptor in parts.connects.items():
        if isinstance(descriptor, UnixDescriptor):
            wrong = _too_long(descriptor.path)
            if wrong:
                yield ("devices", name, "settings", "connect"), wrong


def _too_long(path: str) -> str:
    length = len(os.fsencode(path))
    if length <= MAX_SOCKET_PATH:
        return ""
    return (
        f"the socket path {path} has {length} bytes, allowed are {MAX_SOCKET_PATH}; choose a shorter folder"
    )


def _detector(parts: Parts) -> Iterator[Complaint]:
    detector = parts.sections.get("detector")
    if detector is None or not parts.all_devices:
        return
    for name in detector.supplies:
        spec = parts.devices.get(name)
        if spec is None or spec.role not in DETECTOR_ROLES:
            what = f"no device '{name}' of role {', '.join(DETECTOR_ROLES[:-1])} or {DETECTOR_ROLES[-1]}"
            yield ("detector", "supplies", name), what


def _contacts(parts: Parts) -> Iterator[Complaint]:
    contacts = parts.sections.get("contacts")
    if contacts is None or not parts.all_devices:
        return
    modules = [spec.settings for spec in parts.devices.values() if spec.role == "io"]
    for kind, wanted in (("inputs", _inputs_of(contacts)), ("outputs", _outputs_of(contacts))):
        named = [settings[kind] for settings in modules if isinstance(settings.get(kind), dict)]
        if len(named) < len(modules):
            continue  # a driver whose names are not in its settings: they are checked while it is read
        have = {name for names in named for name in names}
        for where, name in wanted:
            if name not in have:
                what = f"no device of role io has '{name}' among its {kind}, there are {', '.join(have) or 'none'}"
                yield ("contacts", *where), what


def _inhibit_is_safe(parts: Parts) -> Iterator[Complaint]:
    contacts = parts.sections.get("contacts")
    if contacts is None or contacts.inhibit is None:
        return
    for name, spec in parts.devices.items():
        outputs = spec.settings.get("outputs") if spec.role == "io" else None
        output = outputs.get(contacts.inhibit) if isinstance(outputs, dict) else None
        if isinstance(output, dict) and output.get("safe") is False:
            what = "is the pulser's inhibit, allowed is `safe: true`: inhibited"
            yield ("devices", name, "settings", "outputs", contacts.inhibit, "safe"), what


def _inputs_of(contacts: Contacts) -> Iterator[tuple[KeyPath, str]]:
    for name in contacts.inputs:
        yield ("inputs", name), name


def _outputs_of(contacts: Contacts) -> Iterator[tuple[KeyPath, str]]:
    if contacts.inhibit is not None:
        yield ("inhibit",), contacts.inhibit
    if contacts.heartbeat is not None:
        yield ("heartbeat",), contacts.heartbeat
    if contacts.crowbar is not None:
        yield ("crowbar", "output"), contacts.crowbar.output


_RULES: tuple[Callable[[Parts], Iterator[Complaint]], ...] = (
    _roles_fit,
    _roles_once,
    _roles_complete,
    _actuator_is_there,
    _ports_apart,
    _limits,
    _windows,
    _sockets,
    _display,
    _socket_paths,
    _detector,
    _contacts,
    _inhibit_is_safe,
)
