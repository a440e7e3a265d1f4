"""How busy a machine was meanwhile, with what was ours and what was not."""

import os
import time
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _busy_s() -> float:
    """Processor time that the whole machine has spent since its start."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    user, nice, system, _idle, _wait, irq, soft = (int(one) for one in fields[:7])
    return (user + nice + system + irq + soft) / _TICKS_PER_S


class Load:
    """From here on."""

    def __init__(self) -> None:
        self._since_s, self._busy_s = time.monotonic(), _busy_s()
        self._loads: list[float] = []

    def sample(self) -> None:
        """Note the load average of the last minute."""
        self._loads.append(os.getloadavg()[0])

    def told(self) -> str:
        """Mean and most, and how much of all cores was in use."""
        cores = len(os.sched_getaffinity(0))
        used = (_busy_s() - self._busy_s) / (time.monotonic() - self._since_s) / cores
        mean = sum(self._loads) / len(self._loads)
        return f"load average {mean:.1f}, at most {max(self._loads):.1f}; {100 * used:.0f} % of {cores} cores in use by all programs"
