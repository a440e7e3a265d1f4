"""The walk through a rig: who answers, how fast, the pulses, the supply; whatever happens, everything is made safe at the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from evapd.commission.ending import Interrupts, make_all_safe
from evapd.commission.findings import Findings
from evapd.commission.pulses import measure_pulses
from evapd.commission.supply import measure_supply
from evapd.commission.times import timed
from evapd.config import LoadedRig
from evapd.config.plugins import INSTALLED, Plugins
from evapd.device import HighVoltageReading, PulseAmplitudeReading, build_device
from evapd.device.portlock import PortLock
from evapd.device.readings import LaserReading, Reading, not_finite
from evapd.errors import DeviceError, DeviceProtocolError, EvapdError, StateError

DOWN_V = 50.0  # below this the specimen supply counts as discharged
_DOWN_S = 60.0
_SAFE_FIRST = ("pulser", "laser", "pulse", "specimen")  # pulses before voltage


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be measured.

    Attributes:
        voltage_v: to which the specimen supply may go; None: it is not energised.
        reads: how often each device is read.
        dark_s: how long dark counts are taken.
        inhibits: how often the inhibit is timed.
    """

    voltage_v: float | None = None
    reads: int = 20
    dark_s: float = 10.0
    inhibits: int = 5


class Session:
    """One walk through a rig whose daemon does not run."""

    def __init__(
        self,
        loaded: LoadedRig,
        wanted: Wanted,
        tell: Callable[[str], None],
        *,
        plugins: Plugins = INSTALLED,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._loaded, self._wanted, self._tell = loaded, wanted, tell
        self._plugins, self._clock, self._sleep = plugins, clock, sleep
        self._devices: dict[str, Any] = {}
        self._found = Findings()

    def run(self) -> Findings:
        """Measure.

        Raises:
            StateError: when a voltage is wanted that the configuration does not allow, or something is energised already.
            DeviceBusy: when a guard runs in this folder; none can start there meanwhile.
            DeviceError: of a device that carries energy and cannot be made safe.
            KeyboardInterrupt: when it was asked to end, by whatever signal; everything has been made safe then.
        """
        self._check_voltage()
        lock = PortLock(f"{self._loaded.layout.folder}/guard")  # the guard's own
        try:
            with Interrupts() as interrupts:
                try:
                    self._walk()
                finally:
                    interrupts.closing = True
                    self._close()
        finally:
            lock.release()
        return self._found

    def _walk(self) -> None:
        self._open()
        self._check_discharged()
        self._measure_reads()
        self._measure_pulses()
        self._measure_supply()

    def _check_voltage(self) -> None:
        most_v, wanted_v = self._loaded.rig.specimen.v_dc_max_v, self._wanted.voltage_v
        if wanted_v is not None and not 2.0 * DOWN_V <= wanted_v <= most_v:
            raise StateError(
                f"{wanted_v:g} V is outside {2 * DOWN_V:g} V to specimen.v_dc_max_v, {most_v:g} V; nothing was energised"
            )

    def _open(self) -> None:
        for name in self._loaded.rig.devices:
            driver = build_device(name, self._loaded, self._plugins)
            try:
                self._found.identities[name] = str(driver.open())
            except DeviceError as error:
                self._found.skipped[name] = str(error)
                self._tell(f"{name}: does not answer: {error}")
                continue
            self._devices[name] = driver
            self._tell(f"{name}: {self._found.identities[name]}")

    def _close(self) -> None:
        """Make everything safe that carries energy, pulses first, see that it is, and close; the first failure is raised at the end."""
        failures = make_all_safe(self._devices, self._of_roles(*_SAFE_FIRST), self._sleep)
        if not failures:
            for name in self._of_roles("specimen"):
                try:
                    self._await_down(name)
                except Exception as error:  # noqa: BLE001 - told at the end, when every link is closed
                    error.add_note(f"{name} is not verified down: SWITCH IT OFF BY HAND")
                    failures.append(error)
        for name, driver in self._devices.items():
            try:
                driver.close()
            except Exception as error:  # noqa: BLE001 - the others are closed all the same
                self._tell(f"{name}: the link does not close: {error}")
        if failures:
            raise failures[0]

    def _of_roles(self, *roles: str) -> list[str]:
        named = (name for role in roles for name in self._loaded.rig.devices_with_role(role))
        return [name for name in named if name in self._devices]

    def _of_role(self, role: str) -> tuple[str, Any] | None:
        return next(((name, self._devices[name]) for name in self._of_roles(role)), None)

    def _read(self, name: str) -> Any:
        reading: Reading = self._devices[name].read()
        if nonsense := not_finite(reading):
            raise DeviceProtocolError(f"{name}: {nonsense} is no number: not taken as a reading")
        return reading

    def _check_discharged(self) -> None:
        for name in self._of_roles("specimen"):
            reading: HighVoltageReading = self._read(name)
            if abs(reading.v_meas_v) > DOWN_V or reading.output_on:
                output = {True: "on", False: "off", None: "UNKNOWN"}[reading.output_on]
                raise StateError(
                    f"{name} reads {reading.v_meas_v:.0f} V, output {output}: it is switched "
                    "off now; let it discharge, then begin again"
                )

    def _against_pulses(self) -> str:
        """Say which source of energy is not known to be down; what pulses only switch through is made safe before."""
        rig = self._loaded.rig
        named = (name for role in _SAFE_FIRST for name in rig.devices_with_role(role))
        if silent := [name for name in named if name not in self._devices and rig.devices[name].required]:
            return f"{', '.join(silent)} does not answer, and may be on"
        sources = self._of_roles("laser", "pulse")
        if failures := make_all_safe(self._devices, sources, self._sleep):
            raise failures[0]
        lit = [name for name in sources if _carries(self._read(name))]
        return f"{', '.join(lit)} is on though it was told to be safe" if lit else ""

    def _measure_reads(self) -> None:
        for name, driver in self._devices.items():
            with self._skipping(f"{name}, reading"):
                times = self._found.reads[name] = timed(driver.read, self._wanted.reads, self._clock)
                self._tell(f"{name}: a reading takes {1e3 * times.median_s:.1f} ms")

    def _measure_pulses(self) -> None:
        pulser, tdc, wanted = self._of_role("pulser"), self._of_role("tdc"), self._wanted
        if pulser is None or tdc is None:
            self._found.skipped["pulses"] = "no pulser, or no TDC, that answers"
            return
        if reason := self._against_pulses():
            self._found.skipped["pulses"] = reason
            self._tell(f"no pulses: {reason}")
            return
        rate_hz = self._loaded.rig.pulse.rate_hz
        self._tell(
            f"pulses at {rate_hz:g} Hz with nothing energised, {wanted.dark_s + 2 * wanted.inhibits:.0f} s"
        )
        with self._skipping("pulses"):
            self._found.tdc = measure_pulses(
                pulser[1],
                tdc[1],
                rate_hz,
                dark_s=wanted.dark_s,
                inhibits=wanted.inhibits,
                clock=self._clock,
                sleep=self._sleep,
            )
        if failures := make_all_safe(self._devices, [pulser[0]], self._sleep):
            raise failures[0]  # no voltage while pulses may run

    def _measure_supply(self) -> None:
        specimen, high_v = self._of_role("specimen"), self._wanted.voltage_v
        if high_v is None or specimen is None:
            self._found.skipped["supply"] = (
                "not energised: name a voltage with --voltage" if specimen else "none that answers"
            )
            return
        name, supply = specimen
        if reason := self._bad_vacuum():
            self._found.skipped["supply"] = f"not energised: {reason}"
            self._tell(self._found.skipped["supply"])
            return
        low_v = 0.5 * high_v
        self._tell(f"{name}: {low_v:g} V, {high_v:g} V, {low_v:g} V")
        with self._skipping("supply"):
            self._found.supply = measure_supply(supply, low_v, high_v, clock=self._clock, sleep=self._sleep)
            self._found.commands[name] = timed(
                lambda: supply.set_voltage(low_v), self._wanted.reads, self._clock
            )
        supply.make_safe()
        self._await_down(name)
        self._tell(f"{name}: down again, verified")

    def _bad_vacuum(self) -> str:
        """Say why no voltage may stand in this chamber: in a bad vacuum it strikes over; "" where all gauges agree, or there are none."""
        limit_pa = self._loaded.rig.guard.pressure_max_pa
        for name in self._loaded.rig.devices_with_role("vacuum"):
            if name not in self._devices:
                return f"the gauge {name} does not answer"
            for gauge, pressure_pa in self._devices[name].read().pressure_pa.items():
                if pressure_pa is None:
                    return f"{gauge} of {name} has no valid pressure"
                if limit_pa is not None and not pressure_pa <= limit_pa:
                    return f"{gauge} of {name} reads {pressure_pa:.2g} Pa, guard.pressure_max_pa is {limit_pa:.2g}"
        return ""

    def _await_down(self, name: str) -> None:
        ordered_s = self._clock()
        while abs((reading := self._read(name)).v_meas_v) > DOWN_V or reading.output_on:
            if self._clock() - ordered_s > _DOWN_S:
                raise StateError(f"the supply still reads {reading.v_meas_v:.0f} V: SWITCH IT OFF BY HAND")
            self._sleep(0.1)

    @contextmanager
    def _skipping(self, what: str) -> Iterator[None]:
        """What cannot be measured is told and left out; the rest goes on."""
        try:
            yield
        except EvapdError as error:
            self._found.skipped[what] = str(error)
            self._tell(f"{what}: not measured: {error}")


def _carries(reading: Reading) -> bool:
    """Whether an amplitude or a laser carries energy; an amplitude that cannot tell its output stands at its floor once it is safe."""
    match reading:
        case PulseAmplitudeReading():
            return bool(reading.output_on)
        case LaserReading():
            return reading.emission is not False or bool(reading.shutter_open)
        case HighVoltageReading():
            return abs(reading.v_meas_v) > DOWN_V or bool(reading.output_on)
    return False
