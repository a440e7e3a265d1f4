"""Faults of the specimen supply and the other instruments that carry energy, and of their cables, in a run at its target."""

from typing import Any

import numpy as np
import pytest

from support.faults_account import Account
from support.faults_measure import Fault
from support.faults_rig import FaultRig
from support.wait import wait_for

UNKNOWN_S = 0.9  # energy_timeout_s, and a tick: what carries energy and says nothing is UNKNOWN
ANSWERS_S = 2.0  # from the first answer to the voltage on its way down: asked each half second
P1_S = 1.0  # high voltage is safe or on its way down within a second of any single fault that demands it
NO_RISE_V = 5.0
HV = "specimen-supply"


def made_safe(fault: Fault, *rules: str, tail_s: float = 0.2) -> Account:
    """The whole expectation of a fault that demands safety."""
    fault.inhibited_within(P1_S)
    fault.descends_within(P1_S)
    told = fault.closed("ABORTED")
    fault.nothing_lost(told, tail_s)
    fault.stays_down()
    fault.rises_at_most(NO_RISE_V)
    if rules:
        fault.complained(told, *rules)
    return told


def words(values: dict[str, Any]) -> str:
    """Parameters of an event as a person types them."""
    return " ".join(f"{key}={value}" for key, value in values.items())


def lateness_ms(told: Account, since_s: float) -> float:
    """Longest delay of a tick of the guard's loop after a time."""
    late = told.loop["lateness_us"][told.loop["t_mono_us"] > 1e6 * since_s]
    return float(np.nanmax(late)) / 1e3


def out_of_reach(fault: Fault, answers_after_s: float) -> Account:
    """The whole expectation of a supply that does not answer.

    Nobody may send a voltage to an instrument that has not said who it is, so its output stands until it answers: what can be
    reached goes down at once, it itself as soon as it answers, and until then a person is told to switch it off by hand.
    """
    fault.inhibited_within(UNKNOWN_S)
    wait_for(lambda: fault.told_by_hand(HV), lambda: f"the operator to be told; {fault.alarms()}", 5.0)
    fault.descends_within(answers_after_s + ANSWERS_S)
    told = fault.closed("ABORTED")
    fault.nothing_lost(told, tail_s=0.2)
    fault.stays_down()
    fault.rises_at_most(NO_RISE_V)
    fault.complained(told, "device-unknown")
    return told


@pytest.mark.parametrize("event", ["garbage", "half-lines", "echo", "silent"])
def test_replies_of_the_supply_make_no_sense(rig: FaultRig, event: str) -> None:
    with rig.fault("3", f"specimen supply: {event}", f"`{event} device={HV} for_s=6`",
                   "never parsed as a voltage: pulses off < 0.9 s, V down < 2 s after it answers, until then told to switch it off by hand, < 5 V rise, ABORTED, nothing comes back") as fault:  # fmt: skip
        fault.do(event, device=HV, for_s=6)
        out_of_reach(fault, 6.0)


