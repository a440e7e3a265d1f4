"""What can go wrong between an instrument and its reader, switched on and off while it runs."""

import numpy as np


class Faults:
    """Knobs of a server; all off at the start.

    Attributes:
        silent: the instrument hears and acts, nothing comes back.
        deaf: nothing reaches the instrument.
        garbage: replies are random bytes of the same length.
        delay_s: replies come this much later.
        half_lines: only the first half of a reply comes.
        drop_every: every n-th reply is lost; 0 = none.
        duplicate: every reply comes twice.
        echo: what is sent comes back.
    """

    def __init__(self, seed: int = 0) -> None:
        self.silent = False
        self.deaf = False
        self.garbage = False
        self.delay_s = 0.0
        self.half_lines = False
        self.drop_every = 0
        self.duplicate = False
        self.echo = False
        self._replies = 0
        self._rng = np.random.default_rng(seed)

    def noise(self, length: int) -> bytes:
        """Give bytes as a receiver sees them that does not understand the line."""
        return self._rng.bytes(length)

    def spoil(self, reply: bytes) -> bytes:
        """Give what is left of one reply."""
        if not reply:
            return reply
        self._replies += 1
        if self.silent or (self.drop_every and self._replies % self.drop_every == 0):
            return b""
        if self.garbage:
            reply = self.noise(len(reply))
        if self.half_lines:
            reply = reply[: len(reply) // 2]
        return reply * 2 if self.duplicate else reply
