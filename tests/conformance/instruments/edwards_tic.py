"""Edwards TIC: two gauges; the same with firmware that does not say who it is."""

from conformance.instruments.served import Served
from evapd_drivers.gauge.edwards_tic import EdwardsTic


class EdwardsController(Served):
    wire_name = "edwards-tic"
    driver = EdwardsTic
    settings = {"gauges": {"analysis": 1, "buffer": 2}}
    serial = "150326362"
    serial_port = True

    def alter(self):
        pa = self.plant.pressure_pa[1] = 2.0 * self.plant.pressure_pa[1]
        return lambda reading: abs(reading.pressure_pa["analysis"] / pa - 1.0) < 1e-3

    def refuse(self):
        self.wire.starting_up = True

    def renumber(self):
        self.wire.renumber("150326363")
