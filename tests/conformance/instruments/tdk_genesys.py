"""TDK-Lambda Genesys: nobody has remote control, 20 V left set, no current allowed, output off."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.pulser.tdk_genesys import TdkGenesys


class GenesysSupply(Served):
    wire_name = "tdk-genesys"
    driver = TdkGenesys
    settings = {"gain": 20.0, "supply_min_v": 15, "supply_max_v": 150, "current_a": 5}
    setpoints = (
        Setpoint(
            "set_amplitude", good=(600.0, 2900.0, 1000.0), bad=(0.0, 299.9, 3000.1, -500.0), tolerance=1.0
        ),
    )
    serial = "07A123-0001"
    serial_port = True

    def left_behind(self):
        self.wire.front_panel(20.0)

    def energised(self):
        with self.plant.lock:
            return self.plant.pulse.demand_v > 0.0

    def alter(self):
        offset_v = self.wire.readback_offset_v = self.wire.readback_offset_v + 1.0
        return lambda reading: abs(reading.v_p_v - 20.0 * offset_v) < 1.0

    def refuse(self):
        with self.plant.lock:
            self.wire.rated_v = 1.0

    def local(self):
        with self.plant.lock:
            self.wire.go_local(local=True)

    def trip(self):
        with self.plant.lock:
            self.wire.trip()

    def renumber(self):
        self.wire.renumber("07A123-0002")
