"""Events inside supplies and TDC, as the bytes on their wires tell them, in virtual time."""

import numpy as np
import pytest

from evapd.errors import ConfigError
from support.disturbed import DisturbedRig
from wire.frames import ACK, ARM, IDENT, LOSS, SATURATED, Frame, all_frames, request

EMPTY = (np.empty(0, int), np.empty(0, np.uint8), np.empty(0, np.int32))


def on(rig: DisturbedRig, volts: float = 2000.0) -> DisturbedRig:
    """The specimen supply on, at once, and left alone until its converter has read."""
    rig.ask(rig.hv, b">BON 1\n>S0 %g\n" % volts)
    rig.plant.specimen.v_v = volts
    rig.run_instruments(0.1)
    return rig


def asked(rig: DisturbedRig, *registers: str) -> list[str]:
    """What the specimen supply says of registers."""
    replies = [rig.ask(rig.hv, f">{name} ?\n".encode()).decode().strip() for name in registers]
    return [reply.partition(":")[2] for reply in replies]


def volts(rig: DisturbedRig) -> float:
    return float(asked(rig, "M0")[0])


# -- specimen supply ----------------------------------------------------------------------------------------------------


def test_a_trip_shows_as_commanded_on_but_not_on_until_it_is_switched_off() -> None:
    rig = on(DisturbedRig())
    rig.do("trip")
    assert asked(rig, "BON", "DON") == ["1", "0"]
    rig.run_instruments(1.0)
    assert volts(rig) < 400
    rig.ask(rig.hv, b">BON 0\n>BON 1\n")
    assert asked(rig, "BON", "DON") == ["1", "1"]


def test_local_mode_is_told_and_sets_do_nothing_while_readings_go_on() -> None:
    rig = on(DisturbedRig())
    rig.do("local", for_s=0.05)
    assert rig.ask(rig.hv, b">S0 100\n") == b"E0\r\n"
    assert asked(rig, "DSD") == ["0"]
    assert float(asked(rig, "S0")[0]) == 2000
    rig.run_instruments(0.06)
    assert asked(rig, "DSD", "BON") == ["1", "1"]


@pytest.mark.parametrize(("latches", "after"), [(True, ["1", "0"]), (False, ["1", "1"])])
def test_an_open_interlock_takes_the_output_and_latches_or_not(latches: bool, after: list[str]) -> None:
    rig = on(DisturbedRig())
    rig.do("interlock-open", latches=latches, for_s=0.05)
    assert asked(rig, "BON", "DON") == ["1", "0"]
    rig.run_instruments(0.06)
    assert asked(rig, "BON", "DON") == after


def test_a_readback_error_moves_the_reading_and_not_the_output() -> None:
    rig = on(DisturbedRig())
    rig.do("readback-error", gain=0.9, offset_v=-50)
    rig.run_instruments(0.1)
    assert volts(rig) == pytest.approx(0.9 * 2000 - 50, rel=1e-3)
    assert rig.plant.specimen.v_v == pytest.approx(2000, rel=1e-3)
    rig.do("clear")
    rig.run_instruments(0.1)
    assert volts(rig) == pytest.approx(2000, rel=1e-3)


def test_a_stuck_readback_stands_while_the_output_moves() -> None:
    rig = on(DisturbedRig())
    rig.do("readback-stuck")
    rig.ask(rig.hv, b">S0 2500\n")
    rig.run_instruments(0.5)
    assert (volts(rig), rig.plant.specimen.v_v) == (
        pytest.approx(2000, rel=1e-3),
        pytest.approx(2500, rel=1e-2),
    )


def test_a_slow_fall_is_what_the_readback_shows() -> None:
    rig = on(DisturbedRig())
    rig.do("slow-fall", tau_s=5)
    rig.ask(rig.hv, b">BON 0\n")
    rig.run_instruments(1.0)
    assert volts(rig) == pytest.approx(2000 * np.exp(-1 / 5), rel=0.02)


