"""The Genesys laboratory supply: addresses, errors, protections, remote control."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.tdk_genesys import TdkGenesysWire


def bench(*commands, **settings):
    """Plant, wire, and a question; addressed and in remote control."""
    plant = Plant()
    wire = TdkGenesysWire(plant, **settings)

    def ask(text):
        return wire.receive(text.encode() + b"\r", 1.0).decode().rstrip("\r")

    for command in (f"ADR {wire.address}", "RMT 1", *commands):
        assert ask(command) == "OK"
    return plant, wire, ask


def test_it_is_silent_until_it_is_addressed_and_after_another_is():
    wire = TdkGenesysWire(Plant(), address=12)
    assert wire.receive(b"IDN?\rADR 6\rIDN?\r", 0.0) == b""
    assert wire.receive(b"ADR 12\rIDN?\rADR 3\rIDN?\r", 0.0) == b"OK\rLAMBDA,GEN150-10\r"


def test_voltage_current_and_output_make_the_pulse_supply():
    plant, _, ask = bench("PC 10", "PV 100", "OUT 1")
    assert plant.pulse.demand_v == 100.0
    ask("PC 0.0005")
    assert plant.pulse.demand_v == pytest.approx(0.0005 * plant.pulse.ohm)
    assert ask("MODE?") == "CC"
    ask("OUT OFF")
    assert (plant.pulse.demand_v, ask("MODE?")) == (0.0, "OFF")


@pytest.mark.parametrize(
    ("command", "error"),
    [("VOLT 1", "C01"), ("PV", "C02"), ("PV x", "C03"), ("PV 1e400", "C03"), ("PV 157.6", "C05"), ("PV -1", "C05"),
     ("OUT 2", "C03"), ("RMT 9", "C03"), ("IDN? 1", "C03"), ("OVP 10", "E04"), ("UVL 50", "E06"), ("OVP 200", "C05")],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_code(command, error):
    _, _, ask = bench("PV 40")
    assert ask(command) == error


def test_a_set_point_keeps_its_distance_from_the_protections():
    _, _, ask = bench("OVP 100", "PV 80", "UVL 60")
    assert (ask("PV 96"), ask("PV 62"), ask("PV 70")) == ("E01", "E02", "OK")


def test_the_fold_back_trips_when_the_current_limits():
    plant, _, ask = bench("PC 10", "PV 100", "OUT 1", "FLD 1")
    ask("PC 0.0001")
    assert (ask("OUT?"), ask("FLT?"), plant.pulse.demand_v) == ("OFF", "08", 0.0)
    assert ask("STT?").endswith("SR(28),FR(08)")


def test_an_over_voltage_trip_is_cleared_by_switching_on():
    _, wire, ask = bench("PC 10", "PV 100", "OUT 1")
    wire.trip()
    assert (ask("OUT?"), ask("FLT?")) == ("OFF", "10")
    ask("OUT 1")
    assert (ask("OUT?"), ask("FLT?")) == ("ON", "00")


def test_an_open_enable_contact_refuses_to_switch_on():
    _, wire, ask = bench("PC 10", "PV 100", "OUT 1")
    wire.interlock(is_open=True, latches=True)
    assert (ask("OUT?"), ask("OUT 1"), ask("FLT?")) == ("OFF", "E07", "80")


def test_local_by_the_contact_at_the_rear_is_not_overruled():
    _, wire, ask = bench("PC 10", "PV 100")
    wire.go_local(local=True)
    assert [ask("RMT 1"), ask("RMT?"), ask("PV 50"), ask("PV?")] == ["OK", "LOC", "OK", "100.00"]


def test_reset_is_off_and_zero():
    _, _, ask = bench("PC 10", "PV 100", "OUT 1", "RST")
    assert [ask(text) for text in ("OUT?", "PV?", "PC?", "RMT?")] == ["OFF", "0.0000", "0.0000", "REM"]


def test_a_backslash_repeats_the_last_command():
    _, _, ask = bench()
    assert ask("IDN?") == ask("\\") == "LAMBDA,GEN150-10"


def test_small_letters_and_line_feeds_are_understood():
    _, wire, _ = bench()
    assert wire.receive(b"pv 12.5\r\npv?\n", 1.0) == b"OK\r12.500\r"


def test_a_type_without_numbers_is_no_type():
    with pytest.raises(ValueError, match="no type"):
        TdkGenesysWire(Plant(), model="GEN")


def test_a_set_takes_remote_control_by_itself():
    _, _, ask = bench("RMT LOC")
    assert [ask("RMT?"), ask("PV 5"), ask("RMT?")] == ["LOC", "OK", "REM"]


def test_masks_and_the_fold_back_delay_are_kept():
    _, _, ask = bench("FENA 1f", "FBD 05", "FILTER 23")
    assert [ask("FENA?"), ask("FBD?"), ask("FILTER?"), ask("SENA?")] == ["1F", "5", "23", "00"]
    assert [ask("SENA x"), ask("FBD 256"), ask("FILTER 20")] == ["C03", "C03", "C03"]
    assert [ask("FBDRST"), ask("FBD?")] == ["OK", "0"]


def test_a_global_command_is_taken_by_a_unit_that_is_not_addressed_and_answered_by_none():
    wire = TdkGenesysWire(Plant())
    assert wire.receive(b"GPV 5\rGPC 1\rGOUT 1\rPV?\r", 0.0) == b""
    assert wire.receive(b"ADR 6\rPV?\rOUT?\r", 0.0) == b"OK\r5.0000\rON\r"


def test_a_number_may_follow_its_command_without_a_blank():
    _, _, ask = bench()
    assert [ask("PV10.5"), ask("OUT1"), ask("PV?"), ask("OUT?")] == ["OK", "OK", "10.500", "ON"]


def test_a_unit_that_was_addressed_before_answers_at_once():
    assert TdkGenesysWire(Plant(), addressed=True).receive(b"OUT?\r", 0.0) == b"OFF\r"
