"""Faults of instruments and cables that stand in no list: what somebody else might try."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.faults_measure import Fault
from support.faults_rig import FaultRig
from support.wait import wait_for

UNKNOWN_S = 0.9  # energy_timeout_s, and a tick
NO_RISE_V = 5.0
HV = "specimen-supply"
PRESSURE = re.compile(rb"\d,[+-]\d\.\d{4}E[+-]\d\d")
Words = tuple[np.ndarray, np.ndarray, np.ndarray]


@contextmanager
def spoilt(rig: FaultRig, device: str, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """Let an instrument say something else than it means."""
    server = rig.twin.servers[device]
    as_it_is = server.spoil
    server.spoil = lambda reply: change(as_it_is(reply))  # type: ignore[method-assign]
    try:
        yield
    finally:
        del server.spoil


@contextmanager
def misread(rig: FaultRig, change: Callable[[Words], Words]) -> Iterator[None]:
    """Let the TDC measure something else than the detector gives; `change` takes pulse offsets, channels and times."""
    rig.witness.change = change
    try:
        yield
    finally:
        rig.witness.change = None


def renamed(rig: FaultRig, names: dict[str, str]) -> None:
    """Pull the cables of some devices and put them back under other names of the port."""
    servers = rig.twin.servers
    ends: dict[str, Any] = {device: servers[device]._endpoint for device in names}
    for device in names:
        servers[device].unplug()
    for device, name in names.items():
        ends[device]._path = Path(ends[device]._path).with_name(name)
        servers[device].replug()


def flags(fault: Fault) -> set[str]:
    """Every kind of loss that the run's status has flagged."""
    return {name.upper() for name in (fault.rig.daemon.status() or {})["losses"]["flags"]}


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("converter comes back under another name for 4 s", {HV: "ttyUSB7"}),
        ("two converters have changed their names for 4 s", {HV: "pulse-supply", "pulse-supply": HV}),
    ],
)
def test_port_has_another_name(rig: FaultRig, what: str, names: dict[str, str]) -> None:
    with rig.fault("N1", f"specimen supply's {what}", "cables pulled, pseudo-terminals put back under other names",
                   "pulses off < 0.9 s, nothing sent to another device, told what to do by hand, V falls < 2 s after the name is back, ABORTED") as fault:  # fmt: skip
        plant = rig.twin.plant
        pulse_v = plant.pulse.demand_v
        try:
            fault.now(lambda: renamed(rig, names))
            fault.inhibited_within(UNKNOWN_S)
            wait_for(
                lambda: fault.told_by_hand(HV), lambda: f"the operator to be told; {fault.alarms()}", 5.0
            )
            fault.waits(4.0)
            assert plant.pulse.demand_v <= pulse_v + 1.0
        finally:
            renamed(rig, {device: device for device in names})
        fault.descends_within(4.0 + 2.5)
        fault.nothing_lost(fault.closed("ABORTED"), tail_s=0.2)
        fault.stays_down()
        fault.rises_at_most(NO_RISE_V)


@pytest.mark.parametrize("text", ["NAN", "+INF", "-1.0000E-06", ""])
def test_gauge_says_what_is_no_pressure(rig: FaultRig, text: str) -> None:
    with rig.fault("N2", f"gauge says '{text}' for a pressure", "replies rewritten on their way",
                   "never read as good: pulses off and V falls < 2.5 s (device_timeout_s 2 s), < 5 V rise, ABORTED") as fault:  # fmt: skip
        with spoilt(rig, "vacuum", lambda reply: PRESSURE.sub(b"0," + text.encode(), reply)):
            fault.now(lambda: None)
            fault.inhibited_within(2.5)
            fault.descends_within(2.5)
            told = fault.closed("ABORTED")
        fault.nothing_lost(told, tail_s=0.2)
        fault.rises_at_most(NO_RISE_V)