def test_replies_of_the_supply_come_twice(rig: FaultRig) -> None:
    with rig.fault("3", "specimen supply: every reply twice", f"`duplicate device={HV} for_s=3`",
                   "never taken for the next answer: < 5 V rise in 3 s, goes on or safe") as fault:  # fmt: skip
        fault.do("duplicate", device=HV, for_s=3)
        fault.waits(3.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        fault.nothing_lost(fault.accounted(), tail_s=0.5 if fault.runs() else 10.0)


def test_every_fourth_reply_is_lost(rig: FaultRig) -> None:
    with rig.fault("3", "specimen supply: every 4th reply lost", f"`lost device={HV} every=4 for_s=4`",
                   "frozen while unread: < 5 V rise, goes on or safe") as fault:  # fmt: skip
        fault.do("lost", device=HV, every=4, for_s=4)
        fault.waits(4.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        fault.nothing_lost(fault.accounted(), tail_s=0.5 if fault.runs() else 10.0)


def test_replies_of_the_supply_are_late(rig: FaultRig) -> None:
    with rig.fault("3", "specimen supply: replies 0.3 s late", f"`late device={HV} delay_s=0.3 for_s=4`",
                   "no old reading taken for a new one: < 5 V rise, goes on or safe") as fault:  # fmt: skip
        fault.do("late", device=HV, delay_s=0.3, for_s=4)
        fault.waits(4.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        fault.nothing_lost(fault.accounted(), tail_s=0.5 if fault.runs() else 10.0)


def test_supply_hears_nothing(rig: FaultRig) -> None:
    with rig.fault("3", "specimen supply deaf: no command reaches it", f"`deaf device={HV} for_s=4`",
                   "pulses off < 1 s (its voltage cannot be reached), V falls once it hears, < 5 V rise, ABORTED") as fault:  # fmt: skip
        fault.do("deaf", device=HV, for_s=4)
        fault.inhibited_within(P1_S)
        fault.descends_within(4.0 + P1_S + 5.0)
        fault.nothing_lost(fault.closed("ABORTED"), tail_s=0.2)
        fault.rises_at_most(NO_RISE_V)


def test_supply_trips(rig: FaultRig) -> None:
    with rig.fault("4", "specimen supply trips", "`trip`",
                   "pulses off < 1 s, set point zeroed, no re-enable, ABORTED with the reason") as fault:  # fmt: skip
        fault.do("trip")
        told = made_safe(fault, "readback", "supply-state")
        assert told.info.end_reason
        assert not rig.twin.plant.specimen.demand_v


def test_supply_arcs(rig: FaultRig) -> None:
    with rig.fault("4b", "arc of 0.6 s at the output", "`arc for_s=0.6`",
                   "pulses off < 1 s and made safe: the voltage does not come back under pulses") as fault:  # fmt: skip
        fault.do("arc", for_s=0.6)
        made_safe(fault)


def test_supply_arcs_for_20_ms(rig: FaultRig) -> None:
    with rig.fault("4c", "arc of 20 ms at the output", "`arc for_s=0.02`",
                   "< 5 V above the voltage before, whether it goes on or stops") as fault:  # fmt: skip
        fault.do("arc", for_s=0.02)
        fault.waits(3.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        fault.nothing_lost(fault.accounted(), tail_s=0.5 if fault.runs() else 10.0)


@pytest.mark.parametrize(("gain", "rule"), [(0.95, "readback"), (1.05, "read-excess")])
def test_readback_differs(rig: FaultRig, gain: float, rule: str) -> None:
    with rig.fault("5", f"readback {'low' if gain < 1 else 'high'} by 5 %", f"`readback-error gain={gain}`",
                   "pulses off and V falls < 1 s (grace of 0.2 to 0.5 s), < 5 V rise, ABORTED") as fault:  # fmt: skip
        fault.do("readback-error", gain=gain, for_s=8)
        made_safe(fault, rule)


def test_readback_is_stuck(rig: FaultRig) -> None:
    with rig.fault("5b", "readback stands still", "`readback-stuck for_s=6`",
                   "no runaway of the true voltage: < 1 % in 6 s, rate < 3 x") as fault:  # fmt: skip
        fault.do("readback-stuck", for_s=6)
        fault.waits(6.0)
        fault.is_over()
        fault.rises_at_most(0.01 * fault.before.v_v)
        fault.rate_below(3.0)


def test_port_blocks_for_five_seconds(rig: FaultRig) -> None:
    with rig.fault("6", "read of the supply's port blocks 5 s", f"`late device={HV} delay_s=5 for_s=5`",
                   "guard's loop stays on time (< 20 ms), pulses off < 0.9 s, V down < 2 s after the last late reply (10 s), until then told to switch it off by hand, ABORTED") as fault:  # fmt: skip
        fault.do("late", device=HV, delay_s=5, for_s=5)
        told = out_of_reach(fault, 10.0)
        late_ms = lateness_ms(told, fault.since_s)
        fault.row.reaction += f", loop late by {late_ms:.1f} ms at most"
        assert late_ms < 20.0


@pytest.mark.parametrize(
    ("number", "what", "event", "values", "rules"),
    [
        ("L11", "interlock of the supply opens", "interlock-open", {"for_s": 2}, ("supply-state", "readback")),
        ("L14", "pulse supply silent", "silent", {"device": "pulse-supply", "for_s": 6}, ("device-unknown",)),
        ("L15", "pulse supply unplugged", "unplug", {"device": "pulse-supply", "for_s": 6}, ("device-unknown",)),
    ],
)  # fmt: skip
def test_a_source_of_energy_is_lost(
    rig: FaultRig, number: str, what: str, event: str, values: dict[str, Any], rules: tuple[str, ...]
) -> None:
    with rig.fault(number, what, f"`{event} {words(values)}`",
                   "pulses off and V falls < 1 s, < 5 V rise, ABORTED, nothing comes back") as fault:  # fmt: skip
        fault.do(event, **values)
        made_safe(fault, *rules)


@pytest.mark.parametrize(("number", "event"), [("L16", "silent"), ("L17", "unplug")])
def test_trigger_generator_is_out_of_reach(rig: FaultRig, number: str, event: str) -> None:
    with rig.fault(number, f"trigger generator: {event}, it goes on pulsing", f"`{event} device=trigger for_s=6`",
                   "V falls < 1 s although pulses cannot be stopped, they stop < 2 s after it answers, until then told to stop it by hand, < 5 V rise, ABORTED") as fault:  # fmt: skip
        fault.do(event, device="trigger", for_s=6)
        fault.descends_within(P1_S)
        wait_for(
            lambda: fault.told_by_hand("trigger"), lambda: f"the operator to be told; {fault.alarms()}", 5.0
        )
        fault.inhibited_within(6.0 + ANSWERS_S)
        told = fault.closed("ABORTED")
        fault.nothing_lost(told, tail_s=0.2)
        fault.stays_down()
        fault.rises_at_most(NO_RISE_V)
        fault.complained(told, "device-unknown")


@pytest.mark.parametrize(
    ("number", "what", "event", "values", "rule"),
    [
        ("L10", "specimen supply switched to LOCAL", "local", {"for_s": 4}, "supply-state"),
        ("L12", "specimen supply unplugged", "unplug", {"device": HV, "for_s": 4}, "device-unknown"),
        ("L13", "another unit put in the supply's place", "other-unit", {"device": HV, "serial": "77", "for_s": 1}, "device-unknown"),
    ],
)  # fmt: skip
def test_supply_cannot_be_commanded(
    rig: FaultRig, number: str, what: str, event: str, values: dict[str, Any], rule: str
) -> None:
    never = event == "other-unit"
    down = (
        "its voltage stays and is told: nothing is sent to a stranger"
        if never
        else "V falls < 2 s after it can be reached"
    )
    with rig.fault(number, what, f"`{event} {words(values)}`",
                   f"pulses off < 1 s, < 5 V rise, {down}, ABORTED or told") as fault:  # fmt: skip
        fault.do(event, **values)
        fault.inhibited_within(P1_S)
        fault.rises_at_most(NO_RISE_V)
        if never:
            alarms = (rig.daemon.guard_status() or {})["alarms"]
            assert any(HV in alarm for alarm in alarms), alarms
            wire, plant = rig.twin.wires[HV], rig.twin.plant
            with plant.lock:  # a person switches it off at its front panel and puts the first one back
                wire.renumber("17022-01-01")
                plant.specimen.trip = True
            rig.restart()
        else:
            fault.descends_within(values["for_s"] + 2.0)
            fault.complained(fault.closed("ABORTED"), rule)


def test_supply_falls_slowly(rig: FaultRig) -> None:
    with rig.fault("L18", "supply falls with 5 s instead of 0.5 s", "`slow-fall tau_s=5`, then `stop`",
                   "stop works, safe is said only once it is true") as fault:  # fmt: skip
        fault.do("slow-fall", tau_s=5)
        fault.now(lambda: rig.daemon.ask("stop", reason="the slow fall"))
        fault.inhibited_within(P1_S)
        fault.descends_within(P1_S)
        rig.await_energy("safe", "standby", "fault_latched", timeout_s=90.0)
        verified = (rig.daemon.guard_status() or {})["verified_down"]
        assert not verified or rig.twin.plant.specimen.v_v < 60.0, "safe was said too early"
        fault.nothing_lost(fault.closed(), tail_s=0.5)
        fault.rises_at_most(NO_RISE_V)
