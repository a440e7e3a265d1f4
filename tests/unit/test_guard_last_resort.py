"""When the guard's loop has failed: told again and again, verified by fresh readings, the detector too, whatever raises."""

from dataclasses import dataclass, field

from evapd.device.readings import HighVoltageReading, PulserReading
from evapd.guard.lastresort import LastResort
from evapd.guard.types import DeviceView
from support.detector_rig import settings


@dataclass
class Instruments:
    """A specimen supply that falls slowly, a pulser, and the detector's supplies, which are told last and fall slower still."""

    now_s: float = 100.0
    v_v: float = 5000.0
    detector_v: float = 2000.0
    on: bool = True
    told: int = 0
    deaf: int = 0  # commands that are lost
    broken: int = 0  # looks that raise
    reading_s: float | None = None  # the readings' time, when they no longer come
    shown: list = field(default_factory=list)

    def make_safe(self) -> None:
        self.told += 1
        self.on = self.told <= self.deaf

    def views(self) -> dict[str, DeviceView]:
        if self.broken:
            self.broken -= 1
            raise RuntimeError("the inputs are broken, too")
        t_s = self.now_s if self.reading_s is None else self.reading_s
        volts = {
            "hv": self.v_v,
            "mcp": self.detector_v,
            "signal": self.detector_v,
            "reference": self.detector_v,
        }
        readings = {
            name: HighVoltageReading(t_mono_s=t_s, v_set_v=0.0, v_meas_v=v_v, i_meas_a=0.0, output_on=self.on)
            for name, v_v in volts.items()
        }
        readings["trigger"] = PulserReading(t_mono_s=t_s, rate_hz=1e5, enabled=self.on)
        roles = {"hv": "specimen", "trigger": "pulser", "mcp": "mcp", "signal": "anode", "reference": "anode"}
        return {
            name: DeviceView(name=name, role=roles[name], known=True, reading=reading)
            for name, reading in readings.items()
        }

    def run(self) -> float:
        """Let it work to its end; gives how long it took."""
        resort, began_s = LastResort(settings(), self, lambda: self.now_s), self.now_s
        while True:
            self.now_s += 0.05
            if not self.on:
                self.v_v *= 0.9
                self.detector_v *= 0.97
            if resort.step():
                return self.now_s - began_s


def test_it_ends_only_when_specimen_and_detector_are_down():
    made = Instruments()
    made.run()
    assert made.v_v < 50
    assert made.detector_v < settings().rig.detector.off_v


def test_inputs_that_raise_do_not_end_it():
    made = Instruments(broken=20)
    made.run()
    assert made.v_v < 50


def test_what_cannot_be_looked_at_is_told_all_the_same():
    made = Instruments(broken=10**6)
    made.run()
    assert made.told > 10


def test_a_command_that_is_lost_is_repeated():
    made = Instruments(deaf=2)
    made.run()
    assert made.told >= 3
    assert not made.on


def test_readings_of_before_verify_nothing():
    made = Instruments(v_v=0.0, detector_v=0.0, on=False, reading_s=99.0)
    assert made.run() > 10.0


def test_what_never_comes_down_ends_it_in_bounded_time():
    made = Instruments(deaf=10**6)
    assert made.run() < 60.0
