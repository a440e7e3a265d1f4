"""What the guard asks of the laser: emission once per run, shutter with the pulses, nothing put right by itself."""

import pytest

from evapd.device.readings import LaserReading
from evapd.guard.energy import EnergyState as S
from evapd.guard.laser import SETTLE_S, Light, against_emission, against_run
from evapd.guard.types import Decision, DeviceView, GuardSettings, Inputs, LinkView, RunSettings
from support.guard_bench import make_rig

ENERGY_PJ = 20.0


def settings(mode="laser", **laser):
    device = {"driver": "x", "settings": {"connect": "tcp:h:2"}, "role": "laser"} | laser
    rig = make_rig(devices={"laser": device}, pulse={"mode": mode, "energy_pj": ENERGY_PJ})
    return GuardSettings(rig=rig)


class Scene:
    """A Light with a laser whose readings the test sets; time passes by a tenth of a second."""

    def __init__(self):
        self.settings = settings()
        self.light = Light(self.settings)
        self.now_s = 10.0
        self.laser = {"emission": False, "shutter_open": False, "energy_pj": None, "rate_hz": 200e3}
        self.known = True
        self.light.begin()

    def inputs(self):
        given = {"energy_set_pj": ENERGY_PJ, "t_mono_s": self.now_s} | self.laser
        view = DeviceView(
            name="laser", role="laser", required=True, known=self.known, reading=LaserReading(**given)
        )
        return Inputs(devices={"laser": view}, link=LinkView())

    def plan(self, state=S.EVAPORATING, *, pulses=True, preparing=False, ready=False, seconds=0.1):
        for _ in range(round(seconds / 0.1)):
            self.now_s += 0.1
            energy_pj = ENERGY_PJ if pulses or preparing else None
            decision = Decision(state=state, pulser_enable=pulses, pulse_energy_pj=energy_pj)
            told = self.light.plan(
                decision, self.inputs(), self.now_s, preparing=preparing, ready=ready, prepared=not preparing
            )
        return told

    def shining(self):
        self.plan(S.RAMPING, pulses=False, preparing=True, ready=True)
        self.laser |= {"emission": True, "shutter_open": True}
        self.plan(seconds=2.0)
        return self


def test_emission_and_shutter_wait_until_everything_else_is_ready():
    scene = Scene()
    told = scene.plan(S.RAMPING, pulses=False, preparing=True, ready=False)
    assert (told.shutter, told.emission) == (False, None)
    told = scene.plan(S.RAMPING, pulses=False, preparing=True, ready=True)
    assert (told.shutter, told.emission) == (True, True)


def test_once_it_emits_it_is_not_asked_for_again_in_this_run():
    scene = Scene().shining()
    scene.laser["emission"] = False
    assert scene.plan().emission is None
    assert scene.plan(S.RAMPING, pulses=False, preparing=True, ready=True, seconds=3.0).emission is None


def test_another_run_may_begin_the_emission_anew():
    scene = Scene().shining()
    scene.laser["emission"] = False
    scene.light.begin()
    assert scene.plan(S.RAMPING, pulses=False, preparing=True, ready=True).emission


def test_the_shutter_follows_the_pulses():
    scene = Scene().shining()
    assert scene.plan().shutter is True
    assert scene.plan(S.INHIBITED, pulses=False).shutter is False
    assert scene.plan(S.RAMPING).shutter is True
    assert scene.plan(S.HOLDING, pulses=False).shutter is False


def test_on_the_way_down_nothing_is_asked_here_because_make_safe_does_it():
    scene = Scene().shining()
    told = scene.plan(S.RAMPING_DOWN, pulses=False)
    assert (told.shutter, told.emission) == (None, None)


def test_while_aligning_light_comes_only_with_the_pulses():
    scene = Scene().shining()
    assert scene.plan(S.ALIGNING, pulses=False).shutter is False
    assert scene.plan(S.ALIGNING, pulses=True).shutter is True


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"emission": False}, "does not emit"),
        ({"emission": None}, "does not tell"),
        ({"shutter_open": False}, "closed"),
        ({"shutter_open": None}, "unknown state"),
        ({"fault": True}, "interlock"),
    ],
)
def test_a_light_that_went_out_by_itself_is_lost_until_a_person_puts_it_right(change, words):
    scene = Scene().shining()
    well = dict(scene.laser)
    scene.laser |= change
    scene.plan()
    assert words in scene.light.lost
    told = scene.plan(S.INHIBITED, pulses=False, seconds=5.0)
    assert (told.shutter, told.emission) == (None, None)
    assert scene.light.lost
    scene.laser = well
    scene.plan(S.INHIBITED, pulses=False)
    assert scene.light.lost == ""


