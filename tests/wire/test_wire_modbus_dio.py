"""The digital I/O module and what is wired to it: contacts, heartbeat relay, its own watchdog."""

import struct

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.modbus_dio import ModbusDioWire
from evapd_sim.wire.relay import HeartbeatRelay


def frame(function, *words, unit=1):
    return struct.pack(f">HHHBB{len(words)}H", 7, 0, 2 + 2 * len(words), unit, function, *words)


def inputs(wire, now_s=0.0):
    return wire.receive(frame(2, 0, 5), now_s)[-1]


def beat(relay, until_s, *, start_s=0.0, half_period_s=0.1, level=True):
    """Alternate from `start_s` on; gives the time of the last change."""
    steps = round((until_s - start_s) / half_period_s)
    for step in range(steps):
        relay.follow((step % 2 == 0) == level, start_s + step * half_period_s)
    return start_s + (steps - 1) * half_period_s


def test_inputs_show_the_contacts_of_the_plant():
    plant = Plant()
    wire = ModbusDioWire(plant)
    assert inputs(wire) == 0b01111  # the relay has not picked up
    plant.interlock["valve"] = False
    assert inputs(wire) == 0b01101


def test_contacts_may_stand_open_from_the_start():
    plant = Plant()
    ModbusDioWire(plant, open="door,ups")
    assert plant.interlock == {"door": False, "valve": True, "water": True, "ups": False}


@pytest.mark.parametrize(
    "settings",
    [
        {"open": "window"},
        {"open": "relay"},
        {"heartbeat": 16},
        {"discretes": 3},
        {"registers": 17},
        {"relay_cuts": "everything"},
        {"relay_s": 0.0},
    ],
)
def test_a_module_that_cannot_be_built_is_refused(settings):
    with pytest.raises(ValueError, match=r"contact|more than|registers|cut|not above 0"):
        ModbusDioWire(Plant(), **settings)


def test_register_1_sets_all_coils_at_once_and_shows_them():
    wire = ModbusDioWire(Plant())
    wire.receive(frame(6, 1, 0b101), 0.0)
    assert wire.coils[:4] == [True, False, True, False]
    assert wire.receive(frame(3, 1, 1), 0.0)[-2:] == b"\x00\x05"


@pytest.mark.parametrize("address", [0, 16, 32])
def test_registers_that_cannot_be_written_are_refused(address):
    assert ModbusDioWire(Plant()).receive(frame(6, address, 1), 0.0)[-2:] == b"\x86\x02"


def test_half_a_request_is_dropped_after_half_a_second():
    wire = ModbusDioWire(Plant())
    assert wire.receive(frame(2, 0, 5)[:7], 1.0) == b""
    assert wire.receive(frame(2, 0, 5), 1.6)[7:9] == b"\x02\x01"


def test_a_client_that_left_leaves_nothing_half_said():
    wire = ModbusDioWire(Plant())
    wire.receive(frame(2, 0, 5)[:7], 1.0)
    wire.disconnected()
    assert wire.receive(frame(2, 0, 5), 1.0)[7:9] == b"\x02\x01"


def test_without_requests_the_modules_own_watchdog_switches_every_coil_off():
    wire = ModbusDioWire(Plant(), watchdog=20)
    wire.receive(frame(5, 3, 0xFF00), 1.0)
    wire.poll(2.9)
    assert wire.coils[3]
    wire.poll(3.1)
    assert not any(wire.coils)


def test_a_watchdog_of_zero_is_none():
    wire = ModbusDioWire(Plant())
    wire.receive(frame(5, 3, 0xFF00), 1.0)
    wire.poll(1e6)
    assert wire.coils[3]


# -- the relay ------------------------------------------------------------------------------------------------------


def test_the_relay_holds_while_its_input_alternates():
    relay = HeartbeatRelay(Plant())
    beat(relay, 10.0)
    assert relay.closed


@pytest.mark.parametrize("level", [True, False])
def test_the_relay_drops_out_whichever_level_stays(level):
    relay = HeartbeatRelay(Plant())
    last_s = beat(relay, 2.0, level=not level)
    stays = relay._level
    relay.follow(stays, last_s + 0.499)
    assert relay.closed
    relay.follow(stays, last_s + 0.501)
    assert not relay.closed


