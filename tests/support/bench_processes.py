"""What a measurement needs of processes: subscribers, load, processor time and memory."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

_SUBSCRIBER = Path(__file__).with_name("bench_subscriber.py")
_BARE_LOOP = Path(__file__).with_name("bench_bare_loop.py")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class SubscriberProcess:
    """`bench_subscriber` in a process of its own; made when the daemon has welcomed it."""

    def __init__(self, stream: str, replay: str, topics: str, pulse_rate_hz: float = 0.0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_SUBSCRIBER), stream, replay, topics, str(pulse_rate_hz)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "welcome\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self) -> dict[str, Any]:
        """Let it take what is left; gives what it counted."""
        told, _ = self._process.communicate(timeout=60.0)
        return dict(json.loads(told))


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that only compute."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def chain_at_full_speed() -> Iterator[None]:
    """The acquire chain with words recorded and three subscribers, as its own benchmark runs it, for as long as that takes."""
    bench = Path(__file__).parents[1] / "bench" / "test_bench_chain.py"
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-m", "bench", "-k", "full_speed and words", "--override-ini=norecursedirs=.*", str(bench)],
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield
        told, _ = process.communicate(timeout=300.0)
        if process.returncode:
            raise AssertionError(f"the load ended with {process.returncode}:\n{told}")


@contextmanager
def bare_loop(period_s: float, *, priority: int) -> Iterator[list[float]]:
    """A loop that does nothing beside what is measured; the list holds its lateness in us afterwards."""
    late_us: list[float] = []
    with subprocess.Popen(
        [sys.executable, str(_BARE_LOOP), str(period_s), str(priority)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield late_us
        told, _ = process.communicate(timeout=30.0)
        late_us += json.loads(told)


def cpu_s(pid: int | str = "self") -> float:
    """Processor time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_mb(pid: int | str = "self") -> float:
    """Resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in status if line.startswith("VmRSS"))
