"""Keysight 33500 and Tektronix AFG: output off, 2 kHz left set on a sine."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.pulser.keysight_33500 import Keysight33500
from evapd_drivers.pulser.tektronix_afg import TektronixAfg


class Generator(Served):
    wire_settings = {"rate_hz": 2000.0, "shape": "SIN"}
    settings = {"rate_max_hz": "250 kHz"}
    setpoints = (
        Setpoint("set_rate", good=(200e3, 1.5, 1000.0), bad=(0.0, -1.0, 0.5, 250_001.0), tolerance=1e-5),
    )

    def energised(self):
        with self.plant.lock:
            return self.plant.trigger.live

    def alter(self):
        with self.plant.lock:
            hz = self.wire.settings.values[1, "rate_hz"] = self.wire.settings.number(1, "rate_hz") + 500.0
        return lambda reading: abs(reading.rate_hz - hz) < 1e-3

    def refuse(self):
        self.wire.protected = True

    def renumber(self):
        self.wire.renumber("MY00000002")


class KeysightGenerator(Generator):
    wire_name = "keysight-33500"
    driver = Keysight33500
    serial = "MY57801234"


class TektronixGenerator(Generator):
    wire_name = "tektronix-afg"
    driver = TektronixAfg
    serial = "C100101"
