"""Decisions become commands: what leads to safety is repeated until it is read, what leads upwards never by itself."""

import time
from contextlib import contextmanager

import pytest

from evapd.config import load_rig
from evapd.config.plugins import INSTALLED
from evapd.device import HighVoltageSupply, PulseAmplitude, Pulser
from evapd.device.readings import HighVoltageReading, Identity, PulseAmplitudeReading, PulserReading
from evapd.errors import DeviceTimeout
from evapd.guard.energy import EnergyState
from evapd.guard.instruments import Instruments
from evapd.guard.sending import UPWARDS_S
from evapd.guard.types import Decision
from support.rig_files import rig_folder, write_rig
from support.wait import wait_for


class Base:
    def __init__(self, config):
        self.said = []

    def open(self):
        return Identity(vendor="v", model=type(self).__name__)

    def close(self):
        pass

    def make_safe(self):
        self.said.append("safe")


class Supply(Base):
    protocol = HighVoltageSupply
    v_v, on, deaf = 0.0, False, False

    def read(self):
        return HighVoltageReading(
            t_mono_s=time.monotonic(), v_set_v=self.v_v, v_meas_v=self.v_v, i_meas_a=0.0, output_on=self.on
        )

    def set_voltage(self, v_v):
        self.said.append(v_v)
        self.v_v = self.v_v if self.deaf else v_v

    def set_slew(self, v_per_s):
        self.said.append("slew")

    def set_current_limit(self, a):
        self.said.append("limit")

    def output(self, on):
        self.said.append("on" if on else "off")
        self.on = on


class Trigger(Base):
    protocol = Pulser
    rate_hz, enabled, deaf = 10.0, False, False

    def read(self):
        return PulserReading(t_mono_s=time.monotonic(), rate_hz=self.rate_hz, enabled=self.enabled)

    def set_rate(self, hz):
        self.rate_hz = hz

    def enable(self, on):
        self.said.append("enable" if on else "inhibit")
        self.enabled = on

    def make_safe(self):
        super().make_safe()
        self.enabled = self.enabled and self.deaf


class Amplitude(Base):
    protocol = PulseAmplitude
    v_p_min_v, v_p_max_v = 300.0, 3000.0
    v_p_v = 0.0

    def read(self):
        return PulseAmplitudeReading(t_mono_s=time.monotonic(), v_p_v=self.v_p_v, in_range=True)

    def set_amplitude(self, v_p_v):
        self.said.append(v_p_v)
        self.v_p_v = v_p_v


CLASSES = {"fug-probus": Supply, "dg645": Trigger, "ea-scpi": Amplitude}


class Plugins:
    """The installed plugins, with these drivers in their place."""

    def __init__(self):
        self.made = {}

    def find_driver(self, name):
        def make(config):
            self.made[name] = CLASSES[name](config)
            return self.made[name]

        make.protocol = CLASSES[name].protocol
        return make

    driver_names, twin_kinds, find_twin = INSTALLED.driver_names, INSTALLED.twin_kinds, INSTALLED.find_twin


@contextmanager
def bench():
    with rig_folder() as folder:
        path = write_rig(
            folder, {"devices": {"vacuum": None, "cryo": None}, "guard": {"pressure_max_pa": None}}
        )
        plugins = Plugins()
        instruments = Instruments(load_rig(path), time.monotonic, lambda *_: None, plugins)
        instruments.start()
        try:
            wait_for(lambda: not instruments.complaints(), "readings", 30.0)
            yield instruments, plugins.made
        finally:
            instruments.stop()


def apply_until(instruments, decision, condition):
    def step():
        instruments.apply(decision, time.monotonic())
        return condition()

    wait_for(step, "the effect", 30.0)


def decide(state=EnergyState.EVAPORATING, **what):
    return Decision(state=state, **what)


def test_a_pulser_that_stops_by_itself_is_not_started_again():
    with bench() as (instruments, made):
        trigger = made["dg645"]
        pulsing = decide(pulser_enable=True, pulser_rate_hz=2000.0)
        apply_until(instruments, pulsing, lambda: trigger.enabled and trigger.rate_hz == 2000.0)
        trigger.enabled = False
        begin_s = time.monotonic()
        apply_until(instruments, pulsing, lambda: time.monotonic() - begin_s > 1.0)
        assert trigger.said.count("enable") == 1


