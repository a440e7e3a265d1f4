"""BNC 577: stopped, 2 kHz left set; the same with the echo of its serial ports."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.pulser.bnc_577 import Bnc577


class Bnc577Generator(Served):
    wire_name = "bnc-577"
    wire_settings = {"rate_hz": 2000.0}
    driver = Bnc577
    settings = {"rate_max_hz": "250 kHz"}
    setpoints = (
        Setpoint("set_rate", good=(200e3, 1.5, 1000.0), bad=(0.0, -1.0, 0.5, 250_001.0), tolerance=1e-5),
    )
    serial = "31309"
    serial_port = True

    def energised(self):
        with self.plant.lock:
            return self.plant.trigger.live

    def alter(self):
        with self.plant.lock:
            period_s = self.wire.settings.values[0, "period"] = self.wire.settings.number(0, "period") + 1e-4
        return lambda reading: abs(reading.rate_hz * period_s - 1.0) < 1e-6

    def refuse(self):
        self.wire.unavailable = True

    def renumber(self):
        self.wire.renumber("31310")


class EchoingBnc577(Bnc577Generator):
    wire_settings = {"rate_hz": 2000.0, "echo": True}
    echoes = True
