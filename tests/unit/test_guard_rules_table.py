"""Every rule, by one knob: silent below its threshold, found above, content again after; the margin only falls."""

from dataclasses import dataclass

import pytest

from evapd.guard.rules.arc import SupplyCurrent
from evapd.guard.rules.base import Rule
from evapd.guard.rules.data import NoPulses, RateCeiling, Sequence
from evapd.guard.rules.law import BlindRise, Clamp, Sensitivity
from evapd.guard.rules.load import HitRate, HotSpot, LocalDose, TriggerRate
from evapd.guard.rules.people import MissedTicks, OperatorAway, OperatorGone
from evapd.guard.rules.plant import (
    AmplitudeMismatch,
    DeviceUnknown,
    PulseCount,
    PulserMismatch,
    Temperature,
    TemperatureStale,
    TemperatureWarning,
    Vacuum,
    VacuumWarning,
)
from evapd.guard.rules.quality import TimeSums, Uncorrelated
from evapd.guard.rules.silence import (
    AcquireLost,
    DarkSilent,
    OldReading,
    StaleRecord,
    TdcSilent,
    TdcSilentLong,
)
from evapd.guard.rules.supply import ReadbackShort, ReadExcess, SupplyTripped, UnaskedVoltage, VoltageLimit
from evapd.link import LinkFlag
from support.rule_scene import Scene


def put(name):
    return lambda scene, x: setattr(scene, name, x)


def look(name):
    return lambda scene, x: scene.looks.update({name: x(scene) if callable(x) else x})


def age(name):
    """The device's newest reading is x seconds old when the knob was turned."""

    def turn(scene, x):
        scene.stuck.discard(name)
        scene.now_s += 1e-3
        scene.view()
        scene.stuck.add(name)
        scene.now_s += x
        scene.pulsing_since_s = scene.now_s - 60.0

    return turn


def silence(scene, x):
    scene.run_s(0.1)
    scene.now_s += x


def ago(name):
    return lambda scene, x: scene.looks.update({name: scene.now_s - x})


def counts(**values):
    def miss(scene):
        scene.rates.rebase()
        scene.records = False
        for name, value in values.items():
            setattr(scene, name, value)

    return miss


def nothing(scene):
    scene.rates.__init__(scene.settings.background_ratio)
    scene.records = False


def unknown(*names):
    return lambda scene: scene.unknown.update(names)


@dataclass
class Case:
    rule: type[Rule]
    turn: object
    good: list  # ascending towards the threshold, all below it
    bad: list
    miss: object
    for_s: float = 0.2  # how long a value stands before the rule is judged
    settle_s: float = 0.2  # until it is content again
    guard: tuple = ()


