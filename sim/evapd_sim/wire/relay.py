"""A watchdog relay outside the computer: it holds only while its input keeps alternating."""

from evapd_sim.plant import Plant

CUTS = {"nothing": (), "pulser": ("pulser",), "supply": ("supply",), "both": ("pulser", "supply")}


class HeartbeatRelay:
    """Drops out when its input has not changed for `limit_s`, whichever level that is; picks up after two changes within that time.

    Its contact may be wired into the pulser's inhibit input and the interlock of the specimen supply; open contact = cut.

    Args:
        plant: where the contact is wired to.
        limit_s: longest time in s between two changes.
        latches: whether it stays out until `reset`, as relays with a reset button do.
        cuts: `nothing`, `pulser`, `supply` or `both`.
    """

    def __init__(
        self, plant: Plant, *, limit_s: float = 0.5, latches: bool = False, cuts: str = "nothing"
    ) -> None:
        if cuts not in CUTS:
            raise ValueError(f"the relay cannot cut '{cuts}', only {', '.join(CUTS)}")
        if not limit_s > 0:
            raise ValueError(f"the relay's time {limit_s} s is not above 0")
        self._plant = plant
        self._limit_s = limit_s
        self._latches = latches
        self._cuts = CUTS[cuts]
        self._level = False
        self._changed_s: float | None = None  # None: not since it dropped out
        self._latched = False  # as delivered: the first heartbeat lets it pick up
        self.closed = False
        self._wire()

    def follow(self, level: bool, now_s: float) -> None:  # noqa: FBT001 - what is at the input
        """See the input at `now_s`."""
        if self._changed_s is not None and now_s - self._changed_s > self._limit_s:
            self._changed_s = None
            self._latched = self._latched or (self.closed and self._latches)
            self._switch(closed=False)
        if level != self._level:
            alternates = self._changed_s is not None
            self._level, self._changed_s = level, now_s
            self._switch(closed=self.closed or (alternates and not self._latched))

    def reset(self) -> None:
        """Press the button."""
        self._latched = False

    def _switch(self, *, closed: bool) -> None:
        if closed != self.closed:
            self.closed = closed
            self._wire()

    def _wire(self) -> None:
        with self._plant.lock:
            if "pulser" in self._cuts:
                self._plant.trigger.inhibit_input = not self.closed
            if "supply" in self._cuts:
                self._plant.specimen.interlock_open = not self.closed
