"""Pfeiffer TPG 262: two gauges, streaming since it was switched on."""

from conformance.instruments.served import Served
from evapd_drivers.gauge.pfeiffer_tpg26x import PfeifferTpg26x


class PfeifferController(Served):
    wire_name = "pfeiffer-tpg26x"
    wire_settings = {"streams_at_start": True}
    driver = PfeifferTpg26x
    settings = {"gauges": {"analysis": 1, "buffer": 2}}
    serial_port = True

    def alter(self):
        pa = self.plant.pressure_pa[1] = 2.0 * self.plant.pressure_pa[1]
        return lambda reading: abs(reading.pressure_pa["analysis"] / pa - 1.0) < 1e-3

    def refuse(self):
        del self.wire._mnemonics["PR2"]
