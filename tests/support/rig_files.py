"""Rig files for tests: the shipped ones, on free ports and in folders of their own."""

import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from support.patience import GUARD

CONFIG = Path(__file__).resolve().parents[2] / "config"


# Below the range from which the kernel takes ports for connections: nobody else gets one between its choice here and its
# use, and no client that asks for it before it is served connects to itself. Test processes begin at places of their own.
_PORTS = range(18_000, 32_000)
_next_port = itertools.count(
    (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) * 3_500) + os.getpid() * 37 % 3_500
)


def free_ports(count: int) -> list[int]:
    """Ports that are free now, and that this process has not had for long."""
    found: list[int] = []
    while len(found) < count:
        port = _PORTS[next(_next_port) % len(_PORTS)]
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            found.append(port)
    return found


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
    content["guard"] = merge(content.get("guard", {}), {"realtime": False} | GUARD)
    path = folder / "rig.yaml"
    path.write_text(yaml.safe_dump(merge(content, changes or {}), sort_keys=False))
    return path
