"""Fewer hits of as many words: the rate is too low a number, and the voltage may not rise on it."""

import re

import pytest

from evapd.guard.energy import EnergyState
from evapd.guard.rules.base import Effect
from evapd.guard.rules.quality import HitsPerWord
from support.rule_scene import Scene


@pytest.fixture
def learnt():
    """A scene, and the rule after half a minute of it."""
    scene, rule = Scene(), HitsPerWord()
    assert scene.run_s(30.0, rule) == []
    return scene, rule


def test_half_of_the_hits_gone_with_all_words_there_is_a_complaint(learnt):
    scene, rule = learnt
    scene.hits_hz *= 0.5
    found = scene.run_s(2.0, rule)
    assert found
    assert re.search(r"make 5\d % of the hits", found[-1].what)
    assert rule.effect is Effect.NO_RISE


def test_it_stays_as_long_as_the_signal_is_missing_and_ends_with_it(learnt):
    scene, rule = learnt
    scene.hits_hz *= 0.4
    scene.run_s(2.0, rule)
    assert len(scene.run_s(60.0, rule)) == 1200
    scene.hits_hz /= 0.4
    scene.run_s(2.0, rule)
    assert scene.run_s(5.0, rule) == []


def test_more_words_by_a_law_that_raised_the_voltage_change_nothing(learnt):
    scene, rule = learnt
    scene.hits_hz, scene.trigger_hz = scene.hits_hz * 0.8, scene.trigger_hz * 2.0
    assert scene.run_s(2.0, rule)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_a_rate_that_falls_with_its_words_is_none(learnt, share):
    scene, rule = learnt
    noise_hz = 50.0
    scene.hits_hz *= share
    scene.trigger_hz = scene.hits_hz + noise_hz
    assert scene.run_s(10.0, rule) == []


def test_a_rate_that_rises_a_hundredfold_is_none():
    scene, rule = Scene(hits_hz=20.0, trigger_hz=75.0), HitsPerWord()
    for _ in range(12):
        scene.hits_hz *= 1.5
        scene.trigger_hz = scene.hits_hz + 55.0
        assert scene.run_s(2.0, rule) == []


def test_few_words_say_nothing():
    scene, rule = Scene(hits_hz=20.0, trigger_hz=25.0), HitsPerWord()
    scene.run_s(30.0, rule)
    scene.hits_hz = 5.0
    assert scene.run_s(10.0, rule) == []
    assert rule.margin(scene.view()) is None


def test_a_loss_that_was_there_from_the_first_is_how_it_is():
    scene, rule = Scene(hits_hz=1000.0, trigger_hz=2000.0), HitsPerWord()
    assert scene.run_s(30.0, rule) == []


def test_the_margin_falls_with_the_hits(learnt):
    scene, rule = learnt
    whole = rule.margin(scene.view())
    scene.hits_hz *= 0.8
    scene.run_s(2.0, rule)
    assert 0.3 < rule.margin(scene.view()) < whole


def test_a_lost_signal_stays_lost_while_the_tip_blunts_and_its_words_become_fewer(learnt):
    scene, rule = learnt
    scene.hits_hz *= 0.4
    scene.run_s(2.0, rule)
    for _ in range(30):
        scene.hits_hz, scene.trigger_hz = 0.9 * scene.hits_hz, 0.9 * scene.trigger_hz
        assert len(scene.run_s(2.0, rule)) == 40


def test_a_stop_by_another_rule_does_not_make_a_lost_signal_the_usual_one(learnt):
    scene, rule = learnt
    scene.hits_hz *= 0.4
    scene.run_s(2.0, rule)
    assert EnergyState.INHIBITED in rule.watches
    running = scene.hits_hz, scene.trigger_hz
    scene.state, scene.hits_hz, scene.trigger_hz = EnergyState.INHIBITED, 0.0, 1.0
    scene.run_s(2.0, rule)
    scene.state, (scene.hits_hz, scene.trigger_hz) = EnergyState.EVAPORATING, running
    scene.run_s(2.0, rule)
    assert len(scene.run_s(10.0, rule)) == 200


def test_chance_among_few_hits_is_no_complaint():
    scene, rule = Scene(hits_hz=8.0, dark_hz=0.0, trigger_hz=150.0), HitsPerWord()
    scene.run_s(30.0, rule)
    scene.hits_hz = 4.0
    assert scene.run_s(5.0, rule) == []
