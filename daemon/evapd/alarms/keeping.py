"""What outlives the process: a small file, replaced as a whole. Monotonic times are carried over a reboot by UTC."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evapd.alarms.escalation import Escalation
from evapd.alarms.model import RANK, Alarm, Told

VERSION = 1
MOST_BYTES = 4 * 1024 * 1024


def boot_id() -> str:
    """Name this run of the machine: monotonic times of another mean nothing here."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def pack(escalation: Escalation, now_s: float, utc_s: float, boot: str) -> bytes:
    """Give the content of the file."""
    state = escalation.state()
    content = {
        "v": VERSION,
        "boot": boot,
        "now_s": now_s,
        "utc_s": utc_s,
        "next_id": state["next_id"],
        "alarms": [asdict(alarm) for alarm in state["alarms"].values()],
        "silent": state["silent"],
        "sent": state["sent"],
    }
    return json.dumps(content, allow_nan=False).encode()


def unpack(data: bytes, escalation: Escalation, now_s: float, utc_s: float, boot: str) -> None:
    """Go on from the content of the file.

    Raises:
        ValueError: when it is not such a file; the escalation is as it was.
    """
    try:
        content = json.loads(data)
        if content["v"] != VERSION:
            raise ValueError(f"version {content['v']!r}")
        same = bool(boot) and content["boot"] == boot
        # Of another boot: as much time has passed as UTC says, and never less than none.
        passed_s = max(0.0, utc_s - float(content["utc_s"]))
        shift_s = 0.0 if same else now_s - float(content["now_s"]) - passed_s
        alarms = [_alarm(one, shift_s) for one in content["alarms"]]
        silent = {str(name): float(until_s) + shift_s for name, until_s in content["silent"].items()}
        sent = {str(name): [float(one) + shift_s for one in times] for name, times in content["sent"].items()}
        next_id = max(int(content["next_id"]), 1 + max((alarm.id for alarm in alarms), default=0))
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    escalation.restore(next_id, alarms, silent, sent)


def _alarm(content: dict[str, Any], shift_s: float) -> Alarm:
    def when(value: Any) -> float | None:
        return None if value is None else float(value) + shift_s

    if content["severity"] not in RANK:
        raise ValueError(f"severity {content['severity']!r}")
    return Alarm(
        id=int(content["id"]),
        name=str(content["name"]),
        severity=content["severity"],
        what=str(content["what"]),
        source=str(content["source"]),
        effect=str(content["effect"]),
        lasting=bool(content["lasting"]),
        waits=bool(content["waits"]),
        began_s=float(content["began_s"]) + shift_s,
        began_utc_s=float(content["began_utc_s"]),
        active=bool(content["active"]),
        times=int(content["times"]),
        over_s=when(content["over_s"]),
        acknowledged_s=when(content["acknowledged_s"]),
        acknowledged_by=str(content.get("acknowledged_by", "")),
        told={
            str(hook): Told(
                float(one["last_s"]) + shift_s, int(one["times"]), int(one["rank"]), bool(one["over"])
            )
            for hook, one in content["told"].items()
        },
        earlier={str(hook): float(at_s) + shift_s for hook, at_s in content["earlier"].items()},
    )


def write(path: Path, data: bytes) -> None:
    """Replace the file; after a loss of power it is the old one or the new one.

    Raises:
        OSError: when the disk cannot take it.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    part = path.with_name(f"{path.name}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)
    part.replace(path)


def read(path: Path) -> bytes | None:
    """Give the file's content, None where there is none.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is too long to be ours.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(data) > MOST_BYTES:
        raise ValueError(f"{path} has more than {MOST_BYTES} bytes")
    return data
