"""Heinzinger PNC of 20 kV: 1200 V left set, output off, no current allowed."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.hv.heinzinger_pnc import HeinzingerPnc


class HeinzingerSupply(Served):
    wire_name = "heinzinger-pnc"
    wire_settings = {"adc_ideal": True}
    driver = HeinzingerPnc
    settings = {"v_max_v": "15 kV", "i_max_a": "5 mA"}
    setpoints = (
        Setpoint("set_voltage", good=(900.0, 0.0, 400.0), bad=(-1.0, 15000.1), tolerance=0.1),
        Setpoint("set_slew", bad=(0.0, 100.0)),
        Setpoint("set_current_limit", good=(1e-3, 5e-3), bad=(5.1e-3, -1e-6)),
    )
    serial = "354211082"
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
        with self.plant.lock:
            self.wire.rated_v = 100.0

    def local(self):
        self.wire.go_local(local=True)

    def trip(self):
        with self.plant.lock:
            self.wire.trip()

    def renumber(self):
        self.wire.renumber("354299999")
