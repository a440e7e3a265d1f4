"""A whole simulated rig as `evapd run` starts it, every process on its own, for measurements."""

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evapd.config import load_rig
from evapd.errors import StreamError
from evapd.rpc import Requester
from evapd.supervisor.progress import Progress
from evapd.supervisor.supervisor import Supervisor
from support.bench_processes import SubscriberProcess, cpu_s, rss_mb
from support.kernels import NUMBA_CACHE
from support.rig_files import rig_folder, write_rig
from support.wait import wait_for


class MeasuredRig:
    """Twin, guard and acquire under the supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor, self.loaded = supervisor, supervisor.loaded
        self.pids = {name: child.process.pid for name, child in supervisor.children.items() if child.process}
        self._guard = Requester(self.loaded.layout.guard_ipc, 2.0)

    def ready_s(self, name: str) -> float:
        """Seconds from the start of a process to its word that it is ready."""
        return self.supervisor.children[name].ready_after_s or float("nan")

    def status(self) -> dict[str, Any]:
        """Status of acquire."""
        return self.supervisor.ask("status") or {}

    def guard_status(self) -> dict[str, Any]:
        """Status of the guard, by itself."""
        try:
            return self._guard.request("status", {})
        except StreamError:
            return {}

    def subscribe(self, topics: str) -> SubscriberProcess:
        """A subscriber in a process of its own."""
        sockets, rate_hz = self.loaded.rig.sockets, self.loaded.rig.pulse.rate_hz
        return SubscriberProcess(sockets.stream, sockets.replay, topics, rate_hz)

    def evaporate(self) -> None:
        """Start a run and wait until the rate has come to the target."""
        target = self.loaded.rig.control.target_rate
        self.supervisor.ask("start")
        wait_for(
            lambda: abs((self.status().get("rate_per_pulse") or 0.0) / target - 1.0) < 0.2, "the target rate", 60.0
        )  # fmt: skip

    def close(self) -> None:
        """Close the run, bring everything down, end all processes."""
        self._guard.close()
        self.supervisor.stop()


class Usage:
    """Processor time of processes from here on."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._since_s = time.monotonic()
        self._before = {name: cpu_s(pid) for name, pid in pids.items()}

    def texts(self) -> dict[str, str]:
        """Share of one core and resident memory by process."""
        seconds = time.monotonic() - self._since_s
        return {
            name: f"{100 * (cpu_s(pid) - self._before[name]) / seconds:.1f} % of a core, {rss_mb(pid):.0f} MB"
            for name, pid in self._pids.items()
        }


@contextmanager
def measured_rig(changes: dict[str, Any] | None = None) -> Iterator[MeasuredRig]:
    """The shipped simulated rig with changes, started and ready; it does not start a run by itself."""
    os.environ["NUMBA_CACHE_DIR"] = str(NUMBA_CACHE)
    with rig_folder() as folder:
        loaded = load_rig(write_rig(folder, {"end": None, "start": None, **(changes or {})}))
        loaded.layout.make()
        supervisor = Supervisor(loaded, Progress(io.StringIO()))
        try:
            supervisor.start()
            rig = MeasuredRig(supervisor)
        except BaseException:
            supervisor.stop()
            raise
        try:
            wait_for(lambda: rig.status().get("guard"), "acquire to see the guard", 30.0)
            yield rig
        finally:
            rig.close()
