"""The last configuration that was valid, for a guard that must bring a voltage down beside an invalid one."""

import json
import os
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from evapd.config import LoadedRig, load_rig
from evapd.config.document import Mapping, Scalar, read_document
from evapd.config.layout import Layout
from evapd.config.model import Rig
from evapd.config.plugins import INSTALLED, Plugins
from evapd.errors import ConfigError


def load_or_last_good(
    config: Path, folder: Path | None, plugins: Plugins = INSTALLED
) -> tuple[LoadedRig, str]:
    """Load the present configuration, else the last good one of the same folder.

    Returns:
        The rig, and what is wrong with the present file; "" when nothing is.

    Raises:
        ConfigError: when the present file is invalid and there is no last good one.
    """
    try:
        loaded = load_rig(config, folder, plugins)
    except ConfigError as error:
        layout = Layout((folder if folder is not None else _folder_of(config)).absolute())
        previous = read(layout, plugins)
        if previous is None:
            raise
        return previous, str(error)
    return loaded, ""


def write(loaded: LoadedRig) -> None:
    """Keep a configuration as the last good one; whole or not at all."""
    content = {
        "rig": loaded.rig.model_dump(mode="json"),
        "path": str(loaded.path),
        "digest": loaded.digest,
        "devices": {name: settings.model_dump(mode="json") for name, settings in loaded.devices.items()},
        "anode_path": str(loaded.anode_path),
    }
    target = loaded.layout.last_good
    draft = target.with_suffix(".new")
    with draft.open("w", encoding="utf-8") as stream:
        json.dump(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(target)


def read(layout: Layout, plugins: Plugins = INSTALLED) -> LoadedRig | None:
    """Give the last good configuration of a folder, or None when there is none that this version understands."""
    try:
        content = json.loads(layout.last_good.read_text(encoding="utf-8"))
        rig = Rig.model_validate(content["rig"])
        devices = {
            name: plugins.find_driver(spec.driver).Config.model_validate(content["devices"][name])
            for name, spec in rig.devices.items()
        }
        return LoadedRig(
            rig=rig,
            path=Path(content["path"]),
            digest=str(content["digest"]),
            layout=layout,
            devices=MappingProxyType(devices),
            twin=None,
            anode_path=Path(content["anode_path"]),
        )
    except (OSError, ValueError, KeyError, TypeError, ConfigError, ValidationError):
        return None  # the caller reports the present file's errors, which a person can act on


def _folder_of(config: Path) -> Path:
    """Where an invalid file wants its folder, as far as that can be read."""
    root, _ = read_document(config)
    node = root.entries.get("folder") if isinstance(root, Mapping) else None
    if isinstance(node, Scalar) and node.text:
        return Path(node.text)
    return Path(Rig.model_fields["folder"].default)
