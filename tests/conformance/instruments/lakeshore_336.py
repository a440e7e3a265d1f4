"""Lake Shore 336: two sensors, the loop at 48 K."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.temperature.lakeshore_336 import LakeShore336


class LakeShoreController(Served):
    wire_name = "lakeshore-336"
    driver = LakeShore336
    settings = {"sensors": {"stage": "A", "shield": "C"}, "interval_s": 0}
    setpoints = (Setpoint("set_setpoint", good=(60.0, 52.5), bad=(0.0, 3.9, 300.1, -4.0), tolerance=2e-3),)
    serial = "LSA12AB"
    serial_port = True

    def alter(self):
        k = self.plant.temperature_k["C"] = self.plant.temperature_k["C"] + 5.0
        return lambda reading: abs(reading.temperature_k["shield"] - k) < 0.01

    def refuse(self):
        self.wire._commands["SETP"] = lambda arguments: None  # locked at its front panel: silently ignored

    def renumber(self):
        self.wire.renumber("LSA99ZZ")
