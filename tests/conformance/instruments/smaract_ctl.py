"""SmarAct MCS2 behind a library made of C in the maker's place."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from conformance.instruments.stages import LEFT_MM, SETPOINTS, axes
from evapd.device.conformance import InstrumentUnderTest
from evapd_drivers.stage.smaract_ctl import SmarActCtl
from evapd_sim.sdk.smaractctl import FakeSmarActCtl


@functools.cache
def built():
    """A folder for the compiled library, the same for all tests of a session."""
    folder = tempfile.mkdtemp(prefix="evapd-stage-sdk-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


class SmarActCtlStage(InstrumentUnderTest):
    driver = SmarActCtl
    settings = {"axes": axes(0, 1), "locator": "network:192.168.1.200"}
    setpoints = SETPOINTS
    serial = "MCS2-00000412"

    def start(self, endpoint):
        self.fake = FakeSmarActCtl(built())
        for channel, mm in enumerate(LEFT_MM):
            self.fake.put(channel, mm, referenced=True)
        return f"library:{self.fake.path}"

    def stop(self):
        self.fake.press_emergency_stop(pressed=True)  # nothing moves on into the next test

    def energised(self):
        return self.fake.moving

    def energise(self, driver):  # a long way, wherever it stands
        driver.move("x", 10.0 if self.fake.position_mm(0) < 0.0 else -10.0)

    def alter(self):
        mm = self.fake.position_mm(0) - 0.05
        self.fake.put(0, mm, referenced=True)
        return lambda reading: abs(reading.axes["x"].position_mm - mm) < 1e-6

    def refuse(self):
        self.fake.press_emergency_stop(pressed=True)

    def renumber(self):
        self.fake.renumber("MCS2-00009999")
