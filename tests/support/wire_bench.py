"""The guard's bench with a real driver, and the instrument as its cable shows it, in place of the specimen supply; seconds are virtual."""

from dataclasses import replace

from evapd.config import load_rig
from evapd.config.plugins import INSTALLED
from evapd.device.transport import BufferedTransport, Terms
from evapd.errors import DeviceTimeout
from evapd.guard.instruments import Instruments
from evapd.guard.types import Decision
from evapd_sim.plant import Plant
from evapd_sim.wire.registry import make_wire
from support.guard_bench import Bench, make_rig
from support.rig_files import rig_folder, write_rig

SLOW_FALL_S = 0.5


class Line(BufferedTransport):
    """A cable without length: what the instrument answers is there at once, and what it does not answer never comes."""

    def __init__(self, bench: "WireBench") -> None:
        super().__init__("line", Terms(0.5, lambda: bench.now_s, None))
        self._bench, self._coming = bench, b""

    def _send(self, data: bytes, timeout_s: float) -> None:
        self._bench.heard.append(data)
        self._coming += self._bench.wire.receive(data, self._bench.line_s)

    def _receive(self, limit: int, timeout_s: float) -> bytes:
        if not self._coming and timeout_s > 0.0:
            raise DeviceTimeout("the instrument does not answer")
        data, self._coming = self._coming[:limit], self._coming[limit:]
        return data

    def _shut(self) -> None:
        self._coming = b""


class Plugins:
    """The installed plugins, with a driver whose line, clock and pauses are the bench's."""

    def __init__(self, bench: "WireBench") -> None:
        self._bench = bench
        self.driver_names, self.twin_kinds = INSTALLED.driver_names, INSTALLED.twin_kinds
        self.find_twin = INSTALLED.find_twin

    def find_driver(self, name):
        driver = INSTALLED.find_driver(name)
        if name != self._bench.driver_name:
            return driver

        def make(config):
            more = {"sleep": self._bench.sleep} if self._bench.sleeps else {}
            return driver(
                config,
                transport_factory=lambda *_: Line(self._bench),
                clock=lambda: self._bench.now_s,
                **more,
            )

        make.protocol = driver.protocol
        make.Config = driver.Config
        return make


class WireBench(Bench):
    """A bench whose specimen supply is the driver `driver_name` with `settings`, at the wire of that name with `wire_settings`."""

    def __init__(self, driver_name, settings, wire_settings, *, sleeps=False, rig=None, **fields) -> None:
        self.driver_name, self.sleeps = driver_name, sleeps
        self.heard: list[bytes] = []
        self.slept_s = 0.0
        self.plant = Plant()
        self.wire = make_wire(driver_name, self.plant, **wire_settings)
        # The bench's own supply stands aside.
        super().__init__(rig=rig or make_rig(), obeys=False, tau_down_s=1e9, **fields)
        supply = {"driver": driver_name, "role": "specimen", "settings": {"connect": "tcp:h:1", **settings}}
        others = dict.fromkeys(("specimen-supply", "vacuum", "cryo"))
        with rig_folder() as folder:
            path = write_rig(
                folder, {"devices": {**others, "hv": supply}, "guard": {"pressure_max_pa": None}}
            )
            self.instruments = Instruments(load_rig(path), lambda: self.now_s, self._told, Plugins(self))
        self.worker = self.instruments._workers["hv"]  # stepped here, without its thread
        self.worker.step()

    @property
    def line_s(self) -> float:
        """The instrument's clock: a driver that pauses does so beside the guard's loop, which goes on."""
        return self.now_s + self.slept_s

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        self._physics(seconds)

    def advance(self, dt_s: float) -> None:
        super().advance(dt_s)
        self._physics(dt_s)

    def devices(self) -> dict:
        return super().devices() | {"hv": self.instruments.views()["hv"]}

    def carry_out(self, decision: Decision) -> None:
        super().carry_out(decision)
        safe = tuple(name for name in decision.make_safe if name == "hv")
        ours = Decision(state=decision.state, v_dc_v=decision.v_dc_v, output=decision.output, make_safe=safe)
        self.instruments.apply(replace(ours, pulser_enable=None), self.now_s)
        if decision.sample is not None:
            self.worker.step()

    def _physics(self, dt_s: float) -> None:
        self.wire.advance(self.line_s)
        self.plant.specimen.advance(dt_s)
        self.v_v = self.plant.specimen.v_v

    def _told(self, name: str, kind: str, message: str) -> None:
        if name == "hv" and kind in {"error", "refused"}:
            raise AssertionError(f"{kind}: {message}")
