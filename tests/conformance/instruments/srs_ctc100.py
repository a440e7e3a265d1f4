"""SRS CTC100: two sensors by name, output 1 holds 48 K."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.temperature.srs_ctc100 import SrsCtc100


class CtcController(Served):
    wire_name = "srs-ctc100"
    wire_settings = {"names": "Stage,In 2,Shield,In 4,Out1,Out 2"}
    driver = SrsCtc100
    settings = {"sensors": {"stage": "stage", "shield": "Shield"}, "interval_s": 0}
    setpoints = (Setpoint("set_setpoint", good=(60.0, 52.5), bad=(0.0, 3.9, 300.1, -4.0), tolerance=2e-3),)
    serial = "153476"
    serial_port = True

    def alter(self):
        k = self.plant.temperature_k["C"] = self.plant.temperature_k["C"] + 5.0
        return lambda reading: abs(reading.temperature_k["shield"] - k) < 0.01

    def refuse(self):
        self.wire.locked = True

    def renumber(self):
        self.wire.renumber("153477")
