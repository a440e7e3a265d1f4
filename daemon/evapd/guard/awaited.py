"""Commands that no reading confirms, because the instrument cannot tell whether it obeyed."""

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Awaited:
    """Whether a command must have been carried out by now: a whole reading was taken after the command had its turn.

    A reading may be under way when the command is given, and ends after it. The device's thread then carries the command out
    and reads again: the second reading that is younger than the command is one of afterwards.
    """

    told_s: float = math.inf
    _first_s: float = math.inf

    def tell(self, now_s: float) -> None:
        """Note that it was commanded; of several times the first counts."""
        self.told_s = min(self.told_s, now_s)

    def forget(self) -> None:
        """Begin anew."""
        self.told_s = self._first_s = math.inf

    def done(self, read_s: float) -> bool:
        """Take the time of the newest reading, and say whether it is one of afterwards."""
        if read_s <= self.told_s:
            return False
        self._first_s = min(self._first_s, read_s)
        return read_s > self._first_s
