"""The alarm process: configuration, one per folder, the loop, and an end that says its last words."""

import json
import logging
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

from evapd.alarms.office import TURN_S, Office, make_ears
from evapd.alarms.service import make_commands
from evapd.config import LoadedRig, load_rig
from evapd.device.portlock import PortLock
from evapd.notify import Notifier
from evapd.process import run_process
from evapd.rpc import Dispatcher, Service
from evapd.rpc.audit import Audit

_log = logging.getLogger(__name__)


def main(config: Path, folder: Path | None) -> int:
    """Run the process; gives its exit code: 0 done, 1 failed, 78 invalid configuration."""
    return run_process("alarms", lambda: _run(config, folder))


def _run(config: Path, folder: Path | None) -> int:
    loaded = load_rig(config, folder)
    loaded.layout.make()
    lock = PortLock(f"{loaded.layout.folder}/alarms")
    try:
        _serve(loaded)
    finally:
        lock.release()
    return 0


def _serve(loaded: LoadedRig) -> None:
    ended_by: list[str] = []

    def end(signum: int, _frame: FrameType | None) -> None:
        ended_by.append(signal.Signals(signum).name)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, end)
    notifier, office, ears = Notifier(), Office(loaded), make_ears(loaded)
    audit = Audit(_write_down)
    with Service(loaded.layout.alarms_ipc, Dispatcher(make_commands(office), audit=audit)):
        ears.start()
        notifier.ready(
            f"{len(loaded.rig.alarms.hooks)} hooks: {', '.join(loaded.rig.alarms.hooks) or 'nobody is told'}"
        )
        try:
            while not ended_by:
                office.turn(ears.take(TURN_S))
                audit.tick(time.monotonic())
                notifier.watchdog()
        finally:
            notifier.stopping()
            ears.stop()
            office.close()
    _log.info("ended by %s", ended_by[0] if ended_by else "a fault")
    notifier.close()


def _write_down(severity: str, what: str, /, **details: Any) -> None:
    """Who asked for what goes into the log: this process has no record of its own."""
    level = logging.INFO if severity == "info" else logging.WARNING
    _log.log(level, "%s %s", what, json.dumps(details, default=str))