def test_an_inhibit_is_repeated_until_it_is_read():
    with bench() as (instruments, made):
        trigger = made["dg645"]
        trigger.enabled, trigger.deaf = True, True
        apply_until(instruments, decide(pulser_enable=False), lambda: trigger.said.count("safe") >= 3)
        trigger.deaf = False
        apply_until(instruments, decide(pulser_enable=False), lambda: not trigger.enabled)


def test_a_set_point_that_was_not_taken_is_sent_again_and_one_that_was_is_not():
    with bench() as (instruments, made):
        supply = made["fug-probus"]
        supply.deaf = True
        apply_until(instruments, decide(v_dc_v=100.0), lambda: supply.said.count(100.0) >= 2)
        supply.deaf = False
        apply_until(instruments, decide(v_dc_v=100.0), lambda: supply.v_v == 100.0)
        count, begin_s = len(supply.said), time.monotonic()
        apply_until(instruments, decide(v_dc_v=100.0), lambda: time.monotonic() - begin_s > 1.0)
        assert len(supply.said) <= count + 1


@pytest.mark.parametrize("what", ["set point", "output", "amplitude"])
def test_what_somebody_lowered_at_the_instrument_is_not_raised_again(what):
    with bench() as (instruments, made):
        supply, amplitude = made["fug-probus"], made["ea-scpi"]
        wanted = decide(v_dc_v=100.0, output=True, v_p_v=500.0)
        apply_until(
            instruments, wanted, lambda: supply.on and supply.v_v == 100.0 and amplitude.v_p_v == 500.0
        )
        began_s = time.monotonic()
        apply_until(instruments, wanted, lambda: time.monotonic() - began_s > UPWARDS_S + 0.1)
        supply.v_v, supply.on, amplitude.v_p_v = (
            (20.0, True, 500.0)
            if what == "set point"
            else (100.0, False, 500.0)
            if what == "output"
            else (100.0, True, 400.0)
        )
        said = len(supply.said) + len(amplitude.said)
        began_s = time.monotonic()
        apply_until(instruments, wanted, lambda: time.monotonic() - began_s > 1.2)
        assert len(supply.said) + len(amplitude.said) == said


def test_what_somebody_raised_at_the_instrument_is_lowered_again():
    with bench() as (instruments, made):
        supply = made["fug-probus"]
        apply_until(instruments, decide(v_dc_v=100.0), lambda: supply.v_v == 100.0)
        began_s = time.monotonic()
        apply_until(instruments, decide(v_dc_v=100.0), lambda: time.monotonic() - began_s > UPWARDS_S + 0.1)
        supply.v_v = 200.0
        apply_until(instruments, decide(v_dc_v=100.0), lambda: supply.v_v == 100.0)


def test_the_set_point_goes_out_before_the_output_is_switched_on():
    with bench() as (instruments, made):
        supply = made["fug-probus"]
        apply_until(instruments, decide(v_dc_v=0.0, output=True), lambda: supply.on)
        assert supply.said[:2] == [0.0, "on"]


def test_making_safe_reaches_every_instrument_that_carries_energy():
    with bench() as (instruments, made):
        instruments.make_safe()
        wait_for(lambda: all("safe" in driver.said for driver in made.values()), "make_safe", 30.0)


def test_a_decision_that_commands_nothing_sends_nothing():
    with bench() as (instruments, made):
        begin_s = time.monotonic()
        apply_until(instruments, decide(), lambda: time.monotonic() - begin_s > 0.5)
        assert [driver.said for driver in made.values()] == [[], [], []]


def test_the_amplitude_s_range_is_the_driver_s_own():
    with bench() as (instruments, _):
        assert instruments.amplitude_range_v() == (pytest.approx(300.0), pytest.approx(3000.0))


def test_what_carried_energy_and_is_unknown_is_named_with_what_to_do_by_hand(monkeypatch):
    with bench() as (instruments, made):

        def silent():
            raise DeviceTimeout("no answer")

        monkeypatch.setattr(made["ea-scpi"], "read", silent)
        wait_for(instruments.complaints, "the complaint", 30.0)
        (text,) = instruments.complaints()
        assert "pulse-supply is UNKNOWN: no answer" in text
        assert "by hand" in text
