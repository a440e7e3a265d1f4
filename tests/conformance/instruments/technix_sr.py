"""Technix SR: nobody has spoken to it for long, so that it is off and local; 1000 V programmed by whoever was last."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.hv.technix_sr import TechnixSr


class TechnixSupply(Served):
    wire_name = "technix-sr"
    wire_settings = {"adc_ideal": True}
    driver = TechnixSr
    settings = {"rated_v": "15 kV", "rated_a": "20 mA", "v_max_v": "12 kV", "i_max_a": "5 mA", "pulse_s": 0.1}
    setpoints = (
        Setpoint("set_voltage", good=(900.0, 0.0, 400.0), bad=(-1.0, 12000.1), tolerance=2.0),
        Setpoint("set_slew", bad=(0.0, 100.0)),
        Setpoint("set_current_limit", good=(1e-3, 5e-3), bad=(5.1e-3, -1e-6)),
    )
    serial_port = True
    echoes = True

    def left_behind(self):
        self.wire.receive(b"d1,273\rP7,1\r", 0.0)

    def energised(self):
        with self.plant.lock:
            return self.plant.specimen.demand_v > 0.0

    def alter(self):
        with self.plant.lock:
            self.wire.stuck_v = v_v = 1300.0 if self.wire.stuck_v != 1300.0 else 1250.0
        return lambda reading: abs(reading.v_meas_v - v_v) < 2.0

    def refuse(self):
        with self.plant.lock:
            self.wire.interlock(is_open=True, latches=True)

    def local(self):
        with self.plant.lock:
            self.wire.go_local(local=True)

    def trip(self):
        with self.plant.lock:
            self.wire.trip()
