"""DG645: single shot, 2 kHz left set."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.pulser.dg645 import Dg645


class Dg645Generator(Served):
    wire_name = "dg645"
    wire_settings = {"rate_hz": 2000.0}
    driver = Dg645
    settings = {"rate_max_hz": "250 kHz"}
    setpoints = (
        Setpoint("set_rate", good=(200e3, 1.5, 1000.0), bad=(0.0, -1.0, 0.5, 250_001.0), tolerance=1e-5),
    )
    serial = "001234"
    serial_port = True

    def energised(self):
        with self.plant.lock:
            return self.plant.trigger.live

    def alter(self):
        hz = self.wire.settings.rate_hz = self.wire.settings.rate_hz + 500.0
        return lambda reading: reading.rate_hz == hz

    def refuse(self):
        self.wire.locked_elsewhere = True

    def renumber(self):
        self.wire.renumber("001235")
