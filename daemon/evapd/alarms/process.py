"""The alarm process: configuration, one per folder, the loop, and an end that says its last words."""

import logging
import signal
import sys
from pathlib import Path
from types import FrameType

from evapd.alarms.office import TURN_S, Office, make_ears
from evapd.alarms.service import make_commands
from evapd.config import LoadedRig, load_rig
from evapd.device.portlock import PortLock
from evapd.errors import ConfigError, EvapdError
from evapd.logging import setup
from evapd.notify import Notifier
from evapd.rpc import Service

_log = logging.getLogger(__name__)
EXIT_CONFIG = 78


def main(config: Path, folder: Path | None) -> int:
    """Run the process; gives its exit code: 0 done, 1 failed, 78 invalid configuration."""
    stop_logging = setup("alarms")
    try:
        loaded = load_rig(config, folder)
        loaded.layout.make()
        lock = PortLock(f"{loaded.layout.folder}/alarms")
        try:
            _serve(loaded)
        finally:
            lock.release()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    except (EvapdError, OSError) as error:
        _log.error("%s", error)
        return 1
    except Exception:  # noqa: BLE001 - the last words of the process: one line in its log instead of a traceback on a terminal
        _log.exception("the alarm process ends by a fault of its own: please report this line")
        return 1
    finally:
        stop_logging()
    return 0


def _serve(loaded: LoadedRig) -> None:
    ended_by: list[str] = []

    def end(signum: int, _frame: FrameType | None) -> None:
        ended_by.append(signal.Signals(signum).name)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, end)
    notifier, office, ears = Notifier(), Office(loaded), make_ears(loaded)
    with Service(loaded.layout.alarms_ipc, make_commands(office)):
        ears.start()
        notifier.ready(
            f"{len(loaded.rig.alarms.hooks)} hooks: {', '.join(loaded.rig.alarms.hooks) or 'nobody is told'}"
        )
        try:
            while not ended_by:
                office.turn(ears.take(TURN_S))
                notifier.watchdog()
        finally:
            notifier.stopping()
            ears.stop()
            office.close()
    _log.info("ended by %s", ended_by[0] if ended_by else "a fault")
    notifier.close()
