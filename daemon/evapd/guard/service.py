"""The guard at work: core, instruments, link, socket and journal, driven by `tick` and `react`. It knows no loop."""

import queue
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from evapd.config import LoadedRig
from evapd.config.plugins import INSTALLED, Plugins
from evapd.device.tracing import KIND as TRACE
from evapd.errors import StateError
from evapd.guard.alarms import OVER
from evapd.guard.blackbox import BlackBox
from evapd.guard.chronicle import Chronicle
from evapd.guard.core import GuardCore
from evapd.guard.energy import ENERGISED, EnergyState
from evapd.guard.instruments import Instruments
from evapd.guard.realtime import Lateness
from evapd.guard.requests import make_commands
from evapd.guard.types import Decision, Event, GuardSettings, Inputs, LinkView, Severity
from evapd.link import LinkServer
from evapd.rpc import Dispatcher, Service
from evapd.rpc.audit import KIND as COMMAND
from evapd.rpc.audit import Audit
from evapd.rpc.bucket import Buckets
from evapd.rpc.parameters import parameters
from evapd.stream.frame import Framer
from evapd.units import US_PER_S

_SLOW_S = 1.0
_IDLE_SAMPLE_S = 1.0
_REQUESTS_PER_TICK = 64  # of all peers together: whoever floods the socket keeps the loop from nothing
_REQUESTS_HZ = 500.0  # of one peer; acquire passes on what many ask of it
_REQUESTS_BURST = 500
_WORKER_SEVERITY: dict[str, Severity] = {"online": "info", "safe": "info"}


