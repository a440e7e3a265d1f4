"""The iseg module in virtual time: echo, ramps, trips, emergency off, inhibit, polarity, lists of channels, speed of the line."""

import pytest

from evapd_sim.plant import Plant
from evapd_sim.wire.iseg_shr import IsegShrWire
from evapd_sim.wire.serve import serve_wire


class Bench:
    """A module without echo, its plant, and a clock that the test turns."""

    def __init__(self, **settings):
        self.plant = Plant()
        self.wire = IsegShrWire(self.plant, **{"echo": "never", "adc_ideal": True} | settings)
        self.now_s = 0.0
        self.wire.advance(0.0)

    def ask(self, command: str) -> str:
        return self.wire.receive(command.encode() + b"\r\n", self.now_s).decode().strip()

    def status(self, channel: int = 0) -> int:
        return int(self.ask(f":READ:CHAN:STAT? (@{channel})"))

    def wait(self, seconds: float, step_s: float = 0.01) -> None:
        for _ in range(round(seconds / step_s)):
            self.now_s += step_s
            self.wire.advance(self.now_s)
            self.plant.specimen.advance(step_s)
            self.plant.advance_supplies(step_s)


@pytest.fixture
def bench():
    return Bench()


def energised(**settings) -> Bench:
    bench = Bench(**settings)
    for command in (":CONF:RAMP:VOLT 6000,(@0)", ":VOLT 1000,(@0)", ":VOLT ON,(@0)"):
        assert bench.ask(command) == ""
    bench.wait(1.0)
    return bench


def test_every_character_comes_back_before_the_reply_on_a_serial_line():
    wire = IsegShrWire(Plant())
    heard = [wire.receive(bytes([byte]), 1.0) for byte in b"*OPC?\r\n"]
    assert heard == [b"*", b"O", b"P", b"C", b"?", b"\r", b"\n1\r\n"]


def test_a_network_has_no_echo():
    wire = IsegShrWire(Plant())
    with serve_wire(wire, "tcp:127.0.0.1:0"):
        assert wire.receive(b"*OPC?\r\n", 1.0) == b"1\r\n"


def test_a_carriage_return_alone_ends_a_line_after_a_moment(bench):
    assert bench.wire.receive(b"*OPC?\r", 1.0) == b""
    assert bench.wire.poll(1.1) == b"1\r\n"
    assert bench.wire.receive(b"*OPC?\r*OPC?\r\n", 2.0) == b"1\r\n1\r\n"


def test_the_output_follows_the_ramp_both_ways(bench):
    for command in (
        ":CONF:RAMP:VOLT:UP 100,(@0)",
        ":CONF:RAMP:VOLT:DOWN 500,(@0)",
        ":VOLT 1000,(@0)",
        ":VOLT ON,(@0)",
    ):
        bench.ask(command)
    bench.wait(5.0)
    assert bench.plant.specimen.demand_v == pytest.approx(500.0, abs=2.0)
    bench.ask(":VOLT OFF,(@0)")
    bench.wait(0.5)
    assert bench.plant.specimen.demand_v == pytest.approx(250.0, abs=2.0)
    assert bench.status() & 0b11000 == 0b10000, "off, and still on its way down"


def test_a_module_ramp_is_a_share_of_the_nominal_voltage(bench):
    bench.ask(":CONF:RAMP:VOLT 10")
    assert bench.ask(":READ:RAMP:VOLT?") == "10.0000%/s"
    assert bench.ask(":READ:RAMP:VOLT? (@0,1)") == "0.60000E3V/s,0.60000E3V/s"


def test_emergency_off_has_no_ramp_and_holds_until_it_is_cleared():
    bench = energised()
    bench.ask(":CONF:RAMP:VOLT 10,(@0)")
    bench.ask(":VOLT EMCY OFF,(@0)")
    assert bench.plant.specimen.demand_v == 0.0
    bench.ask(":VOLT ON,(@0)")
    assert bench.status() & 0b101000 == 0b100000
    bench.ask(":VOLT EMCY CLR,(@0)")
    assert bench.status() & 0b101000 == 0
    bench.ask(":VOLT ON,(@0)")
    assert bench.status() & 0b101000 == 0b001000


