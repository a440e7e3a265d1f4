"""iseg SHR: 1200 V left set at its first channel, output off; with the echo of a serial line, and without as on a network."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.hv.iseg_shr import IsegShr


class IsegShrSupply(Served):
    wire_name = "iseg-shr"
    wire_settings = {"adc_ideal": True, "echo": "always"}
    driver = IsegShr
    settings = {"v_max_v": "6 kV", "i_max_a": "1 mA"}
    setpoints = (
        Setpoint("set_voltage", good=(900.0, 0.0, 400.0), bad=(-1.0, 6000.1), tolerance=0.1),
        Setpoint("set_slew", good=(200.0, 6e3), bad=(0.0, -5.0, 6001.0)),
        Setpoint("set_current_limit", good=(1e-4, 1e-3), bad=(1.1e-3, -1e-6)),
    )
    serial = "8200123"
    serial_port = True
    echoes = True

    def left_behind(self):
        self.wire.front_panel(1200.0)

    def energised(self):
        with self.plant.lock:
            return self.plant.specimen.demand_v > 0.0

    def alter(self):
        v_v = 1300.0 if self.wire.channel.v_set_v != 1300.0 else 1250.0
        self.wire.front_panel(v_v)
        return lambda reading: abs(reading.v_set_v - v_v) < 0.1

    def refuse(self):
        self.wire.channel.nominal_v = 100.0

    def local(self):
        self.wire.go_local(local=True)

    def trip(self):
        with self.plant.lock:
            self.wire.trip()

    def renumber(self):
        self.wire.renumber("8299999")


class IsegShrNetwork(IsegShrSupply):
    """Without echo, and with an empty line before each reply."""

    wire_settings = {"adc_ideal": True, "echo": "never", "empty_line": True}
    settings = {**IsegShrSupply.settings, "echo": False}
    echoes = False