def test_a_shutter_that_a_person_opened_again_is_left_alone_until_pulses_come():
    scene = Scene().shining()
    scene.laser["shutter_open"] = False
    scene.plan()
    scene.plan(S.INHIBITED, pulses=False)
    scene.laser["shutter_open"] = True
    assert scene.plan(S.INHIBITED, pulses=False, seconds=1.0).shutter is None
    assert scene.plan(S.RAMPING).shutter is True


def test_a_shutter_that_was_just_told_to_open_has_its_time():
    scene = Scene().shining()
    scene.plan(S.INHIBITED, pulses=False)
    scene.laser["shutter_open"] = False
    scene.plan(S.RAMPING, seconds=SETTLE_S - 0.2)
    assert not scene.light.lost
    assert not scene.light.shines(scene.inputs()), "its counts are no counts of a laser pulse yet"
    scene.plan(S.RAMPING, seconds=0.5)
    assert scene.light.lost


def test_a_shutter_that_does_not_close_is_told():
    scene = Scene().shining()
    scene.plan(S.INHIBITED, pulses=False, seconds=2.0)
    assert "told to close" in scene.light.stuck


def test_a_held_run_forgets_what_was_lost_because_a_person_resumes_it():
    scene = Scene().shining()
    scene.laser["shutter_open"] = False
    scene.plan()
    told = scene.plan(S.HOLDING, pulses=False)
    assert scene.light.lost == ""
    assert told.shutter is False


@pytest.mark.parametrize(
    ("told", "off"),
    [
        ({"energy_pj": 22.0}, 0.1),
        ({"energy_pj": 19.0}, 0.05),
        ({"energy_pj": None, "energy_set_pj": 21.0}, 0.05),
        ({"energy_pj": None, "energy_set_pj": None}, None),
        ({"energy_pj": 0.0}, 1.0),
    ],
)
def test_the_monitor_counts_and_the_set_point_only_where_there_is_none(told, off):
    scene = Scene().shining()
    scene.laser |= told
    found = scene.light.energy_off(scene.inputs().reading("laser", LaserReading))
    assert found == (None if off is None else pytest.approx(off))


def test_counts_do_not_count_with_another_energy_or_an_unknown_laser():
    scene = Scene().shining()
    assert scene.light.energy_fits(scene.inputs())
    scene.laser["energy_pj"] = 21.2
    assert not scene.light.energy_fits(scene.inputs())
    scene.known = False
    assert not scene.light.energy_fits(scene.inputs())
    assert not scene.light.shines(scene.inputs())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate_hz": 100e3}, "rate"),
        ({"energy_set_pj": 25.0}, "energy"),
        ({"fault": True}, "interlock"),
        ({"t_mono_s": 1.0}, "has not been read"),
    ],
)
def test_what_the_laser_lacks_before_it_may_emit_is_listed(change, words):
    scene = Scene()
    scene.plan(S.RAMPING, pulses=False, preparing=True)
    run = RunSettings.of(scene.settings.rig)
    assert against_emission(scene.inputs(), scene.light, run, entered_s=9.0) == []
    scene.laser |= change
    (reason,) = against_emission(scene.inputs(), scene.light, run, entered_s=9.0)
    assert words in reason


def test_a_run_does_not_begin_without_an_energy_or_with_an_unknown_or_faulty_laser():
    scene = Scene()
    run = RunSettings.of(scene.settings.rig)
    assert against_run(scene.inputs(), scene.settings, run) == []
    scene.laser["fault"] = True
    assert "interlock" in against_run(scene.inputs(), scene.settings, run)[0]


def test_in_voltage_mode_a_laser_must_be_dark_and_is_never_commanded():
    scene = Scene()
    scene.settings = settings(mode="voltage")
    scene.light = Light(scene.settings)
    scene.light.begin()
    run = RunSettings.of(scene.settings.rig)
    assert against_run(scene.inputs(), scene.settings, run) == []
    scene.laser["emission"] = True
    assert "switch it off" in against_run(scene.inputs(), scene.settings, run)[0]
    told = scene.plan(S.RAMPING, pulses=False, preparing=True, ready=True)
    assert (told.shutter, told.emission) == (None, None)
    assert scene.light.shines(scene.inputs())
