"""Stages: two axes, referenced, left at odd places; a long move takes seconds, a short one a moment."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint

LEFT_MM = (1.25, -2.5)
SETPOINTS = (
    Setpoint("move", lead=("x",), good=(1.5, 1.0, 1.25), bad=(-10.1, 10.1, 1e6), tolerance=1e-3),
    Setpoint("move", lead=("z",), good=(-2.5, -2.25), bad=(-8.1, 0.6), tolerance=1e-3),
    Setpoint("move", lead=("y",), bad=(1.0,)),
)


def axes(*numbers, **settings):
    """Axis x from -10 to 10 mm and z from -8 to 0.5 mm."""
    limits = {"x": (-10.0, 10.0), "z": (-8.0, 0.5)}
    return {
        name: {"channel": number, "min_mm": low, "max_mm": high, **settings}
        for number, (name, (low, high)) in zip(numbers, limits.items(), strict=True)
    }


class ServedStage(Served):
    """A stage behind a simulated controller; axis 0 is x, axis 1 is z."""

    setpoints = SETPOINTS

    @property
    def x(self):
        return self.plant.stage.axes[0]

    def left_behind(self):
        with self.plant.lock:
            for axis, mm in zip(self.plant.stage.axes, LEFT_MM, strict=False):
                axis.push(mm)
                axis.referenced, axis.velocity_mm_per_s = True, 4.0

    def energised(self):
        with self.plant.lock:
            return self.plant.stage.moving

    def energise(self, driver):  # a long way, wherever it stands
        driver.move("x", 10.0 if self.x.encoder_mm < 0.0 else -10.0)

    def alter(self):
        with self.plant.lock:
            self.x.push(-0.05)
            mm = self.x.encoder_mm
        return lambda reading: abs(reading.axes["x"].position_mm - mm) < 1e-3
