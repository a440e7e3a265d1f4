"""Commands on their way to a device: the newest of each key, and one that overtakes them all."""

from collections.abc import Callable

Call = Callable[[], None]


class CommandQueue:
    """What a device has been asked and has not yet been told. Not thread-safe: its owner holds the lock.

    `safe` is remembered until it has gone through once; it is idempotent while it waits.
    """

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}
        self.safe_waits = False
        self.safe_done = False

    def __len__(self) -> int:
        return len(self._calls)

    def put(self, key: str, call: Call) -> None:
        """Queue a call; one of the same key that still waits is replaced in its place."""
        self._calls[key] = call

    def take(self) -> tuple[str, Call] | None:
        """Give the call whose key came first, or None when nothing may be sent before `make_safe`."""
        if self.safe_waits or not self._calls:
            return None
        key = next(iter(self._calls))
        return key, self._calls.pop(key)

    def clear(self) -> tuple[str, ...]:
        """Forget all calls; gives their keys."""
        keys = tuple(self._calls)
        self._calls.clear()
        return keys

    def ask_safe(self) -> bool:
        """Remember that the device must be made safe; True when that is new."""
        new = not self.safe_waits
        self.safe_waits = True
        self.safe_done = False
        return new

    def safe_went_through(self) -> None:
        """Note that `make_safe` has been accepted by the device."""
        self.safe_waits = False
        self.safe_done = True
