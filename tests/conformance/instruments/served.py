"""Descriptions of drivers whose instrument is simulated in evapd_sim: served on an endpoint, with the plant behind it."""

from evapd.device.conformance import InstrumentUnderTest
from evapd_sim.plant import Plant
from evapd_sim.wire.alone import Alone
from evapd_sim.wire.registry import make_wire
from evapd_sim.wire.serve import serve_wire


class Served(InstrumentUnderTest):
    """An instrument of `evapd_sim.wire`; `wire_name` and `wire_settings` say which."""

    wire_name = ""
    wire_settings = {}

    def __init__(self):
        self.plant = Plant()
        self.wire = make_wire(self.wire_name, self.plant, **self.wire_settings)
        self.left_behind()

    def left_behind(self):
        """Bring it into the state in which somebody left it."""

    def start(self, endpoint):
        self.server = serve_wire(self.wire, endpoint, on_tick=Alone(self.wire, self.plant))
        return self.server.address

    def stop(self):
        self.server.close()
