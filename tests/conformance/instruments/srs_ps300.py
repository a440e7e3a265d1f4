"""SRS PS375: 1200 V left set, HV off; with a stray letter behind each reply."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.hv.srs_ps300 import SrsPs300


class SrsPs300Supply(Served):
    wire_name = "srs-ps300"
    wire_settings = {"adc_ideal": True, "stray": "d"}
    driver = SrsPs300
    settings = {"v_max_v": "15 kV", "i_max_a": "0.3 mA"}
    setpoints = (
        Setpoint("set_voltage", good=(900.0, 0.0, 400.0), bad=(-1.0, 15000.1), tolerance=0.6),
        Setpoint("set_slew", bad=(0.0, 100.0)),
        Setpoint("set_current_limit", good=(1e-4, 3e-4), bad=(3.1e-4, -1e-6)),
    )
    serial = "2067"
    serial_port = True

    def left_behind(self):
        self.wire.front_panel(1200.0)

    def energised(self):
        with self.plant.lock:
            return self.plant.specimen.demand_v > 0.0

    def alter(self):
        v_v = 1300.0 if self.wire.set_v != 1300.0 else 1250.0
        self.wire.front_panel(v_v)
        return lambda reading: abs(reading.v_set_v - v_v) < 0.1

    def refuse(self):
        self.wire.limit_v = 100.0

    def local(self):
        self.wire.go_local(local=True)

    def trip(self):
        with self.plant.lock:
            self.wire.trip()

    def renumber(self):
        self.wire.renumber("2068")
