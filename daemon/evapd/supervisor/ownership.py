"""One supervisor per folder, and none beside processes that a killed one has left behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evapd.device.portlock import PortLock
from evapd.errors import DeviceBusy, StateError

_LEFT = (
    "alarms",
    "acquire",
    "guard",
)  # in the order in which they are to be ended: who would tell of it, the record, then the voltage


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a rig's folder; whoever else works there is named before anything is started.

    Raises:
        StateError: when a supervisor, or a guard or acquire without one, works in the folder.
    """
    try:
        lock = PortLock(f"{folder}/supervisor")
    except DeviceBusy as error:
        raise StateError(f"another `evapd run` works in this folder: {error}") from error
    try:
        left = [found for name in _LEFT if (found := _holder(f"{folder}/{name}"))]
        if left:
            raise StateError(
                "\n".join(left)
                + "\nThey work without a supervisor: one that was killed has left them behind, or a service manager started "
                "them. End them with `kill PROCESS`, in this order: the run is closed and the voltage goes down"
            )
        yield
    finally:
        lock.release()


def _holder(name: str) -> str:
    """Say who holds a lock, or nothing when it is free."""
    try:
        PortLock(name).release()
    except DeviceBusy as error:
        return str(error)
    return ""
