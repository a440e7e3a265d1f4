"""All parts of the acquire process, put together, run, and taken apart in order."""

import gc
import signal
import time
import uuid
from contextlib import ExitStack
from types import FrameType
from typing import Any

from evapd.acquire.beacon import Beacon
from evapd.acquire.bus import Bus
from evapd.acquire.commands import make_commands
from evapd.acquire.conductor import Conductor
from evapd.acquire.counts import Counter
from evapd.acquire.guard_view import GuardView
from evapd.acquire.handback import HandBack
from evapd.acquire.herald import Herald
from evapd.acquire.live import make_analysis, make_service, make_tap
from evapd.acquire.measured import Measured, Parts
from evapd.acquire.readout import Readout
from evapd.acquire.state import RunState
from evapd.acquire.tracing import Tracing
from evapd.config import LoadedRig
from evapd.device import HitSource, TdcSource, build_device
from evapd.device.tracing import Traces
from evapd.errors import ConfigError
from evapd.link import LinkFlag, LinkSender, short_digest
from evapd.matching import Anode, Matcher
from evapd.notify import Notifier
from evapd.record.journal.older import OlderFrames
from evapd.record.journal.segments import segment_number, segments
from evapd.record.run import GUARD_PREFIX
from evapd.rpc import Dispatcher, Service
from evapd.rpc.audit import KIND as COMMAND
from evapd.rpc.audit import Audit
from evapd.rpc.parameters import parameters
from evapd.security.access import Access
from evapd.stream.frame import Framer
from evapd.stream.publisher import Publisher

TICK_S = 0.05
GRACE_S = 0.3  # in which a subscriber asks for what the last beats have shown to be missing
COMPILE_S = 180.0  # for the kernels, on a busy machine


