"""A rig file into a `LoadedRig`: the rig, its drivers' settings, its twin's, and where everything lies."""

import hashlib
import json
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from evapd.config.check import Parts, complaints
from evapd.config.descriptor import Descriptor, PtyDescriptor, below, parse_descriptor
from evapd.config.document import MAX_BYTES, Mapping, Node, Scalar, read_document
from evapd.config.layout import Layout
from evapd.config.live import Live
from evapd.config.load import check_node, mark_of, node_at
from evapd.config.model import DeviceSpec, Rig, Sockets, TwinSpec
from evapd.config.plugins import INSTALLED, Plugins
from evapd.config.problem import KeyPath, Problem, dotted
from evapd.config.scalar import plain
from evapd.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRig:
    """A rig file that is valid as a whole.

    Attributes:
        rig: the file's content; `ipc:` addresses and the folder of keys are absolute.
        path: the file, absolute.
        digest: sha256 in hex of the rig, the checked settings and the anode file; the same on every machine.
        layout: paths below the rig's folder, absolute.
        devices: each driver's checked settings by device name; paths in `connect` are absolute.
        twin: the checked settings of the simulated instrument, None for a real one.
        anode_path: the anode file, absolute.
        source: the file's text as it was when it was read.
        ranges_path: the range file of the live analysis, absolute; None without one.
    """

    rig: Rig
    path: Path
    digest: str
    layout: Layout
    devices: MappingType[str, BaseModel]
    twin: BaseModel | None
    anode_path: Path
    source: str = ""
    ranges_path: Path | None = None


def load_rig(path: Path | str, folder: Path | str | None = None, plugins: Plugins = INSTALLED) -> LoadedRig:
    """Read a rig file; see `check_rig`.

    Raises:
        ConfigError: with every problem in the message, one per line, and in `problems`.
    """
    loaded, problems = check_rig(path, folder, plugins)
    if loaded is None:
        lines = "\n".join(str(problem) for problem in problems)
        raise ConfigError(f"{path} is not a valid rig:\n{lines}", problems)
    return loaded


def check_rig(
    path: Path | str, folder: Path | str | None = None, plugins: Plugins = INSTALLED
) -> tuple[LoadedRig | None, tuple[Problem, ...]]:
    """Read and check a rig file. Opens no port and connects to nothing.

    Args:
        path: the rig file.
        folder: where runs and sockets go, instead of the rig's own `folder`; relative to the working directory.
        plugins: where drivers and twins are looked up.

    Returns:
        The rig, or None where there are problems; and all problems, sorted by place.
    """
    path = Path(path)
    root, problems = read_document(path)
    if root is None:
        return None, tuple(problems)
    check = _Check(path.absolute(), str(path), root, plugins)
    check.problems += problems
    loaded = check.run(folder)
    return loaded, tuple(sorted(set(check.problems)))


