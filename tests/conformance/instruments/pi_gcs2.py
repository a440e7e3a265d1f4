"""PI C-884 with two axes, servo on; on a C-863 (one axis) the status word is asked in place of motion bits: its own tests."""

from conformance.instruments.stages import ServedStage, axes
from evapd_drivers.stage.pi_gcs2 import PiGcs2


class PiGcs2Stage(ServedStage):
    wire_name = "pi-gcs2"
    wire_settings = {"axes": 2, "model": "C-884.4DC"}
    driver = PiGcs2
    settings = {"axes": axes(1, 2)}
    serial = "119012345"
    serial_port = True

    def left_behind(self):
        super().left_behind()
        for drive in self.wire.drives.values():
            drive.servo = True

    def refuse(self):
        self.wire.jammed = True

    def renumber(self):
        self.wire.renumber("119099999")
