"""How many requests a second one peer may make: token buckets. Pure: the time is handed in."""

from collections import OrderedDict

RATE_HZ = 100.0
BURST = 200
READ_COST = 0.2
"""Of a token: what only reads is cheap, and displays poll it."""
PEERS = 1024
"""Peers that are remembered. Who was forgotten begins with a full bucket."""


class Buckets:
    """One bucket for every peer; bounded whatever the peers do.

    Args:
        rate_hz: requests per second that are let through for ever.
        burst: requests that are let through at once after a rest.
        peers: the least lately seen of more than these is forgotten.
    """

    def __init__(self, rate_hz: float = RATE_HZ, burst: int = BURST, peers: int = PEERS) -> None:
        self.rate_hz, self.burst, self.peers = rate_hz, burst, peers
        self._levels: OrderedDict[bytes, tuple[float, float]] = OrderedDict()  # tokens left, when that was

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, peer: bytes, now_s: float, cost: float = 1.0) -> float:
        """Take a token, or the part of one that a request costs; gives 0, or the seconds until it is there."""
        level, then_s = self._levels.get(peer, (float(self.burst), now_s))
        level = min(float(self.burst), level + max(0.0, now_s - then_s) * self.rate_hz)
        through = level >= cost
        self._levels[peer] = (level - cost if through else level, now_s)
        self._levels.move_to_end(peer)
        if len(self._levels) > self.peers:
            self._levels.popitem(last=False)
        return 0.0 if through else (cost - level) / self.rate_hz
