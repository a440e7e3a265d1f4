"""A chore that tells who it is and then works for ever."""

import json
import os
import signal


def main(arguments: list[str]) -> int:
    """Never come back."""
    print(json.dumps({"pid": os.getpid(), "progress": 0.5, "arguments": arguments}), flush=True)
    while True:
        signal.pause()
