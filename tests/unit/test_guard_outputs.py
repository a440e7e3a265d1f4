"""Digital outputs: inhibit before the pulser, what makes safe is repeated until it is read, old beats are not sent, a closed crowbar stays."""

import threading
import time
from contextlib import contextmanager

from evapd.config import load_rig
from evapd.config.plugins import INSTALLED
from evapd.device import DigitalIo, HighVoltageSupply, PulseAmplitude, Pulser
from evapd.device.readings import (
    DigitalReading,
    HighVoltageReading,
    Identity,
    PulseAmplitudeReading,
    PulserReading,
)
from evapd.guard.energy import EnergyState
from evapd.guard.instruments import Instruments
from evapd.guard.types import Decision, SupplyOrder
from support.rig_files import rig_folder, write_rig
from support.wait import wait_for

SAID = []  # by every instrument, in order
CONTACT = ("door", "valve", "water", "ups", "relay")


class Base:
    def __init__(self, config):
        self.said = []

    def open(self):
        return Identity(vendor="v", model=type(self).__name__)

    def close(self):
        pass

    def say(self, *what):
        self.said.append(what)
        SAID.append((type(self).__name__, *what))

    def make_safe(self):
        self.say("safe")


class Supply(Base):
    protocol = HighVoltageSupply
    v_v, on, deaf = 0.0, False, False

    def read(self):
        return HighVoltageReading(
            t_mono_s=time.monotonic(), v_set_v=self.v_v, v_meas_v=self.v_v, i_meas_a=0.0, output_on=self.on
        )

    def set_voltage(self, v_v):
        self.say("volts", v_v)
        self.v_v = self.v_v if self.deaf else v_v

    def set_slew(self, v_per_s):
        self.say("slew")

    def set_current_limit(self, a):
        self.say("limit")

    def output(self, on):
        self.say("output", on)
        self.on = on


class Trigger(Base):
    protocol = Pulser
    enabled = False

    def read(self):
        return PulserReading(t_mono_s=time.monotonic(), rate_hz=10.0, enabled=self.enabled)

    def set_rate(self, hz):
        self.say("rate")

    def enable(self, on):
        self.say("enable", on)
        self.enabled = on

    def make_safe(self):
        super().make_safe()
        self.enabled = False


class Amplitude(Base):
    protocol = PulseAmplitude
    v_p_min_v, v_p_max_v = 300.0, 3000.0

    def read(self):
        return PulseAmplitudeReading(t_mono_s=time.monotonic(), v_p_v=0.0, in_range=True)

    def set_amplitude(self, v_p_v):
        self.say("amplitude")


class Module(Base):
    protocol = DigitalIo

    def __init__(self, config):
        super().__init__(config)
        self.levels = dict.fromkeys(CONTACT, True) | {"inhibit": False, "heartbeat": False, "crowbar": False}
        self.deaf, self.hangs, self.hung = False, threading.Event(), False
        self.hangs.set()

    def read(self):
        self.hung = not self.hangs.is_set()
        self.hangs.wait(20.0)
        return DigitalReading(t_mono_s=time.monotonic(), levels=dict(self.levels))

    def write(self, name, on):
        self.say(name, on)
        self.levels[name] = self.levels[name] if self.deaf else on


CLASSES = {"fug-probus": Supply, "dg645": Trigger, "ea-scpi": Amplitude, "modbus-dio": Module}


class Plugins:
    """The installed plugins, with these drivers in their place; a supply by the device's address."""

    def __init__(self):
        self.made = {}

    def find_driver(self, name):
        def make(config):
            driver = CLASSES[name](config)
            self.made[
                config.connect.rsplit("/", 1)[-1].partition(":")[0] if name == "fug-probus" else name
            ] = driver
            return driver

        make.protocol = CLASSES[name].protocol
        return make

    driver_names, twin_kinds, find_twin = INSTALLED.driver_names, INSTALLED.twin_kinds, INSTALLED.find_twin


@contextmanager
def bench():
    SAID.clear()
    with rig_folder() as folder:
        path = write_rig(
            folder,
            {
                "devices": {"vacuum": None, "cryo": None},
                "guard": {"pressure_max_pa": None, "device_timeout_s": 5},
            },
            source="guarded.yaml",
        )
        plugins = Plugins()
        instruments = Instruments(load_rig(path), time.monotonic, lambda *_: None, plugins)
        instruments.start()
        try:
            wait_for(lambda: not instruments.complaints(), "readings", 30.0)
            yield instruments, plugins.made
        finally:
            plugins.made["modbus-dio"].hangs.set()
            instruments.stop()


def apply_until(instruments, decision, condition):
    def step():
        instruments.apply(decision, time.monotonic())
        return condition()

    wait_for(step, f"the effect; said {SAID}", 30.0)


def decide(**what):
    return Decision(state=EnergyState.EVAPORATING, **what)


