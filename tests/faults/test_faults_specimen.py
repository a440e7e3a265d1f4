"""Faults of specimen, pulser, vacuum and cold in a run at its target: what the law and the rules make of them."""

import pytest

from support.faults_measure import Fault
from support.faults_rig import FaultRig

SETTLES_S = 12.0


def survived(fault: Fault, *, peak: float, ions_above_5: int, seconds: float = SETTLES_S) -> None:
    """The rate stayed within bounds for a time, and everything is on disk."""
    fault.waits(seconds)
    fault.is_over()
    fault.few_ions_above(5.0, ions_above_5)
    fault.rate_below(peak)
    fault.nothing_lost(fault.accounted(), tail_s=0.5 if fault.runs() else 20.0)


def test_softer_layer_abrupt(rig: FaultRig) -> None:
    with rig.fault("L20", "softer layer, abrupt: field -20 %", "`layer-step change=-0.2`",
                   "pulses off < 250 ms, at most 10^5 ions above 5 x, nothing recorded lost") as fault:  # fmt: skip
        fault.do("layer-step", change=-0.2)
        fault.inhibited_within(0.25)
        fault.waits(SETTLES_S)
        fault.is_over()
        # At this step the standing voltage alone evaporates as fast as it can, until the supply has fallen by a fifth.
        fault.row.reaction += f", {fault.ions_until_inhibited()} ions until then, the rest while V falls"
        fault.few_ions_above(5.0, 100_000)
        told = fault.accounted()
        assert not told.frame_gaps
        fault.rises_at_most(5.0)


def test_softer_layer_over_20000_ions(rig: FaultRig) -> None:
    with rig.fault("L21", "softer layer over 20 000 ions: field -20 %", "`layer-step change=-0.2 over_ions=20000`",
                   "no ion above 5 x, peak < 3 x") as fault:  # fmt: skip
        fault.do("layer-step", change=-0.2, over_ions=20_000)
        survived(fault, peak=3.0, ions_above_5=0, seconds=15.0)


@pytest.mark.parametrize(("over", "what"), [(0, "abrupt"), (20_000, "over 20 000 ions")])
def test_harder_layer(rig: FaultRig, over: int, what: str) -> None:
    with rig.fault("L22", f"harder layer, {what}: field +25 %", f"`layer-step change=0.25 over_ions={over}`",
                   "V rises at the allowed slew only, no ion above 5 x") as fault:  # fmt: skip
        fault.do("layer-step", change=0.25, over_ions=over)
        survived(fault, peak=3.0, ions_above_5=0)
        rig.finish_run("the specimen is another one now")


def test_burst(rig: FaultRig) -> None:
    with rig.fault("L23", "burst of 500 ions in 10 ms", "`burst ions=500`",
                   "told or ridden out: V back to the target's, rate < 3 x apart from the burst itself") as fault:  # fmt: skip
        fault.do("burst", ions=500)
        fault.waits(4.0)
        fault.is_over()
        fault.nothing_lost(fault.accounted(), tail_s=0.5 if fault.runs() else 10.0)
        fault.rises_at_most(20.0)


def test_flash(rig: FaultRig) -> None:
    with rig.fault("L24", "flash: 2x10^5 ions/s until V_dc is down by 30 %", "`flash for_s=5`",
                   "pulses off < 250 ms, V told down < 250 ms, over within a second: at most 2x10^5 ions above 5 x") as fault:  # fmt: skip
        fault.do("flash", for_s=5)
        fault.inhibited_within(0.25)
        fault.descends_within(0.25)
        fault.waits(6.0)
        fault.is_over()
        fault.few_ions_above(5.0, 200_000)
        assert not fault.accounted().frame_gaps
        fault.rises_at_most(5.0)
        rig.finish_run("the specimen has flashed")


@pytest.mark.parametrize(("factor", "what"), [(1.5, "blunter"), (0.85, "sharper")])
def test_fracture(rig: FaultRig, factor: float, what: str) -> None:
    with rig.fault("L25", f"fracture, {what} afterwards", f"`fracture radius_factor={factor}`",
                   "pulses off < 250 ms, V is not driven up after it: < 5 V rise in 8 s") as fault:  # fmt: skip
        fault.do("fracture", radius_factor=factor)
        fault.inhibited_within(0.25)
        fault.waits(8.0)
        fault.is_over()
        fault.rises_at_most(5.0)
        assert not fault.accounted().frame_gaps
        rig.finish_run("the specimen is broken")


def test_micro_fracture(rig: FaultRig) -> None:
    with rig.fault("L26", "micro-fracture, 5 % blunter", "`micro-fracture`",
                   "told as an event, no rise above 6 % of V, rate < 3 x after it") as fault:  # fmt: skip
        fault.do("micro-fracture")
        fault.waits(SETTLES_S)
        fault.is_over()
        fault.rises_at_most(0.06 * fault.before.v_v)
        fault.nothing_lost(fault.accounted(), tail_s=0.5 if fault.runs() else 20.0)
        rig.finish_run("the specimen is another one now")


