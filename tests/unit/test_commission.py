"""What commissioning measures, against instruments of which the truth is known; and what it must never leave behind."""

import json
import math
import os
import signal
import threading

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from evapd.cli import app
from evapd.commission.ending import Interrupts, make_all_safe
from evapd.commission.findings import Findings, warnings
from evapd.commission.pulses import TdcFigures
from evapd.commission.session import Session, Wanted
from evapd.commission.supply import measure_supply
from evapd.commission.times import Times
from evapd.config import load_rig
from evapd.device import build_device
from evapd.device.portlock import PortLock
from evapd.device.readings import HighVoltageReading
from evapd.errors import DeviceBusy, DeviceProtocolError, DeviceTimeout, StateError
from support.daemon import daemon
from support.rig_files import rig_folder, write_rig


class VirtualSupply:
    """Rises and falls by its own time constants, each call takes `call_s`; reads with an error, noise and digits."""

    def __init__(
        self, *, tau_up_s=0.05, tau_down_s=0.5, call_s=0.02, delay_s=0.0, gain=1.0, noise_v=0.0, digit_v=0.0
    ):
        self.now_s, self.v_v, self.on = 5.0, 0.0, False
        self.tau_up_s, self.tau_down_s, self.call_s, self.delay_s = tau_up_s, tau_down_s, call_s, delay_s
        self.gain, self.noise_v, self.digit_v = gain, noise_v, digit_v
        self.set_v, self.waiting = 0.0, []
        self.rng = np.random.default_rng(2)

    def clock(self):
        return self.now_s

    def sleep(self, s):
        self.advance(s)

    def advance(self, s):
        for _ in range(max(1, round(s / 1e-3))):
            dt_s = s / max(1, round(s / 1e-3))
            self.now_s += dt_s
            while self.waiting and self.waiting[0][0] <= self.now_s:
                self.set_v = self.waiting.pop(0)[1]
            demand_v = self.set_v if self.on else 0.0
            tau_s = self.tau_up_s if demand_v > self.v_v else self.tau_down_s
            self.v_v += (demand_v - self.v_v) * -math.expm1(-dt_s / tau_s)

    def set_voltage(self, v_v):
        self.advance(self.call_s)
        self.waiting.append((self.now_s + self.delay_s, v_v))

    def output(self, on):
        self.on = on

    def read(self):
        self.advance(self.call_s)
        v_v = self.gain * self.v_v + self.rng.normal(0.0, self.noise_v or 1e-12)
        if self.digit_v:
            v_v = self.digit_v * round(v_v / self.digit_v)
        return HighVoltageReading(
            t_mono_s=self.now_s, v_set_v=None, v_meas_v=v_v, i_meas_a=None, output_on=self.on
        )


def measured(supply, low_v=500.0, high_v=1000.0):
    return measure_supply(supply, low_v, high_v, clock=supply.clock, sleep=supply.sleep)


@pytest.mark.parametrize("noise", [{}, {"noise_v": 0.5}, {"digit_v": 4.0}])
@pytest.mark.parametrize(("up_s", "down_s"), [(0.1, 0.5), (0.5, 5.0), (2.0, 0.2)])
def test_time_constants_are_found(up_s, down_s, noise):
    found = measured(VirtualSupply(tau_up_s=up_s, tau_down_s=down_s, **noise))
    assert found.up.tau_s == pytest.approx(up_s, rel=0.12)
    assert found.down.tau_s == pytest.approx(down_s, rel=0.12)
    assert not found.up.bound


def test_a_supply_that_is_faster_than_its_readings_gives_a_bound():
    found = measured(VirtualSupply(tau_up_s=0.003, call_s=0.05))
    assert found.up.bound
    assert found.up.tau_s < 0.05


def test_a_delay_of_the_command_is_told_apart_from_the_time_constant():
    found = measured(VirtualSupply(tau_up_s=0.2, tau_down_s=0.2, delay_s=0.3, call_s=0.01))
    assert found.up.delay_s == pytest.approx(0.31, abs=0.03)
    assert found.up.tau_s == pytest.approx(0.2, rel=0.1)


def test_errors_of_the_readings_are_told_at_both_ends():
    found = measured(VirtualSupply(gain=0.99, noise_v=0.3))
    assert found.error_high_v == pytest.approx(-10.0, abs=0.3)
    assert found.error_low_v == pytest.approx(-5.0, abs=1.5)
    assert found.noise_v == pytest.approx(0.3, rel=0.5)
    assert found.relative_error == pytest.approx(0.01, rel=0.05)


def test_a_supply_that_never_rests_is_no_measurement():
    supply = VirtualSupply()
    supply.output = lambda _: None  # it says yes, and stays off
    with pytest.raises(StateError, match=r"never came|not come to rest"):
        measured(supply)


@pytest.fixture
def rig():
    with rig_folder() as folder:
        yield load_rig(write_rig(folder, {"guard": {"energy_timeout_s": 0.8}})).rig


def of_supply(**truth):
    return Findings(supply=measured(VirtualSupply(**truth)))