CASES = [
    Case(VoltageLimit, put("v_v"), [5000, 7000, 7990], [8200, 9000], unknown("hv")),
    Case(ReadExcess, put("v_v"), [5000, 5050, 5100], [5200, 6000], unknown("hv"), 0.5),
    Case(ReadbackShort, put("v_v"), [5000, 4950, 4900], [4800, 0], unknown("hv"), 0.8),
    Case(SupplyTripped, lambda s, x: s.state_flags.update(tripped=x), [None, False], [True], unknown("hv")),
    Case(UnaskedVoltage, put("v_v"), [0, 50, 70], [80, 500], unknown("hv"), 0.8),
    Case(AcquireLost, look("link_lost"), [False], [True], None),
    Case(TdcSilent, put("heartbeat_age_s"), [0.0, 0.05, 0.1], [0.2, 2.0], nothing),
    Case(TdcSilentLong, put("heartbeat_age_s"), [0.0, 1.0, 4.0], [5.1, 20.0], nothing),
    Case(StaleRecord, silence, [0.0, 0.05, 0.1], [0.2, 5.0], nothing, 0.0),
    Case(OldReading, age("hv"), [0.0, 0.2, 0.45], [0.6, 5.0], unknown("hv", "trigger"), 0.0),
    Case(Sequence, lambda s, x: setattr(s, "now_s", s.now_s - x), [0.0, 0.01, 0.03], [0.06], nothing, 0.0),
    Case(RateCeiling, put("hits_hz"), [2000, 8000, 16000], [22000, 90000], counts(), 0.6, 1.2),
    Case(NoPulses, put("pulses_hz"), [200e3, 180e3, 110e3], [90e3, 0], counts(), 1.2, 1.2),
    Case(TriggerRate, put("trigger_hz"), [2000, 50e3, 95e3], [105e3, 400e3], counts(), 0.6, 0.6),
    Case(HitRate, put("dark_hz"), [5, 1e6, 1.9e6], [2.1e6, 1e7], counts()),
    Case(HotSpot, put("hot_hits"), [20, 300, 590], [610, 2000], lambda s: setattr(s, "map_hits", 100)),
    Case(LocalDose, put("hot_hits"), [20, 300, 590], [600, 2000], nothing, guard=(("local_dose_max_hz", 600.0),)),
    Case(TimeSums, lambda s, x: setattr(s, "flags", LinkFlag.ARMED | x), [LinkFlag.NONE], [LinkFlag.TIME_SUMS_LOST], nothing),
    Case(Uncorrelated, put("background_hz"), [5, 1000, 1180], [1300, 2000], put("hits_hz"), 2.5, 2.5),
    Case(DarkSilent, lambda s, x: (s.run_s(0.05), setattr(s, "hits_hz", 0), setattr(s, "dark_hz", 0), s.rule.check(s.view()), s.run_s(x)),
         [0.5, 1.0, 2.5], [3.2, 9.0], nothing, 0.0),
    Case(DeviceUnknown, lambda s, x: s.unknown.update({"cryo"} if x else set()) or (x or s.unknown.clear()), [False], [True], None),
    Case(PulserMismatch, put("pulser_hz"), [200e3, 200.5e3, 201.9e3], [203e3, 10.0], unknown("trigger"), 0.8),
    Case(PulseCount, put("pulses_hz"), [200e3, 201e3, 201.9e3], [203e3, 100e3], counts(), 12.0, 12.0),
    Case(AmplitudeMismatch, put("v_p_v"), [1000, 1030, 1049], [1060, 2000], unknown("amplitude"), 0.8),
    Case(Vacuum, put("pressure_pa"), [1e-9, 1e-6, 9e-6], [1.1e-5, None], unknown("gauge")),
    Case(VacuumWarning, put("pressure_pa"), [1e-9, 1e-8, 9e-8], [1.1e-7, None], unknown("gauge"), guard=(("pressure_warn_pa", 1e-7),)),
    Case(Temperature, put("temperature_k"), [50, 52, 54.9], [55.1, None], unknown("cryo")),
    Case(TemperatureWarning, put("temperature_k"), [50, 51, 51.9], [52.1, None], unknown("cryo")),
    Case(TemperatureStale, age("cryo"), [0.0, 5.0, 9.0], [11.0, 60.0], None, 0.0),
    Case(SupplyCurrent, put("i_a"), [0.0, 5e-5, 9e-5], [1.1e-4, 1e-2], put("i_a"), 0.4, guard=(("current_max_a", 1e-4),)),
    Case(Clamp, put("wished_v"), [4000, 5005, 5014], [5016, 9000], unknown(), 0.7),
    Case(BlindRise, lambda s, x: (setattr(s, "records", x == 5000), s.run_s(0.2), setattr(s, "v_set_v", x)),
         [5000, 5040, 5080], [5100, 6000], None, 0.0),
    Case(Sensitivity, put("sensitivity"), [60, 200, 390], [410, 5.0], put("sensitivity"), 1.5, 1.5),
    Case(OperatorAway, ago("attended_s"), [0, 30, 59], [61, 1e4], lambda s: s.looks.update(attended_s=None), 0.0, guard=(("attended", True),)),
    Case(OperatorGone, ago("attended_s"), [0, 300, 599], [601, 1e4], lambda s: s.looks.update(attended_s=None), 0.0, guard=(("attended", True),)),
    Case(MissedTicks, look("gap_s"), [0.0, 0.05, 0.14], [0.16, 3.0], None, 0.0, 0.3),
]  # fmt: skip
IDS = [case.rule.name for case in CASES]


def scene_of(case):
    scene = Scene().set_guard(**dict(case.guard))
    if case.rule is UnaskedVoltage:
        scene.v_v = scene.v_set_v = 0.0
    scene.rule = case.rule()
    scene.run_s(2.5, scene.rule)
    return scene, scene.rule


def stand(case, scene, rule, value):
    case.turn(scene, value)
    found = scene.run_s(case.for_s, rule) if case.for_s else scene.look(rule)
    return found[-1:] and [one for one in [rule.check(scene.view())] if one], rule.margin(scene.view())


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_below_its_threshold_a_rule_is_content_and_says_how_much_is_left(case):
    for value in case.good:
        found, margin = stand(case, *scene_of(case), value)
        assert not found
        assert margin is not None
        assert 0.0 < margin <= 1.0


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_above_its_threshold_a_rule_finds_it_says_why_and_has_no_margin(case):
    for value in case.bad:
        found, margin = stand(case, *scene_of(case), value)
        assert found
        assert found[0].what
        assert margin == 0.0


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_margin_only_falls_on_the_way_to_the_threshold(case):
    margins = [stand(case, *scene_of(case), value)[1] for value in [*case.good, case.bad[0]]]
    assert margins == sorted(margins, reverse=True)
    assert margins[0] > margins[-1]


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.for_s], ids=[c.rule.name for c in CASES if c.for_s]
)
def test_when_the_cause_is_over_a_rule_is_content_again(case):
    scene, rule = scene_of(case)
    stand(case, scene, rule, case.bad[0])
    case.turn(scene, case.good[0])
    scene.run_s(max(case.settle_s, 0.2), rule)
    scene.run_s(6.0 if case.rule is Sensitivity else 0.2, rule)
    assert not scene.look(rule)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.miss], ids=[c.rule.name for c in CASES if c.miss]
)
def test_missing_data_never_look_good(case):
    scene, rule = scene_of(case)
    if case.rule in (SupplyCurrent, Sensitivity):
        case.miss(scene, None)
    elif case.rule is Uncorrelated:
        case.miss(scene, 50.0)
    elif case.rule is Clamp:
        scene.looks["proposal"] = None
    else:
        case.miss(scene)
    scene.run_s(2.5, rule)
    found = scene.look(rule)
    assert found or rule.margin(scene.view()) is None