def test_pole_noise(rig: FaultRig) -> None:
    with rig.fault("L27", "noise of poles, sigma 0.25, 1 s", "`pole-noise sigma=0.25 tau_s=1 for_s=8`",
                   "goes on, no trip, rate < 3 x, nothing lost") as fault:  # fmt: skip
        fault.do("pole-noise", sigma=0.25, tau_s=1, for_s=8)
        fault.goes_on(8.0)
        fault.is_over()
        fault.rate_below(3.0)
        told = fault.accounted()
        assert "rate-ceiling" not in told.rules(fault.since_s), "a nuisance trip"
        fault.nothing_lost(told, tail_s=0.5)


@pytest.mark.parametrize(("counted", "what"), [(True, "the TDC still counts"), (False, "no trigger either")])
def test_pulser_dropout(rig: FaultRig, counted: bool, what: str) -> None:
    with rig.fault("L28", f"no pulse for 8 s, {what}", f"`pulser-dropout for_s=8 counted={str(counted).lower()}`",
                   "peak after return < 1.5 x, no ion above 5 x, < 2 % rise, nothing lost") as fault:  # fmt: skip
        fault.do("pulser-dropout", for_s=8, counted=counted)
        fault.waits(8.0)
        fault.is_over()
        fault.rises_at_most(0.02 * fault.before.v_v)
        fault.waits(14.0)
        fault.few_ions_above(5.0, 0)
        fault.rate_below(1.5)
        fault.nothing_lost(fault.accounted(), tail_s=0.5 if fault.runs() else 20.0)


def test_pulser_derates(rig: FaultRig) -> None:
    with rig.fault("L29", "pulser gives 20 % less within 5 s and comes back at once", "`pulser-derating factor=0.8 over_s=5 for_s=8`",
                   "followed by the law; at the return pulses off or rate back < 1 s, at most 10^4 ions above 5 x") as fault:  # fmt: skip
        fault.do("pulser-derating", factor=0.8, over_s=5, for_s=8)
        fault.waits(SETTLES_S)
        fault.is_over()
        fault.few_ions_above(5.0, 10_000)
        fault.nothing_lost(fault.accounted(), tail_s=0.5 if fault.runs() else 20.0)


def test_leakage(rig: FaultRig) -> None:
    with rig.fault("L30", "evaporation between pulses x 10", "`dc-leakage factor=10 for_s=6`",
                   "goes on, rate < 3 x, nothing lost") as fault:  # fmt: skip
        fault.do("dc-leakage", factor=10, for_s=6)
        fault.goes_on(6.0)
        fault.rate_below(3.0)
        fault.nothing_lost(fault.accounted(), tail_s=0.5)


def test_inhibit_input(rig: FaultRig) -> None:
    with rig.fault("L31", "interlock chain stops the trigger generator 3 s", "`inhibit-input for_s=3`",
                   "frozen: < 5 V rise, no ion above 5 x after it") as fault:  # fmt: skip
        fault.do("inhibit-input", for_s=3)
        fault.inhibited_within(0.05)
        fault.waits(3.0)
        fault.is_over()
        fault.rises_at_most(5.0)
        fault.waits(6.0)
        fault.few_ions_above(5.0, 0)


def test_vacuum_burst(rig: FaultRig) -> None:
    with rig.fault("L32", "vacuum burst to 1e-4 Pa", "`vacuum-burst peak_pa=1e-4 tau_s=3`",
                   "gauge is read twice a second: pulses off and V falls < 1 s, < 5 V rise, ABORTED") as fault:  # fmt: skip
        fault.do("vacuum-burst", peak_pa=1e-4, tau_s=3)
        fault.inhibited_within(1.0)
        fault.descends_within(1.0)
        fault.nothing_lost(fault.closed("ABORTED"), tail_s=0.2)
        fault.rises_at_most(5.0)


def test_gauge_fails(rig: FaultRig) -> None:
    with rig.fault("L33", "gauge says sensor error", "`gauge-fault status=3 for_s=5`",
                   "an unknown pressure is a bad one: V falls < 1 s, ABORTED") as fault:  # fmt: skip
        fault.do("gauge-fault", status=3, for_s=5)
        fault.inhibited_within(1.0)
        fault.descends_within(1.0)
        fault.nothing_lost(fault.closed("ABORTED"), tail_s=0.2)
        fault.rises_at_most(5.0)


def test_temperature_drifts(rig: FaultRig) -> None:
    with rig.fault("L34", "heat leaks in, 5 K/s", "`temperature-drift k_per_s=5 for_s=8`",
                   "frozen beyond 5 K: the rate is not chased, goes on, nothing lost") as fault:  # fmt: skip
        fault.do("temperature-drift", k_per_s=5, for_s=8)
        fault.waits(8.0)
        fault.is_over()
        fault.rises_at_most(5.0)
        told = fault.accounted()
        fault.nothing_lost(told, tail_s=0.5 if fault.runs() else 20.0)
        fault.complained(told, "temperature")
