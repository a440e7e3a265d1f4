"""The twin of a rig: its instruments at the far ends of the cables, one plant behind them, physics or a replay that runs.

Which instrument stands at a cable is decided by the device's driver name alone.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TypeVar

import numpy as np
from pydantic import ValidationError

from evapd.config import LoadedRig, load_rig
from evapd.config.descriptor import FileDescriptor, LibraryDescriptor, ModuleDescriptor, parse_descriptor
from evapd.config.wiring import DETECTOR_ROLES
from evapd.errors import ConfigError, EvapdError
from evapd_sim.anode import load_anode
from evapd_sim.clockwork import Clockwork
from evapd_sim.disturb.catalogue import read_event, why_not
from evapd_sim.disturb.control import CONTROL_SOCKET, ControlSocket
from evapd_sim.disturb.engine import Disturbances
from evapd_sim.disturb.event import Event, Scene
from evapd_sim.experiment import Experiment
from evapd_sim.far_end import far_end
from evapd_sim.plant import Plant
from evapd_sim.ready import notify
from evapd_sim.replay import Replay, find_source
from evapd_sim.settings import AtomProbeTwin, ReplayTwin
from evapd_sim.stage_made import make_stage
from evapd_sim.step import StepResult
from evapd_sim.wire.base import Wire
from evapd_sim.wire.fug_probus import FugProbusWire
from evapd_sim.wire.registry import WIRES, make_wire
from evapd_sim.wire.serve import WireServer, serve_wire
from evapd_sim.wire.tdc_stream import TdcStreamWire

_log = logging.getLogger("evapd_sim")
_PATIENCE_S = 10.0
W = TypeVar("W", bound=Wire)
_DISTURB_STREAM = 0x64  # keeps the disturbances' random numbers apart from those of the physics
_NO_CABLE = LibraryDescriptor | ModuleDescriptor | FileDescriptor  # nothing can stand at their far end
EXIT_DONE, EXIT_FAILED, EXIT_CONFIG = 0, 1, 78


class Source(Protocol):
    """What makes words: the physics or a recording."""

    def step(self, dt_s: float) -> StepResult:
        """Advance by `dt_s`."""
        ...


class Twin:
    """All instruments of one rig. `start()` opens cables and starts threads, `stop()` ends and removes them.

    Attributes:
        plant: what is physically there.
        wires: the instruments by device name.
        servers: the cables by device name, with their faults; filled by `start()`.
        experiment: the physics, None in a replay.
        replay: the recording, None otherwise.
        disturbances: what disturbs it, by script and by `do`.
        control: the socket that takes commands.
        clockwork: how well steps kept time.
        ended: set when stepping has ended, asked for or not.
    """

    def __init__(self, loaded: LoadedRig, clock: Callable[[], float] = time.monotonic) -> None:
        """Build everything; opens no cable and starts no thread.

        Raises:
            ConfigError: when the rig has no twin, or one that cannot be built.
        """
        self.loaded = loaded
        self._clock = clock
        self.plant = Plant()
        self.experiment: Experiment | None = None
        self.replay: Replay | None = None
        self.wires: dict[str, Wire] = {}
        self.servers: dict[str, WireServer] = {}
        self.ended = threading.Event()
        self._stop = threading.Event()
        self._source = self._build()
        self._tdcs = [wire for wire in self.wires.values() if isinstance(wire, TdcStreamWire)]
        self.disturbances = self._prepare_disturbances()
        self.control = ControlSocket(self.loaded.layout.twin / CONTROL_SOCKET, self._command)
        step_s = self.settings.step_s
        self.clockwork = Clockwork(step_s, self._advance, clock, self._stop)
        self._thread = threading.Thread(target=self._run, name="twin physics", daemon=True)

    @property
    def settings(self) -> AtomProbeTwin | ReplayTwin:
        """The twin's own settings."""
        settings = self.loaded.twin
        if isinstance(settings, AtomProbeTwin | ReplayTwin):
            return settings
        raise ConfigError(
            f"{self.loaded.path}: has no `twin:` of kind atom-probe or replay, nothing to simulate"
        )

    def start(self) -> None:
        """Open all cables, then let time run.

        Raises:
            ConfigError: when an address is taken; cables opened before are removed.
        """
        try:
            # Sockets first: they refuse a second listener, while a pseudo-terminal would take the name over.
            for name in sorted(self.wires, key=lambda name: self._connect(name).startswith("serial:")):
                own_speed = "baud" in self.settings.wires.get(name, {})
                end = far_end(self._connect(name), own_speed=own_speed)
                self.servers[name] = serve_wire(self.wires[name], end, clock=self._clock)
            self.control.open()
        except ConfigError:
            self._close_servers()
            raise
        self._thread.start()

    def stop(self) -> None:
        """End the stepping, cut the cables."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_S)
        self.control.close()
        self._close_servers()

    def do(self, event: Event | Mapping[str, Any]) -> float:
        """Let something go wrong, now or at the event's own time; from any thread.

        Args:
            event: an event, or its name and parameters, such as `{"do": "layer-step", "change": -0.2}`.

        Returns:
            The twin's time in s.

        Raises:
            ConfigError: when there is no such event, or this rig cannot have it.
        """
        try:
            known = event if isinstance(event, Event) else read_event(dict(event))
        except ValidationError as error:
            raise ConfigError(why_not(error)) from error
        return self.disturbances.do(known)

    def _command(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one request of the control socket."""
        told = {"t_s": self.do(request)} if "do" in request else {"t_s": self.disturbances.time_s}
        physics = self.experiment
        return {
            **told,
            "v_dc_v": self.plant.specimen.v_v,
            "detected_ions": physics.detected_ions if physics is not None else None,
            "active": self.disturbances.active,
            "waiting": self.disturbances.waiting,
        }

    def _close_servers(self) -> None:
        while self.servers:
            _, server = self.servers.popitem()
            server.close()

    def _run(self) -> None:
        try:
            self.clockwork.run()
        finally:
            self.ended.set()

    def _advance(self, dt_s: float) -> None:
        with self.disturbances.lock:
            self.disturbances.advance(dt_s)
            result = self._source.step(dt_s)
        for tdc in self._tdcs:
            tdc.deliver(
                result.pulse_offsets,
                result.channels,
                result.times,
                pulses=result.pulses,
                inhibited=result.inhibited,
                t_device_ns=result.t_device_ns,
                saturated=result.saturated,
                exhausted=result.exhausted,
            )

    # -- building ---------------------------------------------------------------------------------------------------

    def _build(self) -> Source:
        settings = self.settings
        anode = load_anode(self.loaded.anode_path)
        channels = 1 + 2 * len(anode.layers)
        if isinstance(settings, AtomProbeTwin):
            # Before the instruments: they take temperatures and set points over from the plant.
            self.plant.stage = make_stage(settings.stage, settings.seed)
            self.experiment = Experiment(self.loaded.rig, settings, anode, self.plant)
            self._make_wires(settings.detector.bin_ps, channels)
            return self.experiment
        self._make_wires(settings.signals.bin_ps, channels)
        source = find_source(settings, self.loaded.layout.twin)
        if source.generated:
            _log.warning(
                "%s is not below the folder that EVAPD_DATA names: replaying %d generated hits instead, %s",
                settings.data,
                len(source.hits),
                source.path,
            )
        tdc, supply = self._the(TdcStreamWire, "tdc"), self._the(FugProbusWire, "specimen")
        self.replay = Replay(
            source.hits,
            settings,
            anode,
            self.plant,
            armed=lambda: tdc.armed,
            front_panel=partial(supply.front_panel, output=True),
        )
        return self.replay

    def _prepare_disturbances(self) -> Disturbances:
        settings = self.settings
        rng = np.random.default_rng([settings.seed, _DISTURB_STREAM])
        scene = Scene(self.plant, self.wires, self.servers, self.experiment, rng)
        disturbances = Disturbances(scene, settings.script, clock=self._clock)
        for number, event in enumerate(settings.script, 1):
            try:
                disturbances.check(event)
            except ConfigError as error:
                raise ConfigError(
                    f"{self.loaded.path}: twin.settings.script: event {number}, {event.do}: {error}"
                ) from error
        return disturbances

    def _make_wires(self, bin_ps: tuple[int, int], channels: int) -> None:
        devices = self.loaded.rig.devices
        unknown = self.settings.wires.keys() - devices.keys()
        if unknown:
            raise ConfigError(
                f"{self.loaded.path}: twin.settings.wires: no device {', '.join(sorted(unknown))}"
            )
        for name, spec in devices.items():
            if isinstance(parse_descriptor(self._connect(name)), _NO_CABLE):
                continue
            if spec.driver not in WIRES:
                raise ConfigError(
                    f"{self.loaded.path}: devices.{name}: there is no simulated instrument for the driver "
                    f"{spec.driver}, only for {', '.join(WIRES)}"
                )
            options: dict[str, Any] = dict(self.settings.wires.get(name, {}))
            if spec.role in DETECTOR_ROLES:
                options = {"supply": name, **options}  # an output of its own
            if spec.driver == "tdc-stream":
                options = {
                    "bin_numerator": bin_ps[0],
                    "bin_denominator": bin_ps[1],
                    "channels": channels,
                    **options,
                }
            try:
                self.wires[name] = make_wire(spec.driver, self.plant, **options)
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{self.loaded.path}: twin.settings.wires.{name}: {error}") from error

    def _the(self, kind: type[W], role: str) -> W:
        """The one instrument of a role that a replay needs."""
        for name in self.loaded.rig.devices_with_role(role):
            wire = self.wires[name]
            if isinstance(wire, kind):
                return wire
        raise ConfigError(
            f"{self.loaded.path}: a replay needs a device of role {role} with a driver whose simulated "
            f"instrument is a {kind.__name__}"
        )

    def _connect(self, name: str) -> str:
        return str(self.loaded.devices[name].model_dump()["connect"])


