"""Attocube ANC350, version 4 (it tells whether a target is reached): outputs on, marks found."""

from conformance.instruments.stages import ServedStage, axes
from evapd_drivers.stage.attocube_anc350 import AttocubeAnc350


class AttocubeAnc350Stage(ServedStage):
    wire_name = "attocube-anc350"
    wire_settings = {"version": "v4"}
    driver = AttocubeAnc350
    settings = {"axes": axes(0, 1)}
    serial = "4711"

    def left_behind(self):
        super().left_behind()
        for axis in self.wire.axes:
            axis.output = True

    def refuse(self):
        self.wire.ignores = True

    def renumber(self):
        self.wire.renumber("4712")
