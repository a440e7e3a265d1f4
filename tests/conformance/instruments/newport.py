"""Newport: an ESP301 with its motors on, whose zero the settings trust; two SMC100 on one line, referenced."""

from conformance.instruments.stages import ServedStage, axes
from evapd_drivers.stage.newport_esp301 import NewportEsp301
from evapd_drivers.stage.newport_smc100 import NewportSmc100


def with_stage(stage):
    """The settings of two axes, of which x must be a certain stage."""
    both = axes(1, 2)
    return {"axes": both | {"x": both["x"] | {"stage": stage}}}


class NewportEsp301Stage(ServedStage):
    wire_name = "newport-esp301"
    driver = NewportEsp301
    settings = {"axes": axes(1, 2), "unreferenced_moves": True}
    named = with_stage("TS50DC.5, SN1263")
    misnamed = with_stage("TS50DC.5, SN9")
    serial_port = True

    def left_behind(self):
        super().left_behind()
        for motor in self.wire.motors:
            motor.on = True

    def refuse(self):
        for motor in self.wire.motors:
            motor.fault = True

    def renumber(self):
        self.wire.motors[0].stage = "TS50DC.5, SN1264"


class NewportSmc100Stage(ServedStage):
    wire_name = "newport-smc100"
    wire_settings = {"addresses": 2, "referenced": True}
    driver = NewportSmc100
    settings = {"axes": axes(1, 2)}
    named = with_stage("TRA25CC")
    misnamed = with_stage("TRA12PP")
    serial_port = True

    def refuse(self):
        for controller in self.wire.controllers.values():
            controller.low_mm = controller.high_mm = 99.0

    def renumber(self):
        self.wire.controllers[1].stage = "LTA-HS"
