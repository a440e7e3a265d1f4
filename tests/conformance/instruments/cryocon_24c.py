"""Cryo-con 24C: two sensors, loop 1 engaged at 48 K."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.temperature.cryocon_24c import Cryocon24c


class CryoconController(Served):
    wire_name = "cryocon-24c"
    driver = Cryocon24c
    settings = {"sensors": {"stage": "A", "shield": "C"}, "interval_s": 0}
    setpoints = (Setpoint("set_setpoint", good=(60.0, 52.5), bad=(0.0, 3.9, 300.1, -4.0), tolerance=2e-3),)
    serial = "204683"
    serial_port = True

    def alter(self):
        k = self.plant.temperature_k["C"] = self.plant.temperature_k["C"] + 5.0
        return lambda reading: abs(reading.temperature_k["shield"] - k) < 0.01

    def refuse(self):
        self.wire.refuses_sets = True

    def renumber(self):
        self.wire.renumber("204684")