def test_pulse_numbers_go_backwards(rig: FaultRig) -> None:
    with rig.fault("N3", "TDC's pulse counter goes back by 100 000", "the simulated TDC's counter is set",
                   "flagged, < 5 V rise in 2 s, no pulse number twice unflagged: TAINTED or ABORTED") as fault:  # fmt: skip

        def back() -> None:
            tdc = rig.witness.tdc
            with rig.twin.plant.lock:
                tdc.next_pulse -= 100_000

        fault.now(back)
        fault.waits(2.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        assert rig.daemon.status() is not None
        rig.finish_run("the counter went back")
        told = fault.closed()
        assert {"TAINTED", "ABORTED"} & set(told.conditions.split()), told.conditions


def in_one_place(words: Words) -> Words:
    """Every signal of a delay line comes as late after its plate signal as one from the middle of the detector does."""
    offsets, channels, times = words
    plate = np.full(int(offsets.max(initial=0)) + 1, -1, np.int64)
    plate[offsets[channels == 0]] = times[channels == 0]
    moved = times.copy()
    for channel in np.unique(channels[channels > 0]):
        line = (channels == channel) & (plate[offsets] >= 0)
        if line.any():
            moved[line] = plate[offsets[line]] + int(np.median(times[line] - plate[offsets[line]]))
    order = np.lexsort((moved, offsets))
    return offsets[order], channels[order], moved[order]


def test_all_hits_in_one_place(rig: FaultRig) -> None:
    with rig.fault("N4", "every hit falls on one place of the detector", "the TDC's words rewritten for 5 s",
                   "told as an alarm or event within 3 s, no runaway: rate < 3 x, nothing lost") as fault:  # fmt: skip
        with misread(rig, in_one_place):
            fault.now(lambda: None)
            fault.waits(5.0)
        fault.is_over()
        told = fault.drained(10.0, 20.0)
        fault.rate_below(3.0)
        fault.complained(told, "hot-spot", "time-sums")


@pytest.mark.parametrize("channel", [1, 3])
def test_a_delay_line_is_dead(rig: FaultRig, channel: int) -> None:
    with rig.fault("N5", f"signal {channel} of the delay lines is gone", "the TDC's words without that channel for 8 s",
                   "no runaway: rate < 3 x, < 3 % rise, nothing lost") as fault:  # fmt: skip

        def without(words: Words) -> Words:
            offsets, channels, times = words
            kept = channels != channel
            return offsets[kept], channels[kept], times[kept]

        with misread(rig, without):
            fault.now(lambda: None)
            fault.waits(8.0)
        fault.is_over()
        fault.rate_below(3.0)
        fault.rises_at_most(0.03 * fault.before.v_v)
        fault.row.reaction += f"; told by {', '.join(fault.accounted().rules(fault.since_s)) or 'nobody'}"


def test_words_of_a_channel_that_does_not_exist(rig: FaultRig) -> None:
    with rig.fault("N6", "words of channel 9, which does not exist", "every plate signal twice, once as channel 9, for 3 s",
                   "not taken for hits, the daemon lives, < 5 V rise or goes on at its rate, flagged or told") as fault:  # fmt: skip

        def more(words: Words) -> Words:
            offsets, channels, times = words
            plate = channels == 0
            added = (np.append(offsets, offsets[plate]), np.append(channels, np.full(int(plate.sum()), 9, channels.dtype)),
                     np.append(times, times[plate]))  # fmt: skip
            order = np.lexsort((added[2], added[0]))
            return added[0][order], added[1][order], added[2][order]

        with misread(rig, more):
            fault.now(lambda: None)
            fault.waits(3.0)
        fault.is_over()
        assert rig.daemon.status() is not None
        fault.rate_below(3.0)
        fault.rises_at_most(20.0)
        fault.row.reaction += f"; flagged {', '.join(sorted(flags(fault))) or 'nothing'}"
        rig.finish_run("the strange words were seen")
        fault.closed("TAINTED")


def test_pulser_doubles_its_rate(rig: FaultRig) -> None:
    with rig.fault("N7", "pulser doubles its rate by itself", "the simulated generator is set to 400 kHz at its front panel",
                   "put right or pulses off < 2 s, V does not rise, no ion above 5 x") as fault:  # fmt: skip
        wire: Any = rig.twin.wires["trigger"]

        def double() -> None:
            with rig.twin.plant.lock:
                wire.settings.rate_hz = 2.0 * rig.rate_hz
                wire._advanced(0.0)

        fault.now(double)
        wait_for(
            lambda: not rig.witness.newest.live or rig.twin.plant.trigger.rate_hz < 1.01 * rig.rate_hz,
            lambda: f"pulses off or back at their rate; {fault.alarms()}", 2.0,
        )  # fmt: skip
        fault.row.reaction = f"put right after {1e3 * (rig.witness.newest.t_s - fault.since_s):.0f} ms"
        fault.waits(3.0)
        fault.is_over()
        fault.rises_at_most(NO_RISE_V)
        fault.few_ions_above(5.0, 0)
        rig.finish_run("the pulser was turned")
        fault.closed()


def put_right(fault: Fault, demand_v: Callable[[], float], before_v: float) -> None:
    """A set point that somebody changed is put right or the run made safe, within a second, and nothing comes of it."""
    rig = fault.rig
    wait_for(
        lambda: demand_v() < 1.01 * before_v or not rig.witness.newest.live,
        lambda: f"the set point to be put right; {fault.alarms()}",
        1.0,
    )
    fault.row.reaction = f"put right after {1e3 * (rig.witness.newest.t_s - fault.since_s):.0f} ms"
    fault.waits(5.0)
    fault.is_over()
    assert demand_v() < 1.01 * before_v
    fault.few_ions_above(5.0, 10_000)
    fault.nothing_lost(fault.accounted(), tail_s=0.5 if fault.runs() else 20.0)


def test_knob_of_the_supply_is_turned_up(rig: FaultRig) -> None:
    with rig.fault("N8", "somebody sets the specimen supply 3 % higher", "the simulated supply's set point is changed behind the daemon",
                   "put right or made safe < 1 s, < 3.5 % rise, at most 10^4 ions above 5 x") as fault:  # fmt: skip
        wire: Any = rig.twin.wires[HV]
        before_v = rig.witness.newest.demand_v
        fault.now(lambda: wire.front_panel(1.03 * before_v))
        put_right(fault, lambda: rig.twin.plant.specimen.demand_v, before_v)
        fault.rises_at_most(0.035 * fault.before.v_v)


def test_amplitude_is_turned_up(rig: FaultRig) -> None:
    with rig.fault("N9", "somebody sets the pulse supply 15 % higher", "the simulated supply's set point is changed behind the daemon",
                   "put right or made safe < 1 s, V_dc does not rise, at most 10^4 ions above 5 x") as fault:  # fmt: skip
        wire: Any = rig.twin.wires["pulse-supply"]
        before_v = rig.twin.plant.pulse.demand_v
        fault.now(lambda: wire.front_panel(1.15 * before_v))
        put_right(fault, lambda: rig.twin.plant.pulse.demand_v, before_v)
        fault.rises_at_most(NO_RISE_V)


def one_behind() -> Callable[[bytes], bytes]:
    """Make a way back on which every reply answers the question before."""
    kept = [b""]

    def late(reply: bytes) -> bytes:
        if not reply:
            return reply
        said, kept[0] = kept[0], reply
        return said

    return late


@pytest.mark.parametrize("device", [HV, "pulse-supply", "trigger"])
def test_every_reply_answers_the_question_before(rig: FaultRig, device: str) -> None:
    with rig.fault("N10", f"{device}: every reply is that to the question before", "replies held back by one, for 6 s",
                   "no old answer taken for a new one: < 5 V rise; what can be reached goes down < 1 s, told what to do by hand, all down < 2 s after it answers, ABORTED") as fault:  # fmt: skip
        with spoilt(rig, device, one_behind()):
            fault.now(lambda: None)
            if device == HV:
                fault.inhibited_within(1.0)
            else:
                fault.descends_within(1.0)
            wait_for(
                lambda: fault.told_by_hand(device), lambda: f"the operator to be told; {fault.alarms()}", 5.0
            )
            fault.waits(6.0)
        fault.inhibited_within(8.5)
        fault.descends_within(8.5)
        told = fault.closed("ABORTED")
        fault.nothing_lost(told, tail_s=0.2)
        fault.stays_down()
        fault.rises_at_most(NO_RISE_V)


@pytest.mark.parametrize(
    ("gain", "what"), [(1e-3, "in kilovolts"), (-1.0, "with the other sign"), (10.0, "ten times too high")]
)
def test_supply_speaks_in_other_units(rig: FaultRig, gain: float, what: str) -> None:
    with rig.fault("N11", f"the supply says its voltage {what}", f"`readback-error gain={gain:g} for_s=8`",
                   "pulses off < 1 s and V falls < 1 s, or the magnitude is right and it goes on; < 5 V rise") as fault:  # fmt: skip
        fault.do("readback-error", gain=gain, for_s=8)
        if gain == -1.0:  # voltages are handled as magnitudes
            fault.waits(4.0)
            fault.is_over()
        else:
            fault.inhibited_within(1.0)
            fault.descends_within(1.0)
            fault.closed("ABORTED")
        fault.rises_at_most(NO_RISE_V)
