"""What every process of the daemon does around its own work: logging, arguments, exit codes, and last words that a person understands."""

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from evapd.errors import ConfigError, EvapdError
from evapd.logging import setup

EXIT_FAILED, EXIT_CONFIG = 1, 78

_log = logging.getLogger(__name__)


def run_process(name: str, work: Callable[[], int]) -> int:
    """Do a process's work; gives its exit code: what `work` gives, 1 failed, 78 invalid configuration."""
    stop_logging = setup(name)
    try:
        return work()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    except (EvapdError, OSError) as error:
        _log.error("%s ends: %s", name, error)
        return EXIT_FAILED
    except Exception:  # noqa: BLE001 - the last words of the process: one line in its log instead of a traceback on a terminal
        _log.exception("%s ends by a fault of its own: please report this line", name)
        return EXIT_FAILED
    finally:
        stop_logging()


def start(program: str, what: str | None, main: Callable[[Path, Path | None], int]) -> int:
    """Read the arguments that every process of the daemon takes, and run it; `what` is for its help."""
    parser = argparse.ArgumentParser(prog=program, description=what)
    parser.add_argument("config", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--log-format", choices=("text", "json"), help="instead of what EVAPD_LOG says")
    arguments = parser.parse_args()
    if arguments.log_format:
        os.environ["EVAPD_LOG"] = arguments.log_format
    return main(arguments.config, arguments.folder)
