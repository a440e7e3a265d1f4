"""The laser's rules: what triggers them, when they are content again, and the margin that they tell."""

from dataclasses import replace

import pytest

from evapd.control.types import Setpoint
from evapd.device.readings import LaserReading
from evapd.guard.energy import EnergyState as S
from evapd.guard.laser import Light
from evapd.guard.rates import RateMeter
from evapd.guard.rules import Effect, View
from evapd.guard.rules.laser import LaserMismatch, LaserState, LaserUnknown
from evapd.guard.rules.law import Sensitivity
from evapd.guard.supply_model import SupplyModel
from evapd.guard.types import Decision, DeviceView, GuardSettings, Inputs, LinkView, RunSettings
from support.guard_bench import make_rig


class Scene:
    """A laser in full light, looked at every 50 ms."""

    def __init__(self, *, mode="laser", required=True):
        device = {"driver": "x", "settings": {"connect": "tcp:h:2"}, "role": "laser", "required": required}
        rig = make_rig(devices={"laser": device}, pulse={"mode": mode, "energy_pj": 20.0})
        self.settings = GuardSettings(rig=rig)
        self.light = Light(self.settings)
        self.light.begin()
        self.required, self.known = required, True
        self.now_s, self.age_s, self.asked_pj = 10.0, 0.05, 20.0
        self.laser = {
            "energy_pj": 20.0, "energy_set_pj": 20.0, "rate_hz": 200e3, "emission": True, "shutter_open": True
        }  # fmt: skip

    def view(self, state=S.EVAPORATING):
        reading = LaserReading(t_mono_s=self.now_s - self.age_s, **self.laser)
        device = DeviceView(
            name="laser",
            role="laser",
            required=self.required,
            known=self.known,
            reading=reading,
            why="no answer",
        )
        pulsing = state is S.EVAPORATING
        view = View(
            now_s=self.now_s, state=state, settings=self.settings, run=RunSettings.of(self.settings.rig),
            inputs=Inputs(devices={"laser": device}, link=LinkView()), rates=RateMeter(0.0),
            model=SupplyModel(0.05, 0.5), pulsing_since_s=5.0 if pulsing else None, light=self.light,
        )  # fmt: skip
        decision = Decision(
            state=state, pulser_enable=pulsing, pulse_energy_pj=self.asked_pj if pulsing else None
        )
        self.light.plan(decision, view.inputs, self.now_s, preparing=False, ready=False, prepared=True)
        return view

    def look(self, rule, seconds=0.05, state=S.EVAPORATING):
        """Give the last finding, and the seconds after which the first came."""
        finding, first_s = None, None
        for number in range(round(seconds / 0.05)):
            self.now_s += 0.05
            view = self.view(state)
            finding = rule.check(view)
            if finding is not None and first_s is None:
                first_s = number * 0.05
        return finding, first_s


@pytest.mark.parametrize(
    "change",
    [
        {"energy_pj": 21.1},
        {"energy_pj": 18.9},
        {"energy_pj": None, "energy_set_pj": 25.0},
        {"rate_hz": 197e3},
    ],
)
def test_an_energy_or_rate_that_is_off_for_half_a_second_freezes(change):
    scene, rule = Scene(), LaserMismatch()
    scene.look(rule, 2.0)
    scene.laser |= change
    finding, first_s = scene.look(rule, 1.0)
    assert finding is not None
    assert first_s == pytest.approx(0.5, abs=0.06)
    assert rule.effect is Effect.FREEZE
    scene.laser |= {"energy_pj": 20.0, "rate_hz": 200e3}
    assert scene.look(rule)[0] is None


def test_an_energy_within_five_percent_does_nothing_and_the_margin_says_how_near_it_is():
    scene, rule = Scene(), LaserMismatch()
    scene.laser["energy_pj"] = 20.5
    assert scene.look(rule, 5.0)[0] is None
    assert rule.margin(scene.view()) == pytest.approx(0.75)
    scene.laser["energy_pj"] = 20.0
    assert rule.margin(scene.view()) > 0.9