class _Check:
    def __init__(self, path: Path, file: str, root: Node, plugins: Plugins) -> None:
        self.path = path
        self.file = file
        self.root = root
        self.plugins = plugins
        self.problems: list[Problem] = []
        self.settings: dict[str, BaseModel] = {}  # as written, by device
        self.protocols: dict[str, str] = {}
        self.connects: dict[str, Descriptor] = {}

    def say(self, at: KeyPath, what: str) -> None:
        self.problems.append(Problem(self.file, *mark_of(self.root, at), dotted(at), what))

    def run(self, folder: Path | str | None) -> LoadedRig | None:
        rig, found = check_node(self.root, Rig, self.file)
        # What the rig as a whole complains about is found again below, with its place.
        self.problems += [problem for problem in found if problem.where]
        if not isinstance(self.root, Mapping):
            self.problems += found
            return None
        sections = _valid_sections(self.root)
        own_folder = sections.get("folder", Rig.model_fields["folder"].default)
        layout = Layout(Path(folder if folder is not None else own_folder).absolute())
        devices = self.devices()
        for name, spec in devices.items():
            self.driver(name, spec, layout.folder)
        twin = self.twin()
        anode_path, anode = self.anode(sections.get("anode"))
        ranges_path = self.ranges(sections.get("live"))
        listed = self.root.entries.get("devices")
        parts = Parts(
            sections=sections,
            devices=devices,
            all_devices=isinstance(listed, Mapping) and len(listed.entries) == len(devices),
            protocols=self.protocols,
            connects=self.connects,
            layout=layout,
        )
        for at, what in complaints(parts):
            self.say(at, what)
        if rig is None or self.problems:
            return None
        return LoadedRig(
            rig=rig.model_copy(
                update={"sockets": _absolute_sockets(rig.sockets, layout.folder, self.path.parent)}
            ),
            path=self.path,
            digest=_digest(rig, self.settings, twin, anode),
            layout=layout,
            devices=MappingProxyType({name: self.absolute(name) for name in self.settings}),
            twin=twin,
            anode_path=anode_path,
            source=_text(self.path),
            ranges_path=ranges_path,
        )

    def devices(self) -> dict[str, DeviceSpec]:
        """Give the devices that are valid by themselves."""
        listed = self.root.entries.get("devices") if isinstance(self.root, Mapping) else None
        entries = listed.entries if isinstance(listed, Mapping) else {}
        checked = {name: check_node(node, DeviceSpec, self.file)[0] for name, node in entries.items()}
        return {name: spec for name, spec in checked.items() if spec is not None}

    def driver(self, name: str, spec: DeviceSpec, folder: Path) -> None:
        """Check one device against its driver's own settings."""
        at: KeyPath = ("devices", name)
        try:
            driver = self.plugins.find_driver(spec.driver)
        except ConfigError as error:
            self.say((*at, "driver"), str(error))
            return
        self.protocols[name] = driver.protocol.__name__
        settings = self.own_settings(at, driver.Config)
        if settings is not None:
            self.settings[name] = settings
        connect = self.connect((*at, "settings", "connect"), settings)
        if connect is not None:
            self.connects[name] = below(connect, folder)

    def connect(self, at: KeyPath, settings: BaseModel | None) -> Descriptor | None:
        """Read a device's descriptor, also where its other settings are wrong."""
        node = node_at(self.root, at)
        text = node.text if isinstance(node, Scalar) else getattr(settings, "connect", None)
        if text is None:
            return None  # missing, or a list: said already
        try:
            descriptor = parse_descriptor(text)
        except ConfigError as error:
            self.say(at, str(error))
            return None
        if isinstance(descriptor, PtyDescriptor):
            self.say(at, f"{descriptor} is the listening side, allowed is serial:PATH:BAUD-8N1")
            return None
        return descriptor

    def twin(self) -> BaseModel | None:
        """Check the twin against the settings model of its kind."""
        node = node_at(self.root, ("twin",))
        spec = check_node(node, TwinSpec, self.file)[0] if isinstance(node, Mapping) else None
        if spec is None:
            return None
        try:
            model = self.plugins.find_twin(spec.kind)
        except ConfigError as error:
            self.say(("twin", "kind"), str(error))
            return None
        return self.own_settings(("twin",), model)

    def own_settings(self, at: KeyPath, model: type[BaseModel]) -> BaseModel | None:
        at = (*at, "settings")
        mark = mark_of(self.root, at)
        node = node_at(self.root, at) or Mapping(mark)
        settings, problems = check_node(node, model, self.file, at, mark)
        self.problems += problems
        return settings

    def anode(self, written: Path | None) -> tuple[Path, bytes]:
        """Find the anode file; what is in it is checked by those who use it."""
        if written is None:
            return Path(), b""
        anode_path = self.path.parent / written
        try:
            if anode_path.is_file():
                with anode_path.open("rb") as stream:
                    return anode_path, stream.read(MAX_BYTES)
            self.say(("anode",), f"there is no file {anode_path}")
        except (OSError, ValueError) as error:
            self.say(("anode",), f"{anode_path} cannot be read: {error}")
        return anode_path, b""

    def ranges(self, live: Live | None) -> Path | None:
        """Find the range file; what is in it is checked by those who use it."""
        if live is None or live.ranges is None:
            return None
        path = self.path.parent / live.ranges
        try:
            if not path.is_file():
                self.say(("live", "ranges"), f"there is no file {path}")
        except (OSError, ValueError) as error:
            self.say(("live", "ranges"), f"{path} cannot be read: {error}")
        return path

    def absolute(self, name: str) -> BaseModel:
        return self.settings[name].model_copy(update={"connect": str(self.connects[name])})


def _valid_sections(root: Mapping) -> dict[str, Any]:
    """Give the rig's sections that are valid by themselves, or that are left out and have a default."""
    sections: dict[str, Any] = {}
    for key, field in Rig.model_fields.items():
        node = root.entries.get(key)
        if key == "devices" or (node is None and field.is_required()):
            continue
        if node is None:
            sections[key] = field.get_default()
            continue
        try:
            sections[key] = TypeAdapter[Any](cast("Any", field.annotation)).validate_python(plain(node))
        except ValidationError:
            continue  # reported with its place by the check of the whole
    return sections


def _absolute_sockets(sockets: Sockets, folder: Path, beside: Path) -> Sockets:
    texts = {key: text for key, text in sockets.model_dump().items() if str(text).startswith("ipc://")}
    paths = {key: f"ipc://{folder / text.removeprefix('ipc://')}" for key, text in texts.items()}
    keys = None if sockets.keys is None else beside / sockets.keys.expanduser()
    return sockets.model_copy(update={**paths, "keys": keys})


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # it was there a moment ago; what counts is the digest


def _digest(rig: Rig, settings: dict[str, BaseModel], twin: BaseModel | None, anode: bytes) -> str:
    content = rig.model_dump(mode="json")
    for name, checked in settings.items():
        content["devices"][name]["settings"] = checked.model_dump(mode="json")
    if twin is not None:
        content["twin"]["settings"] = twin.model_dump(mode="json")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode() + b"\0" + anode).hexdigest()