def test_emergency_off_without_a_list_is_for_all_channels():
    bench = energised()
    bench.ask(":VOLT EMCY OFF")
    assert bench.ask(":READ:VOLT:EMCY? (@0-1)") == "1,1"


@pytest.mark.parametrize(
    ("action", "on", "demand_v"), [(0, 8, 100.0), (1, 0, 100.0), (2, 0, 0.0), (3, 0, 0.0)]
)
def test_a_current_trip_does_what_it_is_set_to(action, on, demand_v):
    bench = energised()
    bench.ask(":CONF:RAMP:VOLT 10,(@0)")
    bench.ask(f":CONF:TRIP:TIME 50,(@0);:CONF:TRIP:ACTION {action},(@0)")
    bench.ask(":CURR 1E-7,(@0)")
    bench.wait(0.2)
    assert bench.status() & (8 | 8192) == on | 8192
    assert bench.plant.specimen.demand_v == pytest.approx(demand_v, abs=1.0)


def test_a_trip_must_be_cleared_before_the_channel_can_be_on_again():
    bench = energised()
    bench.wire.trip()
    bench.ask(":VOLT ON,(@0)")
    assert bench.status() & (8 | 8192) == 8192
    bench.ask(":EVENT CLEAR,(@0)")
    bench.ask(":VOLT ON,(@0)")
    assert bench.status() & (8 | 8192) == 8


def test_kill_enable_trips_at_once():
    bench = energised()
    bench.ask(":CONF:KILL 1")
    bench.ask(":CURR 1E-7,(@0)")
    bench.wait(0.02)
    assert bench.plant.specimen.demand_v == 0.0


def test_an_inhibit_switches_off_and_keeps_off():
    bench = energised()
    bench.wire.inhibited = True
    bench.wait(0.02)
    bench.ask(":VOLT ON,(@0)")
    assert bench.status() & (8 | 4096) == 4096


def test_an_open_safety_loop_shuts_all_channels_down_and_is_in_the_module_status():
    bench = energised()
    assert int(bench.ask(":READ:MOD:STAT?")) & 1024
    bench.wire.interlock(is_open=True, latches=True)
    assert not int(bench.ask(":READ:MOD:STAT?")) & 1024
    bench.wire.interlock(is_open=False, latches=True)
    assert bench.status() & 8 == 0, "it stays off until it is switched on again"


def test_what_happened_stays_in_the_events_until_it_is_cleared():
    bench = energised()
    bench.ask(":VOLT EMCY OFF,(@0)")
    events = int(bench.ask(":READ:CHAN:EV:STAT? (@0)"))
    assert events & 0b111000 == 0b111000, "on to off, end of ramp, emergency off"
    bench.ask(":EVENT 8,(@0)")
    assert int(bench.ask(":READ:CHAN:EV:STAT? (@0)")) == events & ~8
    bench.ask("*CLS")
    assert bench.ask(":READ:CHAN:EV:STAT? (@0)") == "0"


def test_polarity_turns_only_off_and_discharged():
    bench = energised()
    bench.ask(":CONF:OUTP:POL n,(@0)")
    bench.ask(":VOLT EMCY OFF,(@0)")
    bench.ask(":CONF:OUTP:POL n,(@0)")
    assert bench.ask(":CONF:OUTP:POL? (@0)") == "p"
    bench.wait(5.0)
    bench.ask(":CONF:OUTP:POL n,(@0)")
    assert bench.ask(":CONF:OUTP:POL? (@0)") == "n"
    assert bench.status() & 1 == 0


def test_a_fixed_unit_keeps_its_polarity():
    bench = Bench(reversible=False, negative=True)
    bench.ask(":CONF:OUTP:POL p,(@0)")
    assert bench.ask(":CONF:OUTP:POL:LIST? (@0)") == "n"


def test_the_panel_in_control_leaves_remote_commands_without_effect():
    bench = energised()
    bench.wire.go_local(local=True)
    for command in (":VOLT 5,(@0)", ":VOLT OFF,(@0)", ":VOLT EMCY OFF,(@0)", "*RST"):
        bench.ask(command)
    assert bench.ask(":READ:VOLT? (@0)") == "1.00000E3V"
    assert bench.status() & 8