def test_settings_that_fit_are_left_alone(rig):
    assert list(warnings(of_supply(tau_up_s=0.05, tau_down_s=0.5, call_s=0.005), rig)) == []


def test_a_time_constant_that_does_not_fit_is_told_with_what_to_write(rig):
    (told,) = [one for one in warnings(of_supply(tau_up_s=0.05, tau_down_s=5.0), rig) if "down" in one]
    assert "guard.hv_tau_down_s: 5" in told


def test_readings_beyond_the_tolerance_are_told(rig):
    assert any("readback_tolerance" in one for one in warnings(of_supply(gain=0.97), rig))


def test_slow_devices_are_told_by_name(rig):
    found = Findings(
        reads={"specimen-supply": Times(20, 0.15, 0.6)}, commands={"specimen-supply": Times(20, 0.2, 0.3)}
    )
    told = list(warnings(found, rig))
    assert len(told) == 3
    assert any("control.tick_s: 0.18" in one for one in told)


def test_what_the_tdc_does_badly_is_told(rig):
    bad = TdcFigures(
        heartbeat_p99_s=0.05, heartbeat_longest_s=0.2, dark_hz=40.0, mcp_hz=90.0, pulse_rate_hz=199_000.0,
        rate_error_ppm=-5000.0, inhibit_s=(0.1, 0.3),
    )  # fmt: skip
    told = " ".join(warnings(Findings(tdc=bad), rig))
    assert all(
        word in told for word in ("silent for 0.200", "dark_rate_hz: 48", "-5000 ppm", "after up to 0.300")
    )


@pytest.mark.parametrize("voltage_v", [99.0, 8001.0, math.nan, -500.0])
def test_a_voltage_that_the_configuration_does_not_allow_is_refused_before_anything_is_opened(voltage_v):
    with rig_folder() as folder:
        session = Session(load_rig(write_rig(folder)), Wanted(voltage_v=voltage_v), lambda _: None)
        with pytest.raises(StateError, match="nothing was energised"):
            session.run()


@pytest.fixture
def served():
    """A simulated rig whose daemon does not run."""
    with daemon(start=False) as rig:
        rig.loaded.layout.make()
        rig.twin.start()
        yield rig


def test_a_simulated_rig_is_measured_and_left_safe(served, tmp_path):
    told = CliRunner().invoke(
        app,
        [
            "commission",
            str(served.config),
            "--voltage",
            "1000",
            "--yes",
            "--dark",
            "2",
            "--output",
            str(tmp_path),
            "--json",
        ],
    )
    assert told.exit_code == 0, told.output
    content = json.loads(told.stdout)
    assert content["supply"]["down"]["tau_s"] == pytest.approx(0.5, rel=0.3)
    assert content["tdc"]["pulse_rate_hz"] == pytest.approx(200e3, rel=0.01)
    assert content["tdc"]["inhibit_s"][-1] < 2.0
    assert content["is_simulation"] is True
    (written,) = tmp_path.iterdir()
    assert yaml.safe_load(written.read_text()) == content
    plant = served.twin.plant
    assert not plant.trigger.running
    assert plant.specimen.demand_v == 0.0
    assert plant.specimen.v_v < 50.0


def test_without_a_voltage_nothing_is_energised(served):
    found = Session(served.loaded, Wanted(dark_s=1.0, inhibits=1, reads=3), lambda _: None).run()
    assert found.supply is None
    assert "--voltage" in found.skipped["supply"]
    assert served.twin.plant.specimen.v_v == 0.0


def test_a_supply_that_is_on_already_is_switched_off_and_the_walk_ends(served):
    left_on = build_device("specimen-supply", served.loaded)
    left_on.open()
    left_on.set_voltage(900.0)
    left_on.output(True)
    left_on.close()
    with pytest.raises(StateError, match="switched off now"):
        Session(served.loaded, Wanted(), lambda _: None).run()
    assert served.twin.plant.specimen.demand_v == 0.0