def test_the_inhibit_is_driven_with_the_pulser_s_own_and_repeated_until_it_is_read():
    with bench() as (instruments, made):
        module = made["modbus-dio"]
        module.deaf = True
        apply_until(
            instruments, decide(pulser_enable=False), lambda: module.said.count(("inhibit", True)) >= 2
        )
        module.deaf = False
        apply_until(instruments, decide(pulser_enable=False), lambda: module.levels["inhibit"])


def test_pulses_are_let_through_by_both_and_the_inhibit_is_released_once():
    with bench() as (instruments, made):
        module, trigger = made["modbus-dio"], made["dg645"]
        apply_until(instruments, decide(pulser_enable=False), lambda: module.levels["inhibit"])
        apply_until(
            instruments, decide(pulser_enable=True), lambda: trigger.enabled and not module.levels["inhibit"]
        )
        module.levels["inhibit"] = True
        begin_s = time.monotonic()
        apply_until(instruments, decide(pulser_enable=True), lambda: time.monotonic() - begin_s > 1.0)
        assert module.said.count(("inhibit", False)) == 1


def test_the_crowbar_closes_and_opens_as_asked_and_is_left_alone_otherwise():
    with bench() as (instruments, made):
        module = made["modbus-dio"]
        apply_until(instruments, decide(crowbar=True), lambda: module.levels["crowbar"])
        apply_until(instruments, decide(crowbar=False), lambda: not module.levels["crowbar"])
        count, begin_s = len(module.said), time.monotonic()
        apply_until(instruments, decide(), lambda: time.monotonic() - begin_s > 0.7)
        assert len(module.said) == count


def test_in_the_last_resort_a_closed_crowbar_is_not_opened_by_safe_levels():
    with bench() as (instruments, made):
        module = made["modbus-dio"]
        apply_until(instruments, decide(crowbar=True), lambda: module.levels["crowbar"])
        instruments.make_safe()
        wait_for(lambda: ("inhibit", True) in module.said, "the inhibit", 30.0)
        assert ("safe",) not in module.said


def test_the_last_resort_reaches_the_module_first_and_the_detector_last():
    with bench() as (instruments, made):
        instruments.make_safe()
        wait_for(lambda: all(("safe",) in driver.said for driver in made.values()), "make_safe", 30.0)


def test_beats_that_waited_for_a_slow_module_are_not_sent_late_nor_in_a_burst():
    with bench() as (instruments, made):
        module = made["modbus-dio"]
        module.hangs.clear()
        wait_for(lambda: module.hung, "a read that hangs", 30.0)
        for number in range(20):
            instruments.apply(decide(heartbeat=number % 2 == 0), time.monotonic())
        began_s = time.monotonic()
        wait_for(lambda: time.monotonic() - began_s > 0.6, "the beats to grow old")
        module.hangs.set()
        apply_until(instruments, decide(crowbar=True), lambda: module.levels["crowbar"])
        assert not [what for what in module.said if what[0] == "heartbeat"]


def test_beats_of_a_module_that_answers_arrive_in_turn():
    with bench() as (instruments, made):
        module = made["modbus-dio"]
        for number in range(4):
            apply_until(
                instruments,
                decide(heartbeat=number % 2 == 0),
                lambda n=number: module.levels["heartbeat"] is (n % 2 == 0),
            )
        assert [what[1] for what in module.said if what[0] == "heartbeat"] == [True, False, True, False]


def test_a_detector_supply_that_lost_its_set_point_is_not_raised_again_by_itself():
    with bench() as (instruments, made):
        plates = made["plates"]
        order = decide(supplies=(SupplyOrder("plates", 500.0, output=True),))
        apply_until(instruments, order, lambda: plates.on and plates.v_v == 500.0)
        plates.v_v, plates.on = 0.0, False
        begin_s = time.monotonic()
        apply_until(instruments, order, lambda: time.monotonic() - begin_s > 1.2)
        assert plates.said.count(("volts", 500.0)) == 1
        assert plates.said.count(("output", True)) == 1


def test_a_detector_supply_that_stays_up_is_told_down_again():
    with bench() as (instruments, made):
        plates = made["plates"]
        apply_until(
            instruments, decide(supplies=(SupplyOrder("plates", 500.0),)), lambda: plates.v_v == 500.0
        )
        plates.deaf = True
        down = decide(supplies=(SupplyOrder("plates", 0.0, output=False),))
        apply_until(instruments, down, lambda: plates.said.count(("volts", 0.0)) >= 2)


def test_after_a_way_down_the_same_order_is_sent_again():
    with bench() as (instruments, made):
        plates = made["plates"]
        order = decide(supplies=(SupplyOrder("plates", 0.0, output=True),))
        apply_until(instruments, order, lambda: plates.on)
        plates.on = False
        instruments.apply(decide(), time.monotonic())
        apply_until(instruments, order, lambda: plates.on)