@pytest.mark.parametrize("change", [{"energy_pj": None, "energy_set_pj": None}, None])
def test_an_energy_that_is_not_known_freezes_too(change):
    scene, rule = Scene(), LaserMismatch()
    scene.look(rule, 1.0)
    if change is None:
        scene.age_s = 1.5
    else:
        scene.laser |= change
    finding, _ = scene.look(rule, 1.0)
    assert finding is not None
    assert "not known" in finding.what


def test_half_a_second_begins_anew_after_it_was_content():
    scene, rule = Scene(), LaserMismatch()
    for _ in range(5):
        scene.laser["energy_pj"] = 25.0
        assert scene.look(rule, 0.4)[0] is None
        scene.laser["energy_pj"] = 20.0
        assert scene.look(rule)[0] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"emission": False}, "does not emit"),
        ({"shutter_open": False}, "closed"),
        ({"emission": None}, "tell"),
    ],
)
def test_a_light_that_goes_out_inhibits_until_it_is_back(change, words):
    scene, rule = Scene(), LaserState()
    assert scene.look(rule, 3.0)[0] is None
    assert rule.margin(scene.view()) == 1.0
    well = dict(scene.laser)
    scene.laser |= change
    finding, first_s = scene.look(rule, 0.2)
    assert words in finding.what
    assert first_s <= 0.1
    assert rule.effect is Effect.INHIBIT
    assert rule.margin(scene.view()) == 0.0
    assert scene.look(rule, 10.0, S.INHIBITED)[0] is not None, "nothing puts it right from here"
    scene.laser = well
    assert scene.look(rule, 0.2, S.INHIBITED)[0] is None


def test_a_shutter_that_stays_open_while_pulses_are_stopped_is_found():
    scene, rule = Scene(), LaserState()
    scene.look(rule, 3.0)
    finding, first_s = scene.look(rule, 2.0, S.INHIBITED)
    assert "told to close" in finding.what
    assert first_s == pytest.approx(1.1, abs=0.11)


def test_an_unknown_laser_that_the_rig_may_do_without_makes_safe_in_laser_mode():
    scene, rule = Scene(required=False), LaserUnknown()
    assert scene.look(rule)[0] is None
    scene.known = False
    assert "UNKNOWN" in scene.look(rule)[0].what
    assert (rule.effect, rule.latch) == (Effect.SAFE, True)


def test_a_required_laser_is_left_to_the_rule_on_required_devices():
    scene, rule = Scene(), LaserUnknown()
    scene.known = False
    assert scene.look(rule)[0] is None


@pytest.mark.parametrize("rule", [LaserUnknown, LaserState, LaserMismatch])
def test_without_laser_mode_no_rule_looks(rule):
    scene, rule = Scene(mode="voltage", required=False), rule()
    scene.laser |= {"emission": False, "energy_pj": 99.0}
    scene.known = False
    assert scene.look(rule, 3.0)[0] is None
    assert rule.margin(scene.view()) is None
    assert rule.margin(replace(scene.view(), light=None)) is None


@pytest.mark.parametrize(("s", "sane"), [(7.0, True), (2.5, True), (39.0, True), (1.5, False), (60.0, False)])
def test_the_sensitivity_to_energy_is_judged_by_its_own_scale(s, sane):
    scene, rule = Scene(), Sensitivity()
    pulse = scene.settings.rig.pulse.model_copy(update={"actuator": "energy"})
    scene.settings = replace(scene.settings, rig=scene.settings.rig.model_copy(update={"pulse": pulse}))
    findings = []
    for _ in range(60):
        scene.now_s += 0.05
        findings.append(rule.check(replace(scene.view(), proposal=Setpoint(v_dc_v=3000.0, sensitivity=s))))
    assert (findings[-1] is None) is sane