class Acquire:
    """All parts of the process; `run()` until somebody asks to end it."""

    def __init__(self, loaded: LoadedRig) -> None:
        self.loaded = loaded
        self._ended_by = ""
        framer = Framer(uuid.uuid4().hex, lambda: time.monotonic_ns() // 1000, lambda: time.time_ns() // 1000)
        older = OlderFrames(framer.instance)
        standing = loaded.layout.guard_journal
        newest = max(map(segment_number, segments(standing, GUARD_PREFIX)), default=0)
        older.follow(standing, GUARD_PREFIX, least_number=newest, standing=True)
        sockets = loaded.rig.sockets
        self.access = Access.load(sockets.keys, sockets.max_connections)
        self.publisher = Publisher(
            sockets.stream,
            sockets.live,
            sockets.replay,
            instance=framer.instance,
            budget_bytes=int(sockets.stream_budget_mb * 1e6),
            snapshot=self._snapshot,
            next_seq=framer.next_seq,
            access=self.access,
            older=older,
            grace_s=GRACE_S,
        )
        self.bus = Bus(framer, self.publisher, older)
        self.beacon = Beacon(
            LinkSender(loaded.layout.link_socket),
            short_digest(loaded.digest),
            lambda: self.counter.now,
            lambda: self.readout.last_block_s,
            self._flags,
        )
        self.counter = Counter(loaded.rig.instrument, on_surge=self.beacon.hurry)
        self.readout, traces = _make_readout(loaded, self.bus)
        self.guard = GuardView(loaded.layout.guard_ipc, self.bus, self._on_segment)
        self.conductor = Conductor(loaded, self.readout, self.counter, self.bus, self.guard)
        self.herald = Herald(self.bus, self.conductor.status)
        self.conductor.tap = tap = make_tap(loaded)
        self.analysis = make_analysis(loaded, self.guard.v_dc, self.guard.v_p)
        self.live = make_service(
            self.analysis, self.conductor, tap=tap, bus=self.bus, guard=self.guard, counter=self.counter,
            publisher=self.publisher,
        )  # fmt: skip
        self.tracing = Tracing(traces, self.guard, self.bus)
        self.audit = Audit(self._write_command, lambda: self.conductor.opening)
        dispatcher = Dispatcher(
            make_commands(self.conductor, self.tracing, self.live.history, self.conductor.lease),
            lease=self.conductor.lease,
            audit=self.audit,
            parameters=lambda: parameters(loaded.rig, self.guard.status, self.conductor.status()),
        )
        self.service = Service(sockets.control, dispatcher, access=self.access)
        self.hand_back = HandBack()
        self.measured = Measured(
            loaded.rig.metrics.address,
            Parts(
                status=self.conductor.status,
                counts=lambda: self.counter.now,
                loop=lambda: self.guard.loop,
                queue_blocks=self.readout.blocks.qsize,
                stream=self.publisher.stats,
                requests=lambda: self.service.requests,
            ),
            loaded.layout.runs,
        )

    def _snapshot(self) -> dict[str, Any]:
        return self.conductor.status()

    def _on_segment(self, change: dict[str, Any]) -> None:
        self.conductor.on_segment(change)

    def _write_command(self, severity: str, what: str, /, **details: Any) -> None:
        self.bus.event(COMMAND, severity, what, **details)

    def _tell(self) -> None:
        """Tell who commands, and what of the commands is told as numbers."""
        now_s = time.monotonic()
        for what, details in self.conductor.lease.news(now_s):
            self.bus.event("lease", "info", what, **details)
        self.audit.tick(now_s)

    def _flags(self) -> LinkFlag:
        flags = LinkFlag.NONE
        if self.readout.armed.is_set():
            flags |= LinkFlag.ARMED
        if self.conductor.machine.state in {RunState.ARMING, RunState.RUNNING}:
            flags |= LinkFlag.RUN_ACTIVE
        run = self.conductor.run
        if run is not None and run.time_sums_lost:
            flags |= LinkFlag.TIME_SUMS_LOST
        if self.readout.exhausted:
            flags |= LinkFlag.SOURCE_EXHAUSTED
        return flags

    def end(self, signum: int, _frame: FrameType | None) -> None:
        """Handle SIGTERM and SIGINT: stop the run, then the process.

        It takes a note and no lock: the main thread, which it interrupts, may hold any of them.
        """
        self._ended_by = self.conductor.end_reason = f"{signal.Signals(signum).name} received"

    def run(self, notifier: Notifier) -> None:
        """Serve until `end()`; then close the run and everything else, in the reverse order of opening."""
        notifier.status(
            "loading the kernels of the matching; after an update they are compiled, up to a minute"
        )
        notifier.extend(COMPILE_S)
        if not self.readout.delivers_hits:
            Matcher(Anode.load(self.loaded.anode_path)).warm_up()
        self.analysis.warm_up()

        def alive() -> None:
            notifier.watchdog()
            self._tell()

        self.conductor.alive = alive
        with ExitStack() as opened:
            for start, stop in (
                (self.bus.older.start, self.bus.older.stop),
                (self.publisher.start, self.publisher.stop),
                (self.herald.start, self.herald.stop),
                (self.live.start, self.live.stop),
                (self.guard.start, self.guard.stop),
                (self.beacon.start, self.beacon.stop),
                (self.readout.start, lambda: self.readout.stop(2.0)),
                (self.service.start, self.service.stop),
                (self.measured.start, self.measured.stop),
                (self.hand_back.start, self.hand_back.stop),
            ):
                start()
                opened.callback(stop)
            opened.callback(self.conductor.backlog.pause)
            opened.callback(notifier.stopping)
            notifier.ready("idle")
            gc.collect()
            gc.freeze()  # what lives for ever is never looked at again
            while not (self._ended_by and self.conductor.machine.state is RunState.IDLE):
                self.conductor.tick()
                self.tracing.tick()
                alive()
                time.sleep(TICK_S)


def _make_readout(loaded: LoadedRig, bus: Bus) -> tuple[Readout, Traces]:
    (name, spec), *_ = loaded.rig.devices_with_role("tdc").items()
    traces = Traces([name])
    source = build_device(name, loaded, trace=traces.of(name))
    if not isinstance(source, TdcSource | HitSource):
        raise ConfigError(f"devices.{name}: driver '{spec.driver}' delivers neither words nor hits")
    return Readout(name, source, bus.event), traces
