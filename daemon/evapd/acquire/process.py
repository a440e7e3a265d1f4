"""The acquire process: configuration, recovery of what an earlier one left, then the daemon."""

import logging
import os
import signal
from pathlib import Path

from evapd.config import LoadedRig, load_rig
from evapd.device.portlock import PortLock
from evapd.notify import Notifier
from evapd.process import run_process
from evapd.record.recover import recover_unfinished
from evapd.security.descriptors import raise_descriptor_limit

_log = logging.getLogger(__name__)
START_SIGN_S = 30.0  # longer than reading a thousand frames from any disk takes


def main(config: Path, folder: Path | None) -> int:
    """Run the acquire process; gives its exit code: 0 done, 1 failed, 78 invalid configuration."""
    return run_process("acquire", lambda: _run(config, folder))


def _run(config: Path, folder: Path | None) -> int:
    loaded = load_rig(config, folder)
    loaded.layout.make()
    lock = PortLock(f"{loaded.layout.folder}/acquire")  # before anything is read, recovered or opened
    try:
        return _serve(loaded)
    finally:
        lock.release()


def _serve(loaded: LoadedRig) -> int:
    os.environ.setdefault("NUMBA_CACHE_DIR", str(loaded.layout.numba_cache))
    # Only now: numba reads where its cache lies when it is imported, and an installed tree may be read-only.
    from evapd.acquire.daemon import Acquire  # noqa: PLC0415

    raise_descriptor_limit()  # for connections, journals and devices together
    notifier = Notifier()
    # In haste: what takes long is only closed now, and counted by the backlog while nothing else is to be done.
    reports = recover_unfinished(
        loaded.layout.runs,
        lambda: notifier.extend(START_SIGN_S),
        second=loaded.rig.record.second_copy,
        haste=True,
    )
    for report in reports:
        if report.problem:
            _log.warning("%s", report)  # a success has been logged by who made it
    acquire = Acquire(loaded)
    signal.signal(signal.SIGTERM, acquire.end)
    signal.signal(signal.SIGINT, acquire.end)
    acquire.run(notifier)
    return 0