def test_reset_is_off_with_ramp_and_set_values_to_zero():
    bench = energised()
    bench.ask("*RST")
    assert bench.ask(":READ:VOLT? (@0)") == "0.00000E3V"
    assert bench.ask(":READ:CURR? (@0)") == "4000.0000E-6A"
    assert bench.plant.specimen.demand_v > 900.0


def test_changes_from_any_side_are_counted(bench):
    bench.ask(":VOLT 5,(@0)")
    bench.wire.front_panel(6.0)
    assert bench.ask(":READ:MODULE:SETVALUE?") == "2"


def test_the_other_channel_is_another_supply(bench):
    bench.ask(":VOLT 700,(@1);:VOLT ON,(@1)")
    bench.wait(3.0)
    assert bench.plant.specimen.v_v == 0.0
    assert bench.plant.supplies["specimen channel 1"].v_v == pytest.approx(700.0, rel=0.01)
    assert bench.ask(":MEAS:VOLT? (@0..1)").split(",")[0] == "0.00000E3V"


@pytest.mark.parametrize(
    "command",
    [":VOLT nan,(@0)", ":VOLT 1e999,(@0)", ":VOLT -5,(@0)", ":VOLT 6000.1,(@0)", ":VOLT 5,(@7)", ":VOLT 5", ":VOLT 5,(@0-x)",
     ":VOLT ,(@0)", ":CURR 1,(@0)", ":CONF:AVER 63", ":CONF:TRIP:ACTION 5,(@0)", ":CONF:SERIAL:BAUD 19200", "VOLT?VOLT?", "(@0)", "\x7f"],
)  # fmt: skip
def test_what_cannot_be_done_is_an_input_error_and_changes_nothing(bench, command):
    bench.ask(":VOLT 123,(@0)")
    assert bench.ask(command) == ""
    assert bench.ask(":READ:VOLT? (@0)") == "0.12300E3V"
    assert int(bench.ask(":READ:MOD:STAT?")) & 64


def test_a_line_that_is_too_long_does_nothing(bench):
    assert bench.ask(":VOLT 5,(@0)" + 300 * " " + ";*OPC?") == ""
    assert bench.ask(":READ:VOLT? (@0)") == "0.00000E3V"


@pytest.mark.parametrize(
    "question",
    ["*INSTR?", ":READ:VOLT:NOM? (@0)", ":READ:CURR:LIM? (@0)", ":READ:VOLT:LIM?", ":READ:RAMP:CURR? (@0)", ":CONF:TRIP:TIME? (@0)",
     ":CONF:INH:ACT? (@0)", ":READ:MODULE:SUPPLY? (@0-6)", ":READ:MODULE:SUPPLY:P24V?", ":READ:MODULE:TEMPERATURE?", ":READ:FIRMWARE:NAME?",
     ":READ:FIRM:REL?", ":CONF:KILL?", ":READ:CHAN:CONTR? (@0)", ":READ:MODULE:EVENT:CHANSTAT?", ":SYST:USER:CONFIG?", ":CONF:OUTPUT:MODE:LIST? (@0)"],
)  # fmt: skip
def test_the_questions_of_known_clients_are_answered(bench, question):
    assert bench.ask(question) != ""


def test_the_line_falls_back_to_its_first_speed_after_ten_quiet_seconds(tmp_path):
    now_s = [0.0]
    wire = IsegShrWire(Plant())
    server = serve_wire(wire, f"pty:{tmp_path}/port", clock=lambda: now_s[0])
    try:
        wire.receive(b":CONF:SERIAL:BAUD 115200\r\n", 1.0)
        server.unplug()  # returns when the server's thread has gone round once
        server.replug()
        assert server.address.endswith(":115200")
        now_s[0] = 12.0
        while wire.now_s < 12.0:
            server.unplug()
            server.replug()
        server.unplug()
        server.replug()
        assert server.address.endswith(":9600")
    finally:
        server.close()


def test_the_control_register_has_its_own_places(bench):
    assert bench.ask(":READ:MOD:CONT?") == str(1 << 12)
    bench.ask(":CONF:KILL 1")
    assert bench.ask(":READ:MODULE:CONTROL?") == str(1 << 12 | 1 << 14)


def test_the_configuration_mode_has_two_spellings(bench):
    assert [bench.ask(":SYS:USER:CONF?"), bench.ask(":SYSTEM:USER:CONFIG?")] == ["0", "0"]
