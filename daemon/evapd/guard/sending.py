"""Commands to workers: sent when what is asked for changes, when it was not taken, and when readings contradict it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from evapd.device import DeviceWorker

UPWARDS_S = (
    1.5  # a command upwards may be repeated for so long after it was first asked for: it may have been lost
)
AGAIN_S = 0.5  # before a command is repeated because the readings contradict it


@dataclass(slots=True)
class _Sent:
    value: float
    t_s: float
    since_s: float  # when this value was first asked for
    accepted: bool


class Sender:
    """Remembers what each device was told last, by device and kind of command."""

    def __init__(self, workers: Mapping[str, DeviceWorker]) -> None:
        self._workers = workers
        self._sent: dict[tuple[str, str], _Sent] = {}

    def send(
        self,
        name: str,
        key: str,
        value: float | None,
        call: Callable[[], None],
        now_s: float,
        *,
        contradicted: bool = False,
        upwards: bool = False,
    ) -> None:
        """Send `call` to device `name` where it is due; None asks for nothing and forgets what was asked before.

        A reading that contradicts brings a repetition; where that would lead `upwards` only shortly after the value was first asked for.
        Later somebody else has lowered it, or the instrument itself, and that is not undone from here.
        """
        before = self._sent.get((name, key))
        if value is None:
            self._sent.pop((name, key), None)
            return
        same = before is not None and before.value == value
        since_s = before.since_s if before is not None and same else now_s
        lost = contradicted and (not upwards or now_s - since_s <= UPWARDS_S)
        again = before is not None and lost and now_s - before.t_s > AGAIN_S
        if before is None or not same or not before.accepted or again:
            accepted = self._workers[name].command(key, call)
            self._sent[name, key] = _Sent(value, now_s, since_s, accepted)

    def accepted(self, name: str, key: str) -> float | None:
        """The value that the device was told last and took, None when there is none."""
        before = self._sent.get((name, key))
        return before.value if before is not None and before.accepted else None

    def told(self, name: str, key: str) -> bool:
        """Whether anything of this kind is asked of the device."""
        return (name, key) in self._sent