def test_whatever_goes_wrong_in_the_middle_the_pulses_and_the_voltage_end(served, monkeypatch):
    def fails(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("evapd.commission.session.timed", fails)
    with pytest.raises(KeyboardInterrupt):
        Session(served.loaded, Wanted(voltage_v=500.0), lambda _: None).run()
    assert not served.twin.plant.trigger.running
    assert served.twin.plant.specimen.demand_v == 0.0


def test_a_device_that_cannot_be_made_safe_is_told_with_what_to_do_by_hand(served, monkeypatch):
    def silent(_):
        raise DeviceTimeout("no answer")

    monkeypatch.setattr("evapd_drivers.hv.fug_probus.FugProbus.make_safe", silent)
    with pytest.raises(DeviceTimeout) as caught:
        Session(served.loaded, Wanted(reads=1, dark_s=1.0, inhibits=1), lambda _: None).run()
    assert "BY HAND" in caught.value.__notes__[0]


@pytest.fixture
def brief():
    return Wanted(voltage_v=500.0, reads=1, dark_s=1.0, inhibits=1)


def test_whatever_a_pulsers_driver_raises_the_supply_is_made_safe_after_it(served, monkeypatch, brief):
    def broken(*_, **__):
        raise TypeError("a fault in the driver")

    monkeypatch.setattr("evapd_drivers.pulser.dg645.Dg645.make_safe", broken)
    monkeypatch.setattr("evapd.commission.session.measure_pulses", lambda *_, **__: None)
    with pytest.raises(TypeError):
        Session(served.loaded, brief, lambda _: None).run()
    assert served.twin.plant.specimen.demand_v == 0.0


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_under_voltage_ends_the_walk_with_everything_safe(served, monkeypatch, brief, which):
    def asked_to_end(supply, low_v, *_, **__):
        supply.set_voltage(low_v)
        supply.output(True)
        os.kill(os.getpid(), which)

    monkeypatch.setattr("evapd.commission.session.measure_pulses", lambda *_, **__: None)
    monkeypatch.setattr("evapd.commission.session.measure_supply", asked_to_end)
    before = signal.getsignal(which)
    with pytest.raises(KeyboardInterrupt):
        Session(served.loaded, brief, lambda _: None).run()
    assert served.twin.plant.specimen.demand_v == 0.0
    assert signal.getsignal(which) == before


def test_a_second_signal_does_not_keep_anything_from_being_made_safe():
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.closing


class Sourced:
    """Makes itself safe at the given attempt; 0: hangs until it is let go."""

    def __init__(self, attempt):
        self.attempt, self.tried, self.safe, self.let_go = attempt, 0, False, threading.Event()

    def open(self):
        pass

    def close(self):
        pass

    def make_safe(self):
        self.tried += 1
        if self.attempt == 0:
            self.let_go.wait(10.0)
        if self.tried < self.attempt:
            raise DeviceTimeout("silence")
        self.safe = True


def test_a_device_that_obeys_at_the_third_attempt_is_no_failure():
    late = Sourced(3)
    assert make_all_safe({"hv": late}, ["hv"], lambda _: None) == []
    assert late.safe


def test_one_that_hangs_does_not_keep_the_next_from_its_turn():
    hung, supply = Sourced(0), Sourced(1)
    (failure,) = make_all_safe({"pulser": hung, "hv": supply}, ["pulser", "hv"], lambda _: None, hangs_s=0.1)
    hung.let_go.set()
    assert supply.safe
    assert "pulser may still be on" in failure.__notes__[0]


def test_beside_a_guard_nothing_is_opened_and_no_guard_can_start_meanwhile(served, brief):
    guards = PortLock(f"{served.loaded.layout.folder}/guard")
    try:
        with pytest.raises(DeviceBusy):
            Session(served.loaded, brief, lambda _: None).run()
    finally:
        guards.release()


def test_pulses_that_could_not_be_measured_are_stopped_before_the_supply_is_energised(
    served, monkeypatch, brief
):
    def half_way(pulser, *_, **__):
        pulser.set_rate(1000.0)
        pulser.enable(True)
        raise DeviceTimeout("the TDC is silent")

    pulsing = []
    monkeypatch.setattr("evapd.commission.session.measure_pulses", half_way)
    monkeypatch.setattr(
        "evapd.commission.session.measure_supply",
        lambda *_, **__: pulsing.append(served.twin.plant.trigger.running),
    )
    Session(served.loaded, brief, lambda _: None).run()
    assert pulsing == [False]


def test_without_the_supplys_answer_no_pulse_is_let_through(served, monkeypatch, brief):
    def silent(_):
        raise DeviceTimeout("no answer")

    monkeypatch.setattr("evapd_drivers.hv.fug_probus.FugProbus.open", silent)
    found = Session(served.loaded, brief, lambda _: None).run()
    assert "may be on" in found.skipped["pulses"]
    assert found.tdc is None


def test_a_reading_that_is_no_number_is_not_a_discharged_supply(served, monkeypatch, brief):
    nothing = HighVoltageReading(
        t_mono_s=1.0, v_set_v=None, v_meas_v=math.nan, i_meas_a=None, output_on=False
    )
    monkeypatch.setattr("evapd_drivers.hv.fug_probus.FugProbus.read", lambda _: nothing)
    with pytest.raises(DeviceProtocolError, match="no number"):
        Session(served.loaded, brief, lambda _: None).run()


@pytest.mark.parametrize(
    ("pressure_pa", "status", "why"), [(1e-3, 0, "0.001 Pa"), (1e-9, 5, "no valid pressure")]
)
def test_in_a_bad_or_unknown_vacuum_nothing_is_energised(served, pressure_pa, status, why):
    with served.twin.plant.lock:
        served.twin.plant.pressure_pa[2], served.twin.plant.gauge_status[2] = pressure_pa, status
    wanted = Wanted(voltage_v=1000.0, dark_s=1.0, inhibits=1, reads=1)
    found = Session(served.loaded, wanted, lambda _: None).run()
    assert found.supply is None
    assert why in found.skipped["supply"]
    assert served.twin.plant.specimen.v_v == 0.0
