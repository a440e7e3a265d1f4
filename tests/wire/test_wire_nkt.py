"""The laser: what it drives in the plant, its states, and what it does not take."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.nkt_origami import NktOrigamiWire


def bench(**settings):
    plant = Plant()
    wire = NktOrigamiWire(plant, echo=False, **settings)
    wire.advance(0.0)
    return plant, wire


def status(wire, now_s=0.0):
    return int(wire.receive(b"ly_oxp2_dev_status\n", now_s).split()[-1])


def test_light_needs_emission_and_an_open_gate():
    plant, wire = bench()
    assert plant.laser.lit(1000.0) == 0.0
    wire.receive(b"ly_oxp2_enabled\n", 0.0)
    assert plant.laser.lit(1000.0) == 1.0
    wire.receive(b"ly_oxp2_output_disable\n", 0.0)
    assert plant.laser.lit(1000.0) == 0.0


def test_where_the_gate_does_not_open_by_itself_it_must_be_asked():
    plant, wire = bench(enable_opens=False)
    wire.receive(b"ly_oxp2_enabled\n", 0.0)
    assert (plant.laser.emission, plant.laser.shutter_open) == (True, False)


def test_energy_and_rate_follow_the_settings():
    plant, wire = bench(pj_per_unit=0.05)
    wire.receive(b"e_power=800\ne_freq=1\ne_div=4\n", 0.0)
    assert plant.laser.energy_pj == pytest.approx(40.0)
    assert plant.laser.rate_hz == 25_000.0


def test_of_faster_triggers_some_meet_no_pulse():
    plant, wire = bench()
    wire.receive(b"ly_oxp2_enabled\ne_div=4\n", 0.0)
    assert plant.laser.lit(200_000.0) == pytest.approx(0.25)


def test_from_listen_it_warms_up_before_it_emits():
    _, wire = bench(state="listen", warm_up_s=30.0)
    wire.receive(b"ly_oxp2_standby\n", 0.0)
    assert status(wire, 29.0) == 17
    assert wire.receive(b"ly_oxp2_enabled\n", 29.0) == b"Error 5\n"
    assert status(wire, 30.1) == 33


def test_standby_again_does_not_begin_the_warm_up_anew():
    _, wire = bench(state="listen", warm_up_s=30.0)
    wire.receive(b"ly_oxp2_standby\n", 0.0)
    wire.receive(b"ly_oxp2_standby\n", 29.0)
    assert status(wire, 30.1) == 33


def test_an_open_interlock_ends_the_emission_and_closing_it_does_not_begin_it():
    plant, wire = bench()
    wire.receive(b"ly_oxp2_enabled\n", 0.0)
    wire.trip(is_open=True)
    assert (plant.laser.emission, status(wire)) == (False, 35)
    wire.trip(is_open=False)
    assert (plant.laser.emission, status(wire)) == (False, 33)


def test_the_monitor_tells_mean_power_where_it_does():
    _, wire = bench(monitor="mW")
    wire.receive(b"e_power=1000\nly_oxp2_enabled\n", 0.0)
    assert wire.receive(b"e_mlp?\n", 0.0) == b"2000.000 mW\n"


def test_rates_in_hertz_are_told_where_asked_for():
    _, wire = bench(frequency="hz")
    assert wire.receive(b"e_freq?\n", 0.0) == b"e_freq 200000\n"


@pytest.mark.parametrize(
    "bad", [b"e_power=-1", b"e_power=x", b"e_power=1.5", b"e_div=0", b"e_freq=11", b"e_power=nan", b"e_power"]
)
def test_a_bad_command_is_refused_and_changes_nothing(bad):
    _, wire = bench()
    before = wire.receive(b"e_power?\ne_div?\ne_freq?\n", 0.0)
    assert wire.receive(bad + b"\n", 0.0) in {b"Error 5\n", b"Unknown command\n"}
    assert wire.receive(b"e_power?\ne_div?\ne_freq?\n", 0.0) == before


def test_blanks_around_the_sign_of_a_set_do_not_matter():
    _, wire = bench()
    wire.receive(b"e_power = 1600\r\n", 0.0)
    assert wire.power == 1600
