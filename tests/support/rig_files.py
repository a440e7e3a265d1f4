"""Rig files for tests: the shipped ones, on free ports and in folders of their own."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

CONFIG = Path(__file__).resolve().parents[2] / "config"


def free_ports(count: int) -> list[int]:
    """Ports that are free now; all are held until all are known, so that no two are the same."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


@contextmanager
def rig_folder() -> Iterator[Path]:
    """A folder whose name is short enough for unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="ev", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Give `base` with nested changes; None removes a key."""
    merged = dict(base)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def write_rig(folder: Path, changes: dict[str, Any] | None = None, source: str = "sim.yaml") -> Path:
    """Write a shipped rig into `folder` with free ports, sockets of its own, and the changes of the test."""
    content = yaml.safe_load((CONFIG / source).read_text())
    ports = iter(free_ports(10))
    content["folder"] = str(folder / "data")
    content["anode"] = str(CONFIG / content["anode"])
    content["sockets"] = {
        name: f"tcp://127.0.0.1:{next(ports)}" for name in ("stream", "live", "replay", "control")
    }
    content["metrics"] = {"address": f"127.0.0.1:{next(ports)}"}
    content["web"] = {"address": f"127.0.0.1:{next(ports)}", "enabled": False}
    for device in content["devices"].values():
        settings = device["settings"]
        kind, _, rest = settings["connect"].partition(":")
        if kind == "tcp":
            settings["connect"] = f"tcp:127.0.0.1:{next(ports)}"
        elif kind == "visa" and "SOCKET" in rest:
            settings["connect"] = f"visa:TCPIP0::127.0.0.1::{next(ports)}::SOCKET"
    content["guard"] = merge(content.get("guard", {}), {"realtime": False})
    path = folder / "rig.yaml"
    path.write_text(yaml.safe_dump(merge(content, changes or {}), sort_keys=False))
    return path
