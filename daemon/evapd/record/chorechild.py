"""The child's side of a chore: run as `python -m evapd.record.chorechild MODULE ARGUMENT...`, it ends with its parent.

Standard input is a pipe that the parent holds open and never writes to. A parent that is killed leaves nobody behind who
still writes into a run that the next process is about to take over.
"""

import importlib
import os
import sys
import threading


def main(arguments: list[str]) -> int:
    """Run the `main` of a module with the arguments behind its name; gives its exit code."""
    module, *rest = arguments
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    return int(importlib.import_module(module).main(rest))


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