class GuardService:
    """One guard of one folder. All methods but the constructor and `close` return at once."""

    def __init__(
        self,
        loaded: LoadedRig,
        framer: Framer,
        *,
        config_problem: str = "",
        clock: Callable[[], float] = time.monotonic,
        plugins: Plugins = INSTALLED,
    ) -> None:
        """Listen, open the journal, start the workers; energises nothing."""
        self._loaded, self._framer, self._clock = loaded, framer, clock
        self._notes: queue.SimpleQueue[Event] = queue.SimpleQueue()  # from the threads of workers and journal
        self.lateness = Lateness()
        self.realtime = False
        self._config_problem = config_problem
        self.instruments = Instruments(loaded, clock, self._from_worker, plugins)
        low_v, high_v = self.instruments.amplitude_range_v()
        self.core = GuardCore(
            GuardSettings(rig=loaded.rig, digest=loaded.digest, v_p_min_v=low_v, v_p_max_v=high_v)
        )
        self.link = LinkServer(loaded.layout.link_socket)
        self._audit = Audit(self._write_command)
        self._left = _REQUESTS_PER_TICK
        dispatcher = Dispatcher(
            make_commands(self),
            audit=self._audit,
            buckets=Buckets(_REQUESTS_HZ, _REQUESTS_BURST),
            # For acquire many may ask: what leads down never waits for what they have used up. A flood of it costs what
            # one of aborts costs: a tick's share at most, and every connection has its turn in it.
            lowering_waits=False,
            parameters=lambda: parameters(loaded.rig, self.status(), None),
            clock=clock,
        )
        self.requests = Service(loaded.layout.guard_ipc, dispatcher)
        try:
            self.requests.open()
            self.chronicle = Chronicle(loaded.layout.guard_journal, framer, clock, self._from_journal)
        except BaseException:
            self.link.close()
            self.requests.close()
            raise
        self.blackbox = BlackBox(loaded.layout.guard_journal, self.core.lookout.rules, self.say)
        self._decision = Decision(state=self.core.state)
        self._slow_s = self._sampled_s = clock()
        self.seen_specimen = False  # whether the specimen supply was ever read
        if config_problem:
            self.say(
                "config",
                "alarm",
                f"the present configuration is invalid, the last good one is used: {config_problem}",
            )
        self._dead_man = self.instruments.dead_man()
        if not (self._dead_man.exists or self._dead_man.observes):
            self.say("dead-man", "warning", self._dead_man.text)
        self.instruments.start()

    # What the loop calls.

    def filenos(self) -> list[int]:
        """File descriptors to wait on between ticks; requests beyond a tick's share wait for the next one."""
        return [*self.link.filenos(), *([self.requests.fd] if self._left > 0 else [])]

    def tick(self, lateness_us: float) -> None:
        """One step of the control loop, with everything that is due once a second."""
        now_s = self._clock()
        self.lateness.note(lateness_us)
        self._left = _REQUESTS_PER_TICK
        self._serve_requests()
        self._audit.tick(now_s)
        decision = self.core.tick(self.inputs(), now_s)
        self._carry_out(decision, now_s)
        idle = not self.core.run_id and self.core.state not in ENERGISED
        if decision.sample is not None and (not idle or now_s - self._sampled_s >= _IDLE_SAMPLE_S):
            self._sampled_s = now_s
            self.chronicle.sample(decision.sample, lateness_us)
        if now_s - self._slow_s >= _SLOW_S:
            self._slow_s = now_s
            sample = self._decision.sample
            self.chronicle.slow(
                self.instruments.document(),
                round(now_s * US_PER_S),
                pulse=-1 if sample is None else sample.pulse,
                **self._closeness(),
            )
            for what, details in self.instruments.traces.take():
                self.chronicle.event(Event(kind=TRACE, severity="info", what=what, details=details))

    def react(self) -> None:
        """Act on what came between two ticks: records, end of file, requests."""
        self._serve_requests()
        now_s = self._clock()
        self._carry_out(self.core.react(self.inputs(), now_s), now_s)

    def say(self, kind: str, severity: Severity, what: str) -> None:
        """Write an event of the process; from any thread."""
        self._notes.put(Event(kind=kind, severity=severity, what=what))

    def close(self) -> None:
        """End everything; outputs stay as they are."""
        self.instruments.stop()
        self.requests.close()
        self.link.close()
        self.blackbox.close()
        self._write_notes()
        self.chronicle.close()

    @property
    def ready(self) -> bool:
        """Whether every device that is needed has been read and the energy state is known."""
        known = self.core.state is not EnergyState.OFF or self.core.run.observes
        return known and not self.instruments.complaints()

    # What the socket asks.

    def status(self) -> dict[str, Any]:
        """Everything at one glance."""
        core, steering = self.core, self.core.steering
        sample = self._decision.sample
        return {
            "instance": self._framer.instance,
            "energy_state": core.state.label,
            "v_dc_v": sample.v_dc_v if sample else None,
            "v_dc_set_v": sample.v_dc_set_v if sample else None,
            "v_p_v": sample.v_p_v if sample else None,
            "v_p_set_v": sample.v_p_set_v if sample else None,
            "law": core.run.law,
            "mode": steering.proposal.mode if steering.proposal else "",
            "target_rate": core.run.target_rate,
            "target_now": steering.target_rate,
            "pulse_fraction": core.run.pulse_fraction,
            "pulse_rate_hz": core.run.pulse_rate_hz,
            "clamped": steering.clamped,
            "segment": self._framer.segment,
            "settings": core.telling.settings(),
            "verified_down": core.verified,
            "alarms": self._alarms(),
            "alarm_list": self._alarm_list(),
            **self._closeness(),
            "devices": self.instruments.document(),
            "journal": self.chronicle.journal,
            "journal_lost": self.chronicle.lost,
            "link": self._link_document(),
            "lateness_us": self.lateness.document(),
            "realtime": self.realtime,
            "digest": self._loaded.digest,
            "wiring": core.wiring.document() | {"dead_man": self._dead_man.document()},
            "run_id": core.run_id,
        }

    def run_begin(
        self, run_id: str, folder: Path, digest: str, asked_s: float | None = None
    ) -> dict[str, Any]:
        """Begin a run that acquire records in `folder`, which lies in this rig's runs."""
        if folder.resolve().parent != self._loaded.layout.runs.resolve():
            raise StateError(f"run folder {folder} does not lie in {self._loaded.layout.runs}")
        if self._config_problem:
            raise StateError(f"a run cannot begin: the configuration is invalid: {self._config_problem}")
        self._stage_rests("a run cannot begin")
        self.core.run_begin(run_id, digest, self._clock(), asked_s)
        self.chronicle.run_begins(run_id, folder.absolute())
        self.blackbox.run_begins(folder.absolute())
        return self._answer()

    def run_end(self, reason: str) -> dict[str, Any]:
        """End the run."""
        self.core.run_end(reason, self._clock())
        return self._answer()

    def abort(self, reason: str) -> dict[str, Any]:
        """Make safe by the quickest way, and stop every axis: who aborts sees something go wrong."""
        self.core.abort(reason, self._clock())
        if not self.core.run.observes:
            self.instruments.stages.stop()
        return self._answer()

    def inhibit(self, *, on: bool) -> dict[str, Any]:
        """Stop pulses, or go on."""
        if not on:
            self._stage_rests()
        self.core.inhibit(on, self._clock())
        return self._answer()

    def hold(self, *, on: bool) -> dict[str, Any]:
        """Stop pulses and wait at a lower voltage, or go on."""
        if not on:
            self._stage_rests()
        self.core.hold(on, self._clock())
        return self._answer()

    def pause(self) -> dict[str, Any]:
        """Stop pulses at a lower voltage for a while."""
        self.core.pause(self._clock())
        return self._answer()

    def align(self) -> dict[str, Any]:
        """Cap the voltage so that beam or stage may be moved."""
        self.core.align(self._clock())
        return self._answer()

    def resume(self) -> dict[str, Any]:
        """Go on after a stop by a person."""
        self._stage_rests()
        self.core.resume(self._clock())
        return self._answer()

    def detector(self, *, on: bool) -> dict[str, Any]:
        """Ramp the detector's supplies up, or down."""
        if on:
            self.core.detector_on(self._clock())
        else:
            self.core.detector_off("turned off by a person", self._clock())
        return self._answer() | {"detector": str(self.core.wiring.detector.state)}

    def stage_move(self, axis: str, mm: float) -> dict[str, Any]:
        """Start a move of the stage."""
        if self.core.steering.drawdown.active:
            raise StateError(
                "the stage does not move: the voltage is still on its way to where aligning begins"
            )
        self.instruments.stages.move(axis, mm, self.core.state)
        self.say("stage", "info", f"{axis} goes to {mm:g} mm")
        return self._answer()

    def stage_reference(self, axis: str, *, clear: bool) -> dict[str, Any]:
        """Start the search for an axis' reference mark."""
        self.instruments.stages.reference(axis, self.core.state, clear=clear)
        self.say("stage", "info", f"{axis} searches its reference mark")
        return self._answer()

    def stage_stop(self) -> dict[str, Any]:
        """Stop every axis."""
        self.instruments.stages.stop()
        self.say("stage", "info", "every axis is stopped by a person")
        return self._answer()

    def trace(self, device: str, *, on: bool) -> dict[str, Any]:
        """Keep the bytes of a device both ways, and write them down."""
        return self._answer() | {"traced": self.instruments.traces.switch(device, on=on)}

    def acknowledge(self) -> dict[str, Any]:
        """Take note of alarms."""
        return self._answer() | {"acknowledged": self.core.acknowledge(self._clock())}

    def set(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Change settings."""
        hold, lower = changes.pop("hold", None), bool(changes.pop("lower", False))
        self.core.check(changes, lower=lower)  # what would be refused is refused before anything is done
        if hold is False:
            self._stage_rests()
        if hold is not None:
            self.core.hold(hold, self._clock())
        self.core.set(changes, self._clock())
        return self._answer() | {"settings": self.core.telling.settings()}

    def attend(self) -> dict[str, Any]:
        """Somebody is there."""
        return self._answer() | {"changed": self.core.lookout.attend(self._clock())}

    # Within.

    def _closeness(self) -> dict[str, Any]:
        explosive = self.core.lookout.explosiveness()
        return {
            "margins": {
                name: None if margin is None else round(margin, 4)
                for name, margin in self.core.lookout.margins().items()
            },
            "explosive": None if explosive is None else explosive.document(),
        }

    def _serve_requests(self) -> None:
        while self._left > 0 and (handled := self.requests.poll_once(self._left)):
            self._left -= handled

    def _write_command(self, severity: str, what: str, /, **details: Any) -> None:
        warning: Severity = "warning" if severity == "warning" else "info"
        self.chronicle.event(Event(kind=COMMAND, severity=warning, what=what, details=details))

    def inputs(self) -> Inputs:
        """Gather what is known now."""
        records = tuple(self.link.poll())
        link = LinkView(connected=self.link.connected, disconnects=self.link.disconnects, records=records)
        return Inputs(devices=self.instruments.views(), link=link)

    def _carry_out(self, decision: Decision, now_s: float) -> None:
        self.instruments.apply(decision, now_s)
        lookout = self.core.lookout
        whole = decision.sample is not None
        self.blackbox.note(
            now_s, lookout.inputs, decision, tuple(lookout.margins().values()) if whole else None
        )
        for event in decision.events:
            self.chronicle.event(event)
        self._write_notes()
        if self._framer.run and not self.core.run_id:
            self.chronicle.run_ends()
            self.blackbox.run_ends()
        self._decision = decision if decision.sample else replace(decision, sample=self._decision.sample)
        self.seen_specimen = self.seen_specimen or self._specimen_known(decision)

    def _specimen_known(self, decision: Decision) -> bool:
        return decision.sample is not None and decision.sample.v_dc_t_us >= 0

    def _write_notes(self) -> None:
        while True:
            try:
                self.chronicle.event(self._notes.get_nowait())
            except queue.Empty:
                return

    def _alarms(self) -> list[str]:
        texts = self.core.alarms.texts()
        # What is unknown now is said also where the rule that told of another device is over: a fault is latched by then.
        if not any(text.startswith("device-unknown") and OVER not in text for text in texts):
            texts += self.instruments.complaints()
        if self._config_problem:
            texts.append(f"config: {self._config_problem}")
        if self.chronicle.fault:
            texts.append(f"journal: {self.chronicle.fault}")
        return texts

    def _alarm_list(self) -> list[dict[str, Any]]:
        """Give the same alarms for programs."""
        listed = self.core.alarms.documents()
        for text in self._alarms()[len(listed) :]:
            name, _, what = text.partition(": ")
            listed.append({"name": name, "severity": "alarm", "what": what, "active": True, "latch": False})
        return listed

    def _link_document(self) -> dict[str, Any]:
        rates, now_s = self.core.observer.rates, self._clock()
        return {
            "connected": self.link.connected,
            "disconnects": self.link.disconnects,
            "refused": self.link.refused,
            "damaged": self.link.damaged,
            "foreign": self.core.observer.foreign,
            "record_age_s": rates.record_age_s(now_s),
            "heartbeat_age_s": rates.heartbeat_age_s(now_s),
            "newest": None
            if rates.newest is None
            else asdict(rates.newest) | {"config": rates.newest.config.hex()},
        }

    def _stage_rests(self, what: str = "the run does not go on") -> None:
        """Refuse what lets the voltage rise while an axis moves, or may: an order from before is still on its way."""
        if moving := self.instruments.stages.moving:
            raise StateError(f"{what}: {', '.join(moving)} of the stage moves; wait, or stop it")

    def _answer(self) -> dict[str, Any]:
        return {"accepted": True, "energy_state": self.core.state.label}

    def _from_worker(self, name: str, kind: str, message: str) -> None:
        self.say("device", _WORKER_SEVERITY.get(kind, "warning"), f"{name}: {kind}: {message}")

    def _from_journal(self, what: str) -> None:
        self.say("journal", "alarm", what)
