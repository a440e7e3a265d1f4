"""A device worker without its thread, on a clock that only the test moves, with a small driver."""

from collections.abc import Callable
from dataclasses import dataclass, field

from evapd.device import DeviceWorker, Identity, Reading

IDENTITY = Identity(vendor="FuG", model="HCP 350-12500", serial="4711")


@dataclass
class Supply:
    """A small driver: it does as told, and fails as the test says."""

    now_s: float = 100.0
    identity: Identity = IDENTITY
    calls: list[str] = field(default_factory=list)
    failing: dict[str, Exception] = field(default_factory=dict)
    takes_s: float = 0.0

    def do(self, what: str) -> None:
        self.calls.append(what)
        self.now_s += self.takes_s
        if what in self.failing:
            raise self.failing[what]

    def open(self) -> Identity:
        self.do("open")
        return self.identity

    def close(self) -> None:
        self.do("close")

    def read(self) -> Reading:
        self.do("read")
        return Reading(t_mono_s=self.now_s)

    def make_safe(self) -> None:
        self.do("make_safe")

    def command(self, what: str) -> Callable[[], None]:
        return lambda: self.do(what)

    def since(self, what: str) -> list[str]:
        """What was called after the last `what`."""
        return self.calls[len(self.calls) - self.calls[::-1].index(what) :]


@dataclass
class Bench:
    """A worker without its thread, on a clock that only the test moves."""

    supply: Supply = field(default_factory=Supply)
    events: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.worker = DeviceWorker(
            "specimen-supply",
            self.supply,
            period_s=0.1,
            stale_s=2.0,
            clock=lambda: self.supply.now_s,
            on_event=lambda _, kind, message: self.events.append((kind, message)),
        )

    @classmethod
    def online(cls) -> "Bench":
        """One whose device answers, and nothing of how that came about."""
        bench = cls()
        bench.step()
        bench.supply.calls.clear()
        bench.events.clear()
        return bench

    def step(self, wait_s: float = 0.0) -> float:
        self.supply.now_s += wait_s
        return self.worker.step()

    def run(self, seconds: float) -> None:
        """Step as the thread would, for so long."""
        end_s = self.supply.now_s + seconds
        while self.supply.now_s < end_s:
            self.supply.now_s += max(1e-6, self.worker.step())

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]
