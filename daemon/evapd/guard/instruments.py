"""The guard's instruments: one worker per device, their newest readings as views, decisions as commands.

A decision says what shall be, again and again; a command is sent when that changes, when the instrument was not
there to take it, and when its readings contradict it. What leads upwards is never repeated by itself.
"""

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from evapd.config import LoadedRig
from evapd.config.model import QUICK_ROLES
from evapd.config.plugins import INSTALLED, Plugins
from evapd.config.wiring import DETECTOR_ROLES
from evapd.device import DeviceState, DeviceWorker, Snapshot, build_device
from evapd.device.readings import HighVoltageReading, PulseAmplitudeReading, PulserReading
from evapd.device.tracing import Traces
from evapd.guard.deadman import DeadMan, dead_man
from evapd.guard.descent import ENERGY_ROLES
from evapd.guard.laser_orders import LaserOrders
from evapd.guard.outputs import Outputs
from evapd.guard.sending import AGAIN_S, Sender
from evapd.guard.stage import StageOrders
from evapd.guard.types import Decision, DeviceView, ReadingT, SupplyOrder

_DETECTOR_PERIOD_S = 0.2  # currents are watched
_SLOW_PERIOD_S = 0.5
_CLOSE_S = 2.0
_FINER = 1e-3  # a rise of V_p by less than this part waits for the next


