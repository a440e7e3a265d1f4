"""What a process holds, sampled over a long time, and whether that grows."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from support.bench_processes import rss_mb

HOUR_S = 3600.0


def descriptors(pid: int) -> int:
    """Open descriptors of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def threads(pid: int) -> int:
    """Threads of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


@dataclass
class Holdings:
    """Samples of one process: resident memory in MB and open descriptors over monotonic time in s."""

    pid: int
    t_s: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)
    fds: list[int] = field(default_factory=list)

    def sample(self) -> None:
        """Look now."""
        self.t_s.append(time.monotonic())
        self.mb.append(rss_mb(self.pid))
        self.fds.append(descriptors(self.pid))

    def fit(self, since_s: float) -> "Fit":
        """Fit a straight line to the memory of all samples from `since_s` on."""
        t_s, mb = np.array(self.t_s), np.array(self.mb)
        late = t_s >= since_s
        t_s, mb = t_s[late] - since_s, mb[late]
        slope, level = np.polyfit(t_s, mb, 1)
        return Fit(
            level_mb=float(mb.mean()), slope_mb_h=float(slope * HOUR_S), growth=float(slope * t_s[-1] / level),
            spread=float((mb.max() - mb.min()) / mb.mean()), samples=len(mb), seconds=float(t_s[-1]),
        )  # fmt: skip


@dataclass(frozen=True)
class Fit:
    """A straight line through memory; `growth` over all of it and `spread` from least to most are parts of the level."""

    level_mb: float
    slope_mb_h: float
    growth: float
    spread: float
    samples: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.level_mb:.0f} MB, {self.slope_mb_h:+.1f} MB/h, {100 * self.growth:+.2f} % in {self.seconds:.0f} s "
            f"({self.samples} samples, least to most {100 * self.spread:.1f} %)"
        )