def test_an_arc_collapses_the_output_with_a_spike_of_current_and_goes_out() -> None:
    rig = on(DisturbedRig())
    usual_a = rig.plant.specimen.i_a
    rig.do("arc", for_s=0.05)
    assert rig.plant.specimen.i_a > 1000 * usual_a
    rig.run_instruments(0.04)
    assert asked(rig, "DIR", "DON") == ["1", "1"]
    assert volts(rig) < 500
    rig.run_instruments(1.0)
    assert asked(rig, "DIR") == ["0"]
    assert volts(rig) == pytest.approx(2000, rel=1e-2)


def test_an_arc_trips_a_supply_that_trips_on_current() -> None:
    rig = DisturbedRig()
    rig.hv._trip_after_s = 0.02
    on(rig)
    rig.do("arc", for_s=0.1)
    rig.run_instruments(0.2)
    assert asked(rig, "BON", "DON") == ["1", "0"]


# -- pulse supply -------------------------------------------------------------------------------------------------------


def pulse_on(rig: DisturbedRig) -> DisturbedRig:
    rig.ask(rig.charger, b"SYST:LOCK ON\nVOLT 50\nOUTP ON\n")
    rig.run_instruments(0.2)
    return rig


def test_the_pulse_supply_trips_and_says_that_it_is_off() -> None:
    rig = pulse_on(DisturbedRig())
    rig.do("trip", supply="pulse")
    assert rig.ask(rig.charger, b"OUTP?\n") == b"OFF\n"
    rig.run_instruments(0.5)
    assert rig.plant.pulse.v_v < 1


def test_the_pulse_supply_at_its_panel_refuses_sets_with_an_error_until_it_is_asked_for_anew() -> None:
    rig = pulse_on(DisturbedRig())
    rig.do("local", supply="pulse", for_s=0.05)
    assert rig.ask(rig.charger, b"SYST:LOCK:OWN?\n") == b"LOCAL\n"
    assert rig.ask(rig.charger, b"VOLT 60;SYST:ERR?\n") == b'-221,"Settings conflict"\n'
    rig.run_instruments(0.06)
    assert rig.ask(rig.charger, b"SYST:LOCK:OWN?\n") == b"NONE\n"


@pytest.mark.parametrize(("latches", "after"), [(True, b"OFF\n"), (False, b"ON\n")])
def test_the_pulse_supply_obeys_its_interlock(latches: bool, after: bytes) -> None:
    rig = pulse_on(DisturbedRig())
    rig.do("interlock-open", supply="pulse", latches=latches, for_s=0.05)
    assert rig.ask(rig.charger, b"OUTP?\n") == b"OFF\n"
    assert rig.ask(rig.charger, b"OUTP ON;SYST:ERR?\n") == b'-221,"Settings conflict"\n'
    rig.run_instruments(0.06)
    assert rig.ask(rig.charger, b"OUTP?\n") == after


def test_a_pulse_supply_that_is_switched_off_while_its_interlock_is_open_stays_off() -> None:
    rig = pulse_on(DisturbedRig())
    rig.do("interlock-open", supply="pulse", latches=False, for_s=0.05)
    rig.ask(rig.charger, b"OUTP OFF\n")
    rig.run_instruments(0.06)
    assert rig.ask(rig.charger, b"OUTP?\n") == b"OFF\n"


def test_the_pulse_supply_reads_back_wrong() -> None:
    rig = pulse_on(DisturbedRig())
    rig.do("readback-error", supply="pulse", offset_v="2 V")
    assert rig.ask(rig.charger, b"MEAS:VOLT?\n") == b"52.00 V\n"


# -- TDC ----------------------------------------------------------------------------------------------------------------


def armed(rig: DisturbedRig | None = None) -> DisturbedRig:
    rig = rig or DisturbedRig()
    assert all_frames(rig.ask(rig.tdc, request(ARM)))[0].kind == ACK
    return rig


