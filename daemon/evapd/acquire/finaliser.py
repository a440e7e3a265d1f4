"""Finalising in a niced child process."""

from pathlib import Path

from evapd.acquire.chore import Chore


class Finaliser(Chore):
    """One child process that turns a run folder into its `.nxs` file."""

    def __init__(self, run_folder: Path) -> None:
        super().__init__("evapd.record.finalise", run_folder)
