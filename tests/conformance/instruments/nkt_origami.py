"""NKT ORIGAMI: in standby, gate closed, some energy left set."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.laser.nkt_origami import NktOrigami


class NktOrigamiLaser(Served):
    wire_name = "nkt-origami"
    driver = NktOrigami
    settings = {"energy_max_pj": 100.0, "pj_per_unit": 0.025, "quiet_s": 0.02}
    setpoints = (
        Setpoint("set_energy", good=(20.0, 90.0, 50.0), bad=(-1.0, 100.1), tolerance=0.026),
        Setpoint("set_rate", good=(100e3, 50e3), bad=(0.0, -1.0, 2e6), tolerance=100.0),
    )
    serial_port = True

    def left_behind(self):
        self.wire.power = 400

    def energised(self):
        with self.plant.lock:
            return self.plant.laser.emission or self.plant.laser.shutter_open

    def alter(self):
        power = self.wire.power = self.wire.power + 100
        return lambda reading: abs(reading.energy_set_pj - 0.025 * power) < 1e-6

    def refuse(self):
        self.wire.trip(is_open=True)
