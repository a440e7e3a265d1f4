"""A whole rig for tests: the twin in this process, where faults can be given to it, guard and acquire in their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from evapd.config import LoadedRig, load_rig
from evapd.errors import StreamError
from evapd.rpc import Requester
from evapd_sim.twin import Twin
from support.kernels import NUMBA_CACHE
from support.patience import ANSWER_S
from support.rig_files import rig_folder, write_rig
from support.wait import wait_for


class Daemon:
    """Twin, guard and acquire of one rig.

    Attributes:
        config: rig file; guard and acquire may be given another one of the same rig in `process_config`.
        env: more environment by name of the process.
    """

    def __init__(self, config: Path) -> None:
        self.config = self.process_config = config
        self.env: dict[str, dict[str, str]] = {}
        self.loaded: LoadedRig = load_rig(config)
        self.twin = Twin(self.loaded, time.monotonic)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._control = Requester(self.loaded.rig.sockets.control, 2.0)
        self._guard = Requester(self.loaded.layout.guard_ipc, 2.0)

    def start(self, *names: str) -> None:
        """Start the twin and both processes, and wait until they answer."""
        self.loaded.layout.make()
        self.twin.start()
        for name in names or ("guard", "acquire"):
            self.spawn(name)
        self.await_answer()

    def spawn(self, name: str) -> None:
        """Start one process; its messages go to a log in the rig's folder."""
        with (self.loaded.layout.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"evapd.{name}", str(self.process_config)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, "NUMBA_CACHE_DIR": str(NUMBA_CACHE), **self.env.get(name, {})},
            )  # fmt: skip

    def await_answer(self) -> None:
        """Wait until acquire answers and sees the guard."""
        wait_for(
            lambda: (self.status() or {}).get("guard"),
            lambda: f"an answer of the daemon\n{self.logs()}",
            60.0,
        )

    def logs(self) -> str:
        """The processes' messages, for a failure's text."""
        paths = sorted(self.loaded.layout.folder.glob("*.log"))
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in paths)

    def status(self) -> dict[str, Any] | None:
        """Ask acquire; None when it does not answer."""
        return _ask(self._control, "status")

    def guard_status(self) -> dict[str, Any] | None:
        """Ask the guard itself; None when it does not answer."""
        return _ask(self._guard, "status")

    def ask(self, command: str, **args: Any) -> dict[str, Any]:
        """Send a command to acquire."""
        return self._control.request(command, args, timeout_s=ANSWER_S)

    def ask_with_id(self, command: str, request_id: str, **args: Any) -> dict[str, Any]:
        """Send a command to acquire under an id of the test's choice."""
        return self._control.request(command, args, request_id=request_id, timeout_s=ANSWER_S)

    def ask_guard(self, command: str, **args: Any) -> dict[str, Any]:
        """Send a command to the guard's own socket."""
        return self._guard.request(command, args, timeout_s=ANSWER_S)

    def await_run(self, state: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait for a state of the run."""
        wait_for(
            lambda: (self.status() or {}).get("run_state") == state,
            lambda: f"run state {state}; {self.status()}\n{self.logs()}",
            timeout_s,
        )
        return self.status() or {}

    def await_energy(self, *states: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait for a state of the specimen's energy."""
        wait_for(
            lambda: (self.guard_status() or {}).get("energy_state") in states,
            lambda: f"energy {states}\n{self.logs()}",
            timeout_s,
        )
        return self.guard_status() or {}

    def start_run(self) -> dict[str, Any]:
        """Start a run and wait until it runs and the voltage is above 500 V."""
        wait_for(
            lambda: all(
                one["state"] == "online" for one in (self.status() or {}).get("devices", {}).values()
            ),
            "every device to be read",
            60.0,
        )
        self.ask("start")
        status = self.await_run("running")
        wait_for(
            lambda: self.twin.plant.specimen.v_v > 500.0, lambda: f"voltage in the twin\n{self.logs()}", 60.0
        )
        return dict(status["run"])

    def kill(self, name: str, signum: signal.Signals = signal.SIGKILL) -> float:
        """Send a signal; gives the monotonic time just before."""
        now_s = time.monotonic()
        self.processes[name].send_signal(signum)
        return now_s

    def reap(self, name: str, timeout_s: float = 60.0) -> int:
        """Wait for a process to end; gives its exit code."""
        return self.processes[name].wait(timeout_s)

    def close(self) -> None:
        """End everything, whatever state it is in."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait(60.0)
        self.twin.stop()
        self._control.close()
        self._guard.close()
        # What they began ends with them, but a moment later, and may still be writing into the rig's folder.
        for process in self.processes.values():
            wait_for(lambda leader=process.pid: not alive_in_session(leader), "the end of its children", 60.0)


def alive_in_session(leader: int) -> list[int]:
    """Give the processes of the session that a process began, itself too; those that only wait to be reaped do not count."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # gone in the meantime
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state not in "ZX":
                found.append(int(path.parent.name))
    return found


def _ask(requester: Requester, command: str) -> dict[str, Any] | None:
    try:
        return requester.request(command, {})
    except StreamError:
        return None


@contextmanager
def daemon(changes: dict[str, Any] | None = None, *, start: bool = True) -> Iterator[Daemon]:
    """A daemon on the shipped simulated rig with the test's changes."""
    with rig_folder() as folder:
        made = Daemon(write_rig(folder, {"end": None, "start": None, **(changes or {})}))
        try:
            if start:
                made.start()
            yield made
        finally:
            made.close()
