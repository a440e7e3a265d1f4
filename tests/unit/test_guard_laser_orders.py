"""Decisions become commands to the laser: what brings light is sent once, what takes it away until it is read."""

import pytest

from evapd.device import DeviceWorker
from evapd.device.readings import Identity, LaserReading
from evapd.guard.energy import EnergyState
from evapd.guard.laser_orders import LaserOrders
from evapd.guard.types import Decision


class Laser:
    """Keeps what it was told; `deaf` to the shutter."""

    def __init__(self, clock):
        self.said, self.clock = [], clock
        self.energy_pj, self.is_open, self.on, self.deaf = 0.0, False, False, False

    def open(self):
        return Identity(vendor="v", model="laser")

    def close(self):
        pass

    def read(self):
        return LaserReading(
            t_mono_s=self.clock(), energy_pj=None, rate_hz=200e3, emission=self.on, shutter_open=self.is_open,
            energy_set_pj=self.energy_pj,
        )  # fmt: skip

    def set_energy(self, pj):
        self.said.append(pj)
        self.energy_pj = pj

    def set_rate(self, hz):
        self.said.append(f"{hz:g} Hz")

    def shutter(self, is_open):
        self.said.append("open" if is_open else "close")
        self.is_open = self.is_open if self.deaf else is_open

    def emission(self, on):
        self.said.append("emit")
        self.on = on

    def make_safe(self):
        self.on = self.is_open = False


class Scene:
    def __init__(self):
        self.now_s = 10.0
        self.laser = Laser(lambda: self.now_s)
        self.worker = DeviceWorker("laser", self.laser, period_s=0.1, stale_s=2.0, clock=lambda: self.now_s)
        self.orders = LaserOrders(["laser"], {"laser": self.laser}, {"laser": self.worker}, 0.05)
        self.worker.step()

    def ask(self, seconds=0.1, **what):
        """Ask for the same again and again, as a tick does."""
        for _ in range(round(seconds / 0.05)):
            self.orders.apply(Decision(state=EnergyState.EVAPORATING, **what), self.now_s)
            self.worker.step()
            self.now_s += 0.05
        said, self.laser.said = self.laser.said, []
        return said


READY = {"pulser_rate_hz": 200e3, "pulse_energy_pj": 20.0}


def test_rate_and_energy_come_before_the_shutter_and_the_emission_last():
    assert Scene().ask(**READY, shutter=True, emission=True) == ["200000 Hz", 20.0, "open", "emit"]


def test_what_is_asked_for_again_is_not_sent_again():
    scene = Scene()
    scene.ask(**READY, shutter=True, emission=True)
    assert scene.ask(5.0, **READY, shutter=True) == []


@pytest.mark.parametrize("gone", ["is_open", "on"])
def test_light_that_went_out_is_never_switched_on_from_here(gone):
    scene = Scene()
    scene.ask(**READY, shutter=True, emission=True)
    setattr(scene.laser, gone, False)
    assert scene.ask(5.0, **READY, shutter=True, emission=True) == []


def test_a_shutter_that_does_not_close_is_told_again_until_it_does():
    scene = Scene()
    scene.ask(**READY, shutter=True)
    scene.laser.deaf = True
    assert scene.ask(3.0, shutter=False).count("close") >= 4
    scene.laser.deaf = False
    scene.ask(1.0, shutter=False)
    assert scene.ask(3.0, shutter=False) == []


def test_an_energy_that_reads_too_high_is_set_again_and_one_too_low_is_not():
    scene = Scene()
    scene.ask(**READY)
    scene.laser.energy_pj = 30.0
    assert scene.ask(1.0, **READY) == [20.0]
    scene.laser.energy_pj = 5.0
    assert scene.ask(3.0, **READY) == []


def test_a_hair_more_energy_waits_and_less_is_sent_at_once():
    scene = Scene()
    scene.ask(**READY)
    assert scene.ask(pulse_energy_pj=20.01) == []
    assert scene.ask(pulse_energy_pj=20.03) == [20.03]
    assert scene.ask(pulse_energy_pj=20.02) == [20.02]


def test_a_laser_of_which_nothing_is_asked_gets_no_command():
    assert Scene().ask(2.0, pulser_rate_hz=200e3, pulser_enable=True) == []