def test_one_change_alone_does_not_let_the_relay_pick_up():
    relay = HeartbeatRelay(Plant())
    relay.follow(True, 1.0)
    relay.follow(True, 1.4)
    assert not relay.closed


def test_changes_that_are_too_slow_do_not_let_the_relay_pick_up():
    relay = HeartbeatRelay(Plant())
    beat(relay, 20.0, half_period_s=0.6)
    assert not relay.closed


def test_a_relay_without_a_latch_picks_up_again():
    relay = HeartbeatRelay(Plant())
    beat(relay, 1.0)
    beat(relay, 5.0, start_s=3.0)
    assert relay.closed


def test_a_relay_that_latches_waits_for_its_button():
    relay = HeartbeatRelay(Plant(), latches=True)
    beat(relay, 1.0)
    beat(relay, 5.0, start_s=3.0)
    assert not relay.closed
    relay.reset()
    beat(relay, 7.0, start_s=5.0)
    assert relay.closed


@pytest.mark.parametrize(
    ("cuts", "pulses", "supply"),
    [("nothing", True, True), ("pulser", False, True), ("supply", True, False), ("both", False, False)],
)
def test_an_open_relay_cuts_what_it_is_wired_to(cuts, pulses, supply):
    plant = Plant()
    plant.trigger.running, plant.specimen.demand_v = True, 1000.0
    ModbusDioWire(plant, relay_cuts=cuts)
    plant.specimen.advance(1.0)
    assert plant.trigger.live is pulses
    assert (plant.specimen.v_v > 900) is supply


def test_a_heartbeat_that_stops_cuts_pulses_and_voltage_within_its_time():
    plant = Plant()
    plant.trigger.running, plant.specimen.demand_v = True, 1000.0
    wire = ModbusDioWire(plant, relay_cuts="both")
    for step in range(20):
        wire.receive(frame(5, 0, 0xFF00 * (step % 2)), 0.1 * step)
    assert plant.trigger.live
    assert inputs(wire, 1.9) == 0b11111
    wire.poll(1.9 + 0.499)
    assert plant.trigger.live
    wire.poll(1.9 + 0.51)
    plant.specimen.advance(5.0)
    assert not plant.trigger.live
    assert plant.specimen.v_v < 1.0


@pytest.mark.parametrize("unit", [0, 1, 255])
def test_a_module_on_its_own_ip_number_answers_to_any_unit_that_means_itself(unit):
    wire = ModbusDioWire(Plant())
    assert wire.receive(frame(3, 16, 1, unit=unit), 0.0)[6:9] == bytes([unit, 3, 2])


def test_input_registers_are_the_holding_registers():
    wire = ModbusDioWire(Plant())
    assert wire.receive(frame(4, 0, 2), 0.0)[8:] == wire.receive(frame(3, 0, 2), 0.0)[8:]


def test_several_registers_are_written_at_once():
    wire = ModbusDioWire(Plant())
    request = struct.pack(">HHHBBHHB2H", 7, 0, 11, 1, 16, 5, 2, 4, 77, 78)
    assert wire.receive(request, 0.0) == frame(16, 5, 2)
    assert wire.receive(frame(3, 5, 2), 0.0)[9:] == struct.pack(">2H", 77, 78)


def test_registers_are_read_after_they_were_written():
    wire = ModbusDioWire(Plant())
    request = struct.pack(">HHHBBHHHHBH", 7, 0, 13, 1, 23, 5, 1, 5, 1, 2, 99)
    assert wire.receive(request, 0.0)[8:] == struct.pack(">BH", 2, 99)


@pytest.mark.parametrize("first", [0, 15, 16])
def test_registers_that_cannot_be_written_are_refused_and_none_is_changed(first):
    wire = ModbusDioWire(Plant())
    before = list(wire.registers)
    request = struct.pack(">HHHBBHHB2H", 7, 0, 11, 1, 16, first, 2, 4, 77, 78)
    assert wire.receive(request, 0.0)[7:] == b"\x90\x02"
    assert wire.registers == before