def give(rig: DisturbedRig, offsets: list[int], pulses: int = 10, after_s: float = 0.005) -> list[Frame]:
    """Deliver words of one step and give what leaves."""
    zeros = np.zeros(len(offsets), int)
    rig.engine.advance(after_s)
    rig.tdc.deliver(np.array(offsets, int), zeros, zeros, pulses=pulses, t_device_ns=0)
    return all_frames(b"".join(rig.tdc.frames_out(rig.engine.time_s)))


def test_a_hung_tdc_sends_nothing_and_then_all_at_once_without_a_gap() -> None:
    rig = armed()
    rig.do("tdc-hang", for_s=0.05)
    assert [give(rig, [3]) for _ in range(10)] == [[]] * 10
    frames = give(rig, [3])
    assert [frame.seq for frame in frames] == list(range(11))
    assert [frame.first_pulse for frame in frames] == list(range(0, 110, 10))


def test_a_hung_tdc_that_keeps_nothing_tells_its_loss() -> None:
    rig = armed()
    rig.do("tdc-hang", keeps=False, for_s=0.05)
    for _ in range(10):
        give(rig, [3, 4])
    first, *_ = frames = give(rig, [3])
    assert (first.flags, first.pulses, first.words) == (LOSS, 100, [])
    assert [frame.lost_words for frame in frames] == [20, 20]


def test_a_hung_tdc_still_answers_requests() -> None:
    rig = armed()
    rig.do("tdc-hang")
    assert len(all_frames(rig.ask(rig.tdc, request(IDENT)))) == 1


def test_without_heartbeats_frames_come_only_with_words_and_cover_all_pulses() -> None:
    rig = armed()
    rig.do("tdc-no-heartbeat")
    assert [give(rig, []) for _ in range(5)] == [[]] * 5
    frames = give(rig, [2])
    assert sum(frame.pulses for frame in frames) == 60
    assert [len(frame.words) for frame in frames] == [0, 1]


def test_lost_words_are_flagged_and_counted_or_hidden() -> None:
    rig = armed()
    rig.do("tdc-loss", share=0.5, for_s=0.005)
    (frame,) = give(rig, list(range(10)) * 1 + [9] * 990)
    assert (frame.flags, frame.lost_words) == (LOSS, 1000 - len(frame.words))
    assert 400 < len(frame.words) < 600
    rig.do("tdc-loss", share=1, flagged=False)
    (frame,) = give(rig, [1, 2, 3])
    assert (frame.flags, frame.words) == (0, [])


def test_an_overflow_says_saturated_and_loss_or_saturated_only() -> None:
    rig = armed()
    rig.do("tdc-overflow", share=1)
    assert give(rig, [1])[0].flags == SATURATED | LOSS
    rig.do("tdc-overflow", share=0)
    (frame,) = give(rig, [1])
    assert (frame.flags, len(frame.words)) == (SATURATED, 1)
    rig.do("clear")
    assert give(rig, [1])[0].flags == 0


@pytest.mark.parametrize(("jump", "first"), [(1000, 1010), (-5, 5), (-1000, 0)])
def test_the_counter_jumps(jump: int, first: int) -> None:
    rig = armed()
    give(rig, [1])
    rig.do("tdc-jump", pulses=jump)
    assert give(rig, [])[0].first_pulse == first


def test_a_jump_is_seen_also_between_frames_without_words() -> None:
    rig = armed()
    rig.tdc.deliver(*EMPTY, pulses=10, t_device_ns=0)
    rig.do("tdc-jump", pulses=7)
    frames = give(rig, [])
    assert [(frame.first_pulse, frame.pulses) for frame in frames] == [(0, 10), (17, 10)]


def test_the_counter_wraps_at_its_bits() -> None:
    rig = armed()
    rig.do("tdc-wrap", bits=24, left=25)
    firsts = [give(rig, [])[0].first_pulse for _ in range(5)]
    end = 1 << 24
    assert firsts == [end - 25, end - 15, end - 5, 5, 15]


def test_events_of_instruments_that_a_rig_has_not_are_refused() -> None:
    rig = DisturbedRig()
    rig.wires.clear()
    for event in ("trip", "tdc-hang"):
        with pytest.raises(ConfigError, match="rig"):
            rig.do(event)
