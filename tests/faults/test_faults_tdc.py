"""Faults of the TDC and its cable in a run at its target."""

from support.faults_measure import Fault
from support.faults_rig import FaultRig

RAMP_AFTER_S = 5.0  # silent_ramp_down_s
NO_RISE_V = 5.0  # blind, the voltage may not rise by more


def loss_names(fault: Fault) -> set[str]:
    """Every kind of loss that the run's status has flagged."""
    return {name.upper() for name in (fault.rig.daemon.status() or {})["losses"]["flags"]}


def test_unplugged(rig: FaultRig) -> None:
    with rig.fault("1", "TDC unplugged in a run", "`unplug device=tdc`, later `replug`",
                   "pulses off < 250 ms, V falls < 1 s, ABORTED; plugged in again nothing comes back") as fault:  # fmt: skip
        fault.do("unplug", device="tdc")
        fault.inhibited_within(0.25)
        fault.descends_within(1.0)
        told = fault.closed("ABORTED")
        assert "tdc" in told.info.end_reason
        fault.nothing_lost(told, tail_s=0.2)
        fault.also("replug", device="tdc")
        fault.stays_down()
        fault.rises_at_most(NO_RISE_V)


def test_silent(rig: FaultRig) -> None:
    with rig.fault("2", "TDC silent, link up", "`silent device=tdc`",
                   "pulses off < 250 ms, < 5 V further rise, V falls after 5 s, ABORTED") as fault:  # fmt: skip
        fault.do("silent", device="tdc")
        fault.inhibited_within(0.25)
        fault.descends_within(RAMP_AFTER_S + 0.5)
        told = fault.closed("ABORTED")
        fault.nothing_lost(told, tail_s=RAMP_AFTER_S + 10.0)
        fault.rises_at_most(NO_RISE_V)


def test_hangs_for_two_seconds_and_gives_late_what_it_kept(rig: FaultRig) -> None:
    with rig.fault("2b", "TDC hangs 2 s, its FIFO comes late", "`tdc-hang keeps=true for_s=2`",
                   "pulses off < 250 ms, < 5 V rise while silent, goes on by itself, every word recorded") as fault:  # fmt: skip
        fault.do("tdc-hang", keeps=True, for_s=2)
        fault.inhibited_within(0.25)
        fault.goes_on(1.9)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        rig.await_energy("evaporating", timeout_s=20.0)
        told = fault.accounted()
        fault.nothing_lost(told, tail_s=0.5)


def test_no_heartbeat(rig: FaultRig) -> None:
    with rig.fault("L1", "TDC forgets its heartbeat", "`tdc-no-heartbeat for_s=3`",
                   "at 2000 hits/s words are sign of life enough: goes on, nothing lost") as fault:  # fmt: skip
        fault.do("tdc-no-heartbeat", for_s=3)
        fault.goes_on(3.0)
        fault.nothing_lost(fault.accounted(), tail_s=0.5)
        fault.rises_at_most(20.0)


def test_late_frames(rig: FaultRig) -> None:
    with rig.fault("L2", "TDC frames 0.4 s late", "`late device=tdc delay_s=0.4 for_s=4`",
                   "no runaway: rate stays below 3 x target, nothing lost") as fault:  # fmt: skip
        fault.do("late", device="tdc", delay_s=0.4, for_s=4)
        fault.goes_on(5.0)
        fault.rate_below(3.0)
        fault.nothing_lost(fault.accounted(), tail_s=1.0)


def test_duplicated_frames(rig: FaultRig) -> None:
    with rig.fault("L3", "every TDC frame twice", "`duplicate device=tdc for_s=2`",
                   "flagged, never counted twice as a lower rate: < 5 V rise; TAINTED or ABORTED") as fault:  # fmt: skip
        fault.do("duplicate", device="tdc", for_s=2)
        fault.waits(2.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        assert loss_names(fault) & {"SEQUENCE_GAP", "COUNTER_JUMP"} or not fault.runs()
        rig.finish_run("the duplicated frames were seen")
        told = fault.closed()
        assert {"TAINTED", "ABORTED"} & set(told.conditions.split()), told.conditions


def test_garbage_frames(rig: FaultRig) -> None:
    with rig.fault("L4", "TDC sends random bytes", "`garbage device=tdc for_s=1`",
                   "never data: pulses off < 250 ms, V falls < 1 s, ABORTED, what came before is whole") as fault:  # fmt: skip
        fault.do("garbage", device="tdc", for_s=1)
        fault.inhibited_within(0.25)
        fault.descends_within(1.0)
        fault.nothing_lost(fault.closed("ABORTED"), tail_s=2.0)
        fault.rises_at_most(NO_RISE_V)


def test_half_frames(rig: FaultRig) -> None:
    with rig.fault("L5", "only the first half of every TDC frame comes", "`half-lines device=tdc for_s=1`",
                   "never data: pulses off < 250 ms, V falls < 1 s, ABORTED") as fault:  # fmt: skip
        fault.do("half-lines", device="tdc", for_s=1)
        fault.inhibited_within(0.25)
        fault.descends_within(1.0)
        fault.nothing_lost(fault.closed("ABORTED"), tail_s=2.0)
        fault.rises_at_most(NO_RISE_V)


def test_overflowing(rig: FaultRig) -> None:
    with rig.fault("L6", "TDC FIFO overflows, half of the words lost", "`tdc-overflow share=0.5 for_s=3`",
                   "half the rate is never made good by voltage: cut < 250 ms, < 5 V rise, TAINTED") as fault:  # fmt: skip
        fault.do("tdc-overflow", share=0.5, for_s=3)
        fault.inhibited_within(0.25)
        fault.waits(3.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        assert "SATURATED" in loss_names(fault)
        rig.finish_run("the overflow was seen")
        fault.closed("TAINTED")


def test_loses_words_and_says_so(rig: FaultRig) -> None:
    with rig.fault("L7", "TDC loses 30 % of the words and says so", "`tdc-loss share=0.3 for_s=3`",
                   "lost counts are read as high: cut < 250 ms, < 5 V rise, TAINTED") as fault:  # fmt: skip
        fault.do("tdc-loss", share=0.3, for_s=3)
        fault.inhibited_within(0.25)
        fault.waits(3.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        rig.finish_run("the loss was seen")
        fault.closed("TAINTED")


def test_counter_jumps(rig: FaultRig) -> None:
    with rig.fault("L8", "pulse counter jumps by a million", "`tdc-jump pulses=1000000`",
                   "law frozen, < 5 V rise in 1 s, goes on by itself, flagged, TAINTED") as fault:  # fmt: skip
        fault.do("tdc-jump", pulses=1_000_000)
        fault.goes_on(1.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        assert "COUNTER_JUMP" in loss_names(fault)
        rig.await_energy("evaporating", timeout_s=15.0)
        rig.finish_run("the jump was seen")
        fault.closed("TAINTED")


def test_counter_wraps(rig: FaultRig) -> None:
    with rig.fault("L9", "32 bit pulse counter wraps to 0", "`tdc-wrap bits=32 left=100000`",
                   "no pulse number twice unflagged, < 5 V rise in 2 s, daemon answers, TAINTED or ABORTED") as fault:  # fmt: skip
        fault.do("tdc-wrap", bits=32, left=100_000)
        fault.waits(2.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        assert rig.daemon.status() is not None
        rig.finish_run("the wrap was seen")
        told = fault.closed()
        assert {"TAINTED", "ABORTED"} & set(told.conditions.split()), told.conditions
