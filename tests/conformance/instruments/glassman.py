"""Glassman FR of 50 kV: 1000 V left set, HV off."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.hv.glassman import Glassman


class GlassmanSupply(Served):
    wire_name = "glassman"
    wire_settings = {"adc_ideal": True}
    driver = Glassman
    settings = {"rated_v": "50 kV", "rated_a": "6 mA", "v_max_v": "15 kV", "i_max_a": "5 mA"}
    setpoints = (
        Setpoint("set_voltage", good=(900.0, 0.0, 400.0), bad=(-1.0, 15000.1), tolerance=6.2),
        Setpoint("set_slew", bad=(0.0, 100.0)),
        Setpoint("set_current_limit", good=(1e-3, 5e-3), bad=(5.1e-3, -1e-6)),
    )
    serial_port = True

    def left_behind(self):
        self.wire.front_panel(1000.0)

    def energised(self):
        with self.plant.lock:
            return self.plant.specimen.demand_v > 0.0

    def alter(self):
        with self.plant.lock:
            self.wire.stuck_v = v_v = 1400.0 if self.wire.stuck_v != 1400.0 else 1200.0
        return lambda reading: abs(reading.v_meas_v - v_v) < 30.0

    def refuse(self):
        with self.plant.lock:
            self.wire.interlock(is_open=True, latches=False)

    def local(self):
        self.wire.go_local(local=True)

    def trip(self):
        with self.plant.lock:
            self.wire.trip()
