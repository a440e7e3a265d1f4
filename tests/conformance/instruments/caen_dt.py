"""CAEN DT1471ET: 1200 V left set at its first channel, output off; and a desktop unit of one channel that knows no boards."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.hv.caen_dt import CaenDt


class CaenSupply(Served):
    wire_name = "caen-dt"
    wire_settings = {"adc_ideal": True, "supply": "mcp"}
    driver = CaenDt
    settings = {"v_max_v": "3 kV", "i_max_a": "100 uA"}
    setpoints = (
        Setpoint("set_voltage", good=(900.0, 0.0, 400.0), bad=(-1.0, 3000.1), tolerance=0.1),
        Setpoint("set_slew", good=(200.0, 500.0), bad=(0.0, -5.0, 501.0)),
        Setpoint("set_current_limit", good=(1e-5, 1e-4), bad=(1.1e-4, -1e-6)),
    )
    serial = "19198"
    serial_port = True

    def left_behind(self):
        self.wire.front_panel(1200.0)

    def energised(self):
        with self.plant.lock:
            return self.wire.supply.demand_v > 0.0

    def alter(self):
        v_v = 1300.0 if self.wire.channel.v_set_v != 1300.0 else 1250.0
        self.wire.front_panel(v_v)
        return lambda reading: abs(reading.v_set_v - v_v) < 0.1

    def refuse(self):
        self.wire.channel.maximum_v = 100.0

    def local(self):
        self.wire.go_local(local=True)

    def trip(self):
        with self.plant.lock:
            self.wire.trip()

    def renumber(self):
        self.wire.renumber("79")


class CaenDesktop(CaenSupply):
    """Without board and channel in its lines."""

    wire_settings = {"adc_ideal": True, "channels": 1, "supply": "mcp", "model": "DT5471N"}
    settings = {**CaenSupply.settings, "board": None, "channel": None}