def run(config: Path, folder: Path | None = None) -> int:
    """Serve the twin of a rig file until SIGTERM or SIGINT.

    Args:
        config: the rig file.
        folder: instead of the rig's own folder.

    Returns:
        0 when it was asked to end, 1 when it failed, 78 when the configuration is wrong.
    """
    logging.basicConfig(level=logging.INFO, format="evapd-sim: %(message)s")
    asked = threading.Event()

    def end(_signum: int, _frame: FrameType | None) -> None:
        asked.set()

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, end)
    try:
        twin = Twin(load_rig(config, folder))
        twin.start()
    except ConfigError as error:
        _log.error("%s", error)
        return EXIT_CONFIG
    try:
        sys.stdout.write(f"ready, takes events at {twin.control.address}\n")
        sys.stdout.flush()
        notify(
            f"READY=1\nSTATUS={len(twin.servers)} simulated instruments, takes events at {twin.control.address}"
        )
        while not asked.wait(0.2):
            if twin.ended.is_set():
                _log.error("the simulated instrument ended by itself, see the traceback above")
                return EXIT_FAILED
    except (EvapdError, OSError) as error:
        _log.error("%s", error)
        return EXIT_FAILED
    finally:
        twin.stop()
    if twin.clockwork.lost_s:
        _log.warning(
            "%.1f s were let go, because the machine was busy or the twin was stopped", twin.clockwork.lost_s
        )
    return EXIT_DONE