class Instruments:
    """Owns the workers of every device but TDC and detector."""

    def __init__(
        self,
        loaded: LoadedRig,
        clock: Callable[[], float],
        on_event: Callable[[str, str, str], None],
        plugins: Plugins = INSTALLED,
    ) -> None:
        """Make the drivers and workers; touches no hardware.

        Raises:
            ConfigError: when a driver cannot be made.
        """
        self._specs = {name: spec for name, spec in loaded.rig.devices.items() if spec.role != "tdc"}
        self.traces = Traces(self._specs, clock)
        self._drivers: dict[str, Any] = {
            name: build_device(name, loaded, plugins, self.traces.of(name)) for name in self._specs
        }
        self._rig, self._clock = loaded.rig, clock
        guard, tick_s = loaded.rig.guard, loaded.rig.control.tick_s
        self._workers = {
            name: DeviceWorker(
                name,
                driver,
                period_s=_period_s(self._specs[name].role, tick_s),
                stale_s=guard.timeout_s(self._specs[name].role),
                clock=clock,
                on_event=on_event,
            )
            for name, driver in self._drivers.items()
        }
        self._pulse_tolerance = guard.pulse_tolerance
        self._sender = Sender(self._workers)
        io = self._with_role("io")
        self._outputs = Outputs(loaded.rig.contacts, io, self._drivers, self._workers, clock)
        lasers = self._with_role("laser")
        self._laser = LaserOrders(lasers, self._drivers, self._workers, guard.pulse_tolerance)
        stages = {name: self._workers[name] for name in self._with_role("stage")}
        self.stages = StageOrders(
            loaded.rig.stage, {name: self._drivers[name] for name in stages}, stages, clock
        )
        self._enabled: bool | None = None  # what the pulser was told last
        self._inhibited_s = -math.inf

    def start(self) -> None:
        """Start the workers."""
        for worker in self._workers.values():
            worker.start()

    def stop(self) -> None:
        """End the workers and close the links; outputs stay as they are."""
        for worker in self._workers.values():
            worker.stop(_CLOSE_S)

    def amplitude_range_v(self) -> tuple[float, float]:
        """Give floor and ceiling of the pulse amplitude in V; zeros where there is none."""
        for name in self._with_role("pulse"):
            return float(self._drivers[name].v_p_min_v), float(self._drivers[name].v_p_max_v)
        return 0.0, 0.0

    def dead_man(self) -> DeadMan:
        """Say what acts when this process dies."""
        return dead_man(self._rig, self._drivers)

    def views(self) -> dict[str, DeviceView]:
        """Give every device as of its newest reading."""
        return {name: self._view(name, worker.latest()) for name, worker in self._workers.items()}

    def document(self) -> dict[str, dict[str, Any]]:
        """Give every device in full, as the `slow.` frames and `status` show it."""
        return {name: self._describe(name, worker.latest()) for name, worker in self._workers.items()}

    def complaints(self) -> list[str]:
        """Name required devices that are not known, with the last that was heard of them and what is to be done by hand."""
        return [
            f"device-unknown: {view.name} is UNKNOWN: {view.why}{_by_hand(view)}"
            for view in self.views().values()
            if view.required and not view.known
        ]

    def make_safe(self) -> None:
        """Tell everything that carries energy to make itself safe, pulses first, the detector's supplies last."""
        for role in ("io", *ENERGY_ROLES, *DETECTOR_ROLES):
            for name in self._with_role(role):
                # Safe levels may be an open crowbar: one that is closed stays closed.
                if role == "io" and self._outputs.holds_crowbar:
                    self._outputs.inhibit(True, self._clock())
                else:
                    self._workers[name].safe()

    def apply(self, decision: Decision, now_s: float) -> None:
        """Send what a decision asks for; the pulser's inhibit first. Returns at once."""
        self._outputs.heartbeat(decision.heartbeat)
        if decision.pulser_enable is not True:
            self._inhibit(decision, now_s)
        self._outputs.crowbar(decision.crowbar, now_s)
        for name in decision.make_safe:
            self._workers[name].safe()
        self._laser.apply(decision, now_s)
        for name in self._with_role("specimen"):
            self._set_specimen(name, decision, now_s)
        self._set_supplies(decision.supplies, now_s)
        for name in self._with_role("pulse"):
            self._set_amplitude(name, decision.v_p_v, now_s)
        for name in self._with_role("pulser"):
            self._set_rate(name, decision.pulser_rate_hz, now_s)
            if decision.pulser_enable is True and self._enabled is not True:
                self._outputs.inhibit(False, now_s)
                self._enable(name)

    def _enable(self, name: str) -> None:
        # Once per decision to pulse: a pulser that stops by itself is never started again from here.
        driver = self._drivers[name]
        if self._workers[name].command("enable", lambda: driver.enable(True)):
            self._enabled = True

    def _inhibit(self, decision: Decision, now_s: float) -> None:
        self._outputs.inhibit(None if decision.pulser_enable is None else True, now_s)
        if decision.pulser_enable is None:
            self._enabled = None
            return
        for name in self._with_role("pulser"):
            reading = self._reading(name, PulserReading)
            contradicts = reading is not None and reading.enabled is not False
            if self._enabled is not False or (contradicts and now_s - self._inhibited_s > AGAIN_S):
                # `safe` overtakes what waits, cancels an enable that was not sent yet, and survives a lost link.
                self._workers[name].safe()
                self._inhibited_s = now_s
        self._enabled = False

    def _set_specimen(self, name: str, decision: Decision, now_s: float) -> None:
        driver, reading = self._drivers[name], self._reading(name, HighVoltageReading)
        v_v, output = decision.v_dc_v, decision.output
        shown_v = None if reading is None or reading.v_set_v is None else abs(reading.v_set_v)
        differs = v_v is not None and shown_v is not None and abs(shown_v - v_v) > _rounded_v(v_v, reading)
        low = v_v is not None and shown_v is not None and shown_v < v_v
        self._sender.send(
            name,
            "set_voltage",
            v_v,
            lambda: driver.set_voltage(v_v),
            now_s,
            contradicted=differs,
            upwards=low,
        )
        shown_on = None if reading is None else reading.output_on
        wrong = output is not None and shown_on is not None and shown_on is not output
        value = None if output is None else float(output)
        self._sender.send(
            name,
            "output",
            value,
            lambda: driver.output(bool(output)),
            now_s,
            contradicted=wrong,
            upwards=bool(output),
        )

    def _set_amplitude(self, name: str, v_p_v: float | None, now_s: float) -> None:
        driver, reading = self._drivers[name], self._reading(name, PulseAmplitudeReading)
        before_v = self._sender.accepted(name, "set_amplitude")
        differs = low = False
        if v_p_v is not None and self._sender.told(name, "set_amplitude"):
            if before_v is not None and before_v <= v_p_v < before_v * (1 + _FINER):
                v_p_v = before_v
            shown_v = None if reading is None else reading.v_p_v
            differs = shown_v is not None and abs(shown_v - v_p_v) > self._pulse_tolerance * v_p_v
            low = shown_v is not None and shown_v < v_p_v
        value = v_p_v
        self._sender.send(
            name,
            "set_amplitude",
            value,
            lambda: driver.set_amplitude(value),
            now_s,
            contradicted=differs,
            upwards=low,
        )

    def _set_rate(self, name: str, rate_hz: float | None, now_s: float) -> None:
        driver, reading = self._drivers[name], self._reading(name, PulserReading)
        differs = rate_hz is not None and reading is not None and abs(reading.rate_hz / rate_hz - 1) > 1e-3
        self._sender.send(
            name, "set_rate", rate_hz, lambda: driver.set_rate(rate_hz), now_s, contradicted=differs
        )

    def _set_supplies(self, orders: tuple[SupplyOrder, ...], now_s: float) -> None:
        """Carry out what is asked of the detector's supplies; nothing that leads upwards is repeated by itself."""
        ordered = {order.name: order for order in orders}
        for name in (name for role in DETECTOR_ROLES for name in self._with_role(role)):
            self._set_supply(name, ordered.get(name), now_s)

    def _set_supply(self, name: str, order: SupplyOrder | None, now_s: float) -> None:
        driver, reading = self._drivers[name], self._reading(name, HighVoltageReading)
        v_v = None if order is None else order.v_v
        output = None if order is None else order.output
        shown_v = None if reading is None else reading.v_set_v
        high = (
            v_v is not None
            and shown_v is not None
            and abs(shown_v) > abs(v_v) + _rounded_v(abs(v_v), reading)
        )
        self._sender.send(name, "set_voltage", v_v, lambda: driver.set_voltage(v_v), now_s, contradicted=high)
        still_on = output is False and reading is not None and reading.output_on is True
        value = None if output is None else float(output)
        self._sender.send(
            name, "output", value, lambda: driver.output(bool(output)), now_s, contradicted=still_on
        )

    def _with_role(self, role: str) -> list[str]:
        return [name for name, spec in self._specs.items() if spec.role == role]

    def _reading(self, name: str, kind: type[ReadingT]) -> ReadingT | None:
        snapshot = self._workers[name].latest()
        known = snapshot.state is not DeviceState.UNKNOWN
        return snapshot.reading if known and isinstance(snapshot.reading, kind) else None

    def _view(self, name: str, snapshot: Snapshot) -> DeviceView:
        spec = self._specs[name]
        known = snapshot.state is not DeviceState.UNKNOWN and snapshot.reading is not None
        return DeviceView(
            name=name,
            role=spec.role,
            required=spec.required,
            known=known,
            reading=snapshot.reading,
            why=snapshot.last_error or _silence(snapshot),
        )

    def _describe(self, name: str, snapshot: Snapshot) -> dict[str, Any]:
        spec = self._specs[name]
        return {
            "role": spec.role,
            "driver": spec.driver,
            "required": spec.required,
            "state": str(snapshot.state),
            "age_s": snapshot.age_s,
            "identity": None if snapshot.identity is None else asdict(snapshot.identity),
            "reading": None if snapshot.reading is None else asdict(snapshot.reading),
            "errors": dict(snapshot.errors),
            "last_error": snapshot.last_error,
            "last_command_s": snapshot.last_command_s,
            "longest_command_s": snapshot.longest_command_s,
        }


def _rounded_v(v_v: float, reading: HighVoltageReading | None) -> float:
    """How far a set point that was taken may be from the one that was sent."""
    return max(2.0, 0.005 * v_v, 0.0 if reading is None else reading.v_step_v)


def _silence(snapshot: Snapshot) -> str:
    return "no reading yet" if snapshot.age_s is None else f"its newest reading is {snapshot.age_s:.1f} s old"


def _by_hand(view: DeviceView) -> str:
    # Before a device was ever read nothing was energised from here; a person at the rig knows.
    if view.role not in ENERGY_ROLES or view.reading is None:
        return ""
    return "; until it answers it cannot be commanded: switch it off by hand"


def _period_s(role: str, tick_s: float) -> float:
    if role in QUICK_ROLES:
        return tick_s
    return _DETECTOR_PERIOD_S if role in DETECTOR_ROLES else _SLOW_PERIOD_S
