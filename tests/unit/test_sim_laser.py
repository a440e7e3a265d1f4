"""Laser pulses of the twin: heat follows energy, light follows emission, gate and triggers."""

import math

import numpy as np
import pytest

from evapd_sim.experiment import Experiment
from evapd_sim.wire.nkt_origami import NktOrigamiWire
from support.sim_rig import QUIET, energise, experiment, threshold_v

ENERGY_PJ = 20.0


def bench() -> tuple[Experiment, NktOrigamiWire]:
    """At the threshold, 20 pJ set, laser on, triggers running."""
    source = experiment(
        mode="laser",
        energy_pj=ENERGY_PJ,
        detector=QUIET,
        multi_hit={"probability": 0},
        specimen={"sensitivity": 60},
    )
    wire = NktOrigamiWire(source.plant, pj_per_unit=0.025)
    tell(wire, f"e_power={round(ENERGY_PJ / 0.025)}", "ly_oxp2_enabled")
    energise(source, threshold_v(source, fraction=0.0), fraction=0.0)
    return source, wire


def tell(wire: NktOrigamiWire, *commands: str) -> None:
    wire.receive("".join(f"{command}\n" for command in commands).encode(), wire.now_s)


def per_pulse(source: Experiment) -> float:
    """Mean number of ions per live pulse that the barrier gives."""
    return source.step(0.005).truth.ions_per_pulse


def test_the_configured_energy_at_the_threshold_gives_the_reference_rate() -> None:
    source, _ = bench()
    assert 0.6 * per_pulse(source) == pytest.approx(0.01, rel=0.05)


def test_the_rate_follows_the_energy_by_arrhenius() -> None:
    source, wire = bench()
    middle = per_pulse(source)
    tell(wire, "e_power=808")
    slope = math.log(per_pulse(source) / middle) / math.log(1.01)
    # Q/kT at the reference rate is ln(N nu tau eta / rate) = 16.3; T = 50 K + 2 K/pJ x 20 pJ.
    assert slope == pytest.approx(16.3 * 40.0 / 90.0, rel=0.05)
    assert 3.0 < slope < 20.0


@pytest.mark.parametrize("command", ["ly_oxp2_standby", "ly_oxp2_output_disable", "ly_oxp2_listen"])
def test_without_light_only_the_standing_voltage_evaporates(command: str) -> None:
    source, wire = bench()
    tell(wire, command)
    truths = [source.step(0.005).truth for _ in range(100)]
    assert all(truth.ions_per_pulse == 0.0 for truth in truths)
    assert not np.concatenate([truth.pulsed for truth in truths]).any()


def test_without_triggers_the_laser_fires_nothing() -> None:
    source, _ = bench()
    source.plant.trigger.running = False
    assert source.step(0.005).truth.ions_per_pulse == 0.0


def test_a_laser_slower_than_the_triggers_misses_some() -> None:
    source, wire = bench()
    full = per_pulse(source)
    tell(wire, "e_div=4")
    assert per_pulse(source) == pytest.approx(full / 4, rel=1e-3)


def test_the_monitor_sees_a_drift_of_the_laser_and_not_a_beam_that_walks_off() -> None:
    source, wire = bench()
    usual, told = per_pulse(source), wire.receive(b"e_mlp?\n", 0.0)
    source.influence.heating_factor = 0.9
    assert per_pulse(source) < 0.6 * usual
    assert wire.receive(b"e_mlp?\n", 0.0) == told
    source.influence.laser_energy_factor = 1.1
    per_pulse(source)
    assert wire.receive(b"e_mlp?\n", 0.0) == b"e_mlp?\n8800.0 nJ\n"


def test_in_voltage_mode_the_laser_does_nothing() -> None:
    source = experiment(detector=QUIET)
    NktOrigamiWire(source.plant)
    energise(source, threshold_v(source))
    assert 0.6 * per_pulse(source) == pytest.approx(0.01, rel=0.05)
