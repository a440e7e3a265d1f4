"""Raw bytes and half-open connections at every socket at once, beside a run: nothing is lost, and an abort is answered.

EVAPD_STRANGERS_S says how long (`make proofs`: 60 s).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evapd.rpc import Requester
from evapd.stream.frame import HITS
from support.bench_table import Row
from support.soak_load import Load
from support.soak_memory import descriptors
from support.soak_page import tell
from support.soak_rig import FollowingProcess, SoakRig, end_all, recorded, soak_rig
from support.wait import wait_for

STRANGERS_S = float(os.environ.get("EVAPD_STRANGERS_S", "1"))
HELD = 30  # half-open connections at each socket
ABORTS = 200 if STRANGERS_S >= 20 else 20
HITS_PER_S = 20_000.0
_STRANGERS = Path(__file__).parents[1] / "support" / "soak_strangers.py"


def sockets_of(rig: SoakRig) -> dict[str, str]:
    """Every socket that takes connections from outside, by name."""
    loaded = rig.loaded
    streams = {
        name: getattr(loaded.rig.sockets, name).removeprefix("tcp://")
        for name in ("stream", "live", "replay", "control")
    }
    own = loaded.layout.guard_ipc.removeprefix("ipc://")
    return streams | {
        "metrics": loaded.rig.metrics.address,
        "web": loaded.rig.web.address,
        "guard's own": own,
    }


@contextmanager
def strangers(rig: SoakRig) -> Iterator[dict[str, dict[str, int]]]:
    """Let them in from here on; gives at the end what they did."""
    done: dict[str, dict[str, int]] = {}
    places = [f"{name}={address}" for name, address in sockets_of(rig).items()]
    with subprocess.Popen(
        [sys.executable, str(_STRANGERS), str(HELD), *places], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **rig.env["acquire"]},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield done
        told, _ = process.communicate(timeout=30.0)
        done.update(json.loads(told))


def asked(
    address: str, command: str, args: dict[str, Any], count: int, *, anew: bool
) -> "np.ndarray[Any, Any]":
    """Times in ms from the question to its answer, by one client or each time by a new one."""
    times_ms, requester = [], Requester(address, 10.0, client="proof")
    for _ in range(count):
        if anew:
            requester.close()
            requester = Requester(address, 10.0, client="proof")
        began_s = time.perf_counter()
        requester.request(command, args)
        times_ms.append(1e3 * (time.perf_counter() - began_s))
    requester.close()
    return np.array(times_ms)


def quantiles(times_ms: "np.ndarray[Any, Any]") -> str:
    """p50, p99 and the longest."""
    return f"{np.median(times_ms):.1f} / {np.quantile(times_ms, 0.99):.1f} / {times_ms.max():.0f} ms"


@pytest.mark.timeout(240 + 2 * STRANGERS_S)
def test_strangers_at_every_socket_at_once_cost_nothing_and_an_abort_is_answered() -> None:
    with soak_rig(HITS_PER_S, None, "guard", "acquire", "web") as rig:
        control, guard = rig.loaded.rig.sockets.control, rig.loaded.layout.guard_ipc
        web = rig.loaded.layout.folder / "web.log"
        wait_for(lambda: "the display is at" in web.read_text(), rig.logs, 60.0)
        with FollowingProcess(rig, HITS) as one, FollowingProcess(rig, HITS) as other:
            rig.begin()
            load, pids = Load(), {name: rig.pid(name) for name in rig.processes}
            before = {name: descriptors(pid) for name, pid in pids.items()}
            quiet = quantiles(asked(control, "status", {}, ABORTS, anew=False))
            with strangers(rig) as done:
                until_s, beside = time.monotonic() + STRANGERS_S, []
                while time.monotonic() < until_s:
                    beside.append(asked(control, "status", {}, 10, anew=False))
                    load.sample()
                state = (rig.status() or {}).get("run_state")
                aborts = asked(control, "abort", {"reason": "proof"}, 1, anew=True)  # it ends the run
                rig.await_run("idle", 60.0)
                finished = rig.status() or {}
                aborts = np.concatenate(
                    [aborts, asked(control, "abort", {"reason": "proof"}, ABORTS, anew=False)]
                )
                anew = asked(control, "abort", {"reason": "proof"}, ABORTS, anew=True)
                at_guard = asked(guard, "abort", {"reason": "proof"}, ABORTS, anew=True)
            told = end_all([one, other])
        wait_for(
            lambda: all(descriptors(pid) <= before[name] + 4 for name, pid in pids.items()),
            lambda: f"files given back: {before}, { {name: descriptors(pid) for name, pid in pids.items()} }", 30.0, every_s=0.2,
        )  # fmt: skip
        after = {name: descriptors(pid) for name, pid in pids.items()}
        rows, _, _ = recorded(rig.store())
        alive = all(process.poll() is None for process in rig.processes.values())
    tell(
        "strangers", f"raw bytes and {HELD} half-open connections at each of {len(done)} sockets at once for {STRANGERS_S:.0f} s and the aborts, beside {HITS_PER_S:.0f} hits/s with words",
        [
            Row("raw connections, half-open ones, those that the daemon ended, turned away", "; ".join(f"{name} {did.get('raw', 0)}, {did.get('half-open', 0)}, {did.get('ended by the daemon', 0)}, {did.get('turned away', 0)}" for name, did in done.items())),
            Row("`status` before, p50 / p99 / max", quiet),
            Row("`status` meanwhile", quantiles(np.concatenate(beside))),
            Row(f"`abort` at acquire meanwhile, standing client, {len(aborts)} times", quantiles(aborts), "p99 < 100 ms"),
            Row(f"`abort` at acquire meanwhile, a new client each time, {ABORTS} times, connecting included", quantiles(anew), "p99 < 500 ms"),
            Row(f"`abort` at the guard meanwhile, a new client each time, {ABORTS} times", quantiles(at_guard), "p99 < 500 ms"),
            Row("hits: counted, in the journal, at two subscribers", f"{finished['hits']:,}, {rows[HITS]:,}, " + ", ".join(f"{one['rows'][HITS]:,}" for one in told), "equal"),
            Row("frames lost by the subscribers", ", ".join(str(one["lost"]) for one in told), "0, 0"),
            Row("descriptors before, after", "; ".join(f"{name} {before[name]}, {after[name]}" for name in pids), "as before"),
            Row("state before the abort; all processes alive", f"{state}; {'yes' if alive else 'no'}", "running; yes"),
            Row("the machine", load.told()),
        ],
    )  # fmt: skip
    assert state == "running"
    assert alive
    assert [one["lost"] for one in told] == [0, 0]
    assert [one["rows"][HITS] for one in told] == [rows[HITS]] * 2 == [finished["hits"]] * 2
    assert all(did["raw"] > 0 for did in done.values())
    assert np.quantile(aborts, 0.99) < 2000.0
