"""A target that comes back little by little after a person's resume: a part of it first, all of it some seconds later."""

import math

_STEP = 0.05  # log units: the law is told of a new target in steps of this, not at every tick


class Ease:
    """The present part of the target. Time counts only while the law is asked."""

    def __init__(self, begin_at: float, duration_s: float) -> None:
        """Take the part to begin with (0 to 1) and the seconds until the whole is back."""
        self._log_begin, self._duration_s = math.log(begin_at), duration_s
        self._gone_s = duration_s
        self.share = 1.0

    @property
    def active(self) -> bool:
        """Whether the target is still on its way back."""
        return self.share < 1.0

    def begin(self) -> None:
        """Begin with the small part."""
        self._gone_s = 0.0
        self.share = math.exp(self._log_begin)

    def end(self) -> None:
        """Have the whole target at once."""
        self.share = 1.0

    def advance(self, dt_s: float) -> bool:
        """Let time pass; True when the share has changed."""
        if not self.active:
            return False
        self._gone_s += max(dt_s, 0.0)
        left = max(0.0, 1.0 - self._gone_s / self._duration_s)
        wanted = self._log_begin * left
        if wanted - math.log(self.share) < _STEP and left > 0.0:
            return False
        self.share = math.exp(wanted)
        return True
