"""SmarAct MCS2 with three channels."""

from conformance.instruments.stages import ServedStage, axes
from evapd_drivers.stage.smaract_mcs2 import SmarActMcs2


class SmarActMcs2Stage(ServedStage):
    wire_name = "smaract-mcs2"
    driver = SmarActMcs2
    settings = {"axes": axes(0, 1)}
    serial = "MCS2-00000412"

    def refuse(self):
        self.wire.locked = True

    def renumber(self):
        self.wire.renumber("MCS2-00009999")
